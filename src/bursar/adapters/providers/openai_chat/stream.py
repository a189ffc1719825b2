"""Streams in OpenAI's chat dialect, read into canonical events."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from bursar.adapters.providers import USAGE_INCOMPLETE, ProviderFailure, broken_answer
from bursar.adapters.providers.openai_chat.answer import (
    arguments_of,
    blocks_of,
    call_id,
    content_of,
    finish_of,
    reasoning_of,
    text_at,
)
from bursar.core.chat import (
    ChatEvent,
    Finished,
    Started,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingDone,
    ToolCallDelta,
    ToolCallStarted,
)
from bursar.core.sse import Event
from bursar.core.usage import Usage

CALLS_MAX = 10_000
"""Tool calls of one answer that are followed; a stream with more is broken."""
MALFORMED = "The provider's stream is malformed."
UsageReader = Callable[[Mapping[str, Any]], Usage | None]
"""Reads a whole chunk: its `usage` and what else says what it costs."""


class ChatStream:
    """Reads the chunks of one stream; see the port's `StreamReader`. Choices but the first are ignored."""

    def __init__(self, *, read_usage: UsageReader, failure: Callable[[bytes], ProviderFailure]) -> None:
        """Start; `failure` classifies the body of an error event."""
        self.usage: Usage | None = None
        self.usage_final = False
        self.terminal = False
        self._read_usage = read_usage
        self._failure = failure
        self._id: str | None = None
        self._finished = False
        self._refusal: list[str] = []
        self._thoughts: list[str] = []
        self._calls: dict[object, _OpenCall] = {}
        self._last_call: _OpenCall | None = None

    def read(self, event: Event) -> list[ChatEvent]:
        """What the event says. Raises `ProviderFailure` for error events and broken ones."""
        if event.data == b"[DONE]":
            self.terminal = True
            return []
        try:
            chunk = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            raise broken_answer(MALFORMED) from None
        if not isinstance(chunk, dict):
            raise broken_answer(MALFORMED)
        if chunk.get("error") or event.name == "error":
            raise self._failure(event.data)
        return self._read_chunk(chunk)

    def end(self) -> list[ChatEvent]:
        """The connection closed: an answer that gave its finish reason is complete without the marker."""
        self.terminal = self.terminal or self._finished
        return []

    def _read_chunk(self, chunk: Mapping[str, Any]) -> list[ChatEvent]:
        said: list[ChatEvent] = []
        if self._id is None and (chunk.get("id") or chunk.get("choices")):  # Azure's first chunk has neither
            self._id = text_at(chunk, "id")
            said.append(Started(self._id, text_at(chunk, "model")))
        self._take_usage(chunk)
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and choice.get("index", 0) in {0, None}:
                said += self._read_choice(choice)
        return said

    def _take_usage(self, chunk: Mapping[str, Any]) -> None:
        usage = self._read_usage(chunk)
        if usage is not None:
            self.usage = usage
            self.usage_final = USAGE_INCOMPLETE not in usage.flags

    def _read_choice(self, choice: Mapping[str, Any]) -> list[ChatEvent]:
        delta = choice.get("delta")
        said = self._read_delta(delta) if isinstance(delta, dict) else []
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason and not self._finished:
            refusal = "".join(self._refusal) or None
            finish = finish_of(reason, called=bool(self._calls), refused=refusal is not None)
            said += [*self._thought(), *self._without_arguments(), Finished(finish, refusal)]
            self._finished = True
        return said

    def _read_delta(self, delta: Mapping[str, Any]) -> list[ChatEvent]:
        text, thought = content_of(delta.get("content"))
        said = self._think(reasoning_of(delta) or thought)
        for block in blocks_of(delta):
            said += self._signed(block)
        self._refusal.append(text_at(delta, "refusal"))
        if text:
            said += [*self._thought(), TextDelta(text)]
        calls = delta.get("tool_calls")
        for position, call in enumerate(calls if isinstance(calls, list) else ()):
            if isinstance(call, dict):
                said += [*self._thought(), *self._call(call, position)]
        return said

    def _think(self, text: str) -> list[ChatEvent]:
        if not text:
            return []
        self._thoughts.append(text)
        return [ThinkingDelta(text)]

    def _thought(self) -> list[ChatEvent]:
        """The end of the reasoning so far, if there is any."""
        if not self._thoughts:
            return []
        done = ThinkingDone(Thinking(text="".join(self._thoughts)))
        self._thoughts = []
        return [done]

    def _signed(self, block: Thinking) -> list[ChatEvent]:
        """A block that a gateway hands on: whole, or in pieces of which the last is signed."""
        if block.redacted is not None:
            return [*self._thought(), ThinkingDone(block)]
        if not block.signature:
            return []  # its words came, or come, as reasoning
        text = "".join(self._thoughts) or block.text
        self._thoughts = []
        return [ThinkingDone(Thinking(text=text, signature=block.signature))]

    def _call(self, call: Mapping[str, Any], position: int) -> list[ChatEvent]:
        function = call.get("function")
        if not isinstance(function, dict):
            return []
        said: list[ChatEvent] = []
        opened = self._opened(call, position)
        name = text_at(function, "name")
        if opened is None:
            opened = self._open(call, position)
        if name and not opened.named:
            opened.named = True
            identity = opened.id or call_id(self._id or "", opened.index)
            said.append(ToolCallStarted(opened.index, identity, name))
        arguments = arguments_of(function)
        if arguments and opened.named:
            opened.has_arguments = True
            said.append(ToolCallDelta(opened.index, arguments))
        return said

    def _opened(self, call: Mapping[str, Any], position: int) -> "_OpenCall | None":
        """The call that this delta goes on with; servers that give no index begin one with an id."""
        identity = text_at(call, "id")
        index = call.get("index")
        if isinstance(index, int):
            found = self._calls.get(index)
            another = found is not None and identity and found.id and identity != found.id
            return None if another else found
        if identity or position:
            return self._calls.get(identity)
        return self._last_call

    def _open(self, call: Mapping[str, Any], position: int) -> "_OpenCall":
        if len(self._calls) >= CALLS_MAX:
            raise broken_answer("The provider's stream calls too many tools.")
        index, identity = call.get("index"), text_at(call, "id")
        opened = _OpenCall(len(self._calls), identity)
        key = index if isinstance(index, int) else identity or f"#{opened.index}.{position}"
        if key in self._calls:  # a server that gives every call the same index
            self._calls[f"#{opened.index}"] = self._calls[key]
        self._calls[key] = self._last_call = opened
        return opened

    def _without_arguments(self) -> list[ChatEvent]:
        """Calls whose arguments never came take none."""
        return [
            ToolCallDelta(call.index, "{}")
            for call in self._calls.values()
            if call.named and not call.has_arguments
        ]


class _OpenCall:
    """A tool call whose arguments are coming."""

    __slots__ = ("has_arguments", "id", "index", "named")

    def __init__(self, index: int, identity: str) -> None:
        self.index = index
        self.id = identity
        self.named = False
        self.has_arguments = False
