import os
import signal
import subprocess
import sys

import httpx2

from bursar.entrypoints.listening import listen, port_of

WAIT_S_MAX = 60
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
