"""Anthropic's whole answers and event streams, read into the canonical form.

Source: Anthropic's API reference (`Message`, streaming events). Events of unknown types and blocks that
have no canonical form (server tools and their results, citations) pass without a trace in the answer; what
they cost is in the usage.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import orjson

from bursar.adapters.providers import ProviderFailure, broken_answer
from bursar.adapters.providers.anthropic.usage import counted_usage, merge
from bursar.adapters.providers.counts import whole_number
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
from bursar.core.sse import Event
from bursar.core.usage import Meter, Usage

FINISH: Mapping[str, Finish] = {
    "end_turn": Finish.STOP,
    "stop_sequence": Finish.STOP,
    "pause_turn": Finish.STOP,
    "max_tokens": Finish.LENGTH,
    "model_context_window_exceeded": Finish.LENGTH,
    "tool_use": Finish.TOOL_CALLS,
    "refusal": Finish.CONTENT_FILTER,
}
BLOCKS_MAX = 10_000
"""Blocks of one answer that are followed at a time; a stream with more is broken."""


def read_message(body: bytes, *, cache_life: Meter) -> ChatAnswer:
    """A whole answer. Raises `ProviderFailure` when the body is not a message."""
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise broken_answer("The provider's answer is not JSON.") from None
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        raise broken_answer("The provider's answer is not a message.")
    usage = counted_usage(message.get("usage"), cache_life)
    return ChatAnswer(
        id=text_at(message, "id"),
        model=text_at(message, "model"),
        parts=tuple(part for block in message["content"] if (part := _part(block)) is not None),
        finish=FINISH.get(text_at(message, "stop_reason"), Finish.STOP),
        usage=usage,
        refusal=_refusal(message),
        service_tier=usage.service_tier if usage else None,
    )


def text_at(source: Mapping[str, Any], name: str) -> str:
    """The string at `name`, empty when there is none."""
    value = source.get(name)
    return value if isinstance(value, str) else ""


def _part(block: object) -> Text | Thinking | ToolCall | None:
    if not isinstance(block, Mapping):
        raise broken_answer("The provider's answer holds a malformed block.")
    match block.get("type"):
        case "text":
            return Text(text=text_at(block, "text"))
        case "thinking":
            return Thinking(text=text_at(block, "thinking"), signature=text_at(block, "signature"))
        case "redacted_thinking":
            return Thinking(redacted=text_at(block, "data"))
        case "tool_use":
            arguments = orjson.dumps(block.get("input") or {}).decode()
            return ToolCall(id=text_at(block, "id"), name=text_at(block, "name"), arguments=arguments)
    return None


def _refusal(message: Mapping[str, Any]) -> str | None:
    details = message.get("stop_details")
    return (text_at(details, "explanation") or None) if isinstance(details, Mapping) else None


class MessageStream:
    """Reads the events of one stream; see the port's `StreamReader`."""

    def __init__(self, *, cache_life: Meter, failure: Callable[[bytes], ProviderFailure]) -> None:
        """Start; `cache_life` as in `read_usage`, `failure` classifies the body of an error event."""
        self.usage: Usage | None = None
        self.usage_final = False
        self.terminal = False
        self._cache_life = cache_life
        self._failure = failure
        self._raw_usage: dict[str, Any] = {}
        self._blocks: dict[int, _OpenBlock] = {}
        self._tools = 0

    def read(self, event: Event) -> list[ChatEvent]:
        """What the event says. Raises `ProviderFailure` for error events and broken ones."""
        try:
            content = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            raise broken_answer("The provider's stream is malformed.") from None
        if not isinstance(content, dict):
            raise broken_answer("The provider's stream is malformed.")
        kind = content.get("type") or event.name
        if kind == "error" or event.name == "error":
            raise self._failure(event.data)
        reader = self._READERS.get(kind) if isinstance(kind, str) else None
        return reader(self, content) if reader else []

    def end(self) -> list[ChatEvent]:
        """Nothing: an answer without its `message_stop` is broken off."""
        return []

    def _message_start(self, event: Mapping[str, Any]) -> list[ChatEvent]:
        message = mapping_at(event, "message")
        self._take_usage(message.get("usage"), final=False)
        return [Started(text_at(message, "id"), text_at(message, "model"))]

    def _block_start(self, event: Mapping[str, Any]) -> list[ChatEvent]:
        block, index = mapping_at(event, "content_block"), index_of(event)
        if len(self._blocks) >= BLOCKS_MAX:
            raise broken_answer("The provider's stream opens too many blocks.")
        opened = self._blocks[index] = _OpenBlock(text_at(block, "type"))
        if opened.kind == "tool_use":
            opened.tool = self._tools
            self._tools += 1
            started = ToolCallStarted(opened.tool, text_at(block, "id"), text_at(block, "name"))
            given = block.get("input")  # usually empty: the input streams
            return [started, *opened.more_input(orjson.dumps(given).decode() if given else "")]
        if opened.kind == "redacted_thinking":
            return [ThinkingDone(Thinking(redacted=text_at(block, "data")))]
        text = text_at(block, "text")
        return [TextDelta(text)] if text and opened.kind == "text" else []

    def _block_delta(self, event: Mapping[str, Any]) -> list[ChatEvent]:
        delta = mapping_at(event, "delta")
        block = self._blocks.get(index_of(event))
        kind = delta.get("type")
        if kind == "text_delta":
            return _unless_empty(TextDelta, text_at(delta, "text"))
        if block is None:
            return []
        if kind == "input_json_delta":
            return block.more_input(text_at(delta, "partial_json"))
        if kind == "thinking_delta":
            block.thinking.append(text_at(delta, "thinking"))
            return _unless_empty(ThinkingDelta, block.thinking[-1])
        if kind == "signature_delta":
            block.signature += text_at(delta, "signature")
        return []

    def _block_stop(self, event: Mapping[str, Any]) -> list[ChatEvent]:
        block = self._blocks.pop(index_of(event), None)
        if block is None:
            return []
        if block.kind != "thinking":
            return block.more_input("{}") if not block.has_input else []
        return [ThinkingDone(Thinking(text="".join(block.thinking), signature=block.signature))]

    def _message_delta(self, event: Mapping[str, Any]) -> list[ChatEvent]:
        self._take_usage(event.get("usage"), final=True)
        delta = mapping_at(event, "delta")
        reason = text_at(delta, "stop_reason")
        return [Finished(FINISH.get(reason, Finish.STOP), _refusal(delta))] if reason else []

    def _message_stop(self, _event: Mapping[str, Any]) -> list[ChatEvent]:
        self.terminal = True
        return []

    _READERS: ClassVar[Mapping[str, Callable[["MessageStream", Mapping[str, Any]], list[ChatEvent]]]] = {
        "message_start": _message_start,
        "content_block_start": _block_start,
        "content_block_delta": _block_delta,
        "content_block_stop": _block_stop,
        "message_delta": _message_delta,
        "message_stop": _message_stop,
    }
    """Of the class: an object that holds its own methods is freed by nothing but the garbage collector."""

    def _take_usage(self, raw: object, *, final: bool) -> None:
        if not isinstance(raw, Mapping):
            return
        self._raw_usage = merge(self._raw_usage, raw)
        self.usage_final = self.usage_final or (final and whole_number(raw.get("output_tokens")) is not None)
        counted = self._raw_usage if self.usage_final else {**self._raw_usage, "output_tokens": 0}
        self.usage = counted_usage(counted, self._cache_life)


class _OpenBlock:
    """A content block between its start and its stop."""

    __slots__ = ("has_input", "kind", "signature", "thinking", "tool")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.tool: int | None = None
        self.has_input = False
        self.thinking: list[str] = []
        self.signature = ""

    def more_input(self, fragment: str) -> list[ChatEvent]:
        """A fragment of a tool call's arguments; nothing for blocks that are no call of the caller's."""
        if self.tool is None or not fragment:
            return []
        self.has_input = True
        return [ToolCallDelta(self.tool, fragment)]


def _unless_empty(kind: type[TextDelta | ThinkingDelta], text: str) -> list[ChatEvent]:
    return [kind(text)] if text else []


def mapping_at(source: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object at `name`. Raises `ProviderFailure` when there is none."""
    value = source.get(name)
    if not isinstance(value, Mapping):
        raise broken_answer("The provider's stream is malformed.")
    return value


def index_of(event: Mapping[str, Any]) -> int:
    """The block an event speaks of. Raises `ProviderFailure` when it does not say."""
    index = event.get("index")
    if not isinstance(index, int):
        raise broken_answer("The provider's stream is malformed.")
    return index
