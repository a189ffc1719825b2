"""Send the request upstream, elsewhere when a provider fails before any output, and read what comes back."""

import asyncio
from collections.abc import Awaitable
from random import getrandbits
from typing import Final

import structlog

from bursar.adapters.providers import ProviderFailure, broken_answer
from bursar.adapters.upstream import Answer, UpstreamError
from bursar.core.chat import BadRequest
from bursar.core.routing import backoff_ms, tries_for
from bursar.core.service import Service
from bursar.gateway.admit import offers_for
from bursar.gateway.dialects import Measured
from bursar.gateway.errors import GatewayError, none_in_rotation
from bursar.gateway.exchange import open_exchange
from bursar.gateway.inbound import HungUp, Inbound, T
from bursar.gateway.own_keys import told_as_own
from bursar.gateway.routing import Candidate
from bursar.gateway.runtime import Gateway
from bursar.gateway.settle import note_failed
from bursar.gateway.snapshot import ModelRecord
from bursar.gateway.ticket import Attempt, Offer, Ticket

log = structlog.get_logger()

ERROR_BYTES_MAX = 64 * 1024  # of a provider's error answer; it is only read to classify it
OK_MIN, OK_MAX = 200, 299
ASKED_AGAIN: Final = frozenset({"server", "overloaded", "rate_limited"})
"""Failures that pass: the same lane may do better after a pause."""
TOO_LONG: Final = "context_length_exceeded"
"""A prompt too long for this model may fit the next one's window."""
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

    Each model is asked by its lanes, best first, and once more after a pause; then its stand-ins are.

    Raises:
        Refused: the last provider tried failed before any output.
        LeftWhileOpening: the caller hung up.
        BadRequest: the caller asks for what no provider of these models can do.
        GatewayError: 503, every credential is out of rotation; 429, what might have served is at a limit.
    """
    search = Search(gw, ticket, inbound)
    models = (ticket.model, *ticket.stand_ins)
    unfit: list[ModelRecord] = []
    for place, model in enumerate(models):
        if place and not await search.turn_to(model):
            continue
        candidates, are_fit = gw.routing.candidates(ticket, gw.clock.monotonic_ms())
        if not are_fit and len(models) > 1:
            unfit.append(model)
            continue
        rounds = gw.limits.rounds_max if are_fit else 1
        if await search.ask(candidates, rounds=rounds, models_after=len(models) - place - 1):
            return search.attempt()
    if search.failed is None:
        for model in unfit:
            if model is ticket.model or await search.turn_to(model):
                candidates, _ = gw.routing.candidates(ticket, gw.clock.monotonic_ms())
                if await search.ask(candidates, rounds=1, models_after=0):
                    return search.attempt()
    raise search.end()


class Search:
    """One request's way to an answer: what was tried, and what became of it.

    `failed`: the latest attempt, which gave none; its row waits in the ticket. `_at_limit`: what refused an
    attempt, `_stood_off`: what refused a stand-in.
    """

    __slots__ = (
        "_at_limit",
        "_gw",
        "_has_answered",
        "_inbound",
        "_stood_off",
        "_ticket",
        "_tries",
        "_unable",
        "failed",
        "tried",
    )

    def __init__(self, gw: Gateway, ticket: Ticket, inbound: Inbound) -> None:
        self._gw = gw
        self._ticket = ticket
        self._inbound = inbound
        self._unable: BadRequest | None = None
        self._at_limit: GatewayError | None = None
        self._stood_off: GatewayError | None = None
        self._has_answered = False
        self._tries = 0
        self.failed: Attempt | None = None
        self.tried = 0

    async def turn_to(self, model: ModelRecord) -> bool:
        """Ask another model from here on, at its own price; False when it cannot be had for this request."""
        gw, ticket = self._gw, self._ticket
        now_ms = gw.clock.now_ms()
        try:
            offers = self._offers_of(model, now_ms)
        except GatewayError:
            return False
        funded = await gw.funding.cover(ticket.hold, ticket.key, ticket.call, model, offers)
        if funded is None or not await gw.limiter.cover(ticket.claim, ticket.hold.most, now_ms):
            log.info("fallback.not_funded", request_id=str(ticket.request_id), model=model.name)
            return False
        try:
            names = self._names_of(model)
            await gw.limiter.turn_to(ticket, model, names, funded.output_held, now_ms)
        except GatewayError as refusal:
            log.info("fallback.at_limit", request_id=str(ticket.request_id), model=model.name)
            self._stood_off = self._stood_off or refusal
            return False
        ticket.model, ticket.offers = model, funded.offers
        ticket.max_tokens, ticket.output_held = funded.max_tokens, funded.output_held
        ticket.covers_bound = funded.covers_bound
        return True

    def _names_of(self, model: ModelRecord) -> list[str]:
        """Its own, and those the caller asked for it by: limits may be of either."""
        ticket, models = self._ticket, self._gw.snapshot.models
        wished = () if ticket.wishes is None else ticket.wishes.models or ()
        known = [name for name in wished if name in models and models[name].name == model.name]
        return [model.name, *known]

    def _offers_of(self, model: ModelRecord, now_ms: int) -> tuple[Offer, ...]:
        """What began on own credentials stays on own ones, unless the organisation says otherwise."""
        ticket = self._ticket
        began_own = ticket.offers[0].fee is not None
        return offers_for(
            self._gw.snapshot, ticket.key, model, ticket.call, now_ms, ticket.wishes, own_only=began_own
        )

    async def ask(self, candidates: list[Candidate], *, rounds: int, models_after: int) -> bool:
        """Try the candidates, and those worth it once more after a pause; True when one answered.

        Raises:
            Refused: a failure that no other provider would mend.
        """
        self._tries = tries_for(self._gw.limits.attempts_max - self.tried, models_after)
        for round_number in range(1, rounds + 1):
            again = await self._round(candidates, models_after)
            if self._has_answered or not again or round_number == rounds:
                break
            waited_ms = await self._pause(round_number, min(wait_ms for _, wait_ms in again))
            candidates = [candidate for candidate, wait_ms in again if wait_ms <= waited_ms]
        return self._has_answered

    async def _round(self, candidates: list[Candidate], models_after: int) -> list[tuple[Candidate, int]]:
        """Try each once, until one answers; those worth another try, and how long they asked us to wait."""
        again = []
        for candidate in candidates:
            if self._tries == 0 or (self.tried and self._is_late()):
                return []
            attempt = self._attempt_at(candidate)
            if attempt is None or not await self._is_within_limits(attempt):
                continue
            failure = await self._try(attempt)
            if failure is None:
                self._has_answered = True
                return []
            if not failure.retryable:
                if models_after and failure.code == TOO_LONG:
                    return []
                raise self.refusal()
            if failure.kind in ASKED_AGAIN:
                again.append((candidate, 1000 * (failure.retry_after_s or 0)))
        return again if self._tries else []

    def attempt(self) -> Attempt:
        """The attempt that answered."""
        attempt = self._ticket.attempt
        if attempt is None:
            raise RuntimeError("nothing answered")
        attempt.exchange.body = b""  # a stream may run for an hour; its request need not stay in memory
        return attempt

    def end(self) -> Refused | BadRequest | GatewayError:
        """What the caller is told when no model is left: of a limit first, for it passes."""
        return self.refusal() if self._stood_off is None else self._stood_off

    def refusal(self) -> Refused | BadRequest | GatewayError:
        """What the caller is told when nothing answered."""
        attempt = self.failed
        if attempt is None or attempt.failure is None:
            return self._unable or self._at_limit or none_in_rotation()
        self._ticket.failed.pop()  # the last attempt's row is written when it is settled
        self._ticket.attempt = attempt
        return Refused(attempt, told_of(attempt, attempt.failure))

    def _attempt_at(self, candidate: Candidate) -> Attempt | None:
        """A new attempt; None when this provider cannot do what is asked."""
        try:
            return _new_attempt(self._gw, self._ticket, self.tried, candidate)
        except BadRequest as unable:
            self._unable = self._unable or unable
            return None

    async def _is_within_limits(self, attempt: Attempt) -> bool:
        """False when the credential, or the provider within the key, is at its limit: another may serve."""
        if attempt.credential.limits is None and self._ticket.key.limits is None:
            return True
        if self.failed is not None and self.failed.claim is not None:
            await self.failed.claim.landed()  # its place among requests at once is free again
        try:
            await self._gw.limiter.enter(self._ticket, attempt, self._gw.clock.now_ms())
        except GatewayError as refusal:
            self._at_limit = self._at_limit or refusal
            return False
        return True

    async def _try(self, attempt: Attempt) -> ProviderFailure | None:
        gw, ticket = self._gw, self._ticket
        ticket.attempt = attempt
        self.tried += 1
        self._tries -= 1
        gw.routing.begin(attempt, attempt.started_mono_ms, stream=ticket.call.stream)
        try:
            await _open(gw, ticket, attempt, self._inbound)
        except HungUp:
            gw.routing.left(attempt, gw.clock.monotonic_ms())
            raise LeftWhileOpening(attempt) from None
        except ProviderFailure as failure:
            gw.routing.failed(attempt, failure, gw.clock.monotonic_ms())
            _close(attempt)
            told_as = told_of(attempt, failure)
            note_failed(gw, ticket, attempt, status=told_as.status, error_code=told_as.code)
            attempt.failure = failure
            self.failed, ticket.attempt = attempt, None
            return failure
        except BaseException:
            gw.routing.left(attempt, gw.clock.monotonic_ms())
            raise
        gw.routing.succeeded(attempt, gw.clock.monotonic_ms(), stream=ticket.call.stream)
        return None

    def _is_late(self, wait_ms: int = 0) -> bool:
        waited_ms = self._gw.clock.monotonic_ms() - self._ticket.started_mono_ms
        return waited_ms + wait_ms > self._gw.limits.retry_deadline_ms

    async def _pause(self, round_number: int, told_ms: int) -> int:
        """Wait before the next round, and how long; -1 when that would be too late, or the caller left."""
        limits = self._gw.limits
        backoff = backoff_ms(
            round_number, limits.retry_backoff_ms, limits.retry_backoff_ms_max, getrandbits(64)
        )
        wait_ms = max(backoff, told_ms)
        if self._is_late(wait_ms):
            return -1
        try:
            await self._inbound.until_hangup(asyncio.sleep(wait_ms / 1000))
        except HungUp:
            return -1
        return wait_ms


def told_of(attempt: Attempt, failure: ProviderFailure) -> GatewayError:
    """A failure of this attempt as the caller hears of it: what he must mend himself is told as his."""
    route = attempt.offer.route
    return told_as_own(route, attempt.credential, failure) or told(failure)


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


def _new_attempt(gw: Gateway, ticket: Ticket, number: int, candidate: Candidate) -> Attempt:
    offer, credential, lane = candidate
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
        model=ticket.model,
        offer=offer,
        credential=credential,
        lane=lane,
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
