"""Who acts, for the audit log, when it is no caller of the API: a person at this machine, or the worker."""

import getpass
import os
import socket

import orjson


def cli_actor() -> str:
    """Whoever typed the command: his account on this machine, and the machine's name."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid {os.getuid()}"  # a container without a line for it in /etc/passwd
    return _told("cli", f"{user}@{socket.gethostname()}")


def system_actor() -> str:
    """The worker, which acts by itself."""
    return _told("system", f"worker@{socket.gethostname()}")


def _told(kind: str, name: str) -> str:
    return orjson.dumps({"kind": kind, "name": name}).decode()
