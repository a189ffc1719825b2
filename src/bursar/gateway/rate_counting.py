"""Rate counters that never fail: the shared ones while they answer, this process's own while they do not.

Losing Redis costs the request that notices at most one short wait; from then on every limit holds per process
at its full figure. Once a second Redis is tried again, beside the requests (ADR 0013).
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

import structlog

from bursar.adapters.ratecounters import Answer, RateCounters
from bursar.adapters.ratecounters.memory import MemoryCounters
from bursar.core.limits import Change, Check, Kind, Standing

log = structlog.get_logger()

RENEWALS_AT_ONCE_MAX: Final = 500
ENDED_MAX: Final = 10_000
"""Claims remembered while the shared counters are away; what is forgotten ends within a minute by itself."""

PROBE: Final = Check("probe", Kind.REQUESTS, 1, 1, 1)


class Counting:
    """`lost`: how often the shared counters were lost since start; `is_shared`: whether they count now."""

    def __init__(self, shared: RateCounters | None = None) -> None:
        self._shared = shared
        self._own = MemoryCounters()
        self._ended: deque[Change] = deque(maxlen=ENDED_MAX)
        self.is_shared = shared is not None
        self.lost = 0

    @property
    def may_share(self) -> bool:
        """Whether there are shared counters at all."""
        return self._shared is not None

    async def admit(self, checks: Sequence[Check], claim: str, now_ms: int) -> tuple[Answer, RateCounters]:
        """The answer, and who gave it: corrections go there."""
        shared = self._shared
        if shared is not None and self.is_shared:
            try:
                return await shared.admit(checks, claim, now_ms), shared
            except shared.unavailable as error:
                self._lose(error)
                self._note_ended(Change(check, 0, claim) for check in checks)  # should it have been heard
        return await self._own.admit(checks, claim, now_ms), self._own

    async def correct(self, counters: RateCounters, changes: Sequence[Change], now_ms: int) -> None:
        """What cannot be told is lost, but for ended claims: reservations leak away by themselves."""
        if counters is self._shared and not self.is_shared:
            self._note_ended(changes)
            return
        try:
            await counters.correct(changes, now_ms)
        except counters.unavailable as error:
            self._lose(error)
            self._note_ended(changes)

    async def renew(self, claims: Sequence[tuple[str, str]], now_ms: int) -> None:
        """Keep the shared claims of requests that last."""
        shared = self._shared
        if shared is None or not self.is_shared:
            return
        try:
            for start in range(0, len(claims), RENEWALS_AT_ONCE_MAX):
                await shared.renew(claims[start : start + RENEWALS_AT_ONCE_MAX], now_ms)
        except shared.unavailable as error:
            self._lose(error)

    async def look(self, checks: Sequence[Check], now_ms: int) -> tuple[Standing, ...]:
        """How limits stand, as far as the counters in use know."""
        shared = self._shared
        if shared is not None and self.is_shared:
            try:
                return await shared.look(checks, now_ms)
            except shared.unavailable as error:
                self._lose(error)
        return await self._own.look(checks, now_ms)

    async def try_again(self, now_ms: int) -> None:
        """Once a second: are the shared counters back?"""
        shared = self._shared
        if shared is None or self.is_shared:
            return
        try:
            await shared.look([PROBE], now_ms)
            await shared.correct(list(self._ended), now_ms)
        except shared.unavailable:
            return
        self._ended.clear()
        self.is_shared = True
        log.warning("limits.shared_back", lost=self.lost)

    async def close(self) -> None:
        if self._shared is not None:
            await self._shared.close()

    def _note_ended(self, changes: Iterable[Change]) -> None:
        """Claims that ended unheard are told when the shared counters are back; twice does no harm."""
        self._ended.extend(change for change in changes if change.check.kind is Kind.CONCURRENT)

    def _lose(self, error: Exception) -> None:
        if self.is_shared:
            self.is_shared = False
            self.lost += 1
            log.error("limits.shared_lost", lost=self.lost, error=str(error))
