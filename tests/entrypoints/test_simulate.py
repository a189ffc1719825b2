import os
import signal
import subprocess
import sys
import time

import httpx2
import pytest

from bursar.entrypoints.listening import listen, port_of

WAIT_S_MAX = 60
STARTED_S = 3
COMMAND = [sys.executable, "-m", "bursar.entrypoints.cli", "simulate"]


class TestSimulate:
    def test_answers_until_it_is_told_to_stop(self) -> None:
        simulator = subprocess.Popen(
            [*COMMAND, "--port", "0"],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "BURSAR_LOG_FORMAT": "json"},
        )
        assert simulator.stderr is not None
        said = simulator.stderr.readline()
        address = said.split('"address": "')[1].split('"')[0]
        answer = httpx2.get(f"{address}/sim/health")
        simulator.send_signal(signal.SIGTERM)
        assert simulator.wait(WAIT_S_MAX) == 0
        simulator.stderr.close()
        assert answer.json() == {"ok": True}

    def test_says_that_its_port_is_taken(self) -> None:
        with listen("127.0.0.1", 0) as taken:
            refused = subprocess.run(
                [*COMMAND, "--port", str(port_of(taken))],
                capture_output=True,
                text=True,
                check=False,
                timeout=WAIT_S_MAX,
            )
        assert refused.returncode == 1
        assert "bursar simulate --port" in refused.stderr

    def test_waits_for_its_turn_beside_another_demo(self) -> None:
        with listen("127.0.0.1", 0) as taken:
            port = port_of(taken)
            waiting = subprocess.Popen(
                [*COMMAND, "--port", str(port), "--with-parent"], stdin=subprocess.PIPE
            )
            with pytest.raises(subprocess.TimeoutExpired):
                waiting.wait(STARTED_S)
        address = f"http://127.0.0.1:{port}/sim/health"
        deadline = time.monotonic() + WAIT_S_MAX
        while not answers(address):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert waiting.stdin is not None
        waiting.stdin.close()
        assert waiting.wait(WAIT_S_MAX) == 0


def answers(address: str) -> bool:
    try:
        return httpx2.get(address).is_success
    except httpx2.TransportError:
        return False
