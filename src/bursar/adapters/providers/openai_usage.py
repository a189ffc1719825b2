"""Usage in OpenAI's shape, mapped to disjoint classes.

Source: OpenAI's API reference, schema `CompletionUsage`. `prompt_tokens` includes cached, cache-write, audio and
image tokens; `completion_tokens` includes reasoning, audio and rejected prediction tokens. Servers that copy the
shape differ: xAI counts reasoning beside `completion_tokens`, DeepSeek names cache hits at the top level, some
send floats, strings or nothing. The provider's own total decides where two readings are possible.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from bursar.core.usage import Meter, Usage

FLAG_TOTAL_MISMATCH = "usage_total_mismatch"
FLAG_SUBSET_MISMATCH = "usage_subset_mismatch"
FLAG_MALFORMED = "usage_malformed"


def read_usage(raw: Mapping[str, Any], *, service_tier: str | None = None) -> Usage:
    """The disjoint form of a chat completion's `usage` object; what does not add up is flagged, never guessed."""
    reader = _Reader(raw)
    prompt, completion, total = (
        reader.count("prompt_tokens"),
        reader.count("completion_tokens"),
        reader.total(),
    )
    input_parts = _input_parts(reader)
    output_parts = _output_parts(reader)
    reasoning_beside = total == prompt + completion + output_parts[Meter.OUT_REASONING] != prompt + completion
    if reasoning_beside:
        completion += output_parts[Meter.OUT_REASONING]
    if total is not None and total != prompt + completion:
        reader.flag(FLAG_TOTAL_MISMATCH)
    quantities = {
        **_split(Meter.IN_FRESH, prompt, input_parts, reader),
        **_split(Meter.OUT_TEXT, completion, output_parts, reader),
    }
    return Usage(
        quantities={meter: quantity for meter, quantity in quantities.items() if quantity},
        raw=orjson.dumps(raw),
        flags=tuple(reader.flags),
        service_tier=service_tier,
    )


class _Reader:
    """Reads counts from a mapping that may hold anything; keeps the flags raised on the way."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw
        self.flags: list[str] = []

    def flag(self, name: str) -> None:
        if name not in self.flags:
            self.flags.append(name)

    def count(self, name: str, group: str | None = None) -> int:
        """A token count, 0 when absent; anything but a whole number ≥ 0 is flagged and read as 0."""
        source = self.raw if group is None else self.raw.get(group)
        if not isinstance(source, Mapping):
            return 0
        value = source.get(name)
        if value is None:
            return 0
        count = whole_number(value)
        if count is None:
            self.flag(FLAG_MALFORMED)
            return 0
        return count

    def total(self) -> int | None:
        return whole_number(self.raw.get("total_tokens"))


def whole_number(value: object) -> int | None:
    """A count as servers write it (7, 7.0, "7"); `None` for anything else, negative numbers included."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return value if value >= 0 else None
    if isinstance(value, float):
        return int(value) if value >= 0 and value.is_integer() else None
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else None


def _input_parts(reader: _Reader) -> dict[Meter, int]:
    details = "prompt_tokens_details"
    cached = reader.count("cached_tokens", details) or reader.count("prompt_cache_hit_tokens")
    return {
        Meter.CACHE_READ: cached,
        Meter.CACHE_WRITE_30M: reader.count("cache_write_tokens", details),
        Meter.IN_AUDIO: reader.count("audio_tokens", details),
        Meter.IN_IMAGE: reader.count("image_tokens", details),
    }


def _output_parts(reader: _Reader) -> dict[Meter, int]:
    details = "completion_tokens_details"
    return {
        Meter.OUT_REASONING: reader.count("reasoning_tokens", details) or reader.count("reasoning_tokens"),
        Meter.OUT_AUDIO: reader.count("audio_tokens", details),
    }


def _split(rest: Meter, whole: int, parts: dict[Meter, int], reader: _Reader) -> dict[Meter, int]:
    """`whole` cut into its parts and the rest; parts larger than the whole are flagged and cut to fit in order.

    Modal tokens that were served from cache are counted in both subsets and the API gives no split, so an
    overlap takes from the later part: the sum stays the provider's own.
    """
    left, cut = whole, {}
    for meter, part in parts.items():
        taken = min(part, left)
        if taken != part:
            reader.flag(FLAG_SUBSET_MISMATCH)
        cut[meter] = taken
        left -= taken
    return {rest: left, **cut}
