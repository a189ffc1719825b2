"""Every property of OpenAI's request for a response, as paths, and holding a request against a table of them.

A path ends in `=value` where it speaks of one value; one without it speaks of every other value too.
Source: OpenAI's API specification (MIT), schema `CreateResponse` and what it refers to.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from bursar.adapters.providers import Disposition, Rule
from bursar.core.chat import unsupported

MESSAGE: Final = "message"
ITEM_REFERENCE: Final = "item_reference"
CONTAINER: Final = "container_auto"
"""Where a shell runs when nobody says: at the provider."""

SIGNED: Final = "bursar.signed."
REDACTED: Final = "bursar.redacted."
"""How reasoning of other providers is marked in `encrypted_content`, before what they signed or hid."""

_WITH_PARTS = frozenset({"reasoning", "stream_options", "prompt_cache_options", "text"})
_WITH_VALUES = frozenset({"service_tier", "truncation"})

Said = tuple[str, Any, str]
"""Path in a table, value, the caller's own name for it."""


def refuse_unsupported(
    raw: Mapping[str, Any], rules: Mapping[str, Rule], *, unknown_passes: bool = False
) -> None:
    """Raise `BadRequest` naming the first property that `rules` refuse or, unless it passes, do not know."""
    for path, value, param in said_in(raw):
        rule = rules.get(path) or rules.get(path.partition("=")[0])
        if rule is None:
            if unknown_passes:
                continue
            raise unsupported(param, "it is not known for this provider")
        if rule.disposition is Disposition.REFUSED and value not in rule.neutral:
            raise unsupported(param, rule.why)


def kind_of(item: Mapping[str, Any]) -> str:
    """An input item's type; those without one are messages, or references when they have only an id."""
    kind = item.get("type")
    if isinstance(kind, str):
        return kind
    return MESSAGE if "role" in item or "content" in item else ITEM_REFERENCE


def is_foreign(item: object) -> bool:
    """Whether an item is reasoning of another provider, which OpenAI's models cannot read back."""
    if not isinstance(item, Mapping) or item.get("type") != "reasoning":
        return False
    sealed = item.get("encrypted_content")
    return isinstance(sealed, str) and sealed.startswith((SIGNED, REDACTED))


def said_in(raw: Mapping[str, Any]) -> Iterator[Said]:
    """Everything a checked request says."""
    for name, value in raw.items():
        if value is None:
            continue
        yield name, value, name
        if name == "input" and not isinstance(value, str):
            for position, item in enumerate(value):
                yield from _of_item(item, f"input[{position}]")
        elif name == "tools":
            yield from _of_tools(value, "tools")
        elif name == "tool_choice":
            yield from _of_choice(value)
        elif name == "include":
            yield from ((f"include[]={one}", one, f"include[{n}]") for n, one in enumerate(value))
        elif name in _WITH_PARTS:
            yield from _of_parts(name, value)
        elif name in _WITH_VALUES:
            yield f"{name}={value}", value, name


def _of_parts(name: str, value: Mapping[str, Any]) -> Iterator[Said]:
    for part, inner in value.items():
        if inner is None:
            continue
        yield f"{name}.{part}", inner, f"{name}.{part}"
        if part == "format":
            yield f"text.format.type={inner.get('type')}", inner, "text.format.type"


def _of_choice(choice: Any) -> Iterator[Said]:
    if isinstance(choice, str):
        yield f"tool_choice={choice}", choice, "tool_choice"
    else:
        yield f"tool_choice.type={choice.get('type')}", choice, "tool_choice.type"


def _of_tools(tools: list[Any], place: str) -> Iterator[Said]:
    for position, tool in enumerate(tools):
        here = f"{place}[{position}]"
        kind = tool.get("type")
        yield f"tools[].type={kind}", tool, f"{here}.type"
        if kind == "shell":
            environment = tool.get("environment")
            where = environment.get("type") if isinstance(environment, Mapping) else CONTAINER
            yield f"tools[].environment.type={where}", where, f"{here}.environment.type"
        elif kind == "namespace":
            nested = tool.get("tools")
            inner = [one for one in nested if isinstance(one, Mapping)] if isinstance(nested, list) else []
            yield from _of_tools(inner, f"{here}.tools")
        elif kind == "function":
            for name, value in tool.items():
                if name != "type" and value is not None:
                    yield f"tools[].{name}", value, f"{here}.{name}"


def _of_item(item: Mapping[str, Any], place: str) -> Iterator[Said]:
    kind = kind_of(item)
    yield f"input[].type={kind}", item, f"{place}.type"
    for name, value in item.items():
        if value is None or name == "type":
            continue
        if name == "role":
            yield f"input[].role={value}", value, f"{place}.role"
            continue
        yield f"input[].{name}", value, f"{place}.{name}"
        if name in {"content", "output"} and isinstance(value, list):
            for position, part in enumerate(value):
                yield from _of_part(part, name, f"{place}.{name}[{position}]")


def _of_part(part: Any, group: str, place: str) -> Iterator[Said]:
    if not isinstance(part, Mapping):
        return
    yield f"input[].{group}[].type={part.get('type')}", part, f"{place}.type"
    for name, value in part.items():
        if value is not None and name != "type":
            yield f"input[].content[].{name}", value, f"{place}.{name}"
