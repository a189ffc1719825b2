"""Canonical answers and events, written as the Gemini API's responses and chunks."""

from collections.abc import Mapping
from typing import Any, Final, assert_never

import orjson

from bursar.core.chat import (
    ChatAnswer,
    ChatEvent,
    Finish,
    Finished,
    Started,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingDone,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
)
from bursar.core.usage import Usage
from bursar.gateway.dialects import Call
from bursar.gateway.dialects.gemini.frames import KEEP_ALIVE, Frames, told_cost, told_usage, usage_object
from bursar.gateway.dialects.gemini.thoughts import sealed

FINISH: Final[Mapping[Finish, str]] = {
    Finish.STOP: "STOP",
    Finish.LENGTH: "MAX_TOKENS",
    Finish.TOOL_CALLS: "STOP",
    Finish.CONTENT_FILTER: "SAFETY",
}
MALFORMED: Final = "MALFORMED_FUNCTION_CALL"
_SILENCE: Final[dict[str, Any]] = {"text": ""}


def candidate(
    parts: list[dict[str, Any]], finish: str | None = None, message: str | None = None
) -> dict[str, Any]:
    """The one candidate of an answer or a chunk."""
    written: dict[str, Any] = {"content": {"parts": parts, "role": "model"}}
    if finish is not None:
        written["finishReason"] = finish
    if message is not None:
        written["finishMessage"] = message
    return {**written, "index": 0}


def call_part(call_id: str, name: str, arguments: str) -> dict[str, Any] | None:
    """A function call, whole; None when its arguments are no JSON object: they were cut short."""
    try:
        given = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        return None
    if not isinstance(given, dict):
        return None
    return {"functionCall": {"id": call_id, "name": name, "args": given}}


def _thought(thinking: Thinking) -> dict[str, Any]:
    signature = sealed(thinking)
    part: dict[str, Any] = {"text": thinking.text, "thought": True}
    return part if signature is None else {**part, "thoughtSignature": signature}


class GeminiWriter:
    """Writes one answer: whole, or a stream's events as chunks; a function call once it is whole."""

    keep_alive = KEEP_ALIVE

    def __init__(self, call: Call) -> None:
        self._call = call
        self._frames = Frames(call)
        self._frame: dict[str, Any] = {"modelVersion": call.model, "responseId": ""}
        self._open: ToolCallStarted | None = None
        self._arguments: list[str] = []
        self._finish: str | None = None
        self._message: str | None = None

    def answer(self, answer: ChatAnswer) -> bytes:
        """A whole response."""
        parts: list[dict[str, Any]] = []
        finish = FINISH[answer.finish]
        for part in answer.parts:
            written = _part(part)
            if written is not None:
                parts.append(written)
            elif answer.finish is not Finish.LENGTH:
                finish = MALFORMED
        body = {
            "candidates": [candidate(parts or [_SILENCE], finish, answer.refusal)],
            **({} if answer.usage is None else {"usageMetadata": usage_object(answer.usage)}),
            "modelVersion": answer.model or self._call.model,
            "responseId": answer.id,
        }
        return orjson.dumps(body)

    def write(self, event: ChatEvent) -> bytes:
        """The chunk of one event, empty where there is nothing to say yet."""
        match event:
            case Started(id=identity, model=model):
                self._frame = {"modelVersion": model or self._call.model, "responseId": identity}
                return b""
            case TextDelta(text=text) | ThinkingDelta(text=text):
                thought = {"thought": True} if isinstance(event, ThinkingDelta) else {}
                return self._close_call() + self._chunk([{"text": text, **thought}])
            case ThinkingDone(thinking=thinking):
                return self._signed(thinking)
            case ToolCallStarted():
                closed = self._close_call()
                self._open = event
                return closed
            case ToolCallDelta(arguments=arguments):
                self._arguments.append(arguments)
                return b""
            case Finished(finish=finish, refusal=refusal):
                self._finish, self._message = FINISH[finish], refusal
                return self._close_call()
        assert_never(event)

    def tail(self, usage: Usage | None, cost: Mapping[str, Any] | None) -> list[bytes]:
        """The last chunk: why the output ended, the usage and what it cost."""
        told = told_usage(self._call, cost, 0) if usage is None else usage_object(usage)
        chunk = {
            "candidates": [candidate([_SILENCE], self._finish or "STOP", self._message)],
            "usageMetadata": {**told, **told_cost(cost)},
            **self._frame,
        }
        return self._frames.last(orjson.dumps(chunk))

    def cut(self, code: str, message: str, status: int) -> list[bytes]:
        """An error, which ends such a stream."""
        return self._frames.error(code, message, status)

    def _signed(self, thinking: Thinking) -> bytes:
        """The signature of a thought whose text went out in pieces."""
        signature = sealed(thinking)
        if signature is None:
            return b""
        return self._chunk([{"text": "", "thought": True, "thoughtSignature": signature}])

    def _close_call(self) -> bytes:
        opened, self._open = self._open, None
        if opened is None:
            return b""
        part = call_part(opened.id, opened.name, "".join(self._arguments))
        self._arguments.clear()
        if part is not None:
            return self._chunk([part])
        if self._finish != FINISH[Finish.LENGTH]:
            self._finish = MALFORMED
        return b""

    def _chunk(self, parts: list[dict[str, Any]]) -> bytes:
        return self._frames.of(orjson.dumps({"candidates": [candidate(parts)], **self._frame}))


def _part(part: Text | Thinking | ToolCall) -> dict[str, Any] | None:
    match part:
        case Text(text=text):
            return {"text": text}
        case Thinking():
            return _thought(part)
        case ToolCall(id=call_id, name=name, arguments=arguments):
            return call_part(call_id, name, arguments)
    assert_never(part)
