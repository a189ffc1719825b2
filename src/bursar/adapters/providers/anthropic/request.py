"""A canonical chat request written for Anthropic's Messages API.

Source: Anthropic's API reference and Python SDK 2.10, `MessageCreateParams`.
"""

from typing import Any

from bursar.adapters.providers import Attempt
from bursar.adapters.providers.anthropic.blocks import blocks_of, messages_of
from bursar.adapters.providers.anthropic.models import takes_sampling, thinks_by_budget
from bursar.adapters.providers.anthropic.schema import closed
from bursar.core.chat import (
    ChatRequest,
    Effort,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    unsupported,
)

THINKING_TOKENS_MIN = 1024
"""The smallest thinking budget the API takes."""
_BUDGET_PERCENT: dict[Effort, int] = {
    "minimal": 10, "low": 20, "medium": 50, "high": 80, "xhigh": 90, "max": 95,
}  # fmt: skip
"""Share of the output bound that older models may spend on thinking."""
_EFFORT: dict[Effort, str] = {"minimal": "low"}
_BUDGETS: tuple[tuple[int, Effort], ...] = ((2_048, "low"), (8_192, "medium"))
"""Thinking budgets up to so many tokens, and the effort that spends about as much; above: high."""
_SAMPLING = ("temperature", "top_p", "top_k")
_REFUSED: dict[str, tuple[str, tuple[Any, ...]]] = {
    "seed": ("the provider's sampling cannot be seeded", (None,)),
    "frequency_penalty": ("the provider has no penalties", (None, 0)),
    "presence_penalty": ("the provider has no penalties", (None, 0)),
    "json_object": ("the provider wants a schema", (False,)),
    "n": ("the provider gives one answer per request", (None, 1)),
}
"""Canonical field → why the API has no words for it, and the values that ask for nothing."""
_OPENAI_SCHEMA = "response_format.json_schema"
_LONG_CACHE_MINUTES = 60
_SHORT_CACHE_MINUTES = 5


def message_body(request: ChatRequest, attempt: Attempt, *, stream: bool) -> dict[str, Any]:
    """The request's body. Raises `BadRequest` for what the provider cannot do."""
    _refuse_unknown(request)
    bound = output_bound(request, attempt)
    model = attempt.deployment.provider_model
    mark = cache_control(request)
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": bound,
        "messages": messages_of(request.turns, mark, request.names),
    }
    system = [
        block
        for turn in request.turns
        if turn.role == "system"
        for block in blocks_of(turn, mark, request.names)
    ]
    if system:
        body["system"] = system
    if stream:
        body["stream"] = True
    if request.stop:
        body["stop_sequences"] = _stop_sequences(request)
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


def _refuse_unknown(request: ChatRequest) -> None:
    """Raise `BadRequest`, by the caller's name, for what the API has no words for."""
    for name, (why, neutral) in _REFUSED.items():
        if getattr(request, name) not in neutral:
            raise unsupported(request.named(name), why)


def _stop_sequences(request: ChatRequest) -> list[str]:
    if any(not sequence.strip() for sequence in request.stop):
        raise unsupported(request.named("stop"), "the provider takes no sequence of blanks alone")
    return list(request.stop)


def _sampling(request: ChatRequest, model: str) -> dict[str, Any]:
    given = {name: value for name in _SAMPLING if (value := getattr(request, name)) is not None}
    if takes_sampling(model):
        if given.get("temperature", 0) > 1:
            raise unsupported(request.named("temperature"), "the provider's range is 0 to 1")
        return given
    for name, value in given.items():
        if name == "top_k" or value != 1:
            raise unsupported(request.named(name), "this model's sampling cannot be set")
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
        output["format"] = {
            "type": "json_schema",
            "schema": closed(request.json_schema, _schema_place(request)),
        }
    if thinks_by_budget(model):
        body.update(_budget(request, bound))
    else:
        effort = _effort_of(request)
        if effort == "none":
            body["thinking"] = {"type": "disabled"}
        elif effort is not None:
            body["thinking"] = {"type": "adaptive", "display": "summarized"}
            output["effort"] = _EFFORT.get(effort, effort)
    if output:
        body["output_config"] = output
    return body


def _schema_place(request: ChatRequest) -> str:
    named = request.names.get("json_schema", _OPENAI_SCHEMA)
    return f"{named}.schema" if named == _OPENAI_SCHEMA else named


def _effort_of(request: ChatRequest) -> Effort | None:
    """The effort asked for; a budget in tokens is the effort that spends about as much."""
    if request.effort is not None or request.thinking_tokens is None:
        return request.effort
    if request.thinking_tokens == 0:
        return "none"
    return next((effort for most, effort in _BUDGETS if request.thinking_tokens <= most), "high")


def _budget(request: ChatRequest, bound: int) -> dict[str, Any]:
    """Thinking for models that take a budget.

    A tool loop that began without visible thinking cannot continue with it, so it goes on without.
    """
    effort, tokens = request.effort, request.thinking_tokens
    if effort is None and tokens is None:
        return {}
    if effort == "none" or (effort is None and tokens == 0) or _continues_without_thinking(request.turns):
        return {}
    asked = bound * _BUDGET_PERCENT[effort] // 100 if effort is not None else tokens or 0
    budget = max(THINKING_TOKENS_MIN, asked)
    if budget >= bound:
        if effort is None:
            raise unsupported(
                request.named("thinking_tokens"), f"thinking needs an output bound above {budget} tokens"
            )
        raise unsupported(
            request.names.get("effort", "reasoning_effort"),
            f"thinking needs an output bound above {THINKING_TOKENS_MIN} tokens",
        )
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def _continues_without_thinking(turns: tuple[Turn, ...]) -> bool:
    if not turns or not any(isinstance(part, ToolResult) for part in turns[-1].parts):
        return False
    answered = next((turn for turn in reversed(turns) if turn.role == "assistant"), None)
    return answered is not None and not any(isinstance(part, Thinking) for part in answered.parts)
