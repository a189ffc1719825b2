"""Canonical answers and events, written as Anthropic's messages and their events."""

from collections.abc import Mapping
from typing import Any, assert_never

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
from bursar.core.estimate import tokens_of_text
from bursar.core.usage import Usage
from bursar.gateway.dialects import Call
from bursar.gateway.dialects.anthropic_messages.finishes import STOP_REASON_OF
from bursar.gateway.dialects.anthropic_messages.frames import (
    KEEP_ALIVE,
    cut_frames,
    delta_frames,
    event_frame,
    told_usage,
    usage_object,
)

_PLACEHOLDER = {"input_tokens": 0, "output_tokens": 0}
"""Usage where nothing is known yet: `message_start` must hold some."""


def message(answer: ChatAnswer, *, shows_thinking: bool) -> dict[str, Any]:
    """A whole message; without usage when the provider told none."""
    content = [_block(part, shows_thinking=shows_thinking) for part in answer.parts]
    written = {
        **_envelope(answer.id, answer.model),
        "content": [block for block in content if block is not None],
        **_ending(answer.finish, answer.refusal),
    }
    if answer.usage is not None:
        written["usage"] = usage_object(answer.usage)
    return written


def _envelope(identity: str, model: str) -> dict[str, Any]:
    return {"id": identity, "type": "message", "role": "assistant", "model": model}


def _ending(finish: Finish | None, refusal: str | None) -> dict[str, Any]:
    """Why it ended; a refusal that was explained is one, whatever else the provider said."""
    if refusal:
        finish = Finish.CONTENT_FILTER
    reason = None if finish is None else STOP_REASON_OF[finish]
    ending: dict[str, Any] = {"stop_reason": reason, "stop_sequence": None}
    if finish is Finish.CONTENT_FILTER:
        ending["stop_details"] = {"type": "refusal", "category": None, "explanation": refusal}
    return ending


def _block(part: Text | Thinking | ToolCall, *, shows_thinking: bool) -> dict[str, Any] | None:
    match part:
        case Text(text=text):
            return {"type": "text", "text": text} if text else None
        case Thinking(redacted=str(redacted)):
            return {"type": "redacted_thinking", "data": redacted}
        case Thinking(text=text, signature=signature):
            return {"type": "thinking", "thinking": text if shows_thinking else "", "signature": signature}
        case ToolCall(id=identity, name=name, arguments=arguments):
            return {"type": "tool_use", "id": identity, "name": name, "input": _input(arguments)}
    return None


def _input(arguments: str) -> Any:
    """The call's input; one that was cut short is not JSON and shows as empty, as it does at Anthropic."""
    try:
        given = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        return {}
    return given if isinstance(given, dict) else {}


class MessageWriter:
    """Writes one answer: whole, or a stream's events."""

    keep_alive = KEEP_ALIVE

    def __init__(self, call: Call) -> None:
        self._call = call
        self._shows_thinking = (call.raw.get("thinking") or {}).get("display") != "omitted"
        self._has_begun = False
        self._open: str | None = None
        self._index = -1
        self._tools: dict[int, int] = {}
        self._ending = _ending(None, None)

    def answer(self, answer: ChatAnswer) -> bytes:
        """A whole message; its usage is our own estimate where the provider told none."""
        written = message(answer, shows_thinking=self._shows_thinking)
        if answer.usage is None:
            texts = [
                part.text if isinstance(part, Text | Thinking) else part.name + part.arguments
                for part in answer.parts
            ]
            written["usage"] = told_usage(self._call, None, tokens_of_text("".join(texts)))
        return orjson.dumps(written)

    def tail(self, usage: Usage | None, cost: Mapping[str, Any] | None) -> list[bytes]:
        """The `message_delta` with the usage, the cost in it, and the end."""
        told = told_usage(self._call, cost, 0) if usage is None else usage_object(usage)
        begun = self._begin("", self._call.model) + self._close()
        ending = dict(self._ending)
        delta = {name: ending.pop(name) for name in ("stop_reason", "stop_sequence")}
        frames = delta_frames({"delta": {**delta, **ending}, "usage": told}, cost)
        return [begun, *frames] if begun else frames

    def cut(self, code: str, message: str, status: int) -> list[bytes]:
        """An error event, which ends such a stream."""
        return cut_frames(code, message, status)

    def write(self, event: ChatEvent) -> bytes:
        """The frames of one event; the end waits for `tail`."""
        match event:
            case Started(id=identity, model=model):
                frames = self._begin(identity, model or self._call.model)
            case TextDelta(text=text):
                frames = self._text(text)
            case ThinkingDelta(text=text):
                frames = self._thinking(text)
            case ThinkingDone(thinking=thinking):
                frames = self._thought(thinking)
            case ToolCallStarted(index=index, id=identity, name=name):
                frames = self._tool(index, identity, name)
            case ToolCallDelta(index=index, arguments=arguments):
                frames = self._tool_input(index, arguments)
            case Finished(finish=finish, refusal=refusal):
                self._ending = _ending(finish, refusal)
                frames = self._begin("", self._call.model) + self._close()
            case _:
                assert_never(event)
        return frames

    def _begin(self, identity: str, model: str) -> bytes:
        if self._has_begun:
            return b""
        self._has_begun = True
        begun = {**_envelope(identity, model), "content": [], **_ending(None, None), "usage": _PLACEHOLDER}
        return event_frame("message_start", message=begun)

    def _text(self, text: str) -> bytes:
        opened = self._start({"type": "text", "text": ""}, unless="text")
        return opened + self._delta({"type": "text_delta", "text": text})

    def _thinking(self, text: str) -> bytes:
        opened = self._start({"type": "thinking", "thinking": "", "signature": ""}, unless="thinking")
        if not self._shows_thinking:
            return opened
        return opened + self._delta({"type": "thinking_delta", "thinking": text})

    def _thought(self, thinking: Thinking) -> bytes:
        """The end of a block of reasoning, with what must go back unchanged; its words came in deltas."""
        if thinking.redacted is not None:
            redacted = {"type": "redacted_thinking", "data": thinking.redacted}
            return self._start(redacted) + self._close()
        opened = self._start({"type": "thinking", "thinking": "", "signature": ""}, unless="thinking")
        signed = {"type": "signature_delta", "signature": thinking.signature}
        return opened + (self._delta(signed) if thinking.signature else b"") + self._close()

    def _tool(self, index: int, identity: str, name: str) -> bytes:
        opened = self._start({"type": "tool_use", "id": identity, "name": name, "input": {}})
        self._tools[index] = self._index
        return opened

    def _tool_input(self, index: int, arguments: str) -> bytes:
        """More of a call's input; servers may go on with one call after they began the next."""
        block = self._tools.get(index)
        if block is None or not arguments:
            return b""
        return self._delta({"type": "input_json_delta", "partial_json": arguments}, block)

    def _start(self, block: Mapping[str, Any], unless: str | None = None) -> bytes:
        """A new block, unless one of this kind is open."""
        if unless is not None and self._open == unless:
            return b""
        before = self._begin("", self._call.model) + self._close()
        self._open, self._index = block["type"], self._index + 1
        return before + event_frame("content_block_start", index=self._index, content_block=block)

    def _delta(self, delta: Mapping[str, Any], index: int | None = None) -> bytes:
        return event_frame("content_block_delta", index=self._index if index is None else index, delta=delta)

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        self._open = None
        return event_frame("content_block_stop", index=self._index)
