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
WORD: Final = (1 << 64) - 1


class Lane:
    """What is known of one route with one credential."""

    __slots__ = ("asked_ms", "breaker", "credential_id", "is_own", "key", "model", "provider_id", "route_id",
                 "sampled_ms", "stream_ms", "used_ms", "whole_ms")  # fmt: skip

    def __init__(self, route: Route, credential_id: UUID) -> None:
        self.route_id = route.route_id
        self.provider_id = route.provider_id
        self.model = route.deployment.model
        self.credential_id = credential_id
        self.is_own = route.is_own
        self.key = mix(mix(route.route_id.int & WORD) ^ (credential_id.int & WORD))
        self.breaker = Breaker(route.breaker)
        self.whole_ms: int | None = None
        self.stream_ms: int | None = None
        self.sampled_ms = 0
        self.asked_ms = -EXPLORE_MS
        self.used_ms = 0

    def sample(self, took_ms: int, now_ms: int, *, stream: bool) -> None:
        """An answer began, or, when it is not streamed, was complete, after so long."""
        known = self.stream_ms if stream else self.whole_ms
        smooth = took_ms if known is None else known + (took_ms - known) // SAMPLE_PART
        if stream:
            self.stream_ms = smooth
        else:
            self.whole_ms = smooth
        self.sampled_ms = now_ms

    def latency_ms(self, now_ms: int, *, stream: bool) -> int | None:
        """The recent latency. None asks to find out; whoever is told so is expected to try this lane."""
        known = self.stream_ms if stream else self.whole_ms
        if known is not None and now_ms - self.sampled_ms < LATENCY_LIFE_MS:
            return known
        if now_ms - self.asked_ms < EXPLORE_MS:
            return UNKNOWN_MS
        return None
