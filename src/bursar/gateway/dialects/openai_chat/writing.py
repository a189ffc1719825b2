"""Canonical answers and events, written as OpenAI's chat completions and chunks."""

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
from bursar.core.sse import frame_of
from bursar.core.usage import CACHE_WRITE_METERS, Meter, Usage
from bursar.gateway.dialects import Call
from bursar.gateway.dialects.openai_chat.errors import error_body

_CACHE_READS = (Meter.CACHE_READ, Meter.CACHE_READ_AUDIO, Meter.CACHE_READ_IMAGE)
_FUNCTION_CALL = "function_call"
DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
"""While a model thinks in silence, the caller's proxies must not take the connection for dead."""


def tail_frames(
    call: Call, envelope: Mapping[str, Any], usage: Mapping[str, Any], cost: Mapping[str, Any] | None
) -> list[bytes]:
    """The usage chunk with the cost in it, if it was asked for, and the end marker."""
    if not call.include_usage:
        return [DONE]
    told = {**usage, **(cost or {})}
    chunk = {"object": "chat.completion.chunk", **envelope, "choices": [], "usage": told}
    return [frame_of(orjson.dumps(chunk)), DONE]


def cut_frames(code: str, message: str, status: int) -> list[bytes]:
    """An error event and the end marker."""
    return [frame_of(error_body(status, code, message)), DONE]


def told_usage(call: Call, cost: Mapping[str, Any] | None, delivered_tokens: int) -> dict[str, Any]:
    """OpenAI's `usage` where the provider told none: the estimate that was charged, or our own count."""
    sent = int((cost or {}).get("input_tokens", call.input_tokens))
    came = int((cost or {}).get("output_tokens", delivered_tokens))
    return {"prompt_tokens": sent, "completion_tokens": came, "total_tokens": sent + came}


def usage_object(usage: Usage) -> dict[str, Any]:
    """OpenAI's `usage`: its totals include the cached, written and reasoned tokens named in the details."""
    sent, came = usage.input_tokens, usage.output_tokens
    return {
        "prompt_tokens": sent,
        "completion_tokens": came,
        "total_tokens": sent + came,
        "prompt_tokens_details": {
            "cached_tokens": sum(usage.quantity(meter) for meter in _CACHE_READS),
            "cache_write_tokens": sum(usage.quantity(meter) for meter in CACHE_WRITE_METERS),
            "audio_tokens": usage.quantity(Meter.IN_AUDIO) + usage.quantity(Meter.CACHE_READ_AUDIO),
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.quantity(Meter.OUT_REASONING),
            "audio_tokens": usage.quantity(Meter.OUT_AUDIO),
        },
    }


def answer_body(answer: ChatAnswer, *, created_s: int, functions: bool) -> bytes:
    """A whole completion; `functions` when the caller used the deprecated `functions` instead of tools."""
    completion: dict[str, Any] = {
        "id": answer.id,
        "object": "chat.completion",
        "created": created_s,
        "model": answer.model,
        "choices": [
            {
                "index": 0,
                "message": _message(answer, functions=functions),
                "logprobs": None,
                "finish_reason": finish_reason(answer.finish, functions=functions),
            }
        ],
    }
    if answer.usage is not None:
        completion["usage"] = usage_object(answer.usage)
    return orjson.dumps(completion)


def finish_reason(finish: Finish, *, functions: bool) -> str:
    """OpenAI's word for it."""
    return _FUNCTION_CALL if functions and finish is Finish.TOOL_CALLS else finish.value


def _message(answer: ChatAnswer, *, functions: bool) -> dict[str, Any]:
    text = "".join(part.text for part in answer.parts if isinstance(part, Text))
    calls = [part for part in answer.parts if isinstance(part, ToolCall)]
    thoughts = [part for part in answer.parts if isinstance(part, Thinking)]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": text if text or not calls else None,
        "refusal": answer.refusal,
    }
    if thoughts:
        message["reasoning_content"] = "".join(thought.text for thought in thoughts)
        message["thinking_blocks"] = [thinking_block(thought) for thought in thoughts]
    if calls and functions:
        message[_FUNCTION_CALL] = {"name": calls[0].name, "arguments": calls[0].arguments}
    elif calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
    return message


def thinking_block(thinking: Thinking) -> dict[str, str]:
    """Reasoning as it must come back for the provider to accept it."""
    if thinking.redacted is not None:
        return {"type": "redacted_thinking", "data": thinking.redacted}
    return {"type": "thinking", "thinking": thinking.text, "signature": thinking.signature}


class ChatWriter:
    """Writes one answer: whole, or a stream's events as chunks."""

    keep_alive = KEEP_ALIVE

    def __init__(self, call: Call, *, created_s: int) -> None:
        self._call = call
        self._created_s = created_s
        self._functions = bool(call.raw.get("functions"))
        self._thoughts = 0
        self._envelope: dict[str, Any] = {
            "id": "",
            "object": "chat.completion.chunk",
            "created": created_s,
            "model": call.model,
        }

    def answer(self, answer: ChatAnswer) -> bytes:
        """A whole completion."""
        return answer_body(answer, created_s=self._created_s, functions=self._functions)

    def tail(self, usage: Usage | None, cost: Mapping[str, Any] | None) -> list[bytes]:
        """The usage chunk, if it was asked for, and the end marker."""
        told = told_usage(self._call, cost, 0) if usage is None else usage_object(usage)
        return tail_frames(self._call, self._envelope, told, cost)

    def cut(self, code: str, message: str, status: int) -> list[bytes]:
        """An error event and the end marker."""
        return cut_frames(code, message, status)

    def write(self, event: ChatEvent) -> bytes:
        """The frame of one event, empty when the dialect has no words for it."""
        match event:
            case Started(id=identity, model=model):
                self._envelope.update(id=identity, model=model or self._envelope["model"])
                return self._chunk({"role": "assistant", "content": "", "refusal": None})
            case TextDelta(text=text):
                return self._chunk({"content": text})
            case ThinkingDelta(text=text):
                return self._chunk({"reasoning_content": text})
            case ThinkingDone(thinking=thinking):
                return self._chunk(self._thought(thinking))
            case ToolCallStarted() | ToolCallDelta():
                return self._tool_call(event)
            case Finished(finish=finish, refusal=refusal):
                delta = {"refusal": refusal} if refusal else {}
                return self._chunk(delta, finish_reason(finish, functions=self._functions))
        assert_never(event)

    def _thought(self, thinking: Thinking) -> dict[str, Any]:
        """A whole block of reasoning; `index` lets clients that add up deltas keep the blocks apart."""
        block = {"index": self._thoughts, **thinking_block(thinking)}
        self._thoughts += 1
        return {"thinking_blocks": [block]}

    def _tool_call(self, event: ToolCallStarted | ToolCallDelta) -> bytes:
        if self._functions and event.index:
            return b""  # the deprecated form holds one call
        if isinstance(event, ToolCallStarted):
            function = {"name": event.name, "arguments": ""}
            call: Mapping[str, Any] = {
                "index": event.index,
                "id": event.id,
                "type": "function",
                "function": function,
            }
        else:
            function = {"arguments": event.arguments}
            call = {"index": event.index, "function": function}
        return self._chunk({_FUNCTION_CALL: function} if self._functions else {"tool_calls": [call]})

    def _chunk(self, delta: Mapping[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        chunk = {**self._envelope, "choices": [choice]}
        if self._call.include_usage:  # `usage: null` in every chunk, as OpenAI does then
            chunk["usage"] = None
        return frame_of(orjson.dumps(chunk))
