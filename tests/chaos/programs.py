"""Bursar's programs as processes that a test may kill, stop and continue."""

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

WAIT_S_MAX = 60
POLL_S = 0.02
FOREIGN = ("BURSAR_", "OPENAI_", "ANTHROPIC_", "COVERAGE_")  # the killed cannot tell what they covered


@dataclass(kw_only=True)
class Program:
    """A running `bursar …`; what it wrote is in its folder."""

    process: psutil.Process
    folder: Path

    def kill(self) -> None:
        """`kill -9`; returns when it is gone."""
        self.send(signal.SIGKILL)
        self.process.wait(WAIT_S_MAX)

    def stop(self) -> None:
        """SIGTERM, and wait until it has ended in order."""
        self.send(signal.SIGTERM)
        self.process.wait(WAIT_S_MAX)

    def send(self, what: signal.Signals) -> None:
        with suppress(psutil.NoSuchProcess):  # it has ended already
            self.process.send_signal(what)

    @property
    def logged(self) -> str:
        path = self.folder / "stderr"
        return path.read_text() if path.exists() else ""

    def events(self, name: str) -> list[dict[str, object]]:
        lines = [line for line in self.logged.splitlines() if line.startswith("{") and line.endswith("}")]
        return [event for line in lines if (event := json.loads(line)).get("event") == name]

    async def until(self, name: str) -> dict[str, object]:
        """Wait for an event in its log."""
        deadline = time.monotonic() + WAIT_S_MAX
        while not (found := self.events(name)):
            if not self.process.is_running() or time.monotonic() > deadline:
                raise AssertionError(f"no {name!r} in {self.folder}:\n{self.logged}")
            await asyncio.sleep(POLL_S)
        return found[0]

    async def until_back(self) -> None:
        """Wait until a gateway that took to its spool has noticed that PostgreSQL is back."""
        deadline = time.monotonic() + WAIT_S_MAX
        while len(self.events("flush.books_back")) < len(self.events("flush.books_away")):
            assert time.monotonic() < deadline, f"still away:\n{self.logged}"
            await asyncio.sleep(POLL_S)

    async def address(self) -> str:
        """Where it listens, once it does."""
        return str((await self.until("server.listening"))["address"])


class Nursery:
    """Starts programs quickly; see `nursery.py`."""

    def __init__(self, maker: "subprocess.Popen[str]") -> None:
        self._maker = maker

    def start(self, base: Path, *words: str, settings: Mapping[str, str]) -> Program:
        folder = base / f"{words[0]}-{secrets.token_hex(4)}"
        folder.mkdir(parents=True)
        order = {"words": words, "folder": str(folder), "settings": dict(settings)}
        assert self._maker.stdin is not None
        assert self._maker.stdout is not None
        self._maker.stdin.write(json.dumps(order) + "\n")
        self._maker.stdin.flush()
        return Program(process=psutil.Process(int(self._maker.stdout.readline())), folder=folder)


@contextmanager
def nursery() -> Iterator[Nursery]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    command = [sys.executable, str(Path(__file__).with_name("nursery.py"))]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as maker:
        yield Nursery(maker)
