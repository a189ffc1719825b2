"""Pinned processes, load, and what the operating system says of them."""

import contextlib
import json
import os
import platform
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
GATEWAY_CORE = 0
OTHER_CORE = 1
START_TIMEOUT_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def pinned(
    core: int, command: Sequence[str], *, env: Mapping[str, str] | None = None, log: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process on one core; ended when the block ends."""
    with (log or Path(os.devnull)).open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            env={**os.environ, **(env or {})},
            stdout=output,
            stderr=output,
            stdin=subprocess.PIPE,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes], headers: Mapping[str, str] | None = None) -> float:
    """Seconds until `url` answers anything."""
    started = time.monotonic()
    while time.monotonic() - started < START_TIMEOUT_S:
        if process.poll() is not None:
            raise SystemExit(f"{process.args} ended with {process.returncode}")
        with contextlib.suppress(OSError):
            request = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310 - loopback
            with contextlib.suppress(urllib.error.HTTPError):  # an answer is an answer
                urllib.request.urlopen(request, timeout=5).read()  # noqa: S310 - loopback
            return time.monotonic() - started
        time.sleep(0.02)
    raise SystemExit(f"{url} does not answer")


def wait_for_port(port: int) -> None:
    started = time.monotonic()
    while time.monotonic() - started < START_TIMEOUT_S:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise SystemExit(f"nothing listens on port {port}")


def wrk(
    url: str, body: Mapping[str, Any], headers: Mapping[str, str], *, connections: int, seconds: int
) -> dict[str, float]:
    """Load from one thread on the other core: requests per second, percentiles in ms, failures."""
    script = HERE / "results" / f".wrk-{os.getpid()}.lua"
    lines = ['wrk.method = "POST"', f"wrk.body = [==[{json.dumps(dict(body))}]==]".replace(": ", ":")]
    lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()]
    script.write_text("\n".join(lines))
    command = [
        "taskset",
        "-c",
        str(OTHER_CORE),
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--latency",
    ]
    try:
        told = subprocess.run(
            [*command, "--timeout", "30s", "-s", str(script), url], capture_output=True, text=True, check=True
        ).stdout
    finally:
        script.unlink()
    return read_wrk(told)


def read_wrk(told: str) -> dict[str, float]:
    rate = re.search(r"Requests/sec:\s+([\d.]+)", told)
    total = re.search(r"(\d+) requests in", told)
    if rate is None or total is None:
        raise SystemExit(f"wrk said:\n{told}")
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", told)
    found = {
        f"p{at}": _ms(value, unit) for at, value, unit in re.findall(r"\s(\d\d)%\s+([\d.]+)(us|ms|s)", told)
    }
    return {
        "requests_per_s": float(rate[1]),
        "requests": float(total[1]),
        "failed": float(failed[1] if failed else 0) + sum(map(float, sockets.groups() if sockets else ())),
        **found,
    }


def _ms(value: str, unit: str) -> float:
    return float(value) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its threads so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def machine() -> dict[str, Any]:
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return {
        "cpu": model[1] if model else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.release(),
    }


def commit() -> str:
    told = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    return told.stdout.strip() or "unknown"


PYTHON = sys.executable
