"""Stops the embedded PostgreSQL when its last user is gone, starts it again when it was killed under them.

A program of its own (`python -m bursar.db.embedded_keeper FOLDER TUNING`), because whoever should do it may
have been killed. It holds the lock on `keeper.lock` that it inherited, so there is one per folder.
"""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from bursar.db import embedded, embedded_program

LOOK_EVERY_S = 0.2


def keep(folder: Path, tuning: Mapping[str, str]) -> None:
    """Watch until the server is stopped or its folder is gone."""
    while folder.exists():
        with embedded.locked(folder / "start.lock"):
            if embedded.nobody_uses(folder):
                embedded.stop(folder)
                return
            if was_killed(folder):
                embedded.start(folder, tuning)
        time.sleep(LOOK_EVERY_S)


def was_killed(folder: Path) -> bool:
    """A server that was stopped properly has removed its pid file, and is left alone."""
    return embedded_program.postmaster_pid(folder) is None and bool(embedded_program.pid_file_lines(folder))


if __name__ == "__main__":
    keep(Path(sys.argv[1]), json.loads(sys.argv[2]))
