"""Where a request may go now, and what this process has learnt of each deployment.

A *lane* is one route with one credential. A credential that was turned away rests: for as long as its
provider said, or, when the provider refused our key or our account is empty, until somebody changes it or
long has passed. Nothing here is shared between processes, and nothing that matters is lost with one.

Memory: one lane for each route and credential in use, at most `LANES_MAX`; rests by credential.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import getrandbits
from typing import Any, Final, NamedTuple
from uuid import UUID

import structlog

from bursar.adapters.providers import ProviderFailure
from bursar.core.breaker import Breaker, BreakerState
from bursar.core.routing import Standing, Strategy, estimate_atto, ordered
from bursar.gateway.affinity import affinity_of
from bursar.gateway.lanes import Lane
from bursar.gateway.snapshot import Credential, Route
from bursar.gateway.ticket import Attempt, Offer, Ticket

log = structlog.get_logger()

LANES_MAX: Final = 20_000
REPORT_ROWS_MAX: Final = 500
REPORT_USED_MS: Final = 60_000
SHARES: Final = 1_000  # a route's weight is shared by its credentials
OUTPUT_GUESS: Final = 1_000  # tokens, to compare prices of requests that set no bound
SECRET_REFUSED: Final = 401


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingLimits:
    """How long credentials rest.

    Attributes:
        cooldown_ms: after 429 or an overload whose provider did not say how long.
        cooldown_ms_max: however long it said.
        out_ms: after a refused key or an empty account, unless it is changed before.
        probe_ms: how often such a credential is tried all the same when nothing else is left.
    """

    cooldown_ms: int = 30_000
    cooldown_ms_max: int = 600_000
    out_ms: int = 900_000
    probe_ms: int = 30_000


class Candidate(NamedTuple):
    """One lane a request may take."""

    offer: Offer
    credential: Credential
    lane: Lane


class Rest:
    """A credential that is left alone. `is_out`: it was refused, so it is not tried even as a last resort."""

    __slots__ = ("is_out", "probe_ms", "until_ms", "version")

    def __init__(self, until_ms: int, version: str, *, is_out: bool, probe_ms: int) -> None:
        self.until_ms = until_ms
        self.version = version
        self.is_out = is_out
        self.probe_ms = probe_ms


class Refusal(NamedTuple):
    """What the operator is to hear of a credential of ours."""

    provider_id: UUID
    kind: str
    upstream_status: int


class Routing:
    """One process's knowledge. Nothing here waits or fails.

    `refused` and `accepted` are waiting to be told to the books, by credential, in this order.
    """

    def __init__(self, limits: RoutingLimits | None = None) -> None:
        self.limits = limits or RoutingLimits()
        self._lanes: OrderedDict[tuple[UUID, UUID], Lane] = OrderedDict()
        self._rests: dict[UUID, Rest] = {}
        self.refused: dict[UUID, Refusal] = {}
        self.accepted: set[UUID] = set()
        self._told_of: set[UUID] = set()

    def candidates(self, ticket: Ticket, now_ms: int) -> tuple[list[Candidate], bool]:
        """The lanes of the ticket's offers, best first, and whether they are fit.

        Those that rest or whose breaker is open come only when nothing else is left; they are not fit then.
        """
        offers = ticket.offers
        if len(offers) == 1 and len(offers[0].route.credentials) == 1 and not self._rests:
            route = offers[0].route
            lane = (route.lanes or self._lanes_of(route))[0]
            if lane.breaker.permits(now_ms):  # the usual case, without ado
                return [Candidate(offers[0], route.credentials[0], lane)], True
        every = [
            Candidate(offer, credential, lane)
            for offer in offers
            for credential, lane in zip(
                offer.route.credentials, offer.route.lanes or self._lanes_of(offer.route), strict=True
            )
        ]
        stream = ticket.call.stream
        fit = [one for one in every if self._is_fit(one, now_ms, stream=stream)]
        left = fit or [one for one in every if not self._is_barred(one, now_ms)]
        return (self._in_order(left, ticket, now_ms) if len(left) > 1 else left), bool(fit)

    def begin(self, attempt: Attempt, now_ms: int, *, stream: bool) -> None:
        """A request is about to take the attempt's lane; `succeeded`, `failed` or `left` ends it."""
        lane = attempt.lane
        lane.used_ms = lane.asked_ms = now_ms
        attempt.is_probe = lane.breaker.begin(now_ms)
        attempt.shows_cuts = stream and lane.begin_stream(now_ms)
        rest = self._rests.get(lane.credential_id) if self._rests else None
        if rest is not None and rest.is_out:
            rest.probe_ms = now_ms + self.limits.probe_ms

    def succeeded(self, attempt: Attempt, now_ms: int, *, stream: bool) -> None:
        """The lane gave its first output, or its whole answer."""
        lane = attempt.lane
        lane.answered(now_ms - attempt.started_mono_ms, now_ms, stream=stream)
        if not (stream and attempt.is_probe):
            lane.breaker.end(now_ms, failed=False, probe=attempt.is_probe)
        if self._rests:
            self._rests.pop(lane.credential_id, None)
        if self._told_of and lane.credential_id in self._told_of:
            self._told_of.discard(lane.credential_id)
            self.accepted.add(lane.credential_id)

    def failed(self, attempt: Attempt, failure: ProviderFailure, now_ms: int) -> None:
        """The lane gave no output. What the caller did wrong says nothing about it."""
        ours = {"server": True, "overloaded": True, "not_found": True}.get(failure.kind)
        attempt.lane.breaker.end(now_ms, failed=ours, probe=attempt.is_probe)
        if ours:
            attempt.lane.failed_ms = now_ms
        if failure.kind in {"rate_limited", "overloaded"}:
            self._cool(attempt.credential, failure.retry_after_s, now_ms)
        elif failure.kind in {"auth", "billing"}:
            self._refuse(attempt, failure, now_ms)

    def ended(self, attempt: Attempt, now_ms: int, *, failed: bool | None) -> None:
        """A stream that had begun is over: whole, broken off by the provider, or (None) no fault of its.

        Its beginning counted as a success, unless it is a probe: that has to last.
        """
        if failed is not None:
            attempt.lane.stream_ended(now_ms, cut=failed, shows=attempt.shows_cuts)
        if attempt.is_probe:
            attempt.lane.breaker.end(now_ms, failed=failed, probe=True)
        elif failed:
            attempt.lane.breaker.end(now_ms, failed=True, calls=0)

    def left(self, attempt: Attempt, now_ms: int) -> None:
        """The caller went away: nothing was learnt."""
        attempt.lane.breaker.end(now_ms, failed=None, probe=attempt.is_probe)

    def report(self, now_ms: int) -> list[dict[str, Any]]:
        """Lanes used lately or in trouble, those in trouble first, at most `REPORT_ROWS_MAX`.

        Not those of customers' own credentials: their trouble is not the operator's.
        """
        rows = [
            self._reported(lane, now_ms)
            for lane in self._lanes.values()
            if not lane.is_own
            and (
                (lane.used_ms and now_ms - lane.used_ms < REPORT_USED_MS)
                or lane.breaker.state(now_ms) is not BreakerState.CLOSED
            )
        ]
        rows.sort(key=lambda row: (row["breaker"] == "closed" and not row["cooling_ms"], -row["failures"]))
        return rows[:REPORT_ROWS_MAX]

    def _reported(self, lane: Lane, now_ms: int) -> dict[str, Any]:
        calls, failures = lane.breaker.counts(now_ms)
        rest = self._rests.get(lane.credential_id)
        return {
            "route_id": lane.route_id,
            "credential_id": lane.credential_id,
            "provider_id": lane.provider_id,
            "model": lane.model,
            "breaker": lane.breaker.state(now_ms).value,
            "calls": calls,
            "failures": failures,
            "latency_ms": lane.stream.took_ms if lane.whole.took_ms is None else lane.whole.took_ms,
            "cooling_ms": rest.until_ms - now_ms if rest is not None and rest.until_ms > now_ms else None,
        }

    def _lanes_of(self, route: Route) -> list[Lane]:
        """The lanes of a route of a new snapshot, kept there from now on."""
        route.lanes.extend(self._lane(route, one.credential_id) for one in route.credentials)
        return route.lanes

    def _lane(self, route: Route, credential_id: UUID) -> Lane:
        """The lane as it was before the snapshot was replaced; its breaker anew when the rule changed."""
        place = (route.route_id, credential_id)
        lane = self._lanes.pop(place, None)
        if lane is None:
            lane = Lane(route, credential_id)
        elif lane.breaker.rule != route.breaker:
            lane.breaker = Breaker(route.breaker)
        self._lanes[place] = lane
        if len(self._lanes) > LANES_MAX:
            self._lanes.popitem(last=False)
        return lane

    def _is_fit(self, candidate: Candidate, now_ms: int, *, stream: bool) -> bool:
        if self._rests and self._resting(candidate.credential, now_ms) is not None:
            return False
        lane = candidate.lane
        return lane.breaker.permits(now_ms) and (not stream or lane.takes_stream(now_ms))

    def _is_barred(self, candidate: Candidate, now_ms: int) -> bool:
        """Out of rotation and tried lately."""
        rest = self._resting(candidate.credential, now_ms)
        return rest is not None and rest.is_out and now_ms < rest.probe_ms

    def _resting(self, credential: Credential, now_ms: int) -> Rest | None:
        rest = self._rests.get(credential.credential_id)
        if rest is None:
            return None
        if rest.until_ms <= now_ms or (rest.is_out and rest.version != credential.version):
            del self._rests[credential.credential_id]
            return None
        return rest

    def _in_order(self, found: list[Candidate], ticket: Ticket, now_ms: int) -> list[Candidate]:
        affinity = affinity_of(ticket.call, ticket.model.name, ticket.key.organisation_id)
        strategy = ticket.strategy
        if strategy is Strategy.PRIORITY and affinity is None and ticket.wishes is None:
            return sorted(found, key=_priority)
        standings = [*_standings(found, ticket, strategy, now_ms)]
        seed = getrandbits(64) if affinity is None else affinity
        order = ordered(strategy, standings, seed=seed, is_affine=affinity is not None)
        best = [found[place] for place in order]
        if any(one.credential.is_own for one in best):
            best.sort(key=lambda one: not one.credential.is_own)
        return best

    def _cool(self, credential: Credential, for_s: int | None, now_ms: int) -> None:
        limits = self.limits
        wait_ms = limits.cooldown_ms if for_s is None else min(max(for_s, 1) * 1_000, limits.cooldown_ms_max)
        self._rest(credential, now_ms + wait_ms, now_ms, is_out=False)

    def _refuse(self, attempt: Attempt, failure: ProviderFailure, now_ms: int) -> None:
        """A 403 may be about one model only: the credential cools down; else it goes out of rotation.

        An own one only cools down: its owner may mend it at any moment, and wants no other used instead.
        """
        credential, lane = attempt.credential, attempt.lane
        is_about_it = failure.kind == "billing" or failure.upstream_status == SECRET_REFUSED
        if is_about_it and not credential.is_own:
            self._rest(credential, now_ms + self.limits.out_ms, now_ms, is_out=True)
        else:
            self._cool(credential, failure.retry_after_s, now_ms)
        tell = log.warning if credential.is_own else log.critical
        tell("credential.refused", kind=failure.kind, credential_id=str(credential.credential_id))
        if not credential.is_own:
            self.accepted.discard(lane.credential_id)
            self._told_of.add(lane.credential_id)
            self.refused[lane.credential_id] = Refusal(
                lane.provider_id, failure.kind, failure.upstream_status
            )

    def _rest(self, credential: Credential, until_ms: int, now_ms: int, *, is_out: bool) -> None:
        if len(self._rests) > LANES_MAX:
            self._rests = {one: rest for one, rest in self._rests.items() if rest.until_ms > now_ms}
        probe_ms = now_ms + self.limits.probe_ms
        self._rests[credential.credential_id] = Rest(
            until_ms, credential.version, is_out=is_out, probe_ms=probe_ms
        )


def _priority(candidate: Candidate) -> tuple[int, int, int]:
    offer, credential, _ = candidate
    return not credential.is_own, offer.route.priority, credential.priority


def _standings(
    found: Sequence[Candidate], ticket: Ticket, strategy: Strategy, now_ms: int
) -> Iterator[Standing]:
    wishes, call = ticket.wishes, ticket.call
    for offer, credential, lane in found:
        route = offer.route
        place = 0 if wishes is None else wishes.place_of(route.slug)
        sale = cost = 0
        latency_ms = None
        if strategy is Strategy.CHEAPEST:
            output = (call.max_tokens or OUTPUT_GUESS) * call.n
            sale, cost = estimate_atto(offer.quote, call.input_tokens, output, call.counts)
        elif strategy is Strategy.LEAST_LATENCY:
            latency_ms = lane.latency_ms(now_ms, stream=call.stream)
        yield Standing(
            lane.key,
            (place, route.priority, credential.priority),
            max(1, route.weight * SHARES // len(route.credentials)),
            latency_ms,
            sale,
            cost,
        )
