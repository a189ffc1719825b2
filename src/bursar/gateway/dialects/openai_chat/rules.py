"""Holding a request against a provider's table of dispositions, before anything is translated."""

from collections.abc import Iterator, Mapping
from typing import Any

from bursar.adapters.providers import Disposition, Rule
from bursar.core.chat import unsupported

_WITH_PARTS = frozenset({"stream_options", "prompt_cache_options"})
_WITH_TYPE = frozenset({"response_format", "tool_choice"})
_WITH_VALUES = frozenset({"service_tier", "tool_choice"})


def refuse_unsupported(raw: Mapping[str, Any], rules: Mapping[str, Rule]) -> None:
    """Raise `BadRequest` naming the first property that `rules` refuse or do not know."""
    for path, value, param in _properties(raw):
        rule = rules.get(path)
        if rule is None:
            raise unsupported(param, "it is not known for this provider")
        if rule.disposition is Disposition.REFUSED and value not in rule.neutral:
            raise unsupported(param, rule.why)


def _properties(raw: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Path in the table, value and the caller's own name of everything the request says."""
    for name, value in raw.items():
        if value is None:
            continue
        yield name, value, name
        if name == "messages":
            for position, message in enumerate(value):
                yield from _of_message(message, f"messages[{position}]")
        elif name == "tools":
            for position, tool in enumerate(value):
                yield f"tools[].type={tool.get('type')}", tool, f"tools[{position}].type"
        else:
            yield from _parts(name, value)


def _parts(name: str, value: Any) -> Iterator[tuple[str, Any, str]]:
    """What the table says about the inside of a property or about its values."""
    if name in _WITH_PARTS:
        for part, inner in value.items():
            if inner is not None:
                yield f"{name}.{part}", inner, f"{name}.{part}"
    elif name in _WITH_TYPE and isinstance(value, Mapping):
        yield f"{name}.type={value.get('type')}", value, f"{name}.type"
    elif name in _WITH_VALUES:
        yield f"{name}={value}", value, name


def _of_message(message: Mapping[str, Any], place: str) -> Iterator[tuple[str, Any, str]]:
    for name, value in message.items():
        if value is None:
            continue
        if name == "role":
            yield f"messages[].role={value}", value, f"{place}.role"
            continue
        if name == "name" and message["role"] in {"tool", "function"}:
            continue  # names the function, not a participant
        yield f"messages[].{name}", value, f"{place}.{name}"
        if name == "content" and not isinstance(value, str):
            for position, part in enumerate(value):
                yield from _of_part(part, f"{place}.content[{position}]")
        elif name == "tool_calls" and isinstance(value, list):
            for position, call in enumerate(value):
                kind = call.get("type", "function") if isinstance(call, Mapping) else None
                yield f"messages[].tool_calls[].type={kind}", call, f"{place}.tool_calls[{position}].type"


def _of_part(part: Mapping[str, Any], place: str) -> Iterator[tuple[str, Any, str]]:
    kind = part["type"]
    yield f"messages[].content[].type={kind}", part, f"{place}.type"
    for name, value in part.items():
        if value is None or name in {"type", kind}:
            continue
        yield f"messages[].content[].{name}", value, f"{place}.{name}"
    inner = part.get(kind)
    if kind in {"image_url", "file"} and isinstance(inner, Mapping):
        for name, value in inner.items():
            if value is not None:
                yield f"messages[].content[].{kind}.{name}", value, f"{place}.{kind}.{name}"
