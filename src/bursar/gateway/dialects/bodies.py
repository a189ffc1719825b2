"""Where reading begins in every dialect: bytes to a JSON object, and checks of types that name what is wrong.

A check takes the caller's own name of a value and the value; it raises `BadRequest` (422).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from bursar.core.chat import BadRequest

OBJECTS_MAX: Final = 200_000
VALUES_MAX: Final = 2_000_000
"""Braces and commas of a body, its texts included: a hundred megabytes of tiny messages would hold up
everybody for seconds and take fifteen times their size; the longest prompts of today stay far below."""
DEPTH_MAX: Final = 200
"""Objects in objects: what is written stops at 254, and a translation may wrap what it was given."""
NAME_CHARACTERS_MAX: Final = 256
NUMBER: Final = (int, float)
_WRITTEN_DEPTH_MAX: Final = 254
"""Levels that orjson writes."""

Check = Callable[[str, Any], None]


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object a body holds. Raises `BadRequest` when it is none, or too finely cut to be read."""
    if len(body) > OBJECTS_MAX and (body.count(b"{") > OBJECTS_MAX or body.count(b",") > VALUES_MAX):
        raise BadRequest("The body has too many parts.", code="invalid_json")
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError as broken:
        raise BadRequest(f"The body is not valid JSON: {broken.msg}.", code="invalid_json") from None
    if not isinstance(raw, dict):
        raise BadRequest("The body must be a JSON object.", code="invalid_json")
    if body.count(b"{") + body.count(b"[") > DEPTH_MAX:
        _check_depth(raw)
    return raw


def _check_depth(raw: dict[str, Any]) -> None:
    """The writer knows how deep it can go: it is asked to write the body that much deeper."""
    wrapped: Any = raw
    for _ in range(_WRITTEN_DEPTH_MAX - DEPTH_MAX):
        wrapped = [wrapped]
    try:
        orjson.dumps(wrapped)
    except orjson.JSONEncodeError:
        raise BadRequest("The body is nested too deeply.", code="invalid_json") from None


def require(raw: Mapping[str, Any], *names: str) -> None:
    """Raise `BadRequest` for the first of `names` that is missing or null."""
    for name in names:
        if raw.get(name) is None:
            raise BadRequest(
                f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name
            )


def wrong(name: str, expected: str) -> BadRequest:
    """The refusal of a value of the wrong shape."""
    return BadRequest(f"Invalid value for '{name}': expected {expected}.", code="invalid_type", param=name)


def of_type(kind: type | tuple[type, ...], expected: str) -> Check:
    """A check that a value is of `kind`; true and false are no numbers."""

    def checked(name: str, value: Any) -> None:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise wrong(name, expected)

    return checked


def within(low: int, high: int, kind: type | tuple[type, ...]) -> Check:
    """A check that a value is a number of `kind` between `low` and `high`, both included."""
    expected = f"{'an integer' if kind is int else 'a number'} between {low} and {high}"
    of_kind = of_type(kind, expected)

    def checked(name: str, value: Any) -> None:
        of_kind(name, value)
        if not low <= value <= high:
            raise wrong(name, expected)

    return checked


def check_model(name: str, value: Any) -> None:
    """A check that a value can be a model's name."""
    if not isinstance(value, str) or not 0 < len(value) <= NAME_CHARACTERS_MAX:
        raise wrong(name, f"a string of 1 to {NAME_CHARACTERS_MAX} characters")
