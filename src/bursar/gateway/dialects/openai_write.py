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

_CACHE_READS = (Meter.CACHE_READ, Meter.CACHE_READ_AUDIO, Meter.CACHE_READ_IMAGE)
_FUNCTION_CALL = "function_call"


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


class ChunkWriter:
    """Writes one stream's events as chunks."""

    def __init__(self, *, created_s: int, model: str, include_usage: bool, functions: bool) -> None:
        """Start; `include_usage` puts `usage: null` into every chunk, as OpenAI does then."""
        self._functions = functions
        self._include_usage = include_usage
        self._thoughts = 0
        self.envelope: dict[str, Any] = {
            "id": "",
            "object": "chat.completion.chunk",
            "created": created_s,
            "model": model,
        }

    def write(self, event: ChatEvent) -> bytes:
        """The frame of one event, empty when the dialect has no words for it."""
        match event:
            case Started(id=identity, model=model):
                self.envelope.update(id=identity, model=model or self.envelope["model"])
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
        chunk = {**self.envelope, "choices": [choice]}
        if self._include_usage:
            chunk["usage"] = None
        return frame_of(orjson.dumps(chunk))
