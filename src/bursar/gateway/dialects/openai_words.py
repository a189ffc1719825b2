"""What OpenAI's two dialects of chat, completions and responses, say in the same words."""

import re
from collections.abc import Mapping
from typing import Any, Final, cast, get_args

from bursar.core.chat import Effort
from bursar.gateway.dialects.bodies import wrong

_CACHE_LIFE: Final = re.compile(r"([0-9]{1,4})([mh])")
_MINUTES: Final = {"m": 1, "h": 60}
_EFFORTS: Final = frozenset(get_args(Effort))


def effort(value: Any, place: str) -> Effort | None:
    """How hard to think. Raises `BadRequest` for another word."""
    if value is None:
        return None
    if value not in _EFFORTS:
        raise wrong(place, f"one of {', '.join(get_args(Effort))}")
    return cast("Effort", value)


def cache_minutes(options: Mapping[str, Any] | None) -> int | None:
    """How long the prompt is to be cached. Raises `BadRequest` for what is no duration."""
    life = (options or {}).get("ttl")
    if life is None:
        return None
    match = _CACHE_LIFE.fullmatch(life) if isinstance(life, str) else None
    if match is None:
        raise wrong("prompt_cache_options.ttl", "a duration such as 30m")
    return int(match[1]) * _MINUTES[match[2]]
