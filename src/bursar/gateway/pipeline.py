"""One chat request, from key to last byte. This file is the story; each stage has its own."""

from typing import Any, Final
from uuid import UUID

import structlog

from bursar.core.chat import BadRequest
from bursar.core.messages import translated
from bursar.core.payer import Outcome
from bursar.gateway.admit import choose_model, offers_for
from bursar.gateway.authenticate import authenticate
from bursar.gateway.dialects import Asked, Dialect
from bursar.gateway.drain import abandon, leave
from bursar.gateway.errors import GatewayError, books_unavailable, internal_error, overloaded
from bursar.gateway.flushing import NotDurable
from bursar.gateway.forward import LeftWhileOpening, Refused, forward
from bursar.gateway.inbound import HungUp, Inbound
from bursar.gateway.kept import last_frames, recall, reply
from bursar.gateway.legs import legs_for
from bursar.gateway.limiting import Asking
from bursar.gateway.measure import ending
from bursar.gateway.runtime import Gateway
from bursar.gateway.settle import Settled, release, settle
from bursar.gateway.streaming import OUT_OF_FUNDS, pass_on
from bursar.gateway.ticket import Attempt, Ticket
from bursar.gateway.wishes import take_wishes

log = structlog.get_logger()

STREAM_HEADERS: Final = {
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}
JSON_HEADERS: Final = {"content-type": "application/json"}


async def complete_chat(gw: Gateway, inbound: Inbound, dialect: Dialect, asked: Asked) -> None:
    """Serve one request for an answer, in the caller's dialect."""
    now_ms = gw.clock.now_ms()
    request_id = gw.new_request_id(now_ms)
    gw.in_flight += 1
    try:
        ticket = gw.under_way[request_id] = await _admit(
            gw, inbound, dialect, asked, request_id=request_id, now_ms=now_ms
        )
        try:
            attempt = await forward(gw, ticket, inbound)
            if ticket.call.stream:
                await _stream(gw, ticket, attempt, inbound)
            else:
                await _answer(gw, ticket, attempt, inbound)
        except Refused as refused:
            await _book_refusal(gw, ticket, refused.attempt, refused.error)
            raise refused.error from refused
        except LeftWhileOpening as left:
            leave(gw, ticket, left.attempt)
        except (BadRequest, GatewayError):  # no provider can do what is asked, or none is to be asked
            await release(gw, ticket)
            raise
        finally:
            _part(gw, ticket, inbound)
    except (GatewayError, BadRequest) as error:
        await refuse(inbound, dialect, error, str(request_id))
    except NotDurable as error:
        log.critical("settle.not_durable", request_id=str(request_id), error=str(error))
        await refuse(inbound, dialect, books_unavailable(), str(request_id))
    except HungUp:
        log.debug("caller.hung_up", request_id=str(request_id))
    except Exception:
        log.exception("request.failed", request_id=str(request_id))
        await refuse(inbound, dialect, internal_error(), str(request_id))
    finally:
        inbound.is_over = True
        gw.in_flight -= 1
        gw.bodies.give(inbound.body_bytes)


async def refuse(
    inbound: Inbound, dialect: Dialect, error: GatewayError | BadRequest, request_id: str
) -> None:
    """Tell the caller in his own dialect, and in the language he reads.

    An answer that has begun is left without its end: the server then closes the connection, so that nobody
    takes it for complete.
    """
    if inbound.started:
        return
    language = inbound.language
    headers = {**JSON_HEADERS, "x-request-id": request_id, "content-language": language}
    extra: dict[str, Any] = {} if inbound.request_id_header is None else {"request_id": request_id}
    if isinstance(error, GatewayError):
        headers |= error.headers
        extra |= error.extra
    message = translated(error.code, error.message, language)
    body = dialect.error_body(error.status, error.code, message, error.param, extra)
    await inbound.respond(error.status, headers, body)


def _part(gw: Gateway, ticket: Ticket, inbound: Inbound) -> None:
    """The caller's side ends here; a body that a background task still needs stays counted until it ends."""
    if ticket.hold.is_open and not ticket.is_left:  # a bug of ours, or the server is being stopped
        abandon(gw, ticket)
    if ticket.is_left:
        ticket.body_bytes, inbound.body_bytes = inbound.body_bytes, 0


async def _admit(  # noqa: PLR0913 - what is asked, by whom, when
    gw: Gateway, inbound: Inbound, dialect: Dialect, asked: Asked, *, request_id: UUID, now_ms: int
) -> Ticket:
    """Everything before money leaves: key, limits, body, model, price, hold. A refusal costs nothing."""
    started_mono_ms = gw.clock.monotonic_ms()
    snapshot = gw.snapshot
    key = authenticate(inbound.headers, snapshot, now_ms, asked.query)
    gw.limiter.look_at(key, inbound.scope, counted_later=True)
    if gw.in_flight > gw.limits.in_flight_max:
        raise overloaded()
    body = await inbound.body(gw.limits.body_bytes_max, gw.bodies, gw.limits.body_silence_ms)
    call = dialect.read(body, asked)
    if call.memory is not None:
        await recall(gw, inbound, key, call, request_id)
    wishes = take_wishes(inbound.headers, call.raw)
    model, *stand_ins = legs_for(snapshot, key, choose_model(snapshot, key, call.model), call, wishes)
    offers = offers_for(snapshot, key, model, call, now_ms, wishes)
    gw.lookout.add(inbound)
    asking = Asking(request_id, key, call, model, offers, now_ms)
    funded, claim = await gw.limiter.fund(gw.funding, asking)
    return Ticket(
        request_id=request_id,
        started_at_ms=now_ms,
        started_mono_ms=started_mono_ms,
        key=key,
        call=call,
        model=model,
        offers=funded.offers,
        hold=funded.hold,
        max_tokens=funded.max_tokens,
        output_held=funded.output_held,
        covers_bound=funded.covers_bound,
        stand_ins=tuple(stand_ins),
        wishes=wishes,
        claim=claim,
    )


async def _answer(gw: Gateway, ticket: Ticket, attempt: Attempt, inbound: Inbound) -> None:
    """A whole answer: settle, then release."""
    settled = await settle(gw, ticket, attempt, ending(attempt), status=200)
    headers = {**JSON_HEADERS, **settled.headers(ticket), **gw.limiter.headers(ticket.key, ticket.claim)}
    body = attempt.reply if ticket.call.memory is None else await reply(gw, ticket, attempt)
    await inbound.respond(200, headers, body)


async def _stream(gw: Gateway, ticket: Ticket, attempt: Attempt, inbound: Inbound) -> None:
    """A stream: pass on as it comes, settle when it ends, then release the tail."""
    headers = {
        **STREAM_HEADERS,
        "content-type": ticket.call.stream_type,
        "x-request-id": str(ticket.request_id),
        "x-bursar-model": ticket.model.name,
        **gw.limiter.headers(ticket.key, ticket.claim),
    }
    await inbound.start_stream(headers)
    try:
        failure = await pass_on(gw, ticket, attempt, inbound)
    except HungUp:
        gw.routing.ended(attempt, gw.clock.monotonic_ms(), failed=None)
        leave(gw, ticket, attempt)
        return
    is_ours = failure is not None and failure.code == OUT_OF_FUNDS
    gw.routing.ended(attempt, gw.clock.monotonic_ms(), failed=None if is_ours else failure is not None)
    if failure is None:
        settled = await settle(gw, ticket, attempt, ending(attempt), status=200)
        await inbound.end(await last_frames(gw, ticket, attempt, settled.cost_fields(ticket)))
        return
    settled = await _settle_broken(gw, ticket, attempt, failure)
    if ticket.call.memory is not None:
        ticket.call.memory.bill = settled.cost_fields(ticket)
    message = translated(failure.code, failure.message, inbound.language)
    await inbound.end(attempt.exchange.cut(failure.code, message, failure.status))


async def _settle_broken(gw: Gateway, ticket: Ticket, attempt: Attempt, failure: GatewayError) -> Settled:
    """A stream ended early: by the provider, or by us when the money ran out."""
    measured = attempt.exchange.measured
    if attempt.answer is not None:
        attempt.answer.close()
    outcome = Outcome.CUT_OFF if failure.code == OUT_OF_FUNDS else ending(attempt)
    attempt.delivered_tokens = measured.delivered_tokens
    return await settle(gw, ticket, attempt, outcome, status=failure.status, error_code=failure.code)


async def _book_refusal(gw: Gateway, ticket: Ticket, attempt: Attempt, error: GatewayError) -> None:
    """No output reached the caller: he pays nothing, what the provider charges is booked."""
    outcome = Outcome.PROVIDER_ERROR_BEFORE_OUTPUT
    await settle(gw, ticket, attempt, outcome, status=error.status, error_code=error.code)
