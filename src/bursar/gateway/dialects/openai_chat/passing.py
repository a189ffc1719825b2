"""One attempt at an OpenAI-like provider for an OpenAI-speaking caller: bytes in, the same bytes out.

What is looked at is only what money and endings need. Chunks that plainly carry nothing but text go through
on a few searches; their text is read later, and only if somebody asks how much was delivered.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from bursar.adapters.providers import USAGE_INCOMPLETE, Attempt, PassThrough, Provider, broken_answer
from bursar.adapters.providers.openai_chat.answer import broken_finish
from bursar.core.sse import frame_of, parse
from bursar.gateway.dialects import Call
from bursar.gateway.dialects.charges import is_charged, without_charges
from bursar.gateway.dialects.exchanges import FAILED, STREAM_MALFORMED, SseExchange
from bursar.gateway.dialects.openai_chat.writing import cut_frames, tail_frames, told_usage

_CHUNK_FIELDS = ("id", "object", "created", "model", "system_fingerprint", "service_tier")


class PassThroughExchange(SseExchange):
    """Exchange whose both sides speak OpenAI chat. Frames go byte for byte; usage waits for `tail`."""

    def __init__(self, call: Call, provider: Provider, surface: PassThrough, attempt: Attempt) -> None:
        request = surface.edit(call.raw, attempt, stream=call.stream, headers=call.headers)
        super().__init__(call, provider, attempt, request)
        self._read_usage_of = surface.usage
        self._shared: dict[str, Any] = {}
        self._usage: dict[str, Any] | None = None
        self._finished: set[int] = set()

    def answer(self, status: int, body: bytes) -> bytes:
        """The body itself, once it is known to be an answer."""
        try:
            parsed = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise broken_answer("The provider's answer is not JSON.") from None
        if not isinstance(parsed, dict):
            raise broken_answer("The provider's answer is not an object.")
        if parsed.get("error"):
            raise self.error(status, {}, body)
        if not isinstance(parsed.get("choices"), list):
            raise broken_answer("The provider's answer has no choices.")
        self._read_usage(parsed)
        for choice in parsed["choices"]:
            self._read_choice(choice, "message")
        if self.measured.error:
            raise self.measured.error
        self._name_request(parsed)
        self.measured.terminal = True
        if not is_charged(parsed.get("usage")):
            return body
        return orjson.dumps({**parsed, "usage": without_charges(parsed["usage"])})

    def feed(self, chunk: bytes) -> list[bytes]:
        """Frames ready for the caller; a plain chunk is handed on as it is."""
        measured = self.measured
        if measured.output_started and not self._framer.pending and is_plain(chunk):
            if measured.error or measured.terminal:
                return []
            measured.deliver_later(chunk)
            return [chunk]
        return super().feed(chunk)

    def end(self) -> list[bytes]:
        """As in the protocol; every choice finished counts as complete even without the end marker."""
        frames = super().end()
        if len(self._finished) >= self._call.n and not self.measured.error:
            self.measured.terminal = True
        return frames

    def tail(self, cost: Mapping[str, Any] | None) -> list[bytes]:
        """The usage chunk, if it was asked for, and the end marker."""
        usage = self._usage or told_usage(self._call, cost, self.measured.delivered_tokens)
        return tail_frames(self._call, self._shared, usage, cost)

    def cut(self, code: str, message: str, status: int = FAILED) -> list[bytes]:
        """An error event and the end marker."""
        return cut_frames(code, message, status)

    def _read_frame(self, frame: bytes) -> bytes:
        event = parse(frame)
        if event is None:
            return frame if is_keepalive(frame) else b""
        if event.data == b"[DONE]":
            self.measured.terminal = True
            return b""
        try:
            chunk = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            chunk = None
        if not isinstance(chunk, dict):
            self.measured.error = broken_answer(STREAM_MALFORMED)
            return b""
        if chunk.get("error") or event.name == "error":
            self.measured.error = self.error(200, {}, event.data)
            return b""
        return self._read_chunk(chunk, frame)

    def _read_chunk(self, chunk: dict[str, Any], frame: bytes) -> bytes:
        if not self._shared and (chunk.get("id") or chunk.get("choices")):  # Azure's first chunk has neither
            self._shared = {name: chunk[name] for name in _CHUNK_FIELDS if name in chunk}
            self._name_request(chunk)
        choices = chunk.get("choices")
        if isinstance(choices, list):
            for choice in choices:
                self._read_choice(choice, "delta")
        if self.measured.error:
            self._read_usage(chunk)
            return b""
        if not self._read_usage(chunk):
            return frame
        if not choices:
            return b""
        chunk["usage"] = None
        return frame_of(orjson.dumps(chunk))

    def _read_usage(self, parsed: Mapping[str, Any]) -> bool:
        usage = parsed.get("usage")
        if not isinstance(usage, dict):
            return False
        tier = parsed.get("service_tier")
        read = self._read_usage_of(usage, service_tier=tier if isinstance(tier, str) else None)
        if read is not None:
            self._usage = without_charges(usage)
            self.measured.report(read, final=USAGE_INCOMPLETE not in read.flags)
        return True

    def _read_choice(self, choice: object, key: str) -> None:
        if not isinstance(choice, dict):
            return
        reason = choice.get("finish_reason")
        broken = broken_finish(reason) if isinstance(reason, str) else None
        if broken is not None:
            self.measured.error = broken
            return
        self.measured.deliver(text_of(choice.get(key)))
        if isinstance(reason, str):
            self.measured.finish(reason)
            index = choice.get("index")
            self._finished.add(index if isinstance(index, int) else 0)

    def _name_request(self, parsed: Mapping[str, Any]) -> None:
        identity = parsed.get("id")
        if self.measured.provider_request_id is None and isinstance(identity, str) and identity:
            self.measured.provider_request_id = identity

    @staticmethod
    def _text_of(frames: bytes) -> str:
        return text_of_frames(frames)


def is_plain(chunk: bytes) -> bool:
    """Whether a chunk is whole one-line events of JSON objects without usage, finish reason or error.

    An unescaped quote cannot stand inside a JSON string, so `"usage"` in the bytes is a real key or value and
    its absence is certain; what looks unusual is read in full instead.
    """
    return (
        chunk.startswith(b"data: {")
        and chunk.endswith(b"}\n\n")
        and chunk.count(b"\n") == 2 * chunk.count(b"}\n\ndata: {") + 2
        and b'"error"' not in chunk
        and chunk.count(b'"finish_reason"') == chunk.count(b'"finish_reason":null')
        and chunk.count(b'"usage"') == chunk.count(b'"usage":null')
    )


def is_keepalive(frame: bytes) -> bool:
    """Whether a frame without data is a comment; other bytes may be such as callers cannot even decode."""
    return frame.startswith(b":") and frame.isascii()


def text_of_frames(frames: bytes) -> str:
    """All output text in whole frames that `is_plain` let through; what does not parse counts as written."""
    texts = []
    for frame in frames.split(b"\n\n"):
        try:
            chunk = orjson.loads(frame.removeprefix(b"data: ")) if frame else {}
        except orjson.JSONDecodeError:
            texts.append(frame.decode("utf-8", "replace"))
            continue
        choices = chunk.get("choices")
        parts = choices if isinstance(choices, list) else ()
        texts.extend(text_of(choice.get("delta")) for choice in parts if isinstance(choice, dict))
    return "".join(texts)


def text_of(message: object) -> str:
    """The output text of a message or a delta: content, refusal, reasoning, tool calls."""
    if not isinstance(message, dict):
        return ""
    content = message.get("content")
    if len(message) == 1 and isinstance(content, str):
        return content
    texts = [content, message.get("refusal"), message.get("reasoning_content"), message.get("reasoning")]
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = (call.get("function") or call.get("custom")) if isinstance(call, dict) else None
        if isinstance(function, dict):
            texts += [function.get("name"), function.get("arguments"), function.get("input")]
    function = message.get("function_call")
    if isinstance(function, dict):
        texts += [function.get("name"), function.get("arguments")]
    return "".join(text for text in texts if isinstance(text, str))
