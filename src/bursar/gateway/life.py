"""Is this process alive in the books? Only a process that is may admit requests.

The heartbeat updates one row every 10 s. A process admits nothing once 40 s have passed since it *sent* its
last acknowledged beat, by a clock that counts through suspend; the sweeper closes it after 60 s by the
database's clock. So no promise made here can outlive its cover there (MONEY §3, "Life").
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog

from bursar.gateway.ports import Books, GatewayClock

log = structlog.get_logger()

BEAT_INTERVAL_MS: Final = 10_000
ADMIT_LIFE_MS: Final = 40_000
RETRY_BEAT_MS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeLimits:
    """`beat_ms`: between beats; `admit_ms`: how long one acknowledged beat permits admission."""

    beat_ms: int = BEAT_INTERVAL_MS
    admit_ms: int = ADMIT_LIFE_MS

    @property
    def retry_ms(self) -> int:
        """After a beat that was not acknowledged."""
        return min(RETRY_BEAT_MS, self.beat_ms)


class Process:
    """One gateway process's life; `on_death` is told when the books closed it."""

    def __init__(
        self,
        books: Books,
        clock: GatewayClock,
        *,
        host: str,
        new_id: Callable[[], UUID],
        limits: LifeLimits | None = None,
    ) -> None:
        self._books = books
        self._clock = clock
        self._host = host
        self._new_id = new_id
        self._limits = limits or LifeLimits()
        self._admit_until_ms = -1
        self._dead = asyncio.Event()
        self.on_death: list[Callable[[], None]] = []
        self.process_id = new_id()

    def may_admit(self) -> bool:
        return self._clock.life_ms() < self._admit_until_ms

    async def open(self) -> None:
        sent_ms = self._clock.life_ms()
        await self._books.open_process(self.process_id, "gateway", self._host)
        self._admit_until_ms = sent_ms + self._limits.admit_ms

    def die(self, process_id: UUID) -> None:
        """The books closed `process_id`, silent too long: admit nothing until reborn under a new id.

        An answer that was on its way during a rebirth speaks of an earlier life and changes nothing.
        """
        if process_id != self.process_id:
            return
        if not self._dead.is_set():
            log.error("process.closed_by_sweeper", process_id=str(process_id))
        self._admit_until_ms = -1
        self._dead.set()

    async def beat_forever(self) -> None:
        wait_ms = self._limits.beat_ms
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_ms / 1000):
                    await self._dead.wait()
            try:
                wait_ms = await (self._rebirth() if self._dead.is_set() else self._beat())
            except Exception:  # whatever it is, a process that stops beating stops serving
                log.exception("process.beat_failed")
                wait_ms = self._limits.retry_ms
                if self._dead.is_set():
                    await asyncio.sleep(wait_ms / 1000)

    async def _beat(self) -> int:
        sent_ms = self._clock.life_ms()
        try:
            alive = await self._books.beat(self.process_id)
        except self._books.unavailable as error:
            log.warning("process.beat_lost", error=str(error))
            return self._limits.retry_ms
        if not alive:
            self.die(self.process_id)
        elif not self._dead.is_set():  # else a flush learnt of our death while the beat was on its way
            self._admit_until_ms = sent_ms + self._limits.admit_ms
        return self._limits.beat_ms

    async def _rebirth(self) -> int:
        for told in self.on_death:
            told()
        self.process_id = self._new_id()
        try:
            await self.open()
        except self._books.unavailable as error:
            log.warning("process.rebirth_waits", error=str(error))
            await asyncio.sleep(self._limits.retry_ms / 1000)
            return self._limits.beat_ms
        self._dead.clear()
        log.info("process.reborn", process_id=str(self.process_id))
        return self._limits.beat_ms
