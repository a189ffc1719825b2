import asyncio
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from bursar.entrypoints import children
from bursar.entrypoints.serve import run_loop

WAIT_S_MAX = 30
WAITS_FOR_ITS_PARENT = """
import asyncio
from bursar.entrypoints.children import until_parent_dies
asyncio.run(until_parent_dies())
"""


def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> Path:
    """Make `python -m bursar.entrypoints.cli` run `code`: a package of that name, found first."""
    package = tmp_path / "stand_in"
    package.mkdir()
    script = package / "python"
    (package / "child.py").write_text(textwrap.dedent(code))
    script.write_text(f'#!/bin/sh\nshift 2\nexec {sys.executable} {package / "child.py"} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    return package


async def until_written(path: Path, lines: int = 1) -> list[str]:
    async with asyncio.timeout(WAIT_S_MAX):
        while not path.exists() or len(path.read_text().splitlines()) < lines:
            await asyncio.sleep(0.02)
    return path.read_text().splitlines()


class TestBeside:
    async def test_starts_it_again_when_it_ends_by_itself(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(children, "RESTART_WAIT_S_MIN", 0.01)
        stand_in(
            tmp_path,
            monkeypatch,
            """
            import sys
            with open(sys.argv[1], "a") as file: file.write("began\\n")
            """,
        )
        async with children.beside("short", [str(tmp_path / "log")], {}):
            assert len(await until_written(tmp_path / "log", lines=3)) >= 3

    async def test_gives_it_the_environment_and_stops_it_at_the_end(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stand_in(
            tmp_path,
            monkeypatch,
            """
            import os, signal, sys
            def stop(*_):
                with open(sys.argv[1], "a") as file: file.write("stopped\\n")
                sys.exit()
            signal.signal(signal.SIGTERM, stop)
            with open(sys.argv[1], "a") as file: file.write(os.environ["TOLD"] + "\\n")
            signal.pause()
            """,
        )
        async with children.beside("long", [str(tmp_path / "log")], {"TOLD": "this"}):
            await until_written(tmp_path / "log")
        assert (tmp_path / "log").read_text().splitlines() == ["this", "stopped"]

    def test_works_on_the_loop_that_servers_run_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stand_in(
            tmp_path,
            monkeypatch,
            """
            import sys
            with open(sys.argv[1], "a") as file: file.write("began\\n")
            """,
        )

        async def main() -> None:
            async with children.beside("child", [str(tmp_path / "log")], {}):
                await until_written(tmp_path / "log")

        run_loop(main())
        assert (tmp_path / "log").read_text() == "began\n"

    async def test_insists_when_it_will_not_stop(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(children, "STOP_WAIT_S_MAX", 0.1)
        stand_in(
            tmp_path,
            monkeypatch,
            """
            import os, signal, sys
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            with open(sys.argv[1], "a") as file: file.write(f"{os.getpid()}\\n")
            while True: signal.pause()
            """,
        )
        async with children.beside("stubborn", [str(tmp_path / "log")], {}):
            (pid,) = await until_written(tmp_path / "log")
        assert not Path(f"/proc/{pid}").exists()


class TestParentsDeath:
    async def test_is_noticed_by_the_child(self) -> None:
        waiting = subprocess.Popen([sys.executable, "-c", WAITS_FOR_ITS_PARENT], stdin=subprocess.PIPE)
        assert waiting.stdin is not None
        assert waiting.poll() is None
        waiting.stdin.close()
        assert await asyncio.to_thread(waiting.wait, WAIT_S_MAX) == 0
