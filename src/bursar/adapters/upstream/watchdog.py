"""Time-outs by the thousand: one coarse ticker instead of a timer per read.

`asyncio.timeout` costs several microseconds each time; a busy gateway waits a hundred thousand times a
second. Watching is two set operations. Every tick looks at all that is watched, so the cost grows with
requests in flight (about 50 ns each, four times a second), not with reads.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import structlog

log = structlog.get_logger()

TICK_S: Final = 0.25  # a time-out fires at most this much late


class Watched(Protocol):
    """What can be watched: it keeps its own deadline, so that watching makes no object and no cycle."""

    deadline: float

    def bark(self) -> None:
        """The time is up."""
        ...


class Watch:
    """One deadline for whoever has no object to put it in. Reusable: `start` and `stop` as often as needed.

    Keep it out of what `do` belongs to: the two would hold each other until the garbage collector comes.
    """

    __slots__ = ("_do", "_dog", "deadline", "expired")

    def __init__(self, dog: "Watchdog", do: Callable[[], object]) -> None:
        self._dog = dog
        self._do = do
        self.deadline = 0.0
        self.expired = False

    def start(self, timeout_s: float) -> None:
        """Call `do` in `timeout_s` unless `stop` comes first."""
        self.expired = False
        self._dog.start(self, timeout_s)

    def stop(self) -> None:
        self._dog.stop(self)

    def bark(self) -> None:
        self.expired = True
        self._do()


class Watchdog:
    """Owns the ticker. Make it inside a running event loop; `close` stops it."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.time = loop.time
        self.open: set[Watched] = set()
        self.stop = self.open.discard
        self._ticker = loop.create_task(self._tick())

    def start(self, watched: Watched, timeout_s: float) -> None:
        """Let `watched` bark in `timeout_s` unless `stop` comes first."""
        watched.deadline = self.time() + timeout_s
        self.open.add(watched)

    def watch(self, do: Callable[[], object]) -> Watch:
        return Watch(self, do)

    async def close(self) -> None:
        self._ticker.cancel()
        await asyncio.gather(self._ticker, return_exceptions=True)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now = self.time()
            for watched in [watched for watched in self.open if watched.deadline <= now]:
                self.open.discard(watched)
                try:
                    watched.bark()
                except Exception:  # one bad bark must not leave every other time-out unwatched
                    log.exception("watchdog.bark_failed")
