"""Which models a request may be answered by, in order: the one asked for, then its stand-ins."""

from collections.abc import Mapping
from typing import Any, Final

from bursar.core.chat import BadRequest
from bursar.core.routing import overflows_context
from bursar.gateway.admit import choose_model
from bursar.gateway.dialects import Call
from bursar.gateway.errors import GatewayError
from bursar.gateway.snapshot import KeyRecord, ModelRecord, Snapshot
from bursar.gateway.wishes import MODELS, Wishes


def legs_for(
    snapshot: Snapshot, key: KeyRecord, model: ModelRecord, call: Call, wishes: Wishes | None
) -> tuple[ModelRecord, ...]:
    """The models to ask, in order: the one asked for and what may stand in for it.

    One that lacks what the request needs, or surely cannot take so long a prompt, is left out when another
    can.
    An operator's fallback that the key may not use is left out; one the caller names himself is refused.

    Raises:
        GatewayError: a model the caller named is unknown or not allowed.
        BadRequest: none of them can do what is asked.
    """
    named = None if wishes is None else wishes.models
    if named is None and not model.fallbacks and not model.lacks:
        return (model,)
    legs = dict.fromkeys([model.name])
    stand_ins = _known(snapshot, key, model.fallbacks) if named is None else _asked(snapshot, key, named)
    models = {model.name: model, **{one.name: one for one in stand_ins}}
    legs.update(dict.fromkeys(models))
    able = [models[name] for name in legs if not models[name].lacks & _needs(call, models[name])]
    if not able:
        missing = min(model.lacks & _needs(call, model))
        raise BadRequest(
            f"The model {model.name!r} does not support {_SAID[missing]}.",
            code=BadRequest.UNSUPPORTED,
            param=_PARAM[missing],
        )
    roomy = [one for one in able if not overflows_context(one.context_window, call.input_tokens)]
    return tuple(roomy or able[:1])


LACKABLE: Final = frozenset({"tools", "stream", "vision"})
"""What a model's capabilities may say `false` to."""
_PARAM: Final = {"tools": "tools", "stream": "stream", "vision": "messages"}
_SAID: Final = {"tools": "tools", "stream": "streaming", "vision": "images"}
_IMAGE_TYPES: Final = frozenset({"image_url", "input_image", "image"})
_IMAGE_MEMBERS: Final = frozenset({"inlineData", "inline_data", "fileData", "file_data"})


def _needs(call: Call, model: ModelRecord) -> frozenset[str]:
    needed = set()
    if call.tools_present:
        needed.add("tools")
    if call.stream:
        needed.add("stream")
    if "vision" in model.lacks and _has_image(call.raw):
        needed.add("vision")
    return frozenset(needed)


def _has_image(raw: Mapping[str, Any]) -> bool:
    waiting = [raw.get(name) for name in ("messages", "contents", "input")]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            kind = value.get("type")
            if (isinstance(kind, str) and kind in _IMAGE_TYPES) or not _IMAGE_MEMBERS.isdisjoint(value):
                return True
            waiting += value.values()
    return False


def _known(snapshot: Snapshot, key: KeyRecord, names: tuple[str, ...]) -> list[ModelRecord]:
    found = [snapshot.models.get(name) for name in names]
    return [one for one in found if one is not None and not one.is_retired and key.allows(one.name)]


def _asked(snapshot: Snapshot, key: KeyRecord, names: tuple[str, ...]) -> list[ModelRecord]:
    try:
        return [choose_model(snapshot, key, name) for name in names]
    except GatewayError as error:
        error.param = MODELS
        raise
