"""Looking into a request by the caller's own names for its places."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from bursar.core.chat import unsupported
from bursar.gateway.dialects.bodies import wrong

_NOTHING: Final[Mapping[str, tuple[Any, ...]]] = MappingProxyType({})
_UNKNOWN: Final = "it is not known for this provider"


def refuse_others(
    source: Mapping[str, Any],
    known: frozenset[str],
    place: str,
    neutral: Mapping[str, tuple[Any, ...]] = _NOTHING,
) -> None:
    """Raise `BadRequest` naming the first property that is not `known` and says something.

    Nothing is said by null, false and what is empty, nor by the `neutral` values of a property.
    """
    for name, value in source.items():
        if name in known or value is None or value is False or value in ([], {}):
            continue
        if value not in neutral.get(name, ()):
            raise unsupported(f"{place}{name}", _UNKNOWN)


def text_at(source: Any, name: str, place: str) -> str:
    """The string at `name`. Raises `BadRequest` when there is none."""
    value = source.get(name) if isinstance(source, Mapping) else None
    if not isinstance(value, str):
        raise wrong(f"{place}.{name}", "a string")
    return value
