"""A canonical chat request written for Anthropic's Messages API.

Source: Anthropic's API reference and Python SDK 2.10, `MessageCreateParams`.
"""

import re
from collections.abc import Iterable
from typing import Any

import orjson

from bursar.adapters.providers import Attempt
from bursar.adapters.providers.anthropic.models import takes_sampling, thinks_by_budget
from bursar.adapters.providers.anthropic.schema import closed
from bursar.core.chat import (
    Audio,
    BadRequest,
    ChatRequest,
    Effort,
    File,
    Image,
    Part,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    unsupported,
)

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
THINKING_TOKENS_MIN = 1024
"""The smallest thinking budget the API takes."""
_BUDGET_PERCENT: dict[Effort, int] = {
    "minimal": 10, "low": 20, "medium": 50, "high": 80, "xhigh": 90, "max": 95,
}  # fmt: skip
"""Share of the output bound that older models may spend on thinking."""
_EFFORT: dict[Effort, str] = {"minimal": "low"}
_LONG_CACHE_MINUTES = 60
_SHORT_CACHE_MINUTES = 5
_ID_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")


def message_body(request: ChatRequest, attempt: Attempt, *, stream: bool) -> dict[str, Any]:
    """The request's body. Raises `BadRequest` for what the provider cannot do."""
    bound = output_bound(request, attempt)
    model = attempt.deployment.provider_model
    mark = cache_control(request)
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": bound,
        "messages": _messages(request.turns, mark),
    }
    system = [block for turn in request.turns if turn.role == "system" for block in _blocks(turn, mark)]
    if system:
        body["system"] = system
    if stream:
        body["stream"] = True
    if request.stop:
        body["stop_sequences"] = _stop_sequences(request.stop)
    if request.end_user:
        body["metadata"] = {"user_id": request.end_user}
    if request.service_tier:
        body["service_tier"] = "auto" if request.service_tier == "auto" else "standard_only"
    body.update(_sampling(request, model))
    body.update(_tools(request))
    body.update(_thinking_and_format(request, model, bound))
    return body


def output_bound(request: ChatRequest, attempt: Attempt) -> int:
    """The API insists on a bound: the smallest of the caller's, the gateway's and the model's."""
    bounds = (request.max_tokens, attempt.max_tokens, attempt.deployment.output_tokens_max)
    return min(bound for bound in bounds if bound is not None)


def cache_control(request: ChatRequest) -> dict[str, str]:
    """What a marked block carries: five minutes, or an hour when more was asked for."""
    if (request.cache_minutes or 0) > _SHORT_CACHE_MINUTES:
        return {"type": "ephemeral", "ttl": "1h"}
    return {"type": "ephemeral"}


def _stop_sequences(stop: tuple[str, ...]) -> list[str]:
    if any(not sequence.strip() for sequence in stop):
        raise unsupported("stop", "the provider takes no sequence of blanks alone")
    return list(stop)


def _sampling(request: ChatRequest, model: str) -> dict[str, Any]:
    wanted = {"temperature": request.temperature, "top_p": request.top_p}
    given = {name: value for name, value in wanted.items() if value is not None}
    if takes_sampling(model):
        if given.get("temperature", 0) > 1:
            raise unsupported("temperature", "the provider's range is 0 to 1")
        return given
    for name, value in given.items():
        if value != 1:
            raise unsupported(name, "this model's sampling cannot be set")
    return {}


def _tools(request: ChatRequest) -> dict[str, Any]:
    if not request.tools:
        return _tools_of_the_past(request.turns)
    body: dict[str, Any] = {"tools": [_tool(tool) for tool in request.tools]}
    choice = _tool_choice(request)
    if choice:
        body["tool_choice"] = choice
    return body


def _tools_of_the_past(turns: tuple[Turn, ...]) -> dict[str, Any]:
    """The API wants the tools that a conversation called described, even when none may be called any more."""
    names = {part.name: None for turn in turns for part in turn.parts if isinstance(part, ToolCall)}
    if not names:
        return {}
    return {"tools": [_tool(Tool(name=name)) for name in names], "tool_choice": {"type": "none"}}


def _tool(tool: Tool) -> dict[str, Any]:
    schema = {"type": "object", "properties": {}, **(tool.parameters or {})}
    written: dict[str, Any] = {"name": tool.name, "input_schema": schema}
    if tool.description is not None:
        written["description"] = tool.description
    if tool.strict:
        written["strict"] = True
    return written


def _tool_choice(request: ChatRequest) -> dict[str, Any] | None:
    choice: dict[str, Any] | None = None
    if request.tool_choice is not None:
        mode = request.tool_choice.mode
        if mode == "named":
            choice = {"type": "tool", "name": request.tool_choice.name}
        else:
            choice = {"type": "any" if mode == "required" else mode}
    if request.parallel_tools is False and (choice is None or choice["type"] != "none"):
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    return choice


def _thinking_and_format(request: ChatRequest, model: str, bound: int) -> dict[str, Any]:
    body: dict[str, Any] = {}
    output: dict[str, Any] = {}
    if request.json_schema is not None:
        schema = closed(request.json_schema, "response_format.json_schema.schema")
        output["format"] = {"type": "json_schema", "schema": schema}
    effort = request.effort
    if effort is not None and thinks_by_budget(model):
        body.update(_budget(effort, bound, request.turns))
    elif effort == "none":
        body["thinking"] = {"type": "disabled"}
    elif effort is not None:
        body["thinking"] = {"type": "adaptive", "display": "summarized"}
        output["effort"] = _EFFORT.get(effort, effort)
    if output:
        body["output_config"] = output
    return body


def _budget(effort: Effort, bound: int, turns: tuple[Turn, ...]) -> dict[str, Any]:
    """Thinking for models that take a budget.

    A tool loop that began without visible thinking cannot continue with it, so it goes on without.
    """
    if effort == "none" or _continues_without_thinking(turns):
        return {}
    budget = max(THINKING_TOKENS_MIN, bound * _BUDGET_PERCENT[effort] // 100)
    if budget >= bound:
        raise unsupported(
            "reasoning_effort", f"thinking needs an output bound above {THINKING_TOKENS_MIN} tokens"
        )
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def _continues_without_thinking(turns: tuple[Turn, ...]) -> bool:
    if not turns or not any(isinstance(part, ToolResult) for part in turns[-1].parts):
        return False
    answered = next((turn for turn in reversed(turns) if turn.role == "assistant"), None)
    return answered is not None and not any(isinstance(part, Thinking) for part in answered.parts)


def _messages(turns: Iterable[Turn], mark: dict[str, str]) -> list[dict[str, Any]]:
    """User and assistant turns, neighbours of one role joined, tool results first in theirs."""
    messages: list[dict[str, Any]] = []
    for turn in turns:
        blocks = _blocks(turn, mark) if turn.role != "system" else []
        if not blocks:
            continue
        if messages and messages[-1]["role"] == turn.role:
            messages[-1]["content"] += blocks
        else:
            messages.append({"role": turn.role, "content": blocks})
    for message in messages:
        message["content"].sort(key=lambda block: block["type"] != "tool_result")
    if not messages:
        raise BadRequest("A message with content from the user is needed.", param="messages")
    return messages


def _blocks(turn: Turn, mark: dict[str, str]) -> list[dict[str, Any]]:
    blocks = []
    for part in turn.parts:
        block = _block(part, turn.place)
        if block is None:
            continue
        if getattr(part, "cache", False):
            block["cache_control"] = mark
        blocks.append(block)
    return blocks


def _block(part: Part, place: str) -> dict[str, Any] | None:
    """One content block; `None` for empty text, which the API refuses."""
    match part:
        case Text(text=text):
            return {"type": "text", "text": text} if text else None
        case Image():
            return _image(part, place)
        case File():
            return _document(part, place)
        case Thinking():
            return _thinking(part)
        case ToolCall():
            return _tool_use(part, place)
        case ToolResult(call_id=call_id, parts=parts):
            content = [block for inner in parts if (block := _block(inner, place)) is not None]
            return {"type": "tool_result", "tool_use_id": safe_id(call_id), "content": content}
        case Audio():
            raise unsupported(f"{place}.content[].input_audio", "the provider does not hear")


def _image(part: Image, place: str) -> dict[str, Any]:
    if part.url is not None:
        return {"type": "image", "source": {"type": "url", "url": part.url}}
    if part.media_type not in IMAGE_TYPES:
        raise unsupported(f"{place}.content[].image_url.url", "pictures may be JPEG, PNG, GIF or WebP")
    source = {"type": "base64", "media_type": part.media_type, "data": part.data}
    return {"type": "image", "source": source}


def _document(part: File, place: str) -> dict[str, Any]:
    if part.data is None:
        raise unsupported(
            f"{place}.content[].file.file_id", "files stored elsewhere cannot be read by the provider"
        )
    if part.media_type != "application/pdf":
        raise unsupported(f"{place}.content[].file.file_data", "documents may be PDF")
    block: dict[str, Any] = {
        "type": "document",
        "source": {"type": "base64", "media_type": part.media_type, "data": part.data},
    }
    if part.name:
        block["title"] = part.name
    return block


def _thinking(part: Thinking) -> dict[str, Any] | None:
    if part.redacted is not None:
        return {"type": "redacted_thinking", "data": part.redacted}
    if not part.signature:
        return None  # unsigned reasoning comes from elsewhere, the API takes back only its own
    return {"type": "thinking", "thinking": part.text, "signature": part.signature}


def _tool_use(part: ToolCall, place: str) -> dict[str, Any]:
    param = f"{place}.tool_calls[].function.arguments"
    try:
        arguments = orjson.loads(part.arguments or "{}")
    except orjson.JSONDecodeError:
        arguments = None
    if not isinstance(arguments, dict):
        raise BadRequest(
            f"Invalid value for '{param}': expected a JSON object.", code="invalid_type", param=param
        )
    return {"type": "tool_use", "id": safe_id(part.id), "name": part.name, "input": arguments}


def safe_id(call_id: str) -> str:
    """A tool call's id in the characters the API takes; ids of other providers may hold others."""
    return _ID_UNSAFE.sub("_", call_id) or "_"
