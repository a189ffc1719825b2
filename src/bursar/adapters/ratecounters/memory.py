"""Rate counters of one process.

Memory: one entry per counter in use, about 200 bytes; those that ran empty are dropped whenever the number
has doubled.
"""

from collections.abc import Sequence
from typing import ClassVar, Final

from bursar.adapters.ratecounters import Answer
from bursar.core.limits import Bucket, Change, Check, Kind, Standing

SWEEP_AT_MIN: Final = 1_024
RETRY_CONCURRENT_MS: Final = 1_000
"""Nobody knows when another request ends; a second is what callers wait anyway."""


class MemoryUnavailable(Exception):
    """Never raised: memory is always there."""


class MemoryCounters:
    unavailable: ClassVar[type[Exception]] = MemoryUnavailable

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[Bucket, int]] = {}
        self._claims: dict[str, set[str]] = {}
        self._sweep_at = SWEEP_AT_MIN

    async def admit(self, checks: Sequence[Check], claim: str, now_ms: int) -> Answer:
        standings = []
        taken: list[tuple[str, Bucket, int]] = []
        for index, check in enumerate(checks):
            if check.kind is Kind.CONCURRENT:
                standing = self._room(check, 1)
            else:
                bucket, standing = self._bucket(check.counter).take(check, now_ms)
                taken.append((check.counter, bucket, check.limit))
            if standing.retry_ms:
                return Answer(index, self._look(checks, now_ms, index, standing))
            standings.append(standing)
        for counter, bucket, limit in taken:
            self._buckets[counter] = (bucket, limit)
        for check in checks:
            if check.kind is Kind.CONCURRENT:
                self._claims.setdefault(check.counter, set()).add(claim)
        if len(self._buckets) > self._sweep_at:
            self._sweep(now_ms)
        return Answer(None, tuple(standings))

    async def correct(self, changes: Sequence[Change], now_ms: int) -> None:
        for check, delta, claim in changes:
            if check.kind is not Kind.CONCURRENT:
                bucket = self._bucket(check.counter).correct(check.limit, delta, now_ms)
                self._buckets[check.counter] = (bucket, check.limit)
                continue
            claims = self._claims.get(check.counter, set())
            claims.discard(claim)
            if not claims:
                self._claims.pop(check.counter, None)

    async def renew(self, claims: Sequence[tuple[str, str]], now_ms: int) -> None:
        """Nothing to do: this process's claims end with it."""

    async def look(self, checks: Sequence[Check], now_ms: int) -> tuple[Standing, ...]:
        return self._look(checks, now_ms)

    async def close(self) -> None:
        """Nothing to close."""

    def _bucket(self, counter: str) -> Bucket:
        found = self._buckets.get(counter)
        return Bucket() if found is None else found[0]

    def _room(self, check: Check, amount: int) -> Standing:
        left = check.limit - len(self._claims.get(check.counter, ())) - amount
        return Standing(check.limit, max(left, 0), 0, RETRY_CONCURRENT_MS if left < 0 else 0)

    def _look(
        self, checks: Sequence[Check], now_ms: int, refused: int = -1, why: Standing | None = None
    ) -> tuple[Standing, ...]:
        return tuple(
            why if index == refused and why is not None else self._seen(check, now_ms)
            for index, check in enumerate(checks)
        )

    def _seen(self, check: Check, now_ms: int) -> Standing:
        if check.kind is Kind.CONCURRENT:
            return self._room(check, 0)._replace(retry_ms=0)
        return self._bucket(check.counter).leaked(check.limit, now_ms).standing(check)

    def _sweep(self, now_ms: int) -> None:
        self._buckets = {
            counter: (bucket, limit)
            for counter, (bucket, limit) in self._buckets.items()
            if bucket.leaked(limit, now_ms).level
        }
        self._sweep_at = max(SWEEP_AT_MIN, 2 * len(self._buckets))
