"""Usage of a response, mapped to disjoint classes.

Source: OpenAI's API reference, schema `ResponseUsage`, and its Python SDK for the split of cache writes.
`input_tokens` includes cached and written tokens; `output_tokens` includes reasoning.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from bursar.adapters.providers import USAGE_INCOMPLETE
from bursar.adapters.providers.counts import FLAG_SUBSET_MISMATCH, CountReader, split
from bursar.core.usage import Meter, Usage

FLAG_TOTAL_MISMATCH = "usage_total_mismatch"
_DETAILS = "input_tokens_details"
_LIVES = {"ttl_30m_tokens": Meter.CACHE_WRITE_30M, "ttl_12h_tokens": Meter.CACHE_WRITE_12H}


def read_usage(raw: Mapping[str, Any], *, service_tier: str | None = None) -> Usage | None:
    """The disjoint form; what does not add up is flagged, never guessed.

    `None` when neither input nor output is counted. When one of them is missing and no sum tells it, the
    usage is flagged `USAGE_INCOMPLETE`.
    """
    reader = CountReader(raw)
    sent, came = reader.optional("input_tokens"), reader.optional("output_tokens")
    total = reader.optional("total_tokens")
    if sent is None and came is None:
        return None
    if total is None and (sent is None or came is None):
        reader.flag(USAGE_INCOMPLETE)
    sent = max(0, (total or 0) - (came or 0)) if sent is None else sent
    came = max(0, (total or 0) - sent) if came is None else came
    reasoned = reader.count("reasoning_tokens", "output_tokens_details")
    if reasoned and total == sent + came + reasoned:
        came += reasoned  # this server counts reasoning beside the visible output
    if total not in {None, sent + came}:
        reader.flag(FLAG_TOTAL_MISMATCH)
    parts = {Meter.CACHE_READ: reader.count("cached_tokens", _DETAILS), **_cache_writes(reader)}
    quantities = {
        **split(Meter.IN_FRESH, sent, parts, reader),
        **split(Meter.OUT_TEXT, came, {Meter.OUT_REASONING: reasoned}, reader),
    }
    return Usage(
        quantities={meter: quantity for meter, quantity in quantities.items() if quantity},
        raw=orjson.dumps(raw),
        flags=tuple(reader.flags),
        service_tier=service_tier,
    )


def _cache_writes(reader: CountReader) -> dict[Meter, int]:
    """Writes by life; what the sum has above the split lives as long as the API's default, 30 minutes."""
    details = reader.raw.get(_DETAILS)
    lives = details.get("cache_write_tokens_details") if isinstance(details, Mapping) else None
    of_lives = CountReader(lives if isinstance(lives, Mapping) else {})
    writes = {meter: of_lives.count(name) for name, meter in _LIVES.items()}
    for name in of_lives.flags:
        reader.flag(name)
    told = reader.count("cache_write_tokens", _DETAILS)
    surplus = told - sum(writes.values())
    if surplus > 0:
        writes[Meter.CACHE_WRITE_30M] += surplus
    elif surplus < 0 and told:
        reader.flag(FLAG_SUBSET_MISMATCH)
    return writes
