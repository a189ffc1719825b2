"""What is below `/v1beta/models/`, and below `/v1/models` for callers with a Google key.

Source: https://ai.google.dev/api/models. Google's SDKs call both versions; what is asked of a model follows
its name after a colon.
"""

from typing import Any, Final

from bursar.core.chat import BadRequest
from bursar.gateway import catalogue
from bursar.gateway.catalogue import offered_model, offered_models
from bursar.gateway.dialects import Asked, Dialect
from bursar.gateway.dialects.registry import GEMINI, GEMINI_EMBEDDINGS
from bursar.gateway.errors import GatewayError
from bursar.gateway.inbound import Inbound
from bursar.gateway.pipeline import complete_chat, refuse
from bursar.gateway.runtime import Gateway
from bursar.gateway.snapshot import KeyRecord, ModelRecord
from bursar.gateway.token_counts import count_tokens

KEY_HEADER: Final = b"x-goog-api-key"
PAGE: Final = 50
PAGE_MAX: Final = 1_000
_ANSWERS: Final = frozenset({"generateContent", "streamGenerateContent"})
_EMBEDS: Final = frozenset({"embedContent", "batchEmbedContents"})
_METHODS: Final = {
    "chat": ("generateContent", "streamGenerateContent", "countTokens"),
    "embeddings": ("embedContent", "batchEmbedContents"),
}


async def act(gw: Gateway, inbound: Inbound, dialect: Dialect, asked: Asked) -> None:  # noqa: ARG001 - the protocol's
    """Serve `POST …/{model}:{action}`."""
    name, _, action = (asked.model or "").rpartition(":")
    named = asked._replace(model=name, action=action)
    if action in _ANSWERS:
        await complete_chat(gw, inbound, GEMINI, named)
    elif action in _EMBEDS:
        await complete_chat(gw, inbound, GEMINI_EMBEDDINGS, named)
    elif action == "countTokens":
        await count_tokens(gw, inbound, GEMINI, named)
    else:
        await _refuse_unknown(gw, inbound, asked)


async def _refuse_unknown(gw: Gateway, inbound: Inbound, asked: Asked) -> None:
    """Whoever asks must have a key, whatever he asks."""
    error = GatewayError(404, "unknown_url", f"There is nothing at POST {asked.endpoint}.")
    try:
        catalogue.caller(gw, inbound, asked)
    except GatewayError as refusal:
        error = refusal
    await refuse(inbound, GEMINI, error, str(gw.new_request_id(gw.clock.now_ms())))


async def list_models(gw: Gateway, key: KeyRecord, asked: Asked) -> dict[str, Any]:
    """One page of the models this key may use and somebody serves; the next one's token is where it begins.

    Raises:
        BadRequest: 422 for a page that cannot be.
    """
    shown = [_card(name, model) for name, model in offered_models(gw.snapshot, key)]
    start = _number(asked, "pageToken", 0, low=0, high=len(shown))
    end = start + _number(asked, "pageSize", PAGE, low=1, high=PAGE_MAX)
    page: dict[str, Any] = {"models": shown[start:end]}
    if end < len(shown):
        page["nextPageToken"] = str(end)
    return page


async def show_model(gw: Gateway, key: KeyRecord, asked: Asked) -> dict[str, Any]:
    """Google's model object.

    Raises:
        GatewayError: 404 when there is no such model for this key; a retired one names its successor.
    """
    name = asked.model or ""
    return _card(name, offered_model(gw.snapshot, key, name))


def _number(asked: Asked, param: str, otherwise: int, *, low: int, high: int) -> int:
    said = asked.query.get(param)
    if not said:
        return otherwise
    number = int(said) if said.isascii() and said.isdigit() and len(said) <= len(str(PAGE_MAX)) + 2 else -1
    if not low <= number <= high:
        raise BadRequest(
            f"Invalid value for '{param}': expected an integer between {low} and {high}.",
            code="invalid_type",
            param=param,
        )
    return number


def _card(name: str, model: ModelRecord) -> dict[str, Any]:
    """What is known of a model; what is not known is left out."""
    limits = {
        "inputTokenLimit": model.context_window,
        "outputTokenLimit": model.output_tokens_max if model.has_own_limit else None,
    }
    methods = [method for service in model.services for method in _METHODS.get(service.value, ())]
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name,
        **{limit: tokens for limit, tokens in limits.items() if tokens is not None},
        "supportedGenerationMethods": methods,
    }
