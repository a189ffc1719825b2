"""One attempt at an OpenAI-like provider for an OpenAI-speaking caller: bytes in, the same bytes out.

What is looked at is only what money and endings need. Chunks that plainly carry nothing but text go through
on a few searches; their text is read later, and only if somebody asks how much was delivered.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from bursar.adapters.providers import Deployment, PassThrough, ProviderFailure, broken_answer
from bursar.core.sse import EventTooLarge, Framer, frame_of, parse
from bursar.gateway.dialects import ChatCall, Measured
from bursar.gateway.dialects.openai_chat import error_body

DONE = b"data: [DONE]\n\n"
STREAM_MALFORMED = "The provider's stream is malformed."
STREAM_EVENT_TOO_LARGE = "An event of the provider's stream is too large."
_CHUNK_FIELDS = ("id", "object", "created", "model", "system_fingerprint", "service_tier")


class PassThroughExchange:
    """Exchange whose both sides speak OpenAI chat. Frames go byte for byte; usage waits for `tail`."""

    def __init__(
        self,
        call: ChatCall,
        provider: PassThrough,
        deployment: Deployment,
        *,
        secret: str,
        max_tokens: int | None,
    ) -> None:
        request = provider.edit(
            call.raw, deployment, secret=secret, stream=call.stream, max_tokens=max_tokens
        )
        self.path = request.path
        self.headers = request.headers
        self.body = request.body
        self.measured = Measured(read=text_of_frames)
        self._call = call
        self._provider = provider
        self._deployment = deployment
        self._secret = secret
        self._framer = Framer()
        self._envelope: dict[str, Any] = {}
        self._usage: dict[str, Any] | None = None
        self._finished: set[int] = set()

    def opened(self, headers: Mapping[str, str]) -> None:
        self.measured.provider_request_id = headers.get("x-request-id") or headers.get("request-id")

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderFailure:
        return self._provider.failure(status, headers, body, deployment=self._deployment, secret=self._secret)

    def answer(self, status: int, body: bytes) -> bytes:
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
        self._name_request(parsed)
        self.measured.terminal = True
        return body

    def feed(self, chunk: bytes) -> list[bytes]:
        measured = self.measured
        if measured.output_started and not self._framer.pending and is_plain(chunk):
            if measured.error or measured.terminal:
                return []
            measured.deliver_later(chunk)
            return [chunk]
        try:
            frames = self._framer.feed(chunk)
        except EventTooLarge:
            measured.error = measured.error or broken_answer(STREAM_EVENT_TOO_LARGE)
            return []
        return self._pass_on(frames)

    def end(self) -> list[bytes]:
        rest = self._framer.finish()
        frames = self._pass_on([rest]) if rest.strip() else []
        if len(self._finished) >= self._call.n:
            self.measured.terminal = True
        return frames

    def tail(self, cost: Mapping[str, Any] | None) -> list[bytes]:
        if not self._call.include_usage:
            return [DONE]
        chunk = {
            "object": "chat.completion.chunk",
            **self._envelope,
            "choices": [],
            "usage": {**(self._usage or self._estimated(cost or {})), **(cost or {})},
        }
        return [frame_of(orjson.dumps(chunk)), DONE]

    def cut(self, code: str, message: str) -> list[bytes]:
        return [frame_of(error_body(502, code, message)), DONE]

    def _pass_on(self, frames: list[bytes]) -> list[bytes]:
        passed = []
        for frame in frames:
            if self.measured.error or self.measured.terminal:
                break
            kept = self._read_frame(frame)
            if kept:
                passed.append(kept)
        return passed

    def _read_frame(self, frame: bytes) -> bytes:
        """Note what a frame says; answer the bytes the caller gets of it, possibly none."""
        event = parse(frame)
        if event is None:
            return frame
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
            self.measured.error = self._provider.failure(
                200, {}, event.data, deployment=self._deployment, secret=self._secret
            )
            return b""
        return self._read_chunk(chunk, frame)

    def _read_chunk(self, chunk: dict[str, Any], frame: bytes) -> bytes:
        if not self._envelope:
            self._envelope = {name: chunk[name] for name in _CHUNK_FIELDS if name in chunk}
            self._name_request(chunk)
        choices = chunk.get("choices")
        if isinstance(choices, list):
            for choice in choices:
                self._read_choice(choice, "delta")
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
        self._usage = usage
        self.measured.usage = self._provider.usage(
            usage, service_tier=tier if isinstance(tier, str) else None
        )
        return True

    def _read_choice(self, choice: object, key: str) -> None:
        if not isinstance(choice, dict):
            return
        self.measured.deliver(text_of(choice.get(key)))
        reason = choice.get("finish_reason")
        if isinstance(reason, str):
            self.measured.finish(reason)
            index = choice.get("index")
            self._finished.add(index if isinstance(index, int) else 0)

    def _name_request(self, parsed: Mapping[str, Any]) -> None:
        identity = parsed.get("id")
        if self.measured.provider_request_id is None and isinstance(identity, str):
            self.measured.provider_request_id = identity

    def _estimated(self, cost: Mapping[str, Any]) -> dict[str, int]:
        sent = int(cost.get("input_tokens", self._call.input_tokens))
        came = int(cost.get("output_tokens", self.measured.delivered_tokens))
        return {"prompt_tokens": sent, "completion_tokens": came, "total_tokens": sent + came}


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
        and b"\r" not in chunk
        and chunk.count(b'"finish_reason"') == chunk.count(b'"finish_reason":null')
        and chunk.count(b'"usage"') == chunk.count(b'"usage":null')
    )


def text_of_frames(frames: bytes) -> str:
    """All output text in whole frames that `is_plain` let through; what does not parse counts as written."""
    texts = []
    for frame in frames.split(b"\n\n"):
        try:
            chunk = orjson.loads(frame.removeprefix(b"data: ")) if frame else {}
        except orjson.JSONDecodeError:
            texts.append(frame.decode("utf-8", "replace"))
            continue
        texts.extend(
            text_of(choice.get("delta")) for choice in chunk.get("choices") or () if isinstance(choice, dict)
        )
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
