"""One route with one credential, and what this process has learnt of it."""

from typing import Final
from uuid import UUID

from bursar.core.breaker import Breaker
from bursar.core.routing import mix
from bursar.gateway.snapshot import Route

LATENCY_LIFE_MS: Final = 60_000  # an older figure says nothing: the lane is tried again to find out
EXPLORE_MS: Final = 2_000  # one request finds out; the others do not follow until it is back
UNKNOWN_MS: Final = 3_600_000
SAMPLE_PART: Final = 8  # a new figure counts for an eighth
CUTS_IN_A_ROW: Final = 2  # one cut stream may be chance; two without a whole one between them are not
CUT_REST_MS: Final = 10_000
CUT_REST_MS_MAX: Final = 320_000
CUT_DOUBLINGS_MAX: Final = 5
WORD: Final = (1 << 64) - 1


class Pace:
    """How long something takes, smoothed, and when it was last heard of."""

    __slots__ = ("at_ms", "took_ms")

    def __init__(self) -> None:
        self.took_ms: int | None = None
        self.at_ms = 0

    def note(self, took_ms: int, now_ms: int) -> None:
        known = self.took_ms
        self.took_ms = took_ms if known is None else known + (took_ms - known) // SAMPLE_PART
        self.at_ms = now_ms

    def recent(self, now_ms: int) -> int | None:
        return self.took_ms if now_ms - self.at_ms < LATENCY_LIFE_MS else None


class Lane:
    """What is known of one route with one credential.

    `whole`: until a plain answer was complete; `stream`: until a stream's first output. `asked_ms`,
    `used_ms`: when it was last taken; `failed_ms`: when it last failed without an answer since.

    A stream that is cut after its first output cannot be asked again elsewhere, so a lane that cuts streams
    gets none for a while (`streams_after_ms`), twice as long each time, when another lane is there; then one
    shows whether it still does.
    """

    __slots__ = ("asked_ms", "breaker", "credential_id", "cuts", "failed_ms", "is_own", "key", "model",
                 "provider_id", "route_id", "stream", "streams_after_ms", "used_ms", "whole")  # fmt: skip

    def __init__(self, route: Route, credential_id: UUID) -> None:
        self.route_id = route.route_id
        self.provider_id = route.provider_id
        self.model = route.deployment.model
        self.credential_id = credential_id
        self.is_own = route.is_own
        self.key = mix(mix(route.route_id.int & WORD) ^ (credential_id.int & WORD))
        self.breaker = Breaker(route.breaker)
        self.whole = Pace()
        self.stream = Pace()
        self.failed_ms: int | None = None
        self.asked_ms = -EXPLORE_MS
        self.used_ms = 0
        self.cuts = 0
        self.streams_after_ms = 0

    def takes_stream(self, now_ms: int) -> bool:
        return now_ms >= self.streams_after_ms

    def begin_stream(self, now_ms: int) -> bool:
        """True when it is the one that shows whether streams are still cut: no other follows meanwhile."""
        if self.cuts < CUTS_IN_A_ROW or now_ms < self.streams_after_ms:
            return False
        self.streams_after_ms = now_ms + self._rest_ms()
        return True

    def stream_ended(self, now_ms: int, *, cut: bool, shows: bool) -> None:
        """A stream that had begun is over. `shows`: what `begin_stream` said of it."""
        if not cut:
            self.cuts = self.streams_after_ms = 0
        elif shows or now_ms >= self.streams_after_ms:  # else it began before the rest did: old news
            self.cuts += 1
            if self.cuts >= CUTS_IN_A_ROW:
                self.streams_after_ms = now_ms + self._rest_ms()

    def _rest_ms(self) -> int:
        doublings = min(max(self.cuts - CUTS_IN_A_ROW, 0), CUT_DOUBLINGS_MAX)
        return min(CUT_REST_MS << doublings, CUT_REST_MS_MAX)

    def answered(self, took_ms: int, now_ms: int, *, stream: bool) -> None:
        """It began to answer a stream, or answered whole, after so long."""
        (self.stream if stream else self.whole).note(took_ms, now_ms)
        self.failed_ms = None

    def latency_ms(self, now_ms: int, *, stream: bool) -> int | None:
        """The recent latency. None asks to find out; whoever is told so is expected to try this lane.

        One that failed counts as the slowest, until it is time to find out again.
        """
        if self.failed_ms is not None and now_ms - self.failed_ms < LATENCY_LIFE_MS:
            return UNKNOWN_MS
        known = (self.stream if stream else self.whole).recent(now_ms)
        if known is None and now_ms - self.asked_ms < EXPLORE_MS:
            return UNKNOWN_MS
        return known
