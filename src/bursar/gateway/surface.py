"""Which path leads where: the dialect spoken there, and what serves each method."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

import orjson

from bursar.core.chat import BadRequest
from bursar.gateway import catalogue, gemini_paths, models_by_version
from bursar.gateway.dialects import Asked, Dialect
from bursar.gateway.dialects.registry import (
    ANTHROPIC_MESSAGES,
    GEMINI,
    OPENAI_CHAT,
    OPENAI_EMBEDDINGS,
    OPENAI_IMAGES,
    OPENAI_RESPONSES,
)
from bursar.gateway.errors import GatewayError
from bursar.gateway.inbound import Inbound
from bursar.gateway.kept import forget_response, show_response
from bursar.gateway.metrics import show_metrics
from bursar.gateway.pipeline import complete_chat, refuse
from bursar.gateway.runtime import Gateway
from bursar.gateway.shown_limits import show_limits
from bursar.gateway.snapshot import KeyRecord
from bursar.gateway.token_counts import count_tokens

BETA_HEADER: Final = b"anthropic-beta"

Serve = Callable[[Gateway, Inbound, Dialect, Asked], Awaitable[None]]
Look = Callable[[Gateway, KeyRecord, Asked], Awaitable[Any]]


class Place(NamedTuple):
    """What is at a path: the dialect its errors are told in, and what serves each method."""

    dialect: Dialect
    methods: Mapping[str, Serve]


def looking(look: Look) -> Serve:
    """Serve what `look` finds as JSON: it costs nothing, but takes a key and counts against its rate."""

    async def serve(gw: Gateway, inbound: Inbound, dialect: Dialect, asked: Asked) -> None:
        request_id = str(gw.new_request_id(gw.clock.now_ms()))
        try:
            found = await look(gw, catalogue.caller(gw, inbound, asked), asked)
        except (GatewayError, BadRequest) as error:
            await refuse(inbound, dialect, error, request_id)
        else:
            headers = {"content-type": "application/json", "x-request-id": request_id}
            await inbound.respond(200, headers, orjson.dumps(found))

    return serve


def refusing(error: Callable[[Asked, str], GatewayError]) -> Serve:
    """Serve a refusal; whoever asks must have a key, whatever the path."""

    async def serve(gw: Gateway, inbound: Inbound, dialect: Dialect, asked: Asked) -> None:
        async def look(gw: Gateway, key: KeyRecord, asked: Asked) -> Any:  # noqa: ARG001 - nothing to see
            raise error(asked, inbound.scope["method"])

        await looking(look)(gw, inbound, dialect, asked)

    return serve


def _unknown_url(asked: Asked, method: str) -> GatewayError:
    return GatewayError(404, "unknown_url", f"There is nothing at {method} {asked.endpoint}.")


async def _models(gw: Gateway, key: KeyRecord, asked: Asked) -> Any:  # noqa: ARG001 - every look is asked so
    return catalogue.list_models(gw.snapshot, key)


async def _model(gw: Gateway, key: KeyRecord, asked: Asked) -> Any:
    return catalogue.show_model(gw.snapshot, key, asked.model or "")


async def _usage(gw: Gateway, key: KeyRecord, asked: Asked) -> Any:
    return await catalogue.explain_request(gw, key, asked.model or "")


async def _claude_models(gw: Gateway, key: KeyRecord, asked: Asked) -> Any:
    return models_by_version.list_models(gw.snapshot, key, asked)


async def _claude_model(gw: Gateway, key: KeyRecord, asked: Asked) -> Any:
    return models_by_version.show_model(gw.snapshot, key, asked.model or "")


def _by_version(otherwise: Look, anthropic: Look, google: Look) -> Serve:
    """The same path in three dialects.

    Anthropic's for those who name a version of its API, Google's for those whose key is in its header.
    """
    plain, versioned, googled = looking(otherwise), looking(anthropic), looking(google)

    async def serve(gw: Gateway, inbound: Inbound, dialect: Dialect, asked: Asked) -> None:
        if models_by_version.VERSION_HEADER in inbound.headers:
            _as_anthropic(inbound)
            await versioned(gw, inbound, ANTHROPIC_MESSAGES, asked)
        elif gemini_paths.KEY_HEADER in inbound.headers:
            await googled(gw, inbound, GEMINI, asked)
        else:
            await plain(gw, inbound, dialect, asked)

    return serve


EXACT: Final[Mapping[str, Place]] = {
    "/metrics": Place(OPENAI_CHAT, {"GET": show_metrics}),
    "/v1/chat/completions": Place(OPENAI_CHAT, {"POST": complete_chat}),
    "/v1/limits": Place(OPENAI_CHAT, {"GET": looking(show_limits)}),
    "/v1/embeddings": Place(OPENAI_EMBEDDINGS, {"POST": complete_chat}),
    "/v1/images/generations": Place(OPENAI_IMAGES, {"POST": complete_chat}),
    "/v1/messages": Place(ANTHROPIC_MESSAGES, {"POST": complete_chat}),
    "/v1/messages/count_tokens": Place(ANTHROPIC_MESSAGES, {"POST": count_tokens}),
    "/v1/models": Place(OPENAI_CHAT, {"GET": _by_version(_models, _claude_models, gemini_paths.list_models)}),
    "/v1beta/models": Place(GEMINI, {"GET": looking(gemini_paths.list_models)}),
    "/v1/responses": Place(OPENAI_RESPONSES, {"POST": complete_chat}),
    "/v1/responses/input_tokens": Place(OPENAI_RESPONSES, {"POST": count_tokens}),
}
BELOW: Final[Mapping[str, Place]] = {
    "/v1/models/": Place(
        OPENAI_CHAT,
        {"GET": _by_version(_model, _claude_model, gemini_paths.show_model), "POST": gemini_paths.act},
    ),
    "/v1beta/models/": Place(GEMINI, {"GET": looking(gemini_paths.show_model), "POST": gemini_paths.act}),
    "/v1/usage/": Place(OPENAI_CHAT, {"GET": looking(_usage)}),
    "/v1/responses/": Place(
        OPENAI_RESPONSES, {"GET": looking(show_response), "DELETE": looking(forget_response)}
    ),
}
"""By the beginning of the path; the rest of it is `Asked.model`."""
NOWHERE: Final = Place(OPENAI_CHAT, {})


async def serve(gw: Gateway, inbound: Inbound) -> None:
    """Serve one HTTP request, whatever it is."""
    scope = inbound.scope
    path = scope["path"]
    place, model = EXACT.get(path), None
    if place is None:
        place, model = _below(path)
    raw_query = scope["query_string"]
    query = dict(parse_qsl(raw_query.decode("latin-1"))) if raw_query else {}
    asked = Asked(path, inbound.headers, model, None, query)
    dialect, served = place.dialect, place.methods.get(scope["method"])
    if served is None:
        served = refusing(_not_allowed(place) if place.methods else _unknown_url)
        if models_by_version.VERSION_HEADER in inbound.headers:
            dialect = ANTHROPIC_MESSAGES
        elif gemini_paths.KEY_HEADER in inbound.headers or path.startswith("/v1beta/"):
            dialect = GEMINI
    if dialect is ANTHROPIC_MESSAGES:
        _as_anthropic(inbound)
    await served(gw, inbound, dialect, asked)


def _as_anthropic(inbound: Inbound) -> None:
    """What Anthropic's SDKs look for in answers, and betas that came in more than one header."""
    inbound.request_id_header = b"request-id"
    betas = [value for name, value in inbound.scope["headers"] if name == BETA_HEADER]
    if len(betas) > 1:
        inbound.headers[BETA_HEADER] = b",".join(betas)


def _below(path: str) -> tuple[Place, str | None]:
    for start, place in BELOW.items():
        if path.startswith(start):
            return place, path.removeprefix(start)
    return NOWHERE, None


def _not_allowed(place: Place) -> Callable[[Asked, str], GatewayError]:
    allowed = ", ".join(place.methods)

    def error(asked: Asked, method: str) -> GatewayError:  # noqa: ARG001 - as `_unknown_url`
        return GatewayError(
            405, "method_not_allowed", f"{asked.endpoint} answers {allowed} only.", headers={"allow": allowed}
        )

    return error
