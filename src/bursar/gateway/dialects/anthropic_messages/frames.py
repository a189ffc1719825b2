"""Frames of Anthropic's event streams, and the usage object they tell."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from bursar.core.usage import CACHE_WRITE_METERS, INPUT_METERS, Meter, Usage
from bursar.gateway.dialects import Call
from bursar.gateway.dialects.anthropic_messages.errors import error_body

KEEP_ALIVE: Final = b'event: ping\ndata: {"type":"ping"}\n\n'
"""While a model thinks in silence, the caller's proxies must not take the connection for dead."""
STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

_CACHE_READS: Final = frozenset({Meter.CACHE_READ, Meter.CACHE_READ_AUDIO, Meter.CACHE_READ_IMAGE})
_TOLD: Final = ("cost", "currency", "balance")
_TIERS: Final = frozenset({"standard", "priority", "batch"})


def event_frame(kind: str, **fields: Any) -> bytes:
    """One named event."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields}))


def cut_frames(code: str, message: str, status: int) -> list[bytes]:
    """An error event: Anthropic's streams end with it, without a `message_stop`."""
    return [b"event: error\ndata: " + error_body(status, code, message) + b"\n\n"]


def delta_frames(delta: Mapping[str, Any], cost: Mapping[str, Any] | None) -> list[bytes]:
    """The last two events: the `message_delta` with the cost told in its usage, and `message_stop`.

    Only what Anthropic has no words for is added: its own `input_tokens` leaves out what the cache gave.
    """
    told = {name: (cost or {})[name] for name in _TOLD if name in (cost or {})}
    fields = {**delta, "usage": {**usage_in(delta), **told}}
    fields.pop("type", None)
    return [event_frame("message_delta", **fields), STOP]


def usage_in(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """The usage an event tells; nothing where what stands there is none."""
    usage = said.get("usage")
    return usage if isinstance(usage, dict) else {}


def told_usage(call: Call, cost: Mapping[str, Any] | None, delivered_tokens: int) -> dict[str, Any]:
    """The usage where the provider told none: the estimate that was charged, or our own count."""
    return {
        "input_tokens": int((cost or {}).get("input_tokens", call.input_tokens)),
        "output_tokens": int((cost or {}).get("output_tokens", delivered_tokens)),
    }


def usage_object(usage: Usage) -> dict[str, Any]:
    """Anthropic's `usage`: `input_tokens` leaves out what was read from and written to the cache."""
    fresh = INPUT_METERS - CACHE_WRITE_METERS - _CACHE_READS
    told: dict[str, Any] = {
        "input_tokens": sum(usage.quantity(meter) for meter in fresh),
        "cache_creation_input_tokens": sum(usage.quantity(meter) for meter in CACHE_WRITE_METERS),
        "cache_read_input_tokens": sum(usage.quantity(meter) for meter in _CACHE_READS),
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.quantity(Meter.CACHE_WRITE_5M),
            "ephemeral_1h_input_tokens": usage.quantity(Meter.CACHE_WRITE_1H),
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"thinking_tokens": usage.quantity(Meter.OUT_REASONING)},
        "service_tier": usage.service_tier if usage.service_tier in _TIERS else None,
    }
    if usage.quantity(Meter.WEB_SEARCH):
        searches = usage.quantity(Meter.WEB_SEARCH)
        told["server_tool_use"] = {"web_search_requests": searches, "web_fetch_requests": 0}
    return told
