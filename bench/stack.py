"""The gateway as it runs in production, pinned: PostgreSQL with fsync on, a worker posting, limits on."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import os

from bursar.db.embedded import attach
from bursar.db.migrate import migrate
from gateway_stack import KEY, MODELS, SECRET_KEY, seed
from machine import GATEWAY_CORE, OTHER_CORE, PYTHON, free_port, pinned, wait_for, wait_for_port
from scratch_database import ScratchDatabase

BALANCE = "1000000"
HEADERS = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}


@dataclass(frozen=True)
class Stack:
    url: str
    upstream_url: str
    gateway_pid: int
    cold_start_s: float
    dsn: str

    @property
    def messages_url(self) -> str:
        """The same gateway in Anthropic's dialect."""
        return self.url.replace("/chat/completions", "/messages")


def request_body(*, stream: bool, kind: str = "openai") -> dict[str, object]:
    """A short question, the same words in OpenAI's and in Anthropic's dialect."""
    body: dict[str, object] = {
        "model": MODELS[kind],
        "messages": [{"role": "user", "content": "Hello, how are you?"}],
        "max_tokens": 100,
    }
    if kind == "openai":
        return {**body, "stream": True, "stream_options": {"include_usage": True}} if stream else body
    return {**body, "stream": True} if stream else body


@contextlib.contextmanager
def upstream() -> Iterator[int]:
    port = free_port()
    with pinned(OTHER_CORE, [PYTHON, str(Path(__file__).parent / "upstream.py"), str(port)]):
        wait_for_port(port)
        yield port


@contextlib.contextmanager
def running(upstream_port: int) -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="bursar-bench-", ignore_cleanup_errors=True) as folder:
        os.sched_setaffinity(0, {OTHER_CORE})  # what this process starts inherits it: PostgreSQL too
        with attach(Path(folder) / "postgres") as postgres:
            migrate(postgres.dsn)
            seed(
                ScratchDatabase(name="bursar", url=postgres.dsn),
                f"http://127.0.0.1:{upstream_port}",
                balance=BALANCE,
                requests_per_min=60_000_000,
            )
            port = free_port()
            env = {
                "BURSAR_DATABASE_URL": postgres.dsn,
                "BURSAR_DATA_DIR": folder,
                "BURSAR_SECRET_KEY": SECRET_KEY,
                "BURSAR_PORT": str(port),
                "BURSAR_LOG_LEVEL": "warning",
            }
            bursar = [PYTHON, "-m", "bursar.entrypoints.cli"]
            log = Path(folder) / "gateway.log"
            with (
                pinned(GATEWAY_CORE, [*bursar, "gateway"], env=env, log=log) as gateway,
                pinned(OTHER_CORE, [*bursar, "worker"], env=env, log=Path(folder) / "worker.log"),
            ):
                url = f"http://127.0.0.1:{port}"
                try:
                    cold_start_s = wait_for(f"{url}/v1/models", gateway, HEADERS)
                    yield Stack(
                        url=f"{url}/v1/chat/completions",
                        upstream_url=f"http://127.0.0.1:{upstream_port}/v1/chat/completions",
                        gateway_pid=gateway.pid,
                        cold_start_s=cold_start_s,
                        dsn=postgres.dsn,
                    )
                finally:
                    told = log.read_text()
                    if told:
                        print(told[-4000:], file=sys.stderr)
