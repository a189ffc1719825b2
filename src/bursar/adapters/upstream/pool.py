"""Which connections are open and which of them are idle: kept per host, bounded over all hosts.

A place is taken before connecting and freed when the socket is closed. When all are taken, an idle connection
to another host makes room, and whoever waits gets the first place or the first idle connection to his host.
"""

import asyncio
from collections import deque
from typing import Final, NamedTuple

from bursar.adapters.upstream.connection import Connection

KEEP_ALIVE_S: Final = 30.0
IDLE_PER_HOST_MAX: Final = 256


class Host(NamedTuple):
    """What a connection leads to."""

    name: str
    port: int
    is_tls: bool


class Pool:
    """Connections of one process; make it inside the running event loop."""

    def __init__(self, connections_max: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._places = connections_max
        self._open: set[Connection] = set()
        self._idle: dict[Host, deque[Connection]] = {}
        self._waiters: deque[tuple[Host, asyncio.Future[Connection | None]]] = deque()

    def close(self) -> None:
        """Close every connection, answers under way included."""
        for connection in self._open:
            connection.abort()
        self._idle.clear()

    def take_idle(self, host: Host) -> Connection | None:
        """The most recently used connection: the least likely to be dead."""
        idle = self._idle.get(host)
        oldest = self._loop.time() - KEEP_ALIVE_S
        while idle:
            connection = idle.pop()
            if not connection.is_closed and connection.idle_since > oldest:
                return connection
            connection.abort()
        return None

    def keep(self, host: Host, connection: Connection) -> None:
        """Keep a connection whose answer was read to its end, for the next request; or close it."""
        if not connection.is_reusable:
            connection.abort()
            return
        if self._hand_over(host, connection):
            return
        idle = self._idle.setdefault(host, deque())
        connection.idle_since = self._loop.time()
        idle.append(connection)
        if len(idle) > IDLE_PER_HOST_MAX or idle[0].idle_since < connection.idle_since - KEEP_ALIVE_S:
            idle.popleft().abort()

    async def place(self, host: Host) -> Connection | None:
        """Wait for room: an idle connection, or None: the right to open one (`new`)."""
        if self._places > 0 and not self._waiters:
            self._places -= 1
            return None
        waiter: asyncio.Future[Connection | None] = self._loop.create_future()
        self._waiters.append((host, waiter))
        self._drop_longest_idle()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():  # it came too late
                connection = waiter.result()
                if connection is None:
                    self._free()
                else:
                    self.keep(host, connection)
            raise

    def new(self) -> Connection:
        """A connection for a place, not connected yet; the place is free again when it is closed."""
        connection = Connection(self._loop, self._gone)
        self._open.add(connection)
        return connection

    def discard(self, connection: Connection) -> None:
        """Connecting failed: close what there is of it; its place is free."""
        connection.abort()
        self._gone(connection)

    def _gone(self, connection: Connection) -> None:
        if connection in self._open:
            self._open.discard(connection)
            self._free()

    def _free(self) -> None:
        while self._waiters:
            _, waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._places += 1

    def _hand_over(self, host: Host, connection: Connection) -> bool:
        """True when somebody waits: he gets this connection, or the place it leaves."""
        while self._waiters and self._waiters[0][1].done():
            self._waiters.popleft()
        if not self._waiters:
            return False
        for waiting in self._waiters:
            if waiting[0] == host and not waiting[1].done():
                self._waiters.remove(waiting)
                waiting[1].set_result(connection)
                return True
        connection.abort()
        return True

    def _drop_longest_idle(self) -> None:
        while idle := min((idle for idle in self._idle.values() if idle), key=_idle_since, default=None):
            connection = idle.popleft()
            if not connection.is_closed:
                connection.abort()
                return


def _idle_since(idle: deque[Connection]) -> float:
    return idle[0].idle_since
