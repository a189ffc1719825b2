"""Send the request upstream, elsewhere when a provider fails before any output, and read what comes back."""

import asyncio
from collections.abc import Awaitable, Iterator

import structlog

from bursar.adapters.providers import ProviderFailure, broken_answer
from bursar.adapters.upstream import Answer, UpstreamError
from bursar.core.service import Service
from bursar.gateway.dialects import Measured
from bursar.gateway.errors import GatewayError
from bursar.gateway.exchange import open_exchange
from bursar.gateway.inbound import HungUp, Inbound, T
from bursar.gateway.runtime import Gateway
from bursar.gateway.settle import note_failed
from bursar.gateway.snapshot import Credential
from bursar.gateway.ticket import Attempt, Offer, Ticket

log = structlog.get_logger()

ERROR_BYTES_MAX = 64 * 1024  # of a provider's error answer; it is only read to classify it
OK_MIN, OK_MAX = 200, 299
# A stream's first frames wait for output, so that a failure before it can go elsewhere; but not for ever:
HELD_BACK_MS = 2_000
HELD_BACK_BYTES_MAX = 16 * 1024


class Refused(Exception):
    """No provider gave an answer. `attempt` is the last one, `error` what the caller is told."""

    def __init__(self, attempt: Attempt, error: GatewayError) -> None:
        super().__init__(error.message)
        self.attempt = attempt
        self.error = error


class LeftWhileOpening(Exception):
    """The caller hung up during an attempt."""

    def __init__(self, attempt: Attempt) -> None:
        super().__init__("caller hung up")
        self.attempt = attempt


async def forward(gw: Gateway, ticket: Ticket, inbound: Inbound) -> Attempt:
    """The first attempt that gives an answer: a whole one, or a stream's first output.

    Raises:
        Refused: the last provider tried failed before any output.
        LeftWhileOpening: the caller hung up.
        BadRequest: the caller asks for what the provider cannot do.
    """
    chosen = list(_candidates(gw, ticket))
    for number, (offer, credential) in enumerate(chosen):
        attempt = ticket.attempt = _new_attempt(gw, ticket, number, offer, credential)
        try:
            await _open(gw, ticket, attempt, inbound)
        except HungUp:
            raise LeftWhileOpening(attempt) from None
        except ProviderFailure as failure:
            attempt.failure = failure
        if attempt.failure is None:
            attempt.exchange.body = b""  # a stream may run for an hour; its request need not stay in memory
            return attempt
        _note_failure(gw, attempt, attempt.failure)
        if not attempt.failure.retryable or number + 1 == len(chosen):
            raise Refused(attempt, told(attempt.failure))
        note_failed(gw, ticket, attempt, status=attempt.failure.status, error_code=attempt.failure.code)
    raise AssertionError("offers always have credentials")


def told(failure: ProviderFailure) -> GatewayError:
    """A provider's failure as the caller hears of it."""
    headers = {} if failure.retry_after_s is None else {"retry-after": str(failure.retry_after_s)}
    return GatewayError(failure.status, failure.code, failure.message, param=failure.param, headers=headers)


async def next_chunk(attempt: Attempt, inbound: Inbound) -> bytes:
    """The next bytes of the answer, empty at the end; stops at once when the caller hangs up.

    Raises:
        HungUp: where aborting stops the provider's bill the socket is closed, else the read goes on
        (`pending`).
        ProviderFailure: the provider went silent or broke off.
    """
    try:
        return await _until_hangup(attempt, inbound, attempt.opened().chunk())
    except UpstreamError as error:
        raise failure_of(error) from error


async def _read_whole(gw: Gateway, attempt: Attempt, inbound: Inbound) -> bytes:
    """The body of a plain answer; raises as `next_chunk` does."""
    try:
        return await _until_hangup(attempt, inbound, attempt.opened().read(gw.limits.answer_bytes_max))
    except UpstreamError as error:
        raise failure_of(error) from error


def failure_of(error: UpstreamError) -> ProviderFailure:
    """A transport failure in the words of a provider failure; silence after sending is not asked twice."""
    if error.timed_out:
        return ProviderFailure(
            kind="server",
            status=504,
            code="provider_timeout",
            message="The provider did not answer in time.",
            retryable=not error.sent,
        )
    return ProviderFailure(
        kind="server",
        status=502,
        code="provider_error",
        message="The provider could not be reached or broke off.",
        retryable=True,
    )


def _candidates(gw: Gateway, ticket: Ticket) -> Iterator[tuple[Offer, Credential]]:
    """Routes and credentials, best first; those cooling down only when there is nothing else."""
    now_ms = gw.clock.monotonic_ms()
    pairs = [(offer, credential) for offer in ticket.offers for credential in offer.route.credentials]
    ready = [pair for pair in pairs if not gw.cooldowns.cools(pair[1].credential_id, now_ms)]
    yield from (ready or pairs)[: gw.limits.attempts_max]


def _new_attempt(gw: Gateway, ticket: Ticket, number: int, offer: Offer, credential: Credential) -> Attempt:
    route = offer.route
    exchange = open_exchange(
        ticket.call,
        route.provider,
        route.deployment,
        credential.secret,
        ticket.max_tokens,
        created_s=ticket.started_at_ms // 1000,
    )
    return Attempt(
        number=number,
        offer=offer,
        credential=credential,
        exchange=exchange,
        started_mono_ms=gw.clock.monotonic_ms(),
        # a picture is made to the end and billed, whether or not anybody waits for it
        stops_on_abort=route.aborts_stop_billing and ticket.call.service is not Service.IMAGES,
    )


async def _open(gw: Gateway, ticket: Ticket, attempt: Attempt, inbound: Inbound) -> None:
    """Send and read until there is something to hand on; raises `ProviderFailure` or `HungUp`."""
    if inbound.hung_up:
        raise HungUp
    answer = await _send(gw, attempt, inbound)
    attempt.answer = answer
    attempt.first_byte_ms = gw.clock.monotonic_ms() - ticket.started_mono_ms
    attempt.exchange.opened(answer.headers)
    if not is_ok(answer):
        raise await _error_answer(attempt, answer, inbound)
    if ticket.call.stream:
        await _first_frames(gw, attempt, inbound)
    else:
        attempt.reply = attempt.exchange.answer(answer.status, await _read_whole(gw, attempt, inbound))


def is_ok(answer: Answer) -> bool:
    """Whether the status promises an answer rather than an error."""
    return OK_MIN <= answer.status <= OK_MAX


async def _send(gw: Gateway, attempt: Attempt, inbound: Inbound) -> Answer:
    exchange, route = attempt.exchange, attempt.offer.route
    url = route.deployment.base_url + exchange.path
    sending = gw.upstream.open(
        url, exchange.headers, exchange.body, route.timeouts, on_send=attempt.note_sent
    )
    try:
        if attempt.stops_on_abort:
            return await inbound.until_hangup(sending)
        opening = asyncio.ensure_future(sending)
        try:
            return await inbound.until_hangup(asyncio.shield(opening))
        except HungUp:
            attempt.opening = opening
            raise
    except UpstreamError as error:
        attempt.sent = error.sent
        raise failure_of(error) from error


async def _error_answer(attempt: Attempt, answer: Answer, inbound: Inbound) -> ProviderFailure:
    try:
        body = await inbound.until_hangup(answer.read(ERROR_BYTES_MAX))
    except (UpstreamError, HungUp):
        body = b""  # the status alone classifies it
    return attempt.exchange.error(answer.status, answer.headers, body)


async def _first_frames(gw: Gateway, attempt: Attempt, inbound: Inbound) -> None:
    """Read until there is output to hand on, or keep-alives have been held back long enough."""
    frames = attempt.first_frames
    due_ms = gw.clock.monotonic_ms() + HELD_BACK_MS
    size = 0
    while not _has_begun(attempt.exchange.measured):
        chunk = await next_chunk(attempt, inbound)
        frames += attempt.exchange.feed(chunk) if chunk else attempt.exchange.end()
        if _has_begun(attempt.exchange.measured):
            return
        if attempt.exchange.measured.error is not None:
            raise attempt.exchange.measured.error
        if not chunk:
            raise broken_answer("The provider's stream ended before any output.")
        size += len(chunk)
        if frames and (size > HELD_BACK_BYTES_MAX or gw.clock.monotonic_ms() >= due_ms):
            return


def _has_begun(measured: Measured) -> bool:
    return measured.output_started or measured.terminal


def _note_failure(gw: Gateway, attempt: Attempt, failure: ProviderFailure) -> None:
    if failure.kind in {"auth", "billing", "rate_limited", "overloaded"}:
        gw.cooldowns.put(attempt.credential.credential_id, gw.clock.monotonic_ms(), failure.retry_after_s)
    if failure.kind in {"auth", "billing"}:
        log.critical(
            "credential.refused", kind=failure.kind, credential_id=str(attempt.credential.credential_id)
        )
    _close(attempt)


def _close(attempt: Attempt) -> None:
    if attempt.answer is not None:
        attempt.answer.close()


async def _until_hangup(attempt: Attempt, inbound: Inbound, reading: Awaitable[T]) -> T:
    if attempt.stops_on_abort:
        return await inbound.until_hangup(reading)
    task = asyncio.ensure_future(reading)
    try:
        return await inbound.until_hangup(asyncio.shield(task))
    except HungUp:
        attempt.pending = task  # type: ignore[assignment]  # chunk or whole body: both are bytes
        raise
