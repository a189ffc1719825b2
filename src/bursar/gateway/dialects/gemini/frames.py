"""Chunks of the Gemini API's streams: as server-sent events, or as elements of one JSON array that grows."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from bursar.core.sse import frame_of
from bursar.core.usage import Meter, Usage
from bursar.gateway.dialects import EVENT_STREAM, Call
from bursar.gateway.dialects.gemini.errors import error_object

KEEP_ALIVE: Final = b"\n\n"
"""Means nothing in either framing. A comment would: Google's own SDK takes its text for JSON."""
TOLD: Final = ("cost", "currency", "balance")
_MODALITIES: Final[Mapping[Meter, str]] = {
    Meter.IN_AUDIO: "AUDIO",
    Meter.IN_IMAGE: "IMAGE",
    Meter.IN_VIDEO: "VIDEO",
    Meter.CACHE_READ_AUDIO: "AUDIO",
    Meter.CACHE_READ_IMAGE: "IMAGE",
}
_CACHE_READS: Final = (Meter.CACHE_READ, Meter.CACHE_READ_AUDIO, Meter.CACHE_READ_IMAGE)


class Frames:
    """Writes the chunks of one stream in the framing that was asked for."""

    def __init__(self, call: Call) -> None:
        self._sse = call.stream_type == EVENT_STREAM
        self._began = False

    def of(self, data: bytes) -> bytes:
        """One chunk, which is JSON without line ends."""
        if self._sse:
            return frame_of(data)
        opening = b",\n" if self._began else b"["
        self._began = True
        return opening + data

    def last(self, data: bytes) -> list[bytes]:
        """The last chunk, and what closes the stream."""
        closing = [] if self._sse else [b"]"]
        return [self.of(data), *closing]

    def error(self, code: str, message: str, status: int) -> list[bytes]:
        """An error in place of more chunks."""
        return self.last(orjson.dumps(error_object(status, code, message)))


def told_cost(cost: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a stream's last usage says of the bill; clients that do not know the names pass over them."""
    return {name: (cost or {})[name] for name in TOLD if name in (cost or {})}


def told_usage(call: Call, cost: Mapping[str, Any] | None, delivered_tokens: int) -> dict[str, Any]:
    """The usage where the provider told none: the estimate that was charged, or our own count."""
    sent = int((cost or {}).get("input_tokens", call.input_tokens))
    came = int((cost or {}).get("output_tokens", delivered_tokens))
    return {"promptTokenCount": sent, "candidatesTokenCount": came, "totalTokenCount": sent + came}


def usage_object(usage: Usage) -> dict[str, Any]:
    """Google's `usageMetadata`: cached tokens inside the prompt, thoughts and tool use beside the rest."""
    thoughts, tool_use = usage.quantity(Meter.OUT_REASONING), usage.quantity(Meter.IN_TOOL)
    prompt, came = usage.input_tokens - tool_use, usage.output_tokens - thoughts
    cached = sum(usage.quantity(meter) for meter in _CACHE_READS)
    told: dict[str, Any] = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": came,
        "totalTokenCount": prompt + came + thoughts + tool_use,
        "promptTokensDetails": _details(usage, prompt),
    }
    beside = {
        "cachedContentTokenCount": cached,
        "thoughtsTokenCount": thoughts,
        "toolUsePromptTokenCount": tool_use,
    }
    return told | {name: count for name, count in beside.items() if count}


def _details(usage: Usage, prompt: int) -> list[dict[str, Any]]:
    by_modality: dict[str, int] = {}
    for meter, name in _MODALITIES.items():
        if usage.quantity(meter):
            by_modality[name] = by_modality.get(name, 0) + usage.quantity(meter)
    text = prompt - sum(by_modality.values())
    listed = {"TEXT": text, **by_modality} if text > 0 else by_modality
    return [{"modality": name, "tokenCount": count} for name, count in listed.items()]
