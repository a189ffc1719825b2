"""The Gemini API's `usageMetadata`, mapped to disjoint classes.

Source: https://ai.google.dev/api/generate-content#UsageMetadata. `promptTokenCount` includes the cached
tokens; thoughts and the results of tools the provider ran stand beside it and beside the candidates: `total
= prompt + candidates + thoughts + tool use`. Zero counts are left out. Details split a count by modality;
what has no modality is text, and a document counts as pictures of its pages.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from bursar.adapters.providers import USAGE_INCOMPLETE
from bursar.adapters.providers.counts import FLAG_MALFORMED, CountReader, split, whole_number
from bursar.core.usage import Meter, Usage

FLAG_TOTAL_MISMATCH: Final = "usage_total_mismatch"
_SENT: Final[Mapping[str, Meter]] = {
    "AUDIO": Meter.IN_AUDIO,
    "IMAGE": Meter.IN_IMAGE,
    "DOCUMENT": Meter.IN_IMAGE,
    "VIDEO": Meter.IN_VIDEO,
}
_CAME: Final[Mapping[str, Meter]] = {
    "AUDIO": Meter.OUT_AUDIO,
    "IMAGE": Meter.OUT_IMAGE,
    "DOCUMENT": Meter.OUT_IMAGE,
    "VIDEO": Meter.OUT_VIDEO,
}
_CACHED: Final[Mapping[Meter, Meter]] = {
    Meter.IN_AUDIO: Meter.CACHE_READ_AUDIO,
    Meter.IN_IMAGE: Meter.CACHE_READ_IMAGE,
    Meter.IN_VIDEO: Meter.CACHE_READ,
}
"""Input by modality → its class when it came from a cache; film has no class of its own there."""


def read_usage(raw: Mapping[str, Any], *, service_tier: str | None = None) -> Usage | None:
    """The disjoint form; what does not add up is flagged, never guessed.

    `None` when nothing is counted: that is a missing usage, not a zero.
    """
    reader = CountReader(raw)
    came, total = reader.optional("candidatesTokenCount"), reader.optional("totalTokenCount")
    prompt = reader.optional("promptTokenCount")
    if prompt is None and came is None:
        return None
    thoughts, tool_use = reader.count("thoughtsTokenCount"), reader.count("toolUsePromptTokenCount")
    beside = (came or 0) + thoughts + tool_use
    if prompt is None:
        if total is None:
            reader.flag(USAGE_INCOMPLETE)
        prompt = max(0, (total or 0) - beside)
    if total not in {None, prompt + beside}:
        reader.flag(FLAG_TOTAL_MISMATCH)
    quantities = {
        **split(Meter.IN_FRESH, prompt, _input_parts(reader), reader),
        Meter.IN_TOOL: tool_use,
        **split(Meter.OUT_TEXT, came or 0, _details(reader, "candidatesTokensDetails", _CAME), reader),
        Meter.OUT_REASONING: thoughts,
    }
    return Usage(
        quantities={meter: quantity for meter, quantity in quantities.items() if quantity},
        raw=orjson.dumps(raw),
        flags=tuple(reader.flags),
        service_tier=service_tier or _tier(raw),
    )


def counts_output(raw: Mapping[str, Any]) -> bool:
    """Whether the usage says anything about the output; zeros are left out by the API."""
    return any(
        whole_number(raw.get(name)) is not None for name in ("candidatesTokenCount", "thoughtsTokenCount")
    )


def _input_parts(reader: CountReader) -> dict[Meter, int]:
    """What of the prompt is not fresh text: cached by modality, and fresh by modality."""
    sent = _details(reader, "promptTokensDetails", _SENT)
    cached = _details(reader, "cacheTokensDetails", _SENT)
    all_cached = reader.count("cachedContentTokenCount")
    parts = dict.fromkeys((Meter.CACHE_READ, Meter.CACHE_READ_AUDIO, Meter.CACHE_READ_IMAGE), 0)
    for meter, quantity in cached.items():
        parts[_CACHED[meter]] += quantity
    parts[Meter.CACHE_READ] += max(0, all_cached - sum(cached.values()))
    for meter, quantity in sent.items():
        parts[meter] = max(0, quantity - cached.get(meter, 0))
    return parts


def _details(reader: CountReader, name: str, meters: Mapping[str, Meter]) -> dict[Meter, int]:
    """Tokens of every modality but text."""
    listed = reader.raw.get(name)
    found: dict[Meter, int] = {}
    for entry in listed if isinstance(listed, list) else ():
        if not isinstance(entry, Mapping):
            reader.flag(FLAG_MALFORMED)
            continue
        modality = entry.get("modality")
        meter = meters.get(modality) if isinstance(modality, str) else None
        count = whole_number(entry.get("tokenCount", 0))
        if count is None:
            reader.flag(FLAG_MALFORMED)
        elif meter is not None and count:
            found[meter] = found.get(meter, 0) + count
    return found


def _tier(raw: Mapping[str, Any]) -> str | None:
    """The tier served: named as such, or as the kind of traffic on Google Cloud."""
    tier = raw.get("serviceTier") or raw.get("trafficType")
    return tier if isinstance(tier, str) else None
