"""Usage in OpenAI's shape, mapped to disjoint classes.

Source: OpenAI's API reference, schema `CompletionUsage`. `prompt_tokens` includes cached, cache-write,
audio and image tokens; `completion_tokens` includes reasoning, audio and rejected prediction tokens.
Servers that copy the shape differ: xAI counts reasoning beside `completion_tokens`, DeepSeek and Together
name cache hits at the top level, some send floats, strings or nothing. The provider's own total decides
where two readings are possible.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from bursar.adapters.providers import USAGE_INCOMPLETE
from bursar.adapters.providers.counts import CountReader, split
from bursar.core.usage import Meter, Usage

FLAG_TOTAL_MISMATCH = "usage_total_mismatch"


def read_usage(raw: Mapping[str, Any], *, service_tier: str | None = None) -> Usage | None:
    """The disjoint form of a chat completion's `usage`; what does not add up is flagged, never guessed.

    `None` when neither input nor output is counted: that is a missing usage, not a zero. When one of them is
    missing and no sum tells it, the usage is flagged `USAGE_INCOMPLETE`.
    """
    reader = CountReader(raw)
    counted = _totals(reader)
    if counted is None:
        return None
    prompt, completion, total = counted
    output_parts = _output_parts(reader)
    reasoning = output_parts[Meter.OUT_REASONING]
    if reasoning and total == prompt + completion + reasoning:
        completion = total - prompt  # this server counts reasoning beside the visible output
    if total not in {None, prompt + completion}:
        reader.flag(FLAG_TOTAL_MISMATCH)
    quantities = {
        **split(Meter.IN_FRESH, prompt, _input_parts(reader), reader),
        **split(Meter.OUT_TEXT, completion, output_parts, reader),
    }
    return Usage(
        quantities={meter: quantity for meter, quantity in quantities.items() if quantity},
        raw=orjson.dumps(raw),
        flags=tuple(reader.flags),
        service_tier=service_tier,
    )


def _totals(reader: CountReader) -> tuple[int, int, int | None] | None:
    """Input, output and their stated sum; a missing one of the two is what the sum leaves for it."""
    prompt, completion = reader.optional("prompt_tokens"), reader.optional("completion_tokens")
    total = reader.optional("total_tokens")
    if prompt is None and completion is None:
        return None
    if total is None and (prompt is None or completion is None):
        reader.flag(USAGE_INCOMPLETE)
    if prompt is None:
        prompt = max(0, (total or 0) - (completion or 0))
    if completion is None:
        completion = max(0, (total or 0) - prompt)
    return prompt, completion, total


def _input_parts(reader: CountReader) -> dict[Meter, int]:
    details = "prompt_tokens_details"
    cached = (
        reader.count("cached_tokens", details)
        or reader.count("prompt_cache_hit_tokens")
        or reader.count("cached_tokens")
    )
    return {
        Meter.CACHE_READ: cached,
        Meter.CACHE_WRITE_30M: reader.count("cache_write_tokens", details),
        Meter.IN_AUDIO: reader.count("audio_tokens", details),
        Meter.IN_IMAGE: reader.count("image_tokens", details),
    }


def _output_parts(reader: CountReader) -> dict[Meter, int]:
    details = "completion_tokens_details"
    return {
        Meter.OUT_REASONING: reader.count("reasoning_tokens", details) or reader.count("reasoning_tokens"),
        Meter.OUT_AUDIO: reader.count("audio_tokens", details),
    }
