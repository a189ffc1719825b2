"""A canonical chat request written in OpenAI's chat dialect.

Source: OpenAI's API reference, `CreateChatCompletionRequest`.
"""

from collections.abc import Mapping
from typing import Any

from bursar.adapters.providers import Attempt
from bursar.adapters.providers.openai_chat.messages import messages_of
from bursar.adapters.providers.openai_chat.style import Style
from bursar.core.chat import ChatRequest, Tool, ToolChoice, unsupported

SCHEMA_NAME = "answer"
"""OpenAI wants answers' schemas named; the canonical form has no name for them."""
SCHEMA_DEPTH_MAX = 64
_NOTHING: tuple[Any, ...] = (None, 0)
"""Values of a refused option that ask for nothing."""
_PLAIN_TIERS = frozenset({"auto", "default"})


def chat_body(request: ChatRequest, attempt: Attempt, style: Style, *, stream: bool) -> dict[str, Any]:
    """The request's body. Raises `BadRequest` for what the server cannot do."""
    model = attempt.deployment.provider_model
    body: dict[str, Any] = {"model": model, "messages": messages_of(request, style, model)}
    body.update(_bound(request, attempt, style))
    body.update(_options(request, style))
    body.update(_tools(request, style))
    body.update(_answer_format(request, style))
    body.update(style.reasoning(request, model))
    if stream:
        body["stream"] = True
        if style.stream_options:
            body["stream_options"] = {"include_usage": True}
    return body


def _bound(request: ChatRequest, attempt: Attempt, style: Style) -> dict[str, int]:
    """The output's bound: the caller's within the model's, and the gateway's; none when nobody set one."""
    bounds = [bound for bound in (request.max_tokens, attempt.max_tokens) if bound is not None]
    if request.max_tokens is not None:
        bounds.append(attempt.deployment.output_tokens_max)
    return {style.output_bound: min(bounds)} if bounds else {}


def _options(request: ChatRequest, style: Style) -> dict[str, Any]:
    for name, why in style.refused.items():
        if getattr(request, name) not in _NOTHING:
            raise unsupported(request.named(name), why)
    given: dict[str, Any] = {
        written: value
        for name, written in style.options.items()
        if (value := getattr(request, name)) is not None
    }
    if (request.n or 1) > 1:
        raise unsupported(request.named("n"), "the provider gives one answer per request")
    if request.stop:
        if style.stop_max is not None and len(request.stop) > style.stop_max:
            raise unsupported(request.named("stop"), f"at most {style.stop_max} sequences are taken")
        given["stop"] = list(request.stop)
    if request.end_user and style.end_user is not None:
        given[style.end_user] = request.end_user
    return {**given, **_tier(request, style)}


def _tier(request: ChatRequest, style: Style) -> dict[str, str]:
    tier = request.service_tier
    if tier is None or tier in style.tiers:
        return {} if tier is None else {"service_tier": tier}
    if tier in _PLAIN_TIERS:
        return {}
    raise unsupported(request.named("service_tier"), "no price for this tier is kept")


def _tools(request: ChatRequest, style: Style) -> dict[str, Any]:
    if not request.tools:
        return {}
    body: dict[str, Any] = {"tools": [_tool(tool) for tool in request.tools]}
    if request.tool_choice is not None:
        body["tool_choice"] = _choice(request.tool_choice, request, style)
    if request.parallel_tools is not None and "parallel_tools" not in style.refused:
        body["parallel_tool_calls"] = request.parallel_tools
    return body


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    function["parameters"] = {"type": "object", "properties": {}, **(tool.parameters or {})}
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _choice(choice: ToolChoice, request: ChatRequest, style: Style) -> str | dict[str, Any]:
    written = style.choices.get(choice.mode)
    if written is None:
        raise unsupported(request.named("tool_choice"), "the provider lets the model choose")
    if choice.mode == "named":
        return {"type": written, "function": {"name": choice.name}}
    return written


def _answer_format(request: ChatRequest, style: Style) -> dict[str, Any]:
    if request.json_schema is not None:
        if not style.schemas:
            raise unsupported(request.named("json_schema"), "the provider gives JSON, but by no schema")
        described = {
            "name": SCHEMA_NAME,
            "schema": request.json_schema,
            "strict": is_strict(request.json_schema),
        }
        return {"response_format": {"type": "json_schema", "json_schema": described}}
    return {"response_format": {"type": "json_object"}} if request.json_object else {}


def is_strict(schema: Any, depth: int = 0) -> bool:
    """Whether OpenAI can hold an answer to `schema`: every object closed, every property required.

    Source: OpenAI's structured outputs guide. Other schemas are sent too, but the model is only told.
    """
    if depth > SCHEMA_DEPTH_MAX or not isinstance(schema, Mapping):
        return False
    properties = schema.get("properties")
    if schema.get("type") == "object" or properties is not None:
        if not isinstance(properties, Mapping) or schema.get("additionalProperties") is not False:
            return False
        if set(properties) != set(schema.get("required") or ()):
            return False
    if any(word in schema for word in ("oneOf", "allOf", "not", "if", "patternProperties")):
        return False
    return all(is_strict(inner, depth + 1) for inner in _inner(schema))


def _inner(schema: Mapping[str, Any]) -> list[Any]:
    found: list[Any] = []
    for group in ("properties", "$defs", "definitions"):
        named = schema.get(group)
        found += named.values() if isinstance(named, Mapping) else ()
    anyof = schema.get("anyOf")
    found += anyof if isinstance(anyof, list) else ()
    return [*found, schema["items"]] if "items" in schema else found
