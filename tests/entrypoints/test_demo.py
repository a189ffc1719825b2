"""`bursar demo` as a person runs it: processes, a terminal's signals, and the line to paste."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from bursar.entrypoints.demo_seed import Secrets, read_secrets, write_secrets
from bursar.entrypoints.listening import listen, port_of

WAIT_S_MAX = 60


def bare_environment(data: Path, **more: str) -> dict[str, str]:
    """Nothing of the person who runs the tests, and everything in a folder of the test."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BURSAR_", "OPENAI_", "ANTHROPIC_"))
    }
    return {**kept, "BURSAR_DATA_DIR": str(data), "BURSAR_SIMULATE_PORT": "0", **more}


class Demo:
    """A running demo and what it printed."""

    def __init__(self, data: Path, **more: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bursar.entrypoints.cli", "demo", "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
            env=bare_environment(data, **more),
            cwd=data.parent,
            start_new_session=True,
        )
        self.said = self._until_curl()

    def _until_curl(self) -> str:
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if line.startswith("curl "):
                return "".join(lines)
        raise AssertionError("it ended without a line to paste: " + "".join(lines))

    def printed(self, label: str) -> str:
        found = re.search(rf"^  {label} +(\S+)", self.said, re.MULTILINE)
        assert found is not None
        return found[1]

    def paste(self, model: str | None = None) -> subprocess.CompletedProcess[str]:
        words = shlex.split(self.said.splitlines()[-1])
        if model is not None:
            words[-1] = json.dumps({**json.loads(words[-1]), "model": model})
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=WAIT_S_MAX)

    def interrupt(self) -> str:
        """What a terminal's Ctrl-C does: the signal goes to the whole group."""
        os.killpg(self.process.pid, signal.SIGINT)
        assert self.process.stdout is not None
        rest = self.process.stdout.read()
        assert self.process.wait(WAIT_S_MAX) == 0
        self.process.stdout.close()
        return rest

    def kill_if_needed(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def processes_naming(folder: Path) -> list[str]:
    """Command lines of running processes that have `folder` in them or in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
            told = (process / "environ").read_bytes()
        except OSError:
            continue  # it ended while we looked, or is somebody else's
        if os.fsencode(folder) in words + told:
            found.append(words.replace(b"\0", b" ").decode(errors="replace"))
    return found


class TestDemo:
    def test_runs_answers_stops_and_goes_on(self, tmp_path: Path) -> None:
        data = tmp_path / "data"
        first = Demo(data)
        try:
            pasted = first.paste()
            other_maker = first.paste("claude-haiku-4-5")
            balance = balance_of(first)
            rest = first.interrupt()
        finally:
            first.kill_if_needed()
        assert ".venv/bin/bursar user password-link operator@demo.example" in first.said
        assert pasted.stdout.startswith("HTTP/1.1 200")
        assert "x-bursar-cost: 0.0" in pasted.stdout
        assert other_maker.stdout.startswith("HTTP/1.1 200")
        assert balance.startswith("99.99")
        assert "Stopped" in rest
        assert processes_naming(data) == []

        second = Demo(data)
        try:
            assert second.printed("key") == first.printed("key")
            assert second.printed("operator token") == first.printed("operator token")
            assert second.paste().stdout.startswith("HTTP/1.1 200")
            assert balance_of(second) < balance
            second.interrupt()
        finally:
            second.kill_if_needed()

    def test_registers_the_makers_whose_credentials_it_is_given(self, tmp_path: Path) -> None:
        demo = Demo(tmp_path / "data", OPENAI_API_KEY="sk-proj-not-a-real-one")
        try:
            pasted = demo.paste("simulated-gpt-4.1-mini")
            providers = ask(demo, "/api/v1/providers")["items"]
            demo.interrupt()
        finally:
            demo.kill_if_needed()
        assert "gpt-4.1-mini                 OpenAI itself" in demo.said
        assert pasted.stdout.startswith("HTTP/1.1 200")
        assert {one["slug"] for one in providers} == {
            "openai",
            "simulated-openai",
            "simulated-anthropic",
            "simulated-google",
        }
        assert "sk-proj" not in json.dumps(providers)

    def test_leaves_nothing_behind_when_it_is_killed(self, tmp_path: Path) -> None:
        demo = Demo(tmp_path / "data")
        assert processes_naming(tmp_path) != []
        demo.process.kill()
        demo.process.communicate()
        deadline = time.monotonic() + WAIT_S_MAX
        while left := processes_naming(tmp_path):
            assert time.monotonic() < deadline, left
            time.sleep(0.1)

    def test_leaves_nothing_behind_when_it_is_interrupted_while_it_starts(self, tmp_path: Path) -> None:
        starting = subprocess.Popen(
            [sys.executable, "-m", "bursar.entrypoints.cli", "demo", "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
            env=bare_environment(tmp_path / "data"),
            start_new_session=True,
        )
        assert starting.stdout is not None
        starting.stdout.readline()
        os.killpg(starting.pid, signal.SIGINT)
        starting.communicate(timeout=WAIT_S_MAX)
        assert starting.returncode != 0
        assert processes_naming(tmp_path) == []

    def test_says_which_port_is_free_when_its_own_is_taken(self, tmp_path: Path) -> None:
        with listen("127.0.0.1", 0) as taken:
            refused = subprocess.run(
                [sys.executable, "-m", "bursar.entrypoints.cli", "demo", "--port", str(port_of(taken))],
                capture_output=True,
                text=True,
                env=bare_environment(tmp_path / "data"),
                check=False,
                timeout=WAIT_S_MAX,
            )
        assert refused.returncode == 1
        assert re.search(r"port \d+ on 127.0.0.1 is in use; \d+ is free: make demo PORT=\d+", refused.stderr)
        assert "Traceback" not in refused.stderr
        assert not (tmp_path / "data").exists()


def ask(demo: Demo, path: str) -> dict[str, list[dict[str, str]]]:
    answer = httpx2.get(
        demo.printed("address") + path, headers={"Authorization": f"Bearer {demo.printed('operator token')}"}
    )
    assert answer.status_code == 200
    found: dict[str, list[dict[str, str]]] = answer.json()
    return found


def balance_of(demo: Demo) -> str:
    """As the last answer's header says."""
    found = re.search(r"x-bursar-balance: (\S+)", demo.paste().stdout)
    assert found is not None
    return found[1]


class TestSecrets:
    def test_are_kept_to_their_owner(self, tmp_path: Path) -> None:
        kept = tmp_path / "demo.json"
        kept.write_text("an older one, readable by all")
        kept.chmod(0o644)
        write_secrets(kept, Secrets(key="k", operator_token="t"))
        assert read_secrets(kept) == Secrets(key="k", operator_token="t")
        assert kept.stat().st_mode & 0o777 == 0o600

    def test_are_none_at_first(self, tmp_path: Path) -> None:
        assert read_secrets(tmp_path / "demo.json") is None


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path: Path) -> None:
    """A name for the folder that no other process can have."""
    assert processes_naming(tmp_path) == []
