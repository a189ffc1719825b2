"""Limits of a request, from the first look at its key to the last correction (ADR 0013).

A key with nothing but requests a minute, and no shared counters, is counted by `KeyRates` and costs nothing
here. For the others: rates first (all or none), then money by `Funding`, then budgets (all or none). Whatever
refuses, what was taken before is given back: a refusal costs its place among the requests of the minute.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from bursar.adapters.ratecounters import RateCounters
from bursar.core.addresses import Networks, client_address
from bursar.core.estimate import output_bound
from bursar.core.limits import Change, Check, Kind, Rule, Standing, Unit
from bursar.gateway.admit import Funded, Funding
from bursar.gateway.authenticate import KeyRates
from bursar.gateway.budgets import Ask, Budgets, BudgetSpent
from bursar.gateway.claims import Claim
from bursar.gateway.dialects import Call
from bursar.gateway.errors import GatewayError
from bursar.gateway.limit_errors import address_not_allowed, budget_refusal, limit_reached
from bursar.gateway.limit_rules import NO_LIMITS, Allotment, Limits
from bursar.gateway.outputs import OutputHistory
from bursar.gateway.own_keys import is_mixed, without_ours
from bursar.gateway.ports import GatewayClock
from bursar.gateway.rate_counting import Counting
from bursar.gateway.snapshot import KeyRecord, ModelRecord
from bursar.gateway.ticket import Attempt, Offer, Ticket

RENEW_EVERY_MS: Final = 20_000
"""A claim lives for a minute: two renewals may be lost."""

FLOOD_FACTOR: Final = 2
"""A process reads this many times a key's limit of requests before it refuses unread: what `fund` never hears
of, because it cannot be understood, is bounded too."""


SECOND_MS: Final = 1_000
NAMES: Final = {
    Kind.REQUESTS: (
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ),
    Kind.TOKENS: ("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
}
"""The headers' names, as OpenAI has them."""


class Asking(NamedTuple):
    """What is asked, by whom, of whom, and when (unix)."""

    request_id: UUID
    key: KeyRecord
    call: Call
    model: ModelRecord
    offers: "tuple[Offer, ...]"
    now_ms: int


class Limiter:
    """One process's limits. Memory grows with keys, limited counters and requests in flight."""

    def __init__(  # noqa: PLR0913 - what it decides by
        self,
        clock: GatewayClock,
        budgets: Budgets,
        outputs: OutputHistory,
        *,
        rates: KeyRates,
        shared: RateCounters | None = None,
        trusted: Networks | None = None,
    ) -> None:
        self._clock = clock
        self._outputs = outputs
        self._rates = rates
        self._floods = KeyRates()
        self._trusted = Networks(()) if trusted is None else trusted
        self._lasting: dict[str, Claim] = {}
        self._renewed_ms = 0
        self._pending: list[tuple[RateCounters, list[Change]]] = []
        self._changing: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self.budgets = budgets
        self.counting = Counting(shared)

    def look_at(self, key: KeyRecord, scope: Mapping[str, Any], *, counted_later: bool = False) -> None:
        """Before anything is read: may he call from there, and so soon again?

        `counted_later`: `fund` will be asked about this request.

        Raises:
            GatewayError: 403 from elsewhere, 429 too often.
        """
        if key.addresses is not None:
            client = scope.get("client")
            address = client_address(client[0] if client else None, scope["headers"], self._trusted)
            if address is None or address not in key.addresses:
                raise address_not_allowed()
        now_ms = self._clock.monotonic_ms()
        if not counted_later or (key.limits is None and not self.counting.may_share):
            self._admit(key, now_ms)
        elif key.requests_per_min is not None:
            burst = 0 if key.limits is None else key.limits.burst
            self._floods.admit(key, now_ms, FLOOD_FACTOR * max(key.requests_per_min, burst))

    def _admit(self, key: KeyRecord, now_ms: int) -> None:
        try:
            self._rates.admit(key, now_ms)
        except GatewayError as refusal:
            refusal.headers.update(self.headers(key, None))
            raise

    async def fund(self, funding: Funding, asking: Asking) -> tuple[Funded, Claim | None]:
        """Hold money within the key's limits, and what was taken of them; it is closed with the hold.

        Raises:
            GatewayError: 429 a limit is reached, 402 or 503 as `Funding.hold`.
        """
        request_id, key, call, model, offers, _ = asking
        if key.limits is None and not self.counting.may_share:
            return await funding.hold(key, call, model, offers), None
        limits = self._limits_of(key, call, model)
        claim = Claim(self, str(request_id))
        try:
            await self._count(claim, limits.rules, self._tokens(key, call, model))
            funded = await funding.hold(key, call, model, offers)
            if limits.budgets:
                funded = await self._hold_budgets(claim, limits.budgets, funding, funded, asking)
        except BaseException:
            claim.close(0)
            raise
        funded.hold.claim = claim
        return funded, claim

    async def enter(self, ticket: Ticket, attempt: Attempt, now_ms: int) -> None:
        """Take what one attempt takes: of the provider's limits within the key, and of the credential's.

        However often a provider is tried, the key made one request to it; a credential answered each.

        Raises:
            GatewayError: 429 one of them is reached, 503 when that cannot be known.
        """
        key, provider_id = ticket.key, attempt.offer.route.provider_id
        within = NO_LIMITS if key.limits is None else key.limits.providers.get(provider_id, NO_LIMITS)
        if any(row.provider_id == provider_id for row in ticket.failed):
            within = within.without_requests()
        asked = within + (attempt.credential.limits or NO_LIMITS)
        if not asked:
            return
        claim = Claim(self, f"{ticket.request_id}:{attempt.number}")
        tokens = ticket.call.input_tokens + ticket.output_held
        try:
            await self._count(claim, asked.rules, tokens)
            if asked.budgets:
                asks = _asks(asked.budgets, tokens, ticket.hold.most, key.asset)
                await self._hold(claim, asks, asked.budgets, now_ms)
        except BaseException:
            claim.close(0)
            raise
        attempt.claim = claim

    async def cover(self, claim: Claim | None, money: int, now_ms: int) -> bool:
        """Let the budgets cover a request that may now cost more; False when they cannot."""
        lacking = [] if claim is None else claim.lacking(money)
        if claim is None or not lacking:
            return True
        try:
            claim.hold(await self.budgets.hold(lacking, now_ms))
        except (BudgetSpent, GatewayError):
            return False
        return True

    async def turn_to(
        self, ticket: Ticket, model: ModelRecord, names: Sequence[str], output_held: int, now_ms: int
    ) -> None:
        """Take what a stand-in's limits within the key ask beyond what the request holds already.

        It ends with the request's claim, whichever model answers.

        Raises:
            GatewayError: 429 one of them is reached, 503 when that cannot be known.
        """
        key, call, claim = ticket.key, ticket.call, ticket.claim
        if claim is None or key.limits is None or not key.limits.models:
            return
        counted, budgeted = claim.counted(), claim.budgeted()
        limits = key.limits.of_request(*names)
        rules = [rule for rule in limits.rules if rule.check.counter not in counted]
        budgets = [one for one in limits.budgets if one.budget.budget_id not in budgeted]
        rates = Claim(self, f"{claim.name}:{model.name}")
        try:
            await self._count(rates, rules, self._tokens(key, call, model))
            asks = _asks(budgets, call.input_tokens + output_held, ticket.hold.most, key.asset)
            if asks:
                await self._hold(claim, asks, budgets, now_ms)
        except BaseException:
            rates.close(0)
            raise
        if rules:
            claim.join(rates)

    def headers(self, key: KeyRecord, claim: Claim | None) -> dict[str, str]:
        """`x-ratelimit-*` of the tightest limits, as they stood when the request was admitted."""
        if claim is not None:
            return headers_of(zip(claim.checks, claim.standings, strict=True))
        standing = self._rates.standing(key, self._clock.monotonic_ms())
        return {} if standing is None else _headers(NAMES[Kind.REQUESTS], standing)

    def put_right(
        self, claim: Claim, counters: RateCounters, changes: list[Change]
    ) -> "asyncio.Task[None] | None":
        """Tell the counters, together with what others tell at the moment; nobody need wait."""
        self._lasting.pop(claim.name, None)
        if not changes:
            return None
        self._pending.append((counters, changes))
        if self._changing is None:
            self._changing = asyncio.get_running_loop().create_task(self._put_right())
        return self._changing

    async def tend(self) -> None:
        """Once a second: budgets told and given back, lasting claims renewed, lost counters tried again."""
        now_ms = self._clock.monotonic_ms()
        if not self.counting.is_shared and self.counting.may_share and self._looking is None:
            # Beside the rest: a Redis that hangs must not keep leases and budgets from being tended.
            self._looking = asyncio.get_running_loop().create_task(self._look_for_shared(now_ms))
        if now_ms - self._renewed_ms >= RENEW_EVERY_MS:
            self._renewed_ms = now_ms
            claims = [place for claim in self._lasting.values() for place in claim.claims()]
            await self.counting.renew(claims, now_ms)
        await self.budgets.tend()

    async def close(self) -> None:
        """Tell what is still to be told, and give budgets back, whatever becomes of the counters."""
        try:
            while self._changing is not None:
                await self._changing
            if self._looking is not None:
                await self._looking
            await self.counting.close()
        finally:
            await self.budgets.close()

    def keep(self, keys: set[UUID]) -> None:
        """Forget keys that no longer exist."""
        self._rates.keep(keys)
        self._floods.keep(keys)

    def _limits_of(self, key: KeyRecord, call: Call, model: ModelRecord) -> Limits:
        if key.limits is not None:
            return key.limits.of_request(model.name, call.model)
        if key.requests_per_min is None:
            return NO_LIMITS
        per_min = key.requests_per_min
        check = Check(f"{Kind.REQUESTS.value}:key:{key.api_key_id}", Kind.REQUESTS, per_min, per_min, 1)
        return Limits(rules=(Rule(check, "key"),))

    def _tokens(self, key: KeyRecord, call: Call, model: ModelRecord) -> int:
        """What a request is expected to use: its input, and as much output as this key's usually get."""
        bound = output_bound(call.max_tokens, model.output_tokens_max, call.n)
        return call.input_tokens + self._outputs.expected(key.api_key_id, model.name, bound)

    async def _count(self, claim: Claim, rules: Sequence[Rule], tokens: int) -> None:
        if not rules:
            return
        checks = []
        for check, _ in rules:
            if check.kind is Kind.TOKENS:  # at most the burst: a large request waits for an empty bucket
                checks.append(check._replace(amount=min(tokens, check.burst)))
            else:
                checks.append(check)
        answer, counters = await self.counting.admit(checks, claim.name, self._clock.monotonic_ms())
        if answer.refused is not None:
            rule, standing = rules[answer.refused], answer.standings[answer.refused]
            told = headers_of(zip(checks, answer.standings, strict=True))
            raise limit_reached(rule.check.kind, rule.scope, standing, told)
        claim.checks, claim.counters, claim.standings = tuple(checks), counters, answer.standings
        if claim.claims():
            self._lasting[claim.name] = claim

    async def _hold_budgets(
        self, claim: Claim, budgets: Sequence[Allotment], funding: Funding, funded: Funded, asking: Asking
    ) -> Funded:
        """Hold budgets for what the hold may come to; clamp an answer whose length the caller left open."""
        call, hold = asking.call, funded.hold
        tokens = call.input_tokens + funded.output_held
        asset, now_ms = asking.key.asset, asking.now_ms
        try:
            claim.hold(await self.budgets.hold(_asks(budgets, tokens, hold.most, asset), now_ms))
        except BudgetSpent as spent:
            hold.settle(0)
            if spent.budget.unit is Unit.MONEY and is_mixed(funded.offers):
                return await self._hold_for_own(claim, budgets, funding, funded, asking)
            if spent.budget.unit is not Unit.MONEY or call.max_tokens is not None:
                raise budget_refusal(spent, budgets, now_ms) from spent
            covered = asking._replace(offers=funded.offers)
            return await self._hold_clamped(claim, budgets, funding, covered, spent)
        except BaseException:
            hold.settle(0)
            raise
        return funded

    async def _hold_for_own(
        self, claim: Claim, budgets: Sequence[Allotment], funding: Funding, funded: Funded, asking: Asking
    ) -> Funded:
        """Where a budget does not cover our prices, the request runs on own credentials alone."""
        own = asking._replace(offers=without_ours(funded.offers))
        again = await funding.hold(own.key, own.call, own.model, own.offers)
        return await self._hold_budgets(claim, budgets, funding, again, own)

    async def _hold_clamped(
        self, claim: Claim, budgets: Sequence[Allotment], funding: Funding, asking: Asking, spent: BudgetSpent
    ) -> Funded:
        """As long an answer as the budget covers; refused when that is none worth having."""
        _, key, call, _, offers, now_ms = asking
        try:
            clamped = await funding.hold_within(key, call, offers, spent.left, spent.budget.amount)
        except GatewayError:
            raise budget_refusal(spent, budgets, now_ms) from spent
        tokens = call.input_tokens + clamped.output_held
        try:
            await self._hold(claim, _asks(budgets, tokens, clamped.hold.most, key.asset), budgets, now_ms)
        except BaseException:
            clamped.hold.settle(0)
            raise
        return clamped

    async def _hold(
        self, claim: Claim, asks: Sequence[Ask], budgets: Sequence[Allotment], now_ms: int
    ) -> None:
        try:
            claim.hold(await self.budgets.hold(asks, now_ms))
        except BudgetSpent as spent:
            raise budget_refusal(spent, budgets, now_ms) from spent

    async def _look_for_shared(self, now_ms: int) -> None:
        try:
            await self.counting.try_again(now_ms)
        finally:
            self._looking = None

    async def _put_right(self) -> None:
        """Batches, one after the other: whatever is told meanwhile goes with the next."""
        try:
            while self._pending:
                pending, self._pending = self._pending, []
                by_counters: dict[int, tuple[RateCounters, list[Change]]] = {}
                for counters, changes in pending:
                    by_counters.setdefault(id(counters), (counters, []))[1].extend(changes)
                for counters, changes in by_counters.values():
                    await self.counting.correct(counters, changes, self._clock.monotonic_ms())
        finally:
            self._changing = None


def _asks(budgets: Sequence[Allotment], tokens: int, money: int, asset: str) -> list[Ask]:
    needs = {Unit.MONEY: money, Unit.TOKENS: tokens, Unit.REQUESTS: 1}
    return [
        (budget, needs[budget.unit]) for budget, _ in budgets if budget.asset is None or budget.asset == asset
    ]


def headers_of(seen: Iterable[tuple[Check, Standing]]) -> dict[str, str]:
    """The headers for requests and for tokens, each of the limit with the least left."""
    tightest: dict[Kind, Standing] = {}
    for check, standing in seen:
        known = tightest.get(check.kind)
        if known is None or standing.remaining < known.remaining:
            tightest[check.kind] = standing
    headers: dict[str, str] = {}
    for kind, names in NAMES.items():
        if kind in tightest:
            headers |= _headers(names, tightest[kind])
    return headers


def _headers(names: tuple[str, str, str], standing: Standing) -> dict[str, str]:
    """On the hot path: measured at 1 µs (CPython 3.11, one core)."""
    limit, remaining, reset_ms, _ = standing
    named_limit, named_remaining, named_reset = names
    return {named_limit: str(limit), named_remaining: str(remaining), named_reset: duration(reset_ms)}


def duration(ms: int) -> str:
    """As OpenAI writes it: `350ms`, `1.2s`, `6m0s`."""
    if ms < SECOND_MS:
        return f"{ms}ms"
    seconds, rest = divmod(ms, SECOND_MS)
    fraction = f".{rest:03}".rstrip("0") if rest else ""
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes}m{seconds}{fraction}s" if minutes else f"{seconds}{fraction}s"
