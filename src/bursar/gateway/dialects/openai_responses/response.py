"""The response object and the events that carry it, as OpenAI writes them.

Source: OpenAI's API reference, schemas `Response`, `ResponseUsage` and the events of `ResponseStreamEvent`.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from bursar.core.usage import CACHE_WRITE_METERS, Meter, Usage
from bursar.gateway.dialects import Call
from bursar.gateway.dialects.openai_chat.errors import error_type

KEEP_ALIVE: Final = b": keep-alive\n\n"
_ECHOED = (
    "instructions", "max_output_tokens", "max_tool_calls", "metadata", "parallel_tool_calls",
    "prompt_cache_key", "safety_identifier", "temperature", "tool_choice", "tools", "top_logprobs", "top_p",
    "truncation", "user",
)  # fmt: skip
_DEFAULTS: Mapping[str, Any] = {
    "background": False,
    "completed_at": None,
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "output": [],
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "service_tier": "default",
    "store": False,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "usage": None,
    "user": None,
}
_CACHE_READS = (Meter.CACHE_READ, Meter.CACHE_READ_AUDIO, Meter.CACHE_READ_IMAGE)


def begun(call: Call, *, response_id: str, created_s: int, model: str) -> dict[str, Any]:
    """A response of which nothing has been said yet; it repeats what was asked."""
    raw = call.raw
    text, reasoning = raw.get("text") or {}, raw.get("reasoning") or {}
    response = {
        "id": response_id,
        "object": "response",
        "created_at": created_s,
        "status": "in_progress",
        "model": model,
        **_DEFAULTS,
        **{name: raw[name] for name in _ECHOED if raw.get(name) is not None},
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "text": {"verbosity": "medium", **text, "format": text.get("format") or {"type": "text"}},
    }
    name_ties(call, response)
    return response


def name_ties(call: Call, response: dict[str, Any]) -> None:
    """Write into a response whether it is kept here and which one it continues."""
    memory = call.memory
    if memory is not None:
        response["store"] = memory.keeps
        response["previous_response_id"] = memory.previous_id


def usage_object(usage: Usage) -> dict[str, Any]:
    """The usage of a response: its totals include the cached, written and reasoned tokens of the details."""
    sent, came = usage.input_tokens, usage.output_tokens
    written = sum(usage.quantity(meter) for meter in CACHE_WRITE_METERS)
    details: dict[str, Any] = {
        "cached_tokens": sum(usage.quantity(meter) for meter in _CACHE_READS),
        "cache_write_tokens": written,
    }
    if written:
        details["cache_write_tokens_details"] = {
            "ttl_30m_tokens": usage.quantity(Meter.CACHE_WRITE_30M),
            "ttl_12h_tokens": usage.quantity(Meter.CACHE_WRITE_12H),
        }
    return {
        "input_tokens": sent,
        "input_tokens_details": details,
        "output_tokens": came,
        "output_tokens_details": {"reasoning_tokens": usage.quantity(Meter.OUT_REASONING)},
        "total_tokens": sent + came,
    }


def told_usage(cost: Mapping[str, Any]) -> dict[str, Any]:
    """The usage where the provider told none: the estimate that was charged."""
    sent, came = int(cost.get("input_tokens", 0)), int(cost.get("output_tokens", 0))
    return {
        "input_tokens": sent,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": came,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": sent + came,
    }


def with_cost(usage: Mapping[str, Any] | None, cost: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A usage object with the bill in it; None where nothing is known."""
    if cost is None:
        return None if usage is None else dict(usage)
    return {**(told_usage(cost) if usage is None else usage), **cost}


def event_frame(kind: str, sequence: int, **said: Any) -> bytes:
    """One event of the stream."""
    event = {"type": kind, "sequence_number": sequence, **said}
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(event))


def failure_frames(  # noqa: PLR0913 - the parts of the two last events
    call: Call,
    response: Mapping[str, Any] | None,
    sequence: int,
    *,
    code: str,
    message: str,
    status: int,
) -> list[bytes]:
    """How a stream ends that broke: `response.failed` with what is billed, then an `error`.

    The documented error event is flat; the object in its `error` is what makes OpenAI's own clients raise
    instead of taking a cut answer for a whole one.
    """
    bill = None if call.memory is None else call.memory.bill
    told = {"type": error_type(status), "code": code, "message": message, "param": None}
    frames = []
    if response is not None:
        failed = {
            **response,
            "status": "failed",
            "error": {"code": code, "message": message},
            "usage": with_cost(None, bill),
        }
        frames.append(event_frame("response.failed", sequence, response=failed))
        sequence += 1
    frames.append(event_frame("error", sequence, code=code, message=message, param=None, error=told))
    return frames
