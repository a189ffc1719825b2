"""What a key may ask beside answers: the models it can use, and why a request cost what it cost."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final
from uuid import UUID

from bursar.core.explanation import explain
from bursar.gateway.authenticate import authenticate
from bursar.gateway.dialects import Asked
from bursar.gateway.errors import GatewayError, books_unavailable, model_not_found
from bursar.gateway.inbound import Inbound
from bursar.gateway.own_keys import is_offered
from bursar.gateway.runtime import Gateway
from bursar.gateway.snapshot import KeyRecord, ModelRecord, Snapshot, fee_row, price_row

SHOWN: Final = (
    "model",
    "endpoint",
    "streamed",
    "status",
    "outcome",
    "error_code",
    "started_at_ms",
    "latency_ms",
    "first_byte_ms",
    "input_tokens",
    "output_tokens",
    "quantities",
    "estimated",
    "flags",
    "service_tier",
    "end_user",
)
"""Fields of a usage row its owner sees; providers, credentials and our cost are not his."""


def caller(gw: Gateway, inbound: Inbound, asked: Asked) -> KeyRecord:
    """Who asks; counted against the key's rate like any request."""
    key = authenticate(inbound.headers, gw.snapshot, gw.clock.now_ms(), asked.query)
    gw.limiter.look_at(key, inbound.scope)
    return key


def offered_models(snapshot: Snapshot, key: KeyRecord) -> list[tuple[str, ModelRecord]]:
    """The models this key may use and somebody serves, by name and alias."""
    return [
        (name, model)
        for name, model in sorted(snapshot.models.items())
        if is_offered(model, key) and key.allows(name, model.name)
    ]


def offered_model(snapshot: Snapshot, key: KeyRecord, name: str) -> ModelRecord:
    """One of them.

    Raises:
        GatewayError: 404 when there is no such model for this key; a retired one names its successor.
    """
    model = snapshot.models.get(name)
    if model is None or not key.allows(name, model.name) or not is_offered(model, key):
        raise model_not_found(name, model.successor if model is not None and model.is_retired else None)
    return model


def list_models(snapshot: Snapshot, key: KeyRecord) -> dict[str, Any]:
    """OpenAI's list of models."""
    return {"object": "list", "data": [_card(name, model) for name, model in offered_models(snapshot, key)]}


def show_model(snapshot: Snapshot, key: KeyRecord, name: str) -> dict[str, Any]:
    """OpenAI's model object; raises as `offered_model` does."""
    return _card(name, offered_model(snapshot, key, name))


async def explain_request(gw: Gateway, key: KeyRecord, request_id: str) -> Mapping[str, Any]:
    """The cost of one of the organisation's requests: each token class times its price.

    Raises:
        GatewayError: 404 unknown or another organisation's; 503 while PostgreSQL is away.
    """
    try:
        wanted = UUID(request_id)
    except ValueError:
        raise _no_usage(request_id) from None
    try:
        found = await gw.books.find_usage(key.organisation_id, wanted)
    except gw.books.unavailable as error:
        raise books_unavailable() from error
    if found is None:
        raise _no_usage(request_id)
    row = SimpleNamespace(**found)
    return {
        "id": str(wanted),
        "object": "usage",
        **{name: found[name] for name in SHOWN},
        **explain(row, map(price_row, found["prices"]), map(fee_row, found["fees"])).to_json(with_cost=False),
    }


def _no_usage(request_id: str) -> GatewayError:
    return GatewayError(404, "usage_not_found", f"There is no usage of a request {request_id[:64]!r}.")


def _card(name: str, model: ModelRecord) -> dict[str, Any]:
    owner = max(model.routes, key=lambda route: bool(route.credentials)).provider.kind
    return {"id": name, "object": "model", "created": model.created_s, "owned_by": owner}
