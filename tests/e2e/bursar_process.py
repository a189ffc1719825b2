"""A Bursar as its users meet it: a process of its own, found by what it prints, told to stop by a signal."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_WAIT_S_MAX = 60
STOP_WAIT_S_MAX = 60
POLL_S = 0.02


@dataclass(kw_only=True)
class Program:
    """A running `bursar …`; `said` and `logged` are all it wrote so far."""

    process: "subprocess.Popen[bytes]"
    folder: Path

    @property
    def said(self) -> str:
        return (self.folder / "stdout").read_text()

    @property
    def logged(self) -> str:
        return (self.folder / "stderr").read_text()

    def until_said(self, words: str) -> str:
        """Wait for words on standard output; all of it up to then."""
        return self._until(words, "stdout")

    def listening(self) -> str:
        """Wait until the server listens; its address."""
        self._until('"server.listening"', "stderr")
        events = (json.loads(line) for line in self.logged.splitlines() if line.startswith("{"))
        return next(str(event["address"]) for event in events if event["event"] == "server.listening")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop and wait; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(STOP_WAIT_S_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def _until(self, words: str, stream: str) -> str:
        deadline = time.monotonic() + START_WAIT_S_MAX
        while words not in (written := (self.folder / stream).read_text()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"no {words!r} from bursar:\n{self.said}\n{self.logged}")
            time.sleep(POLL_S)
        return written


def environment(changed: Mapping[str, str]) -> dict[str, str]:
    """The test's own, less what configures Bursar or its real providers."""
    foreign = ("BURSAR_", "OPENAI_", "ANTHROPIC_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**inherited, **changed}


@contextmanager
def running(folder: Path, *words: str, settings: Mapping[str, str]) -> Iterator[Program]:
    """`bursar WORDS` in a folder of its own; stopped at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "stdout").open("wb") as said, (folder / "stderr").open("wb") as logged:
        process = subprocess.Popen(
            [sys.executable, "-m", "bursar.entrypoints.cli", *words],
            cwd=folder,
            env=environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=logged,
        )
    program = Program(process=process, folder=folder)
    try:
        yield program
    finally:
        program.stop()
