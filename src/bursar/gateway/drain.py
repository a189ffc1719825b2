"""After a hang-up: settle at once where the provider stopped too, read on where it bills regardless."""

import asyncio

import structlog

from bursar.adapters.providers import ProviderFailure
from bursar.adapters.upstream import Answer, UpstreamError
from bursar.core.payer import Outcome
from bursar.core.service import Service
from bursar.gateway.flushing import NotDurable
from bursar.gateway.forward import is_ok
from bursar.gateway.measure import hangup
from bursar.gateway.runtime import Gateway
from bursar.gateway.settle import release, settle
from bursar.gateway.ticket import Attempt, Ticket

log = structlog.get_logger()

# Status and error code on usage rows only: nobody is there to be told.
CLIENT_CLOSED_REQUEST = (499, "client_closed_request")
INTERNAL = (500, "internal_error")


def leave(gw: Gateway, ticket: Ticket, attempt: Attempt) -> None:
    """Book a hung-up attempt in a task of its own; the caller's connection is gone and waits for nothing."""
    attempt.delivered_tokens = attempt.exchange.measured.delivered_tokens
    outcome = hangup(attempt.exchange.measured) if attempt.sent else Outcome.HANGUP_BEFORE_SEND
    ticket.is_left = True
    drains = _bills_on(attempt) and len(gw.background) < gw.limits.drains_max
    if not drains:
        _stop(attempt)
    gw.spawn(_book(gw, ticket, attempt, outcome, drains=drains))


def abandon(gw: Gateway, ticket: Ticket) -> None:
    """We failed, not the provider, or are being stopped: book what was delivered as after a crash."""
    log.error("request.abandoned", request_id=str(ticket.request_id))
    attempt = ticket.attempt
    if attempt is None:  # between two attempts, or before the first
        ticket.is_left = True
        gw.spawn(_release(gw, ticket))
        return
    _stop(attempt)
    started = attempt.exchange.measured.output_started
    ticket.is_left = True
    gw.spawn(
        _settle(gw, ticket, attempt, Outcome.CRASHED if started else Outcome.CRASHED_UNANSWERED, INTERNAL)
    )


async def _release(gw: Gateway, ticket: Ticket) -> None:
    try:
        await release(gw, ticket)
    except NotDurable as error:
        log.critical("settle.not_durable", request_id=str(ticket.request_id), error=str(error))
    finally:
        gw.bodies.give(ticket.body_bytes)


def _bills_on(attempt: Attempt) -> bool:
    """The provider has the request and goes on billing it."""
    return attempt.sent and not attempt.stops_on_abort


def _stop(attempt: Attempt) -> None:
    if attempt.opening is not None and not attempt.opening.cancel():
        attempt.opening.add_done_callback(_close_late)
    if attempt.pending is not None and not attempt.pending.cancel() and not attempt.pending.cancelled():
        attempt.pending.exception()  # it failed already; nobody needs to know
    if attempt.answer is not None:
        attempt.answer.close()


def _close_late(opening: "asyncio.Future[Answer]") -> None:
    """The answer came in the very moment the caller left."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


async def _book(gw: Gateway, ticket: Ticket, attempt: Attempt, outcome: Outcome, *, drains: bool) -> None:
    if drains and await _drain(gw, ticket, attempt) and outcome is Outcome.HANGUP_BEFORE_OUTPUT:
        outcome = Outcome.PROVIDER_ERROR_BEFORE_OUTPUT
    await _settle(gw, ticket, attempt, outcome, CLIENT_CLOSED_REQUEST)


async def _settle(
    gw: Gateway, ticket: Ticket, attempt: Attempt, outcome: Outcome, ended: tuple[int, str]
) -> None:
    status, error_code = ended
    try:
        await settle(gw, ticket, attempt, outcome, status=status, error_code=error_code)
    except NotDurable as error:
        log.critical("settle.not_durable", request_id=str(ticket.request_id), error=str(error))
    finally:
        gw.bodies.give(ticket.body_bytes)
        if attempt.claim is not None:
            attempt.claim.close(0)  # no news, unless settling failed
        if ticket.hold.is_open:
            ticket.hold.settle(0)


async def _drain(gw: Gateway, ticket: Ticket, attempt: Attempt) -> bool:
    """Read to the provider's final usage, within bounds; at a bound, what is known then is booked.

    True when the provider turned out to have refused the request.
    """
    request_id = str(ticket.request_id)
    try:
        async with asyncio.timeout(_patience_ms(gw, ticket, attempt) / 1000):
            await _read_on(gw, ticket, attempt)
    except (TimeoutError, UpstreamError) as error:
        log.info("drain.incomplete", request_id=request_id, error=str(error) or "time is up")
    except asyncio.CancelledError:  # the gateway stops: no time to read on, but the row is still to be booked
        log.info("drain.incomplete", request_id=request_id, error="the gateway stops")
    except ProviderFailure as failure:
        log.info("drain.refused", request_id=request_id, error=str(failure))
        return True
    except Exception:
        log.exception("drain.failed", request_id=request_id)
    finally:
        _stop(attempt)
    return False


def _patience_ms(gw: Gateway, ticket: Ticket, attempt: Attempt) -> int:
    """A picture may be under way for minutes before a byte of it comes: as long as a caller would wait."""
    if ticket.call.service is Service.IMAGES:
        return max(gw.limits.drain_ms, attempt.offer.route.timeouts.first_byte_ms)
    return gw.limits.drain_ms


async def _read_on(gw: Gateway, ticket: Ticket, attempt: Attempt) -> None:
    """Raises `ProviderFailure` when there is no answer but an error."""
    exchange = attempt.exchange
    if attempt.opening is not None:
        attempt.answer = await attempt.opening
        exchange.opened(attempt.answer.headers)
    answer = attempt.opened()
    if not is_ok(answer):
        raise exchange.error(answer.status, answer.headers, b"")
    if not ticket.call.stream:
        reading = attempt.pending or answer.read(gw.limits.answer_bytes_max)
        exchange.answer(answer.status, await reading)
        return
    await _read_stream(gw, attempt, await (attempt.pending or answer.chunk()))


async def _read_stream(gw: Gateway, attempt: Attempt, chunk: bytes) -> None:
    exchange, answer = attempt.exchange, attempt.opened()
    measured = exchange.measured
    size = 0
    while chunk and not measured.terminal and measured.error is None and size < gw.limits.drain_bytes:
        exchange.feed(chunk)
        size += len(chunk)
        chunk = await answer.chunk()
    if not chunk:
        exchange.end()
    if measured.error is not None:
        raise measured.error
