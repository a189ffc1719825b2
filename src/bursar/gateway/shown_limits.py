"""`GET /v1/limits`: a key's own limits and budgets as they stand."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from bursar.core.limits import Check, Kind, Rule, Standing, Unit, period_bounds
from bursar.core.money import format_amount
from bursar.gateway.dialects import Asked
from bursar.gateway.errors import books_unavailable
from bursar.gateway.limit_rules import Allotment
from bursar.gateway.runtime import Gateway
from bursar.gateway.snapshot import KeyRecord


async def show_limits(gw: Gateway, key: KeyRecord, asked: Asked) -> dict[str, Any]:  # noqa: ARG001 - as every look
    """Each limit, how much of it is used, and when that is over (UTC); amounts are text.

    Where limits by the minute are counted in each gateway, `used` is what this one counted.

    Raises:
        GatewayError: 503 when the books do not answer.
    """
    now_ms = gw.clock.now_ms()
    rules = list(_rules(key))
    standings = await _standings(gw, key, rules)
    shown = [_rate(rule, standing, now_ms) for rule, standing in zip(rules, standings, strict=True)]
    budgets = list(_budgets(key))
    if budgets:
        starts = {one.budget.budget_id: period_bounds(one.budget.period, now_ms)[0] for one in budgets}
        try:
            used = await gw.books.budgets_used(starts)
        except gw.books.unavailable as error:
            raise books_unavailable() from error
        here = gw.limiter.budgets.used_here(starts)
        for one in budgets:
            budget_id = one.budget.budget_id
            shown.append(_budget(one, used.get(budget_id, 0) + here.get(budget_id, 0), now_ms))
    counted_in = "redis" if gw.limiter.counting.is_shared else "gateway"
    return {"object": "list", "counted_in": counted_in, "data": shown}


def _rules(key: KeyRecord) -> Iterator[Rule]:
    if key.limits is not None:
        yield from key.limits.always.rules
        for _, limits in key.limits.models:
            yield from limits.rules
        for limits in key.limits.providers.values():
            yield from limits.rules
    elif key.requests_per_min is not None:
        per_min = key.requests_per_min
        counter = f"{Kind.REQUESTS.value}:key:{key.api_key_id}"
        yield Rule(Check(counter, Kind.REQUESTS, per_min, per_min, 1), "key")


def _budgets(key: KeyRecord) -> Iterator[Allotment]:
    if key.limits is None:
        return
    yield from key.limits.always.budgets
    for _, limits in key.limits.models:
        yield from limits.budgets
    for limits in key.limits.providers.values():
        yield from limits.budgets


async def _standings(gw: Gateway, key: KeyRecord, rules: list[Rule]) -> list[Standing]:
    now_ms = gw.clock.monotonic_ms()
    if key.limits is None and not gw.limiter.counting.may_share:
        known = gw.rates.standing(key, now_ms)
        return [known] if known is not None else []
    return list(await gw.limiter.counting.look([rule.check for rule in rules], now_ms)) if rules else []


def _rate(rule: Rule, standing: Standing, now_ms: int) -> dict[str, Any]:
    check = rule.check
    size = check.limit if check.kind is Kind.CONCURRENT else check.burst
    resets_at = None if check.kind is Kind.CONCURRENT else _moment(now_ms + standing.reset_ms)
    return {
        "scope": rule.scope,
        "kind": check.kind.value,
        "limit": str(check.limit),
        "used": str(size - standing.remaining),
        "resets_at": resets_at,
    }


def _budget(one: Allotment, used: int, now_ms: int) -> dict[str, Any]:
    budget = one.budget
    ends_ms = period_bounds(budget.period, now_ms)[1]
    is_money = budget.unit is Unit.MONEY and budget.asset is not None
    return {
        "scope": one.scope,
        "kind": f"{budget.unit.value}_{budget.period.value}",
        "name": budget.name,
        "limit": format_amount(budget.amount, budget.asset or "") if is_money else str(budget.amount),
        "used": format_amount(used, budget.asset or "") if is_money else str(used),
        "currency": budget.asset,
        "resets_at": None if ends_ms is None else _moment(ends_ms),
    }


def _moment(unix_ms: int) -> str:
    """Whole seconds, rounded up: not a moment before it is true."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=-(-unix_ms // 1000))
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
