"""One attempt at Anthropic for a caller who speaks its dialect: bytes in, the same bytes out.

What is looked at is only what money and endings need. Chunks that plainly carry nothing but pieces of text
go through on a few searches; their text is read later, and only if somebody asks how much was delivered. The
last `message_delta` is withheld until the request is settled: it tells the cost.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from bursar.adapters.providers import Attempt, PassThrough, Provider, broken_answer
from bursar.core.sse import parse
from bursar.core.usage import Usage
from bursar.gateway.dialects import Call
from bursar.gateway.dialects.anthropic_messages.finishes import FINISH_OF
from bursar.gateway.dialects.anthropic_messages.frames import cut_frames, delta_frames, told_usage, usage_in
from bursar.gateway.dialects.exchanges import FAILED, STREAM_MALFORMED, SseExchange

FLAG_CACHE_LIFE_ASSUMED: Final = "cache_write_life_assumed"
FRAME_START: Final = b'event: content_block_delta\ndata: {"type":"content_block_delta",'
_LINES_PER_FRAME: Final = 3
_LIVES: Final = {"5m": "ephemeral_5m_input_tokens", "1h": "ephemeral_1h_input_tokens"}
_BEGINNING: Final = "message_start"
_ENDING: Final = "message_delta"


class PassThroughExchange(SseExchange):
    """Exchange whose both sides speak Anthropic's messages. Frames go byte for byte."""

    def __init__(self, call: Call, provider: Provider, surface: PassThrough, attempt: Attempt) -> None:
        request = surface.edit(call.raw, attempt, stream=call.stream, headers=call.headers)
        super().__init__(call, provider, attempt, request)
        self._read_usage_of = surface.usage
        self._usage: dict[str, Any] = {}
        self._withheld: dict[str, Any] | None = None
        self._withheld_frame = b""
        self._last_delta: dict[str, Any] = {}

    def answer(self, status: int, body: bytes) -> bytes:
        """The body itself, once it is known to be an answer."""
        try:
            parsed = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise broken_answer("The provider's answer is not JSON.") from None
        if not isinstance(parsed, dict):
            raise broken_answer("The provider's answer is not an object.")
        if parsed.get("type") == "error" or parsed.get("error"):
            raise self.error(status, {}, body)
        if not isinstance(parsed.get("content"), list):
            raise broken_answer("The provider's answer has no content.")
        for block in parsed["content"]:
            self.measured.deliver(text_of_block(block))
        self._name_request(parsed)
        self._note_stop(parsed)
        self._take_usage(parsed.get("usage"), final=True)
        self.measured.terminal = True
        return body

    def feed(self, chunk: bytes) -> list[bytes]:
        """Frames ready for the caller; a plain chunk is handed on as it is."""
        measured = self.measured
        if measured.output_started and self._withheld is None and not self._framer.pending:
            if measured.error or measured.terminal:
                return []
            if is_plain(chunk):
                measured.deliver_later(chunk)
                return [chunk]
        return super().feed(chunk)

    def tail(self, cost: Mapping[str, Any] | None) -> list[bytes]:
        """The withheld `message_delta`, with the cost in its usage, and the end."""
        delta = self._last_delta or {"delta": {"stop_reason": None, "stop_sequence": None}}
        if self.measured.usage is None or not self.measured.usage_final:
            told = told_usage(self._call, cost, self.measured.delivered_tokens)
            delta = {**delta, "usage": {**usage_in(delta), **told}}
        return delta_frames(delta, cost)

    def cut(self, code: str, message: str, status: int = FAILED) -> list[bytes]:
        """An error event, which ends such a stream."""
        return cut_frames(code, message, status)

    def _read_frame(self, frame: bytes) -> bytes:
        event = parse(frame)
        if event is None:
            return frame if frame.startswith(b":") and frame.isascii() else b""
        try:
            said = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            said = None
        if not isinstance(said, dict):
            self.measured.error = broken_answer(STREAM_MALFORMED)
            return b""
        kind = said.get("type") or event.name
        if kind == "error" or event.name == "error":
            self.measured.error = self.error(200, {}, event.data)
            return b""
        if kind == "message_stop":
            self.measured.terminal = True
            return b""
        return self._read_event(kind, said, frame)

    def _read_event(self, kind: str, said: dict[str, Any], frame: bytes) -> bytes:
        if kind == "ping":
            return frame
        if kind == _ENDING:
            earlier = self._withheld_frame
            self._withhold(said, frame)
            return earlier
        if kind == _BEGINNING:
            self._begin(said.get("message"))
        elif kind == "content_block_start":
            self.measured.deliver(text_of_block(said.get("content_block")))
        elif kind == "content_block_delta":
            self.measured.deliver(text_of_delta(said.get("delta")))
        return self._release() + frame

    def _withhold(self, said: dict[str, Any], frame: bytes) -> None:
        """Keep what may be the last word on usage; an earlier one turned out not to be."""
        self._withheld, self._withheld_frame = said, frame
        self._last_delta = said
        delta = said.get("delta")
        if isinstance(delta, dict):
            self._note_stop(delta)
        self._take_usage(said.get("usage"), final=True)

    def _release(self) -> bytes:
        """What was withheld although more was to come."""
        frame, self._withheld, self._withheld_frame = self._withheld_frame, None, b""
        return frame

    def _begin(self, message: object) -> None:
        if isinstance(message, dict):
            self._name_request(message)
            self._take_usage(message.get("usage"), final=False)

    def _take_usage(self, raw: object, *, final: bool) -> None:
        """Note cumulative figures: what a later report leaves out or nulls stays.

        The output told before there is any is a placeholder: until a `message_delta` counts it, it is none.
        """
        if not isinstance(raw, dict):
            return
        self._usage = {**self._usage, **{name: value for name, value in raw.items() if value is not None}}
        is_final = self.measured.usage_final or (final and raw.get("output_tokens") is not None)
        counted = self._usage if is_final else {**self._usage, "output_tokens": 0}
        usage = self._with_life(counted)
        if usage is not None:
            self.measured.report(usage, final=is_final)

    def _with_life(self, counted: dict[str, Any]) -> Usage | None:
        """Cache writes that came without their life are given the longest one this request asked for."""
        surplus = unsplit(counted)
        if surplus <= 0 or not _asks_for_an_hour(self._call.raw):
            return self._read_usage_of(counted, service_tier=None)
        split = counted.get("cache_creation")
        split = split if isinstance(split, dict) else {}
        hour = _LIVES["1h"]
        lived = {**counted, "cache_creation": {**split, hour: (split.get(hour) or 0) + surplus}}
        usage = self._read_usage_of(lived, service_tier=None)
        if usage is None:
            return None
        return replace(usage, raw=orjson.dumps(counted), flags=(*usage.flags, FLAG_CACHE_LIFE_ASSUMED))

    def _note_stop(self, source: Mapping[str, Any]) -> None:
        reason = source.get("stop_reason")
        if isinstance(reason, str):
            finish = FINISH_OF.get(reason)
            self.measured.finish(reason if finish is None else finish.value)

    def _name_request(self, message: Mapping[str, Any]) -> None:
        identity = message.get("id")
        if self.measured.provider_request_id is None and isinstance(identity, str):
            self.measured.provider_request_id = identity

    @staticmethod
    def _text_of(frames: bytes) -> str:
        return text_of_frames(frames)


def is_plain(chunk: bytes) -> bool:
    """Whether a chunk is whole `content_block_delta` events and nothing else.

    JSON holds no line ends, and an unescaped quote cannot stand inside a JSON string, so the searches are
    certain; what looks unusual is read in full instead.
    """
    if (
        not (chunk.startswith(FRAME_START) and chunk.endswith(b"}\n\n"))
        or b'"error"' in chunk
        or b"\r" in chunk
    ):
        return False
    lines = chunk.count(b"\n")
    return (
        lines == _LINES_PER_FRAME
        or lines == _LINES_PER_FRAME * chunk.count(b"\n\n" + FRAME_START) + _LINES_PER_FRAME
    )


def text_of_frames(frames: bytes) -> str:
    """All output text in whole frames that `is_plain` let through; what does not parse counts as written."""
    texts = []
    for frame in frames.split(b"\n\n"):
        if not frame:
            continue
        try:
            said = orjson.loads(frame.partition(b"\ndata: ")[2])
        except orjson.JSONDecodeError:
            texts.append(frame.decode("utf-8", "replace"))
            continue
        texts.append(text_of_delta(said.get("delta")))
    return "".join(texts)


def text_of_delta(delta: object) -> str:
    """The output text of a block's delta: words, thoughts, a tool's input."""
    if not isinstance(delta, dict):
        return ""
    texts = (delta.get("text"), delta.get("thinking"), delta.get("partial_json"))
    return "".join(text for text in texts if isinstance(text, str))


def text_of_block(block: object) -> str:
    """The output text of a whole block, or of one that begins: words, thoughts, a tool's name and input.

    Results of the provider's own tools are no output: the model reads them.
    """
    if not isinstance(block, dict):
        return ""
    texts = [block.get("text"), block.get("thinking"), block.get("name")]
    given = block.get("input")
    if given:
        texts.append(orjson.dumps(given).decode())
    return "".join(text for text in texts if isinstance(text, str))


def unsplit(usage: Mapping[str, Any]) -> int:
    """Cache writes above what was told by life; 0 where figures make no sense, which is flagged elsewhere."""
    whole, split = usage.get("cache_creation_input_tokens"), usage.get("cache_creation")
    parts = [split.get(name) or 0 for name in _LIVES.values()] if isinstance(split, dict) else []
    if type(whole) is not int or any(type(part) is not int for part in parts):
        return 0
    return whole - sum(parts)


def _asks_for_an_hour(raw: Mapping[str, Any]) -> bool:
    """Whether any cache mark of the request asks for the long life."""
    return b'"ttl":"1h"' in orjson.dumps(raw)
