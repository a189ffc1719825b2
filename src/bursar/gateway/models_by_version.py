"""The models a key can use, as Anthropic lists them: for callers who name a version of its API.

Source: Anthropic's API reference, "Models": `limit` 1 to 1,000 (20 unless asked), `after_id`, `before_id`.
"""

from datetime import UTC, datetime
from typing import Any, Final

from bursar.core.chat import BadRequest
from bursar.gateway.catalogue import offered_model, offered_models
from bursar.gateway.dialects import Asked
from bursar.gateway.snapshot import KeyRecord, ModelRecord, Snapshot

VERSION_HEADER: Final = b"anthropic-version"
PAGE: Final = 20
PAGE_MAX: Final = 1_000


def list_models(snapshot: Snapshot, key: KeyRecord, asked: Asked) -> dict[str, Any]:
    """One page of the models this key may use and somebody serves, by name and alias.

    Raises:
        BadRequest: 422 for a page that cannot be.
    """
    shown = [_card(name, model) for name, model in offered_models(snapshot, key)]
    limit = _limit(asked.query.get("limit"))
    names = [card["id"] for card in shown]
    first, last = 0, len(shown)
    if "after_id" in asked.query:
        first = _place(names, asked, "after_id") + 1
        last = min(last, first + limit)
        has_more = last < len(shown)
    elif "before_id" in asked.query:
        last = _place(names, asked, "before_id")
        first = max(0, last - limit)
        has_more = first > 0
    else:
        last = min(last, limit)
        has_more = last < len(shown)
    page = shown[first:last]
    ends = (page[0]["id"], page[-1]["id"]) if page else (None, None)
    return {"data": page, "has_more": has_more, "first_id": ends[0], "last_id": ends[1]}


def show_model(snapshot: Snapshot, key: KeyRecord, name: str) -> dict[str, Any]:
    """Anthropic's model object.

    Raises:
        GatewayError: 404 when there is no such model for this key; a retired one names its successor.
    """
    return _card(name, offered_model(snapshot, key, name))


def _limit(said: str | None) -> int:
    if said is None:
        return PAGE
    limit = int(said) if said.isascii() and said.isdigit() and len(said) <= len(str(PAGE_MAX)) else 0
    if not 1 <= limit <= PAGE_MAX:
        raise BadRequest(
            f"Invalid value for 'limit': expected an integer between 1 and {PAGE_MAX}.",
            code="invalid_type",
            param="limit",
        )
    return limit


def _place(names: list[str], asked: Asked, param: str) -> int:
    wanted = asked.query[param]
    if wanted not in names:
        raise BadRequest(f"Invalid value for '{param}': expected a model of the list.", param=param)
    return names.index(wanted)


def _card(name: str, model: ModelRecord) -> dict[str, Any]:
    """Nobody here knows more of a model than its bound; what is not known is null, as Anthropic has it."""
    created = datetime.fromtimestamp(model.created_s, UTC)
    return {
        "type": "model",
        "id": name,
        "display_name": model.display_name or name,
        "created_at": created.isoformat().replace("+00:00", "Z"),
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": None,
        "capabilities": None,
        "max_input_tokens": model.context_window,
        "max_tokens": model.output_tokens_max if model.has_own_limit else None,
    }
