"""After a hang-up: settle at once where the provider stopped too, read on where it bills regardless."""

import asyncio

import structlog

from bursar.adapters.providers import ProviderFailure
from bursar.adapters.upstream import Answer, UpstreamError
from bursar.core.payer import Outcome
from bursar.gateway.flushing import NotDurable
from bursar.gateway.measure import hangup
from bursar.gateway.runtime import Gateway
from bursar.gateway.settle import settle
from bursar.gateway.ticket import Attempt, Ticket

log = structlog.get_logger()

CLIENT_CLOSED_REQUEST = 499  # on usage rows only: nobody is there to be told


def leave(gw: Gateway, ticket: Ticket, attempt: Attempt) -> None:
    """Book a hung-up attempt in a task of its own; the caller's connection is gone and waits for nothing."""
    attempt.delivered_tokens = attempt.exchange.measured.delivered_tokens
    outcome = hangup(attempt.exchange.measured) if attempt.sent else Outcome.HANGUP_BEFORE_SEND
    ticket.is_left = True
    drains = attempt.pending is not None and len(gw.background) < gw.limits.drains_max
    if not drains:
        if attempt.pending is not None:
            attempt.pending.cancel()
        if attempt.answer is not None:
            attempt.answer.close()
    gw.spawn(_book(gw, ticket, attempt, outcome, drains=drains))


async def _book(gw: Gateway, ticket: Ticket, attempt: Attempt, outcome: Outcome, *, drains: bool) -> None:
    if drains:
        await _drain(gw, ticket, attempt)
    try:
        await settle(
            gw, ticket, attempt, outcome, status=CLIENT_CLOSED_REQUEST, error_code="client_closed_request"
        )
    except NotDurable as error:
        log.critical("settle.not_durable", request_id=str(ticket.request_id), error=str(error))


async def _drain(gw: Gateway, ticket: Ticket, attempt: Attempt) -> None:
    """Read to the provider's final usage, within bounds; at a bound, what is known then is booked."""
    try:
        async with asyncio.timeout(gw.limits.drain_ms / 1000):
            await _read_on(gw, ticket, attempt)
    except (TimeoutError, UpstreamError, ProviderFailure) as error:
        log.info("drain.incomplete", request_id=str(ticket.request_id), error=str(error) or "time is up")
    finally:
        if attempt.answer is not None:
            attempt.answer.close()


async def _read_on(gw: Gateway, ticket: Ticket, attempt: Attempt) -> None:
    had_answer = attempt.answer is not None
    chunk = await attempt.pending if attempt.pending is not None else b""
    answer = attempt.opened()
    if not ticket.call.stream:
        body = chunk if had_answer else await answer.read(gw.limits.answer_bytes_max)
        attempt.exchange.answer(answer.status, body)
        return
    if not had_answer:
        chunk = await answer.chunk()
    await _read_stream(gw, attempt, answer, chunk)


async def _read_stream(gw: Gateway, attempt: Attempt, answer: Answer, chunk: bytes) -> None:
    measured = attempt.exchange.measured
    size = 0
    while chunk and not measured.terminal and measured.error is None and size < gw.limits.drain_bytes:
        attempt.exchange.feed(chunk)
        size += len(chunk)
        chunk = await answer.chunk()
    if not chunk:
        attempt.exchange.end()
