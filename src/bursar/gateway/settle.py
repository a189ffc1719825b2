"""Settle before the last byte: a verdict becomes a usage row, the hold is freed, the row made durable."""

from dataclasses import dataclass
from typing import Any

from bursar.core.booking import UsageRow
from bursar.core.money import format_amount
from bursar.core.payer import Outcome
from bursar.core.service import Service
from bursar.core.usage import Meter
from bursar.gateway.measure import Verdict, judge
from bursar.gateway.runtime import Gateway
from bursar.gateway.ticket import Attempt, Ticket

# Strangers wrote these; a row keeps the beginning:
TEXT_CHARACTERS_MAX = 256
RAW_USAGE_BYTES_MAX = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A booked attempt. `balance`: the wallet's after it, in units; None while PostgreSQL is away."""

    verdict: Verdict
    balance: int | None

    def headers(self, ticket: Ticket) -> dict[str, str]:
        """What the answer says about its own cost."""
        usage = self.verdict.usage
        said = {
            "x-request-id": str(ticket.request_id),
            "x-bursar-model": ticket.model.name,
            "x-bursar-cost": format_amount(self.verdict.sale, ticket.key.asset),
            "x-bursar-input-tokens": str(usage.input_tokens),
            "x-bursar-output-tokens": str(usage.output_tokens),
        }
        if self.balance is not None:
            said["x-bursar-balance"] = format_amount(self.balance, ticket.key.asset)
        return said

    def cost_fields(self, ticket: Ticket) -> dict[str, Any]:
        """The same for a stream's usage chunk; amounts are decimal strings."""
        usage = self.verdict.usage
        fields: dict[str, Any] = {
            "cost": format_amount(self.verdict.sale, ticket.key.asset),
            "currency": ticket.key.asset,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
        }
        if self.balance is not None:
            fields["balance"] = format_amount(self.balance, ticket.key.asset)
        return fields


async def settle(  # noqa: PLR0913 - what happened, and how it is told
    gw: Gateway,
    ticket: Ticket,
    attempt: Attempt,
    outcome: Outcome,
    *,
    status: int,
    error_code: str | None = None,
) -> Settled:
    """Book the attempt with every failed one before it; returns once the rows are durable.

    Raises:
        NotDurable: neither PostgreSQL nor the local disk took them.
    """
    now_ms = gw.clock.monotonic_ms()
    verdict = judge(ticket, attempt, outcome, now_ms)
    row = usage_row(ticket, attempt, verdict, now_ms, status=status, error_code=error_code)
    _close_claims(ticket, attempt, verdict)
    ticket.hold.settle(verdict.sale)
    gw.under_way.pop(ticket.request_id, None)
    if outcome is Outcome.COMPLETED and ticket.call.service is Service.CHAT:
        usage = verdict.usage
        gw.outputs.note(
            ticket.key.api_key_id,
            attempt.model.name,
            usage.output_tokens,
            unseen_tokens=usage.quantity(Meter.OUT_REASONING),
        )
    balance = await gw.flusher.submit([*ticket.failed, row])
    if ticket.claim is not None:
        await ticket.claim.landed()
    return Settled(verdict=verdict, balance=balance)


def _close_claims(ticket: Ticket, attempt: Attempt, verdict: Verdict) -> None:
    """What the limits hear: those of the attempt at once, those of the request when its hold is settled."""
    if ticket.claim is None and attempt.claim is None:
        return
    tokens = verdict.usage.input_tokens + verdict.usage.output_tokens
    if ticket.claim is not None:
        ticket.claim.tokens = tokens
    if attempt.claim is not None:
        attempt.claim.tokens = tokens
        attempt.claim.close(verdict.sale, verdict.cost)


async def release(gw: Gateway, ticket: Ticket) -> None:
    """End a request that is refused after all: nothing is sold; attempts that failed before are booked."""
    if ticket.attempt is not None and ticket.attempt.claim is not None:
        ticket.attempt.claim.close(0)
    ticket.hold.settle(0)
    gw.under_way.pop(ticket.request_id, None)
    if ticket.failed:
        await gw.flusher.submit(ticket.failed)


def note_failed(gw: Gateway, ticket: Ticket, attempt: Attempt, *, status: int, error_code: str) -> None:
    """Keep the row of an attempt that is retried elsewhere: the customer pays nothing for it."""
    now_ms = gw.clock.monotonic_ms()
    verdict = judge(ticket, attempt, Outcome.PROVIDER_ERROR_BEFORE_OUTPUT, now_ms)
    if attempt.claim is not None:
        attempt.claim.tokens = 0
        attempt.claim.close(verdict.sale, verdict.cost)
    ticket.failed.append(usage_row(ticket, attempt, verdict, now_ms, status=status, error_code=error_code))


def leave_mark(gw: Gateway, ticket: Ticket, attempt: Attempt, outcome: Outcome = Outcome.CRASHED) -> None:
    """Write down how far a stream has come, so that a crash of this process loses seconds, not the stream."""
    now_ms = gw.clock.monotonic_ms()
    verdict = judge(ticket, attempt, outcome, now_ms)
    gw.flusher.mark(usage_row(ticket, attempt, verdict, now_ms, status=200, error_code=None, from_mark=True))


def usage_row(  # noqa: PLR0913 - the same
    ticket: Ticket,
    attempt: Attempt,
    verdict: Verdict,
    now_mono_ms: int,
    *,
    status: int,
    error_code: str | None,
    from_mark: bool = False,
) -> UsageRow:
    usage = verdict.usage
    key, call, route = ticket.key, ticket.call, attempt.offer.route
    latency_ms = now_mono_ms - ticket.started_mono_ms
    return UsageRow(
        request_id=ticket.request_id,
        attempt=attempt.number,
        revision=0,
        started_at_ms=ticket.started_at_ms,
        finished_at_ms=ticket.started_at_ms + latency_ms,
        organisation_id=key.organisation_id,
        wallet_id=key.wallet_id,
        asset=key.asset,
        scope_class=call.scope_class,
        api_key_id=key.api_key_id,
        lease_id=ticket.hold.lease_id,
        provider_id=route.provider_id,
        credential_id=attempt.credential.credential_id,
        model=attempt.model.name,
        provider_model=route.deployment.provider_model,
        endpoint=call.endpoint,
        dialect=call.dialect,
        streamed=call.stream,
        status=status,
        outcome=verdict.outcome,
        error_code=error_code,
        quantities={meter.value: quantity for meter, quantity in usage.quantities.items() if quantity},
        price_ids=verdict.price_ids,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        estimated=usage.estimated,
        flags=verdict.flags,
        raw_usage=None if usage.raw is None else usage.raw[:RAW_USAGE_BYTES_MAX].decode("utf-8", "replace"),
        service_tier=_short(usage.service_tier),
        cost=verdict.cost,
        sale=verdict.sale,
        latency_ms=latency_ms,
        first_byte_ms=attempt.first_byte_ms,
        provider_request_id=_short(attempt.exchange.measured.provider_request_id),
        end_user=_short(call.end_user),
        from_mark=from_mark,
        project_id=key.project_id,
        team_id=key.team_id,
    )


def _short(text: str | None) -> str | None:
    return text if text is None else text[:TEXT_CHARACTERS_MAX]
