"""A circuit breaker: a deployment that fails half of its calls is left alone for a while, then probed.

Counts live in `SLICES` equal slices of a sliding window, so a call is forgotten nine to ten tenths of the
window after it was made. Times are milliseconds of a monotonic clock, given by the caller.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SLICES: Final = 10


class BreakerState(StrEnum):
    """`half_open`: a few calls are let through to see whether it serves again."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRule:
    """When a breaker opens, and how it closes again.

    `failures_percent` of at least `calls_min` calls within `window_ms` open it for `open_ms`; then up to
    `probes` calls at a time are let through, and so many successes in a row close it. One failure opens it
    anew.
    """

    failures_percent: int = 50
    calls_min: int = 20
    window_ms: int = 10_000
    open_ms: int = 10_000
    probes: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.failures_percent <= 100:  # noqa: PLR2004 - percent
            raise ValueError("failures_percent is between 1 and 100")
        if min(self.calls_min, self.open_ms, self.probes) < 1 or self.window_ms < SLICES:
            raise ValueError("calls_min, open_ms and probes are at least 1, window_ms at least 10")


DEFAULT_RULE: Final = BreakerRule()


class Breaker:
    """One deployment's breaker. Call `begin` before a call and `end` after it; both are constant time."""

    __slots__ = ("_at", "_calls", "_failed", "_opened_ms", "_probe_ms", "_proved", "_under_way",
                 "calls", "failures", "rule")  # fmt: skip

    def __init__(self, rule: BreakerRule = DEFAULT_RULE) -> None:
        self.rule = rule
        self.calls = 0
        self.failures = 0
        self._at = 0
        self._calls = [0] * SLICES
        self._failed = [0] * SLICES
        self._opened_ms: int | None = None
        self._probe_ms = 0
        self._under_way = 0
        self._proved = 0

    def state(self, now_ms: int) -> BreakerState:
        if self._opened_ms is None:
            return BreakerState.CLOSED
        if now_ms - self._opened_ms < self.rule.open_ms:
            return BreakerState.OPEN
        return BreakerState.HALF_OPEN

    def permits(self, now_ms: int) -> bool:
        """Whether a call may be made: closed, or half open with a probe to spare.

        A probe that never ended is forgotten after `open_ms`.
        """
        if self._opened_ms is None:
            return True
        if now_ms - self._opened_ms < self.rule.open_ms:
            return False
        return self._under_way < self.rule.probes or now_ms - self._probe_ms >= self.rule.open_ms

    def begin(self, now_ms: int) -> bool:
        """A call starts; True when it is a probe, which `end` is to be told."""
        if self._opened_ms is None or now_ms - self._opened_ms < self.rule.open_ms:
            return False
        if now_ms - self._probe_ms >= self.rule.open_ms:
            self._under_way = 0
        self._probe_ms = now_ms
        self._under_way += 1
        return True

    def end(self, now_ms: int, *, failed: bool | None, probe: bool = False, calls: int = 1) -> None:
        """A call ended. `failed` None: that says nothing about the deployment (the caller left, or erred).

        `calls` 0: it was counted as a success already, and failed after all.
        """
        if probe:
            self._under_way = max(0, self._under_way - 1)
        if failed is None:
            return
        if self._opened_ms is not None:
            self._end_while_open(now_ms, failed=failed, probe=probe)
            return
        self._forget(now_ms)
        place = self._at % SLICES
        self._calls[place] += calls
        self.calls += calls
        if failed:
            self._failed[place] += 1
            self.failures += 1
            rule = self.rule
            if self.calls >= rule.calls_min and self.failures * 100 >= rule.failures_percent * self.calls:
                self._open(now_ms)

    def counts(self, now_ms: int) -> tuple[int, int]:
        """Calls and failures within the window."""
        self._forget(now_ms)
        return self.calls, self.failures

    def _end_while_open(self, now_ms: int, *, failed: bool, probe: bool) -> None:
        if not probe or self.state(now_ms) is not BreakerState.HALF_OPEN:
            return  # it began before the breaker opened: old news
        if failed:
            self._open(now_ms)
            return
        self._proved += 1
        if self._proved >= self.rule.probes:
            self._opened_ms = None
            self._clear()

    def _open(self, now_ms: int) -> None:
        self._opened_ms = now_ms
        self._proved = 0
        self._under_way = 0
        self._clear()

    def _clear(self) -> None:
        self._calls = [0] * SLICES
        self._failed = [0] * SLICES
        self.calls = self.failures = 0

    def _forget(self, now_ms: int) -> None:
        """Move on to the slice of `now_ms`, dropping those the window has left behind."""
        at = now_ms * SLICES // self.rule.window_ms
        passed = at - self._at
        if passed <= 0:
            return
        self._at = at
        if passed >= SLICES or not self.calls:
            if self.calls or self.failures:
                self._clear()
            return
        for step in range(passed):
            place = (at - step) % SLICES
            self.calls -= self._calls[place]
            self.failures -= self._failed[place]
            self._calls[place] = self._failed[place] = 0
