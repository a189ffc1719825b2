"""Google's own `Schema`, written as JSON Schema.

Source: https://ai.google.dev/api/caching#Schema. Its types are in capitals, `nullable` is a word of its
own, and limits are strings of digits; `propertyOrdering` has no equivalent, and JSON Schema's own words
pass.
"""

from collections.abc import Mapping
from typing import Any, Final

from bursar.core.chat import BadRequest

DEPTH_MAX: Final = 64
_INTEGERS: Final = frozenset(
    {"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"}
)
_DROPPED: Final = frozenset({"nullable", "propertyOrdering", "example", "type"})
_SPELLED: Final = {
    "any_of": "anyOf", "one_of": "oneOf", "all_of": "allOf", "min_items": "minItems", "max_items": "maxItems",
    "min_length": "minLength", "max_length": "maxLength", "property_ordering": "propertyOrdering",
    "additional_properties": "additionalProperties",
}  # fmt: skip
_MANY: Final = ("properties", "$defs", "defs")


def json_schema(schema: Any, place: str, depth: int = 0) -> dict[str, Any]:
    """The same as JSON Schema. Raises `BadRequest` for what is no schema."""
    if not isinstance(schema, Mapping) or depth > DEPTH_MAX:
        raise BadRequest(f"Invalid value for '{place}': expected a schema.", code="invalid_type", param=place)
    named = {_plain(name): value for name, value in schema.items()}
    written: dict[str, Any] = {}
    kind = named.get("type")
    if isinstance(kind, list):
        written["type"] = [one.lower() if isinstance(one, str) else one for one in kind]
    elif isinstance(kind, str) and kind != "TYPE_UNSPECIFIED":
        written["type"] = [kind.lower(), "null"] if named.get("nullable") is True else kind.lower()
    for name, value in named.items():
        if name in _DROPPED:
            continue
        written["$defs" if name == "defs" else name] = _inner(name, value, f"{place}.{name}", depth)
    return written


def _inner(name: str, value: Any, place: str, depth: int) -> Any:
    if name in _MANY and isinstance(value, Mapping):
        return {key: json_schema(one, f"{place}.{key}", depth + 1) for key, one in value.items()}
    if name in {"anyOf", "oneOf", "allOf", "prefixItems"} and isinstance(value, list):
        return [json_schema(one, place, depth + 1) for one in value]
    if name == "items" or (name == "additionalProperties" and isinstance(value, Mapping)):
        return json_schema(value, place, depth + 1)
    if name in _INTEGERS and isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:9])
    return value


def _plain(name: str) -> str:
    """Schema words in either spelling."""
    return _SPELLED.get(name, name)
