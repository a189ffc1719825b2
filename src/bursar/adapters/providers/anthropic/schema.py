"""JSON schemas as Anthropic's structured output accepts them.

Source: Anthropic's structured outputs guide and the schema transformation of its Python SDK: objects are
closed, a few string formats are known, `oneOf` is written `anyOf`, and constraints that are not enforced
(lengths, ranges, patterns) move into the description, where the model at least reads them.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from bursar.core.chat import BadRequest, unsupported

DEPTH_MAX = 64
"""Deeper schemas are refused: nobody writes them, and recursion needs an end."""
_FORMATS = frozenset({
    "date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid",
})  # fmt: skip
_KEPT = ("$ref", "type", "enum", "const", "title", "required", "default")


def closed(schema: Any, place: str, depth: int = 0) -> dict[str, Any]:
    """The same schema in the accepted subset. Raises `BadRequest` for what is no schema."""
    if not isinstance(schema, Mapping) or depth > DEPTH_MAX:
        raise BadRequest(
            f"Invalid value for '{place}': expected a JSON schema.", code="invalid_type", param=place
        )
    result = {name: schema[name] for name in _KEPT if name in schema}
    for group in ("properties", "$defs", "definitions"):
        if isinstance(schema.get(group), Mapping):
            result[group] = {
                name: closed(part, f"{place}.{group}.{name}", depth + 1)
                for name, part in schema[group].items()
            }
    for name, written in (("anyOf", "anyOf"), ("oneOf", "anyOf"), ("allOf", "allOf")):
        if isinstance(schema.get(name), list):
            result[written] = [closed(part, f"{place}.{name}", depth + 1) for part in schema[name]]
    if "items" in schema:
        result["items"] = closed(schema["items"], f"{place}.items", depth + 1)
    if schema.get("type") == "object" or "properties" in schema:
        if schema.get("additionalProperties"):
            raise unsupported(f"{place}.additionalProperties", "objects in an answer's schema must be closed")
        result["additionalProperties"] = False
    return _described(result, schema)


def _described(result: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what can be kept, tell the rest in words."""
    told = {}
    for name, value in schema.items():
        if name in result or name in {"oneOf", "description", "additionalProperties", "$schema"}:
            continue
        if (name == "format" and value in _FORMATS) or (name == "minItems" and value in {0, 1}):
            result[name] = value
        else:
            told[name] = value
    description = schema.get("description")
    words = [description] if isinstance(description, str) else []
    if told:
        words.append(orjson.dumps(told).decode())
    if words:
        result["description"] = "\n\n".join(words)
    return result
