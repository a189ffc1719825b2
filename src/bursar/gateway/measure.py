"""From what an attempt produced to what is booked: the outcome, and the figures each side is rated from."""

from dataclasses import dataclass, replace
from typing import Final

from bursar.core.fees import OWN_KEY, PLATFORM_FEE, rate_fee
from bursar.core.payer import Basis, Outcome, usage_for, who_pays
from bursar.core.pricing import Rating, rate
from bursar.core.service import Service
from bursar.core.usage import INPUT_METERS, Meter, Usage
from bursar.gateway.dialects import Measured
from bursar.gateway.ticket import Attempt, Offer, Ticket

TOKENS_PER_S: Final = 50  # assumed speed of an unseen answer: a common rate of today's large models
_NOT_PUT_OUT: Final = INPUT_METERS | {Meter.WEB_SEARCH}
_UNANSWERED: Final = (Outcome.HANGUP_BEFORE_OUTPUT, Outcome.CRASHED_UNANSWERED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one attempt comes to; `usage` is what the sale rests on, or the cost when nothing is sold."""

    outcome: Outcome
    usage: Usage
    cost: int
    sale: int
    price_ids: dict[str, int]
    flags: list[str]


def ending(attempt: Attempt) -> Outcome:
    """How an answer ended whose stream or body came to its end while the caller was there."""
    measured = attempt.exchange.measured
    if measured.error is not None or not measured.terminal:
        if measured.output_started:
            return Outcome.PROVIDER_ERROR_AFTER_OUTPUT
        return Outcome.PROVIDER_ERROR_BEFORE_OUTPUT
    if measured.usage is None or not (measured.usage_final or attempt.offer.quote.is_by_count):
        return Outcome.USAGE_MISSING
    if measured.explicit_zero:
        return Outcome.USAGE_ZERO
    if measured.content_filtered:
        return Outcome.CONTENT_FILTERED
    return Outcome.COMPLETED


def hangup(measured: Measured) -> Outcome:
    """How it ended when the caller left after something was sent upstream."""
    return Outcome.HANGUP_MIDSTREAM if measured.output_started else Outcome.HANGUP_BEFORE_OUTPUT


def judge(ticket: Ticket, attempt: Attempt, outcome: Outcome, now_mono_ms: int) -> Verdict:
    """Rate the attempt by the who-pays table; rounding happens here, once for cost and once for sale."""
    measured = attempt.exchange.measured
    payment = who_pays(outcome, ticket.key.policy)
    if payment.sale is payment.cost is Basis.MEASURED and outcome is Outcome.COMPLETED:
        sale_usage: Usage | None = measured.usage
        cost_usage: Usage | None = measured.usage
    else:
        figures = _figures(ticket, attempt, outcome, now_mono_ms)
        sale_usage = usage_for(payment.sale, **figures)
        cost_usage = usage_for(payment.cost, **figures)
    sold = _rate(attempt.offer, sale_usage, ticket.key.asset)
    spent = sold if cost_usage is sale_usage else _rate(attempt.offer, cost_usage, ticket.key.asset)
    shown, lines = (sale_usage, sold) if sale_usage is not None else (cost_usage, spent)
    usage = shown or Usage({}, raw=None if measured.usage is None else measured.usage.raw)
    flags = [*usage.flags, *(f"unpriced:{meter}" for meter in lines.unpriced)]
    price_ids = {line.meter.value: line.price_id for line in lines.lines}
    fee = attempt.offer.fee
    if fee is not None:
        flags.append(OWN_KEY)
        price_ids[PLATFORM_FEE] = fee.fee_id
    elif cost_usage is not sale_usage and cost_usage is not None and sale_usage is not None:
        flags.append("cost_from_other_figures")
    return Verdict(
        outcome=outcome,
        usage=usage,
        cost=spent.cost,
        sale=min(sold.sale, ticket.hold.amount) if payment.within_hold else sold.sale,
        price_ids=price_ids,
        flags=flags,
    )


_NOTHING: Final = Rating(0, 0, ())


def _rate(offer: Offer, usage: Usage | None, asset: str) -> Rating:
    if usage is None:
        return _NOTHING
    if offer.fee is None or offer.listed is None:
        return rate(offer.quote, usage, asset)
    return rate_fee(offer.listed, usage, offer.fee)


def _figures(ticket: Ticket, attempt: Attempt, outcome: Outcome, now_mono_ms: int) -> dict[str, Usage]:
    """The three views `usage_for` chooses from; see `bursar.core.payer`."""
    measured = attempt.exchange.measured
    delivered_tokens = (
        measured.delivered_tokens if attempt.delivered_tokens is None else attempt.delivered_tokens
    )
    if measured.terminal and measured.usage is not None and measured.usage_final:
        delivered_tokens = min(delivered_tokens, measured.usage.output_tokens)  # our own count runs high
    delivered = _with_output(ticket, measured, delivered_tokens)
    makes_pictures = ticket.call.service is Service.IMAGES
    if makes_pictures and measured.terminal and measured.usage is not None and measured.usage_final:
        delivered = measured.usage  # a picture made is a picture sold: it has no half
    if outcome in _UNANSWERED and makes_pictures and not measured.terminal:
        estimated = _all_asked_for(ticket, measured)
    elif outcome in _UNANSWERED and not ticket.call.stream:
        unseen = _unseen_output(ticket, attempt, now_mono_ms)
        estimated = _with_output(ticket, measured, unseen)
    else:
        estimated = _with_output(ticket, measured, measured.delivered_tokens)
    figures = {"delivered": delivered, "estimated": estimated}
    if measured.usage is not None and measured.usage_final and measured.terminal:
        figures["reported"] = measured.usage
    elif measured.usage is not None:  # a placeholder of output is never a final figure
        figures["reported"] = estimated
    return {"reported": None, **figures}  # type: ignore[dict-item]  # None: the provider reported nothing


def _with_output(ticket: Ticket, measured: Measured, output_tokens: int) -> Usage:
    """The provider's figures of input and searches where it gave them, else our input; so much output."""
    reported = measured.usage
    quantities: dict[Meter, int] = {}
    if reported is not None:
        quantities = {m: n for m, n in reported.quantities.items() if m in _NOT_PUT_OUT}
    if not quantities and not measured.usage_final:
        quantities = {Meter.IN_FRESH: ticket.call.input_tokens}
    if output_tokens:
        quantities[Meter.OUT_TEXT] = output_tokens
    quantities |= measured.counted
    raw = None if reported is None else reported.raw
    return Usage(quantities, raw=raw, estimated=True)


def _all_asked_for(ticket: Ticket, measured: Measured) -> Usage:
    """Pictures nobody waited for: their maker goes on to the end, so all of them count as made."""
    usage = _with_output(ticket, measured, 0)
    return replace(usage, quantities={**usage.quantities, **ticket.call.counts})


def _unseen_output(ticket: Ticket, attempt: Attempt, now_mono_ms: int) -> int:
    """Output that may have been produced, unseen, before an answer was called off; within the hold."""
    elapsed_ms = max(0, now_mono_ms - attempt.started_mono_ms)
    return min(elapsed_ms * TOKENS_PER_S // 1000, ticket.output_held)
