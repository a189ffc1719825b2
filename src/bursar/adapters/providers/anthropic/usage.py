"""Usage in Anthropic's shape, mapped to disjoint classes.

Source: Anthropic's Messages API reference (`Usage`, `MessageDeltaUsage`, prompt caching). `input_tokens`
leaves out cache reads and writes; `output_tokens` includes thinking. The split of cache writes by life
comes only in `message_start`; figures in `message_delta` are cumulative and the last one wins.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from bursar.adapters.providers.counts import (
    FLAG_MALFORMED,
    FLAG_SUBSET_MISMATCH,
    CountReader,
    split,
    whole_number,
)
from bursar.core.usage import Meter, Usage

FLAG_CACHE_LIFE_ASSUMED = "cache_write_life_assumed"
FLAG_OTHER_MODEL = "usage_of_another_model"


def merge(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """Cumulative usage after one more report: what the later one leaves out or nulls stays."""
    return {**earlier, **{name: value for name, value in later.items() if value is not None}}


def counted_usage(raw: object, cache_life: Meter = Meter.CACHE_WRITE_5M) -> Usage | None:
    """The same as `read_usage`; `None` when input or output is not counted, or absurdly.

    That is a missing usage, not a zero.
    """
    if not isinstance(raw, Mapping):
        return None
    if whole_number(raw.get("input_tokens")) is None or whole_number(raw.get("output_tokens")) is None:
        return None
    return read_usage(raw, cache_life=cache_life)


def read_usage(raw: Mapping[str, Any], *, cache_life: Meter) -> Usage:
    """The disjoint form; `cache_life` is the life this request asked for, for writes that come unsplit."""
    reader = CountReader(raw)
    quantities: dict[Meter, int] = {
        Meter.IN_FRESH: reader.count("input_tokens"),
        Meter.CACHE_READ: reader.count("cache_read_input_tokens"),
        **_cache_writes(reader, cache_life),
        **split(
            Meter.OUT_TEXT,
            reader.count("output_tokens"),
            {Meter.OUT_REASONING: reader.count("thinking_tokens", "output_tokens_details")},
            reader,
        ),
        Meter.WEB_SEARCH: reader.count("web_search_requests", "server_tool_use"),
    }
    _add_iterations(quantities, reader, cache_life)
    tier = raw.get("service_tier")
    return Usage(
        quantities={meter: quantity for meter, quantity in quantities.items() if quantity},
        raw=orjson.dumps(raw),
        flags=tuple(reader.flags),
        service_tier=tier if isinstance(tier, str) else None,
    )


def _cache_writes(reader: CountReader, cache_life: Meter) -> dict[Meter, int]:
    """Writes by life; what the sum has above the split is given the request's own life and flagged."""
    writes = {
        Meter.CACHE_WRITE_5M: reader.count("ephemeral_5m_input_tokens", "cache_creation"),
        Meter.CACHE_WRITE_1H: reader.count("ephemeral_1h_input_tokens", "cache_creation"),
    }
    surplus = reader.count("cache_creation_input_tokens") - sum(writes.values())
    if surplus > 0:
        writes[cache_life] = writes.get(cache_life, 0) + surplus
        reader.flag(FLAG_CACHE_LIFE_ASSUMED)
    elif surplus < 0:
        reader.flag(FLAG_SUBSET_MISMATCH)
    return writes


def _add_iterations(quantities: dict[Meter, int], reader: CountReader, cache_life: Meter) -> None:
    """Compaction is billed but left out of the top-level figures; other models' work is only flagged."""
    iterations = reader.raw.get("iterations")
    for entry in iterations if isinstance(iterations, list) else ():
        if not isinstance(entry, Mapping):
            reader.flag(FLAG_MALFORMED)
        elif entry.get("type") == "compaction":
            compaction = read_usage(entry, cache_life=cache_life)
            for meter, quantity in compaction.quantities.items():
                quantities[meter] = quantities.get(meter, 0) + quantity
        elif entry.get("type") != "message":
            reader.flag(FLAG_OTHER_MODEL)
