"""Which prompts begin alike: requests with the same beginning meet the same credential, where it is cached.

Providers cache long beginnings only (from 1,024 tokens up), so short prompts are left free to spread. Caches
belong to an account and a model; our customers are kept apart so that one popular tool's beginning does not
send everybody's requests to one credential.
"""

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

from bursar.gateway.dialects import Call

CACHED_TOKENS_MIN: Final = 1_024
BEGINNING_CHARACTERS: Final = 1_024
"""So much is compared: below the shortest text that is cached, so that what follows changes nothing."""
VALUES_MAX: Final = 256
"""Members looked at before the text must have come: a bound on work for odd requests."""

KEY: Final = "prompt_cache_key"
PROMPT: Final = (
    "system", "system_instruction", "systemInstruction", "instructions", "messages", "contents", "input",
    "prompt",
)  # fmt: skip
"""Where dialects keep the prompt, in the order providers put it together; a request has only its own."""


def affinity_of(call: Call, model: str, organisation_id: UUID) -> int | None:
    """64 bits that requests with the same beginning share; None for those no provider would cache."""
    if call.input_tokens < CACHED_TOKENS_MIN:
        return None
    key = call.raw.get(KEY)
    beginning = key if isinstance(key, str) and key else beginning_of(call.raw)
    text = f"{organisation_id.hex}\0{model}\0{beginning}"
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def beginning_of(raw: Mapping[str, Any]) -> str:
    """The first `BEGINNING_CHARACTERS` of the prompt's texts."""
    parts: list[str] = []
    left = BEGINNING_CHARACTERS
    for text in _texts([raw[name] for name in reversed(PROMPT) if name in raw]):
        parts.append(text[:left])
        left -= len(text)
        if left <= 0:
            break
    return "\0".join(parts)


def _texts(waiting: list[Any]) -> Iterator[str]:
    """All texts inside, in order; the last of `waiting` is looked at first."""
    for _ in range(VALUES_MAX):
        if not waiting:
            return
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            waiting += reversed(list(value.values()))
        elif isinstance(value, list):
            waiting += reversed(value)
