"""Runs another project's conformance suite, in the environment that `make test` makes for it."""

import os
import re
import subprocess
from pathlib import Path
from typing import Final

SUITES: Final = Path(__file__).parent / "suites"
PYTHON: Final = SUITES.parents[2] / ".venv-suites" / "bin" / "python"
OPTIONS: Final = (
    "--noconftest",
    "--quiet",
    "-c",
    os.devnull,
    "-p",
    "no:cacheprovider",
    "-o",
    "asyncio_mode=auto",
    "-o",
    "asyncio_default_test_loop_scope=session",  # its clients outlive a test's own loop
    "-o",
    "asyncio_default_fixture_loop_scope=session",
)


def passed_in(suite: str, address: str, folder: Path, *, seconds_max: int, **told: str) -> int:
    """How many tests of the suite passed; all of them must. It is told `BURSAR_<NAME>` for each name."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "BURSAR_ADDRESS": address,
        **{f"BURSAR_{name.upper()}": value for name, value in told.items()},
    }
    ran = subprocess.run(
        [PYTHON, "-m", "pytest", *OPTIONS, str(SUITES / suite)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds_max,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]
    counted = re.search(r"(\d+) passed", ran.stdout)
    assert counted is not None, ran.stdout[-1000:]
    return int(counted[1])
