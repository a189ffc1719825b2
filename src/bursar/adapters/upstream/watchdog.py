"""Time-outs by the thousand: one coarse ticker instead of a timer per read.

`asyncio.timeout` costs several microseconds each time; a busy gateway waits a hundred thousand times a
second. A `Watch` is two set operations. Every tick looks at all open watches, so the cost grows with requests
in flight (about 50 ns each, four times a second), not with reads.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

log = structlog.get_logger()

TICK_S: Final = 0.25  # a time-out fires at most this much late


class Watch:
    """One deadline and what to do when it passes. Reusable: `start` and `stop` as often as needed."""

    __slots__ = ("_dog", "bark", "deadline", "expired")

    def __init__(self, dog: "Watchdog", bark: Callable[[], object]) -> None:
        self._dog = dog
        self.bark = bark
        self.deadline = 0.0
        self.expired = False

    def start(self, timeout_s: float) -> None:
        """Call `bark` in `timeout_s` unless `stop` comes first."""
        self.expired = False
        self.deadline = self._dog.time() + timeout_s
        self._dog.open.add(self)

    def stop(self) -> None:
        self._dog.open.discard(self)


class Watchdog:
    """Owns the ticker. Make it inside a running event loop; `close` stops it."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.time = loop.time
        self.open: set[Watch] = set()
        self._ticker = loop.create_task(self._tick())

    def watch(self, bark: Callable[[], object]) -> Watch:
        return Watch(self, bark)

    async def close(self) -> None:
        self._ticker.cancel()
        await asyncio.gather(self._ticker, return_exceptions=True)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now = self.time()
            for watch in [watch for watch in self.open if watch.deadline <= now]:
                self.open.discard(watch)
                watch.expired = True
                try:
                    watch.bark()
                except Exception:  # one bad bark must not leave every other time-out unwatched
                    log.exception("watchdog.bark_failed")
