"""What a caller is told when a limit is reached. Official SDKs heed `x-should-retry`: a day is no wait."""

from collections.abc import Mapping, Sequence

from bursar.core.limits import Kind, Standing, Unit
from bursar.core.money import format_amount
from bursar.gateway.budgets import BudgetSpent
from bursar.gateway.errors import GatewayError
from bursar.gateway.limit_rules import Allotment


def address_not_allowed() -> GatewayError:
    return GatewayError(403, "address_not_allowed", "This key may not be used from this address.")


def limit_reached(kind: Kind, scope: str, standing: Standing, told: Mapping[str, str]) -> GatewayError:
    """429 for a rate; `told` are the `x-ratelimit-*` headers."""
    seconds = max(1, -(-standing.retry_ms // 1000))
    headers = {"retry-after": str(seconds), **told}
    extra = {"limit": standing.limit, "scope": scope}
    limit = standing.limit
    match kind:
        case Kind.REQUESTS:
            message = f"The limit of {limit} requests per minute ({scope}) is reached; retry in {seconds} s."
            return GatewayError(429, "rate_limit_exceeded", message, headers=headers, extra=extra)
        case Kind.TOKENS:
            message = f"The limit of {limit} tokens per minute ({scope}) is reached; retry in {seconds} s."
            return GatewayError(429, "token_rate_limit_exceeded", message, headers=headers, extra=extra)
        case Kind.CONCURRENT:
            message = f"The limit of {limit} requests at once ({scope}) is reached; retry when one has ended."
            return GatewayError(429, "concurrency_limit_exceeded", message, headers=headers, extra=extra)


def budget_refusal(spent: BudgetSpent, budgets: Sequence[Allotment], now_ms: int) -> GatewayError:
    """429 for a budget or a quota, with the time until its period ends."""
    budget = spent.budget
    scope = next((one.scope for one in budgets if one.budget.budget_id == budget.budget_id), "key")
    name, left = budget.name, str(max(spent.left, 0))
    headers = {"x-should-retry": "false"}
    if spent.ends_ms is not None:
        headers["retry-after"] = str(max(1, -(-(spent.ends_ms - now_ms) // 1000)))
    extra = {"limit": str(budget.amount), "left": left, "scope": scope, "period": budget.period.value}
    match budget.unit:
        case Unit.MONEY:
            asset = budget.asset or ""
            left = format_amount(max(spent.left, 0), asset)
            extra |= {"limit": format_amount(budget.amount, asset), "left": left, "currency": asset}
            message = (
                f"The budget {name!r} ({scope}) has {left} {asset} left, which does not cover this request."
            )
            return GatewayError(429, "budget_exceeded", message, headers=headers, extra=extra)
        case Unit.REQUESTS:
            message = f"The quota {name!r} ({scope}) of {budget.amount} requests is used up."
            return GatewayError(429, "request_quota_exceeded", message, headers=headers, extra=extra)
        case Unit.TOKENS:
            message = (
                f"The quota {name!r} ({scope}) has {left} tokens left, which does not cover this request."
            )
            return GatewayError(429, "token_quota_exceeded", message, headers=headers, extra=extra)
