"""Taking a port, and saying what to do when somebody has it."""

import errno
import socket

PORTS_TRIED = 100
PORT_MAX = 65_535
BACKLOG = 2048


class PortTaken(Exception):
    """The address cannot be listened on; the message suggests another when there is one."""


def listen(host: str, port: int, *, suggestion: str = "BURSAR_PORT={}") -> socket.socket:
    """Bind and listen. `suggestion` says how the user chooses another port, with {} for its number.

    Raises:
        PortTaken: somebody listens there, or it is not ours to use.
    """
    try:
        return bound(host, port)
    except OSError as error:
        if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
            raise PortTaken(f"cannot listen on {host}: {error.strerror or error}") from error
        why = "is in use" if error.errno == errno.EADDRINUSE else "is reserved for the system"
        free = free_port_after(host, port)
        advice = f"; {free} is free: {suggestion.format(free)}" if free else ""
        raise PortTaken(f"port {port} on {host} {why}{advice}") from error


def bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((host, port))
        taken.listen(BACKLOG)
        taken.setblocking(False)  # noqa: FBT003 - the only way to call it
    except OSError:
        taken.close()
        raise
    return taken


def free_port(host: str, wished: int) -> int:
    """The wished port when it can be had, else one after it; 0: any. Somebody may still take it first.

    Raises:
        PortTaken: a hundred in a row are taken.
    """
    if wished == 0:
        with bound(host, 0) as probe:
            return port_of(probe)
    found = free_port_after(host, wished - 1)
    if found is None:
        raise PortTaken(f"no port from {wished} to {wished + PORTS_TRIED} is free on {host}")
    return found


def free_port_after(host: str, port: int) -> int | None:
    """The next port that can be had, for a suggestion; None when a hundred are taken."""
    first = max(port, 1023) + 1
    for candidate in range(first, min(first + PORTS_TRIED, PORT_MAX)):
        try:
            bound(host, candidate).close()
        except OSError:
            continue  # taken too
        return candidate
    return None


def port_of(taken: socket.socket) -> int:
    """The number that was given, which matters when 0 was asked for."""
    return int(taken.getsockname()[1])


def address_of(taken: socket.socket) -> str:
    """A URL that a browser on this machine can open."""
    host = str(taken.getsockname()[0])
    any_address = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared, not bound
    shown = any_address.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port_of(taken)}"
