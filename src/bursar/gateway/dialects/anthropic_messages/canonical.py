"""Anthropic's messages request, read into the canonical form.

Source: Anthropic's API reference and the parameter types of its Python SDK 2.10. What the form has no words
for is refused by the caller's own name for it; shapes that make no sense raise `BadRequest` too. Marks of
what is worth caching are hints: where a provider takes none, its own cache decides.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

import orjson

from bursar.core.chat import (
    ChatRequest,
    Effort,
    Image,
    Part,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    unsupported,
)
from bursar.gateway.dialects.anthropic_messages.media import document_parts, image
from bursar.gateway.dialects.anthropic_messages.places import refuse_others, text_at
from bursar.gateway.dialects.bodies import wrong

_NAMES: Final[Mapping[str, str]] = {
    "turns": "messages",
    "json_schema": "output_config.format",
    "effort": "output_config.effort",
    "thinking_tokens": "thinking.budget_tokens",
    "stop": "stop_sequences",
    "parallel_tools": "tool_choice.disable_parallel_tool_use",
    "end_user": "metadata.user_id",
    "cache_minutes": "cache_control.ttl",
    "file": "content[].source",
    "file_id": "content[].source.file_id",
}
"""What this dialect calls the canonical fields that have another name here."""

_REQUEST: Final = frozenset({
    "model", "messages", "system", "max_tokens", "metadata", "stop_sequences", "stream", "temperature",
    "top_p", "top_k", "tools", "tool_choice", "thinking", "output_config", "service_tier", "cache_control",
})  # fmt: skip
_REQUEST_NEUTRAL: Final[Mapping[str, tuple[Any, ...]]] = {
    "speed": ("standard",),
    "inference_geo": ("global",),
}
_MESSAGE: Final = frozenset({"role", "content"})
_BLOCKS: Final[Mapping[str, frozenset[str]]] = {
    "text": frozenset({"text", "cache_control"}),
    "image": frozenset({"source", "cache_control"}),
    "document": frozenset({"source", "title", "context", "cache_control"}),
    "thinking": frozenset({"thinking", "signature"}),
    "redacted_thinking": frozenset({"data"}),
    "tool_use": frozenset({"id", "name", "input", "cache_control"}),
    "tool_result": frozenset({"tool_use_id", "content", "is_error", "cache_control"}),
}
_BLOCK_NEUTRAL: Final[Mapping[str, tuple[Any, ...]]] = {
    "citations": ({"enabled": False},),
    "caller": ({"type": "direct"},),
}
_TOOL: Final = frozenset({
    "type", "name", "description", "input_schema", "strict", "cache_control", "eager_input_streaming",
})  # fmt: skip
_TOOL_NEUTRAL: Final[Mapping[str, tuple[Any, ...]]] = {"allowed_callers": (["direct"],)}
_EFFORTS: Final = frozenset({"low", "medium", "high", "xhigh", "max"})
_MODES: Final[Mapping[str, str]] = {"auto": "auto", "any": "required", "none": "none", "tool": "named"}
_TIERS: Final[Mapping[str, str]] = {"auto": "auto", "standard_only": "default"}
_MINUTES: Final[Mapping[str | None, int]] = {None: 5, "5m": 5, "1h": 60}
FAILED: Final = "The tool failed:"
"""Said before the result of a tool that the caller marked as an error: other providers have no such mark."""


def canonical(raw: Mapping[str, Any]) -> ChatRequest:
    """The request in the canonical form; `raw` has passed `reading.read`."""
    refuse_others(raw, _REQUEST, "", _REQUEST_NEUTRAL)
    _refuse_prefill(raw["messages"])
    reading = _Reading()
    turns = (*reading.system(raw.get("system")), *reading.turns(raw["messages"]))
    tools = tuple(reading.tool(tool, f"tools.{n}") for n, tool in enumerate(raw.get("tools") or ()))
    reading.marked(raw, "")
    choice, parallel = _choice(raw.get("tool_choice"))
    return ChatRequest(
        turns=turns,
        max_tokens=raw.get("max_tokens"),
        temperature=raw.get("temperature"),
        top_p=raw.get("top_p"),
        top_k=raw.get("top_k"),
        stop=tuple(raw.get("stop_sequences") or ()),
        tools=tools,
        tool_choice=choice,
        parallel_tools=parallel,
        effort=_effort(raw),
        thinking_tokens=_thinking_tokens(raw.get("thinking")),
        json_schema=_json_schema(raw.get("output_config")),
        cache_minutes=reading.cache_minutes,
        end_user=_end_user(raw.get("metadata")),
        service_tier=_tier(raw.get("service_tier")),
        names=_NAMES,
    )


def _refuse_prefill(messages: list[dict[str, Any]]) -> None:
    if messages[-1]["role"] == "assistant":
        why = "the provider does not continue an answer that was begun"
        raise unsupported(f"messages.{len(messages) - 1}.role", why)


def _end_user(metadata: Mapping[str, Any] | None) -> str | None:
    if metadata is None:
        return None
    refuse_others(metadata, frozenset({"user_id"}), "metadata.")
    return metadata.get("user_id")


def _tier(tier: str | None) -> str | None:
    if tier is None:
        return None
    if tier not in _TIERS:
        raise wrong("service_tier", " or ".join(_TIERS))
    return _TIERS[tier]


def _effort(raw: Mapping[str, Any]) -> Effort | None:
    config = raw.get("output_config") or {}
    refuse_others(config, frozenset({"effort", "format"}), "output_config.")
    effort = config.get("effort")
    if effort is None:
        return None
    if effort not in _EFFORTS:
        raise wrong("output_config.effort", "low, medium, high, xhigh or max")
    if (raw.get("thinking") or {}).get("type") == "disabled":
        raise unsupported("output_config.effort", "the provider's effort is that of thinking, which is off")
    return cast("Effort", effort)


def _thinking_tokens(thinking: Mapping[str, Any] | None) -> int | None:
    """The budget; nothing for `adaptive`, which leaves it to the model as other providers do unasked."""
    if thinking is None:
        return None
    refuse_others(thinking, frozenset({"type", "budget_tokens", "display"}), "thinking.")
    kind = thinking.get("type")
    if kind == "adaptive":
        return None
    if kind == "disabled":
        return 0
    if kind != "enabled":
        raise unsupported("thinking.type", "the provider thinks as much as it likes, by a budget, or not")
    budget = thinking.get("budget_tokens")
    if type(budget) is not int or budget < 1:
        raise wrong("thinking.budget_tokens", "an integer above 0")
    return budget


def _json_schema(config: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    wanted = (config or {}).get("format")
    if wanted is None:
        return None
    if not isinstance(wanted, Mapping) or wanted.get("type") != "json_schema":
        raise wrong("output_config.format.type", "json_schema")
    schema = wanted.get("schema")
    if not isinstance(schema, Mapping):
        raise wrong("output_config.format.schema", "a JSON schema")
    return schema


def _choice(choice: Mapping[str, Any] | None) -> tuple[ToolChoice | None, bool | None]:
    """The choice among tools, and whether several may be called at once (None: nothing was said)."""
    if choice is None:
        return None, None
    refuse_others(choice, frozenset({"type", "name", "disable_parallel_tool_use"}), "tool_choice.")
    mode = _MODES.get(text_at(choice, "type", "tool_choice"))
    if mode is None:
        raise wrong("tool_choice.type", "auto, any, tool or none")
    name = text_at(choice, "name", "tool_choice") if mode == "named" else None
    alone = choice.get("disable_parallel_tool_use")
    if not isinstance(alone, bool | None):
        raise wrong("tool_choice.disable_parallel_tool_use", "a boolean")
    return ToolChoice(mode=cast("Any", mode), name=name), None if alone is None else not alone


class _Reading:
    """Reads the blocks of one request; `cache_minutes` is the longest life of a cache mark met on the way."""

    def __init__(self) -> None:
        self.cache_minutes: int | None = None

    def system(self, system: Any) -> tuple[Turn, ...]:
        """The system prompt as a turn, if there is one."""
        if not system:
            return ()
        parts = self._content(system, "system")
        if not all(isinstance(part, Text) for part in parts):
            raise wrong("system", "text")
        return (Turn(role="system", parts=parts, place="system"),)

    def turns(self, messages: list[dict[str, Any]]) -> tuple[Turn, ...]:
        turns = []
        for n, message in enumerate(messages):
            place = f"messages.{n}"
            refuse_others(message, _MESSAGE, f"{place}.")
            parts = self._content(message["content"], f"{place}.content")
            turns.append(Turn(role=message["role"], parts=parts, place=place))
        return tuple(turns)

    def tool(self, tool: Mapping[str, Any], place: str) -> Tool:
        """A tool that the caller runs himself."""
        if tool.get("type") not in {None, "custom"}:
            raise unsupported(f"{place}.type", "only the provider of Claude knows this tool")
        refuse_others(tool, _TOOL, f"{place}.", _TOOL_NEUTRAL)
        self.marked(tool, f"{place}.")
        schema, description, strict = (tool.get(key) for key in ("input_schema", "description", "strict"))
        if not isinstance(schema, Mapping):
            raise wrong(f"{place}.input_schema", "a JSON schema")
        if not isinstance(description, str | None):
            raise wrong(f"{place}.description", "a string")
        if not isinstance(strict, bool | None):
            raise wrong(f"{place}.strict", "a boolean")
        return Tool(
            name=text_at(tool, "name", place), description=description, parameters=schema, strict=strict
        )

    def marked(self, block: Mapping[str, Any], place: str) -> bool:
        """Whether a cache mark is on the block."""
        mark = block.get("cache_control")
        if mark is None:
            return False
        if not isinstance(mark, Mapping) or mark.get("type") != "ephemeral":
            raise wrong(f"{place}cache_control.type", "ephemeral")
        refuse_others(mark, frozenset({"type", "ttl"}), f"{place}cache_control.")
        life = mark.get("ttl")
        if not isinstance(life, str | None) or life not in _MINUTES:
            raise wrong(f"{place}cache_control.ttl", "5m or 1h")
        self.cache_minutes = max(self.cache_minutes or 0, _MINUTES[life])
        return True

    def _content(self, content: Any, place: str) -> tuple[Part, ...]:
        if isinstance(content, str):
            return (Text(text=content),)
        return tuple(part for n, block in enumerate(content) for part in self._block(block, f"{place}.{n}"))

    def _block(self, block: Mapping[str, Any], place: str) -> tuple[Part, ...]:
        kind = block["type"]
        known = _BLOCKS.get(kind)
        if known is None:
            raise unsupported(f"{place}.type", f"only the provider of Claude knows {kind[:64]!r} blocks")
        refuse_others(block, known | {"type"}, f"{place}.", _BLOCK_NEUTRAL)
        cache = self.marked(block, f"{place}.")
        parts: tuple[Part, ...]
        match kind:
            case "text":
                parts = (Text(text=text_at(block, "text", place), cache=cache),)
            case "image":
                parts = (image(block["source"], f"{place}.source", cache=cache),)
            case "document":
                parts = document_parts(block, place, self._content, cache=cache)
            case "thinking":
                signature = text_at(block, "signature", place)
                parts = (Thinking(text=text_at(block, "thinking", place), signature=signature),)
            case "redacted_thinking":
                parts = (Thinking(redacted=text_at(block, "data", place)),)
            case "tool_use":
                parts = (_tool_call(block, place),)
            case _:
                parts = (self._result(block, place),)
        return parts

    def _result(self, block: Mapping[str, Any], place: str) -> ToolResult:
        failed = block.get("is_error")
        if not isinstance(failed, bool | None):
            raise wrong(f"{place}.is_error", "a boolean")
        parts: list[Text | Image] = [Text(text=FAILED)] if failed else []
        for part in self._content(block.get("content") or (), f"{place}.content"):
            if not isinstance(part, Text | Image):
                raise unsupported(f"{place}.content", "a tool's result may hold text and pictures")
            parts.append(part)
        return ToolResult(call_id=text_at(block, "tool_use_id", place), parts=tuple(parts))


def _tool_call(block: Mapping[str, Any], place: str) -> ToolCall:
    given = block.get("input")
    if not isinstance(given, Mapping):
        raise wrong(f"{place}.input", "an object")
    return ToolCall(
        id=text_at(block, "id", place),
        name=text_at(block, "name", place),
        arguments=orjson.dumps(given).decode(),
    )
