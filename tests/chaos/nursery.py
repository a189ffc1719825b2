"""A program that has Bursar loaded and makes processes of it by forking: a start costs a tenth of a second.

Orders come as JSON lines on standard input, `{"words": [...], "folder": "...", "settings": {...}}`; each is
answered with the id of a new process that runs `bursar WORDS` in that folder. When the input closes, all that
were made are killed.
"""

import gc
import json
import os
import signal
import sys
from contextlib import suppress
from typing import Any

# Loaded before forking, so that nobody has to load it afterwards.
from bursar.entrypoints import cli, gateway, serve, worker

LOADED = (gateway, serve, worker)


def become(order: dict[str, Any]) -> None:
    """In the new process: be `bursar`, and end without returning."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(order["folder"])
    for descriptor, name, flags in ((0, os.devnull, os.O_RDONLY), (1, "stdout", None), (2, "stderr", None)):
        opened = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND if flags is None else flags, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.update(order["settings"])
    sys.argv = ["bursar", *order["words"]]
    code: Any = 0
    try:
        cli.main()
    except SystemExit as end:
        code = end.code
    except BaseException as error:  # noqa: BLE001 - the last one to hear of it
        sys.stderr.write(f"ended by {error!r}\n")
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the dead here
    gc.freeze()
    made: list[int] = []
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            become(json.loads(line))
        made.append(child)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
    for child in made:
        with suppress(ProcessLookupError):  # it has ended
            os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main()
