"""What happened, for tests to look at: requests, connections, times.

Times are `time.monotonic_ns()`: on one machine every process reads the same clock, so a test can subtract
its own reading from ours. All logs are bounded; the oldest entries go first.
"""

import time
from collections import deque
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

CONNECTIONS_REMEMBERED = 2000
SECRET_HEADERS = frozenset(
    (b"authorization", b"x-api-key", b"x-goog-api-key", b"proxy-authorization", b"cookie")
)


@dataclass(slots=True, kw_only=True, eq=False)
class Exchange:
    """One request and how its answer went.

    Attributes:
        ended: `answering` until it is over, then `complete`, `cut` (a fault closed it), `peer_closed` or
        `stopped`.
        paused: how often the socket was too full to write (a slow reader).
    """

    serial: int
    connection: int
    method: str
    path: str
    headers: dict[bytes, bytes]
    body: bytes
    body_bytes: int
    received_ns: int
    status: int = 0
    events_sent: int = 0
    bytes_sent: int = 0
    paused: int = 0
    first_byte_ns: int = 0
    ended_ns: int = 0
    ended: str = "answering"

    def end(self, how: str) -> None:
        """Close the entry; the first reason stays."""
        if self.ended == "answering":
            self.ended = how
            self.ended_ns = time.monotonic_ns()

    def shown(self) -> dict[str, Any]:
        """As JSON; secrets appear as a digest, so that a test can tell two keys apart."""
        return {
            "serial": self.serial,
            "connection": self.connection,
            "method": self.method,
            "path": self.path,
            "headers": {name.decode("latin-1"): _shown(name, value) for name, value in self.headers.items()},
            "body": self.body.decode("utf-8", "replace"),
            "body_bytes": self.body_bytes,
            "status": self.status,
            "events_sent": self.events_sent,
            "bytes_sent": self.bytes_sent,
            "paused": self.paused,
            "received_ns": self.received_ns,
            "first_byte_ns": self.first_byte_ns,
            "ended_ns": self.ended_ns,
            "ended": self.ended,
        }


def _shown(name: bytes, value: bytes) -> str:
    if name in SECRET_HEADERS:
        return "sha:" + blake2b(value, digest_size=6).hexdigest()
    return value.decode("latin-1")


@dataclass(slots=True, kw_only=True, eq=False)
class Link:
    """One connection's life.

    Attributes:
        closed_by: `peer` or `us`; empty while open.
        peer_closed_ns: when the peer's FIN or RST was seen; 0 if it never was.
        reset: the peer's end came as an error (RST), not as FIN.
    """

    serial: int
    opened_ns: int
    requests: int = 0
    closed_ns: int = 0
    closed_by: str = ""
    peer_closed_ns: int = 0
    reset: bool = False

    def shown(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True, kw_only=True, eq=False)
class Log:
    """Everything remembered, newest last."""

    requests_max: int
    exchanges: deque[Exchange] = field(init=False)
    links: deque[Link] = field(init=False)
    connections_total: int = 0
    connections_open: int = 0
    connections_refused: int = 0
    requests_total: int = 0
    requests_open: int = 0
    requests_open_max: int = 0

    def __post_init__(self) -> None:
        self.exchanges = deque(maxlen=self.requests_max)
        self.links = deque(maxlen=CONNECTIONS_REMEMBERED)

    def clear(self) -> None:
        self.exchanges.clear()
        self.links.clear()
        self.requests_open_max = self.requests_open

    def counters(self) -> dict[str, int]:
        return {
            "connections_total": self.connections_total,
            "connections_open": self.connections_open,
            "connections_refused": self.connections_refused,
            "requests_total": self.requests_total,
            "requests_open": self.requests_open,
            "requests_open_max": self.requests_open_max,
        }
