"""Counting the tokens of a prompt before it is asked: by a provider that can, else by our estimate. Free."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
import structlog

from bursar.adapters.providers import Attempt, PassThrough, ProviderFailure, broken_answer
from bursar.adapters.upstream import UpstreamError
from bursar.core.chat import BadRequest
from bursar.gateway import catalogue
from bursar.gateway.admit import choose_model, offers_for
from bursar.gateway.dialects import Asked, Call, Dialect
from bursar.gateway.errors import GatewayError, internal_error, overloaded
from bursar.gateway.forward import ERROR_BYTES_MAX, failure_of, is_ok, told
from bursar.gateway.inbound import HungUp, Inbound
from bursar.gateway.kept import recall
from bursar.gateway.own_keys import told_as_own
from bursar.gateway.pipeline import JSON_HEADERS, refuse
from bursar.gateway.runtime import Gateway
from bursar.gateway.snapshot import Credential, Route
from bursar.gateway.wishes import take_wishes

log = structlog.get_logger()


class Counting(NamedTuple):
    """How one dialect counts: by which surface of a provider, under which name, with what else beside it."""

    surface: str
    field: str
    rest: Mapping[str, Any] = MappingProxyType({})


COUNTINGS: Final[Mapping[str, Counting]] = {
    "anthropic_messages": Counting("anthropic_token_counts", "input_tokens"),
    "gemini": Counting("gemini_token_counts", "totalTokens"),
    "openai_responses": Counting(
        "openai_response_counts", "input_tokens", {"object": "response.input_tokens"}
    ),
}
"""By dialect."""
COUNT_BYTES_MAX: Final = 64 * 1024


async def count_tokens(gw: Gateway, inbound: Inbound, dialect: Dialect, asked: Asked) -> None:
    """Serve one count: free, but it takes a key and a model the key may use, and counts against its rate."""
    made = gw.new_request_id(gw.clock.now_ms())
    request_id = str(made)
    gw.in_flight += 1
    try:
        counted = await _count(gw, inbound, dialect, asked, request_id=made)
    except (GatewayError, BadRequest) as error:
        await refuse(inbound, dialect, error, request_id)
    except HungUp:
        log.debug("caller.hung_up", request_id=request_id)
    except Exception:
        log.exception("request.failed", request_id=request_id)
        await refuse(inbound, dialect, internal_error(), request_id)
    else:
        await inbound.respond(200, {**JSON_HEADERS, "x-request-id": request_id}, orjson.dumps(counted))
    finally:
        inbound.is_over = True
        gw.in_flight -= 1
        gw.bodies.give(inbound.body_bytes)


async def _count(
    gw: Gateway, inbound: Inbound, dialect: Dialect, asked: Asked, *, request_id: UUID
) -> dict[str, Any]:
    key = catalogue.caller(gw, inbound, asked)
    if gw.in_flight > gw.limits.in_flight_max:
        raise overloaded()
    body = await inbound.body(gw.limits.body_bytes_max, gw.bodies, gw.limits.body_silence_ms)
    call, counting = dialect.read(body, asked), COUNTINGS[dialect.name]
    if call.memory is not None:
        await recall(gw, inbound, key, call, request_id)
    wishes = take_wishes(inbound.headers, call.raw)
    model = choose_model(gw.snapshot, key, call.model)
    offers = offers_for(gw.snapshot, key, model, call, gw.clock.now_ms(), wishes)
    ways = [
        (offer.route, credential, surface)
        for offer in offers
        if (surface := offer.route.provider.passes.get(counting.surface)) is not None
        for credential in offer.route.credentials
    ]
    if not ways:
        return {**counting.rest, counting.field: call.input_tokens, "estimated": True}
    gw.lookout.add(inbound)
    failed: ProviderFailure | None = None
    refusal: GatewayError | None = None
    for route, credential, surface in ways[: gw.limits.attempts_max]:
        try:
            return counted(await _ask(gw, inbound, call, route, credential, surface), counting.field)
        except ProviderFailure as failure:
            failed = failure.with_traceback(None)  # a traceback would hold the frame that holds it
            refusal = told_as_own(route, credential, failed)
            if not failure.retryable:
                break
    raise refusal or told(failed or broken_answer("The provider gave no count."))


async def _ask(  # noqa: PLR0913, PLR0917 - who asks what of whom, and how
    gw: Gateway, inbound: Inbound, call: Call, route: Route, credential: Credential, surface: PassThrough
) -> bytes:
    """The provider's own count; raises `ProviderFailure` when it gives none."""
    attempt = Attempt(deployment=route.deployment, secret=credential.secret)
    request = surface.edit(call.raw, attempt, stream=False, headers=call.headers)
    url = route.deployment.base_url + request.path
    answer = None
    try:
        answer = await inbound.until_hangup(
            gw.upstream.open(url, request.headers, request.body, route.timeouts)
        )
        limit = COUNT_BYTES_MAX if is_ok(answer) else ERROR_BYTES_MAX
        body = await inbound.until_hangup(answer.read(limit))
    except UpstreamError as error:
        raise failure_of(error) from error
    finally:
        if answer is not None:
            answer.close()
    if not is_ok(answer):
        raise route.provider.failure(answer.status, answer.headers, body, attempt)
    return body


def counted(body: bytes, field: str) -> dict[str, Any]:
    """The answer, once it is known to hold a count; raises `ProviderFailure` when it does not."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        told = None
    if not isinstance(told, dict) or type(told.get(field)) is not int:
        raise broken_answer("The provider's answer is no count.")
    return told
