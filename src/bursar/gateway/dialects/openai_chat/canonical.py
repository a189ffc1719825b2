"""OpenAI's chat request, read into the canonical form. Shapes that make no sense raise `BadRequest`."""

import re
from collections.abc import Mapping
from typing import Any

from bursar.core.chat import (
    Audio,
    BadRequest,
    ChatRequest,
    File,
    Image,
    Part,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from bursar.gateway.dialects.bodies import wrong
from bursar.gateway.dialects.openai_words import cache_minutes, effort

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w=.+-]+)*;base64,", re.ASCII)
_NAMES: Mapping[str, str] = {
    "effort": "reasoning_effort",
    "json_schema": "response_format.json_schema",
    "json_object": "response_format.type",
    "parallel_tools": "parallel_tool_calls",
    "end_user": "safety_identifier",
    "cache_minutes": "prompt_cache_options.ttl",
}
"""What this dialect calls the canonical fields that have another name here."""


def canonical(raw: Mapping[str, Any]) -> ChatRequest:
    """The request in the canonical form; `raw` has passed `reading.check`."""
    bounds = [raw[name] for name in ("max_completion_tokens", "max_tokens") if raw.get(name) is not None]
    stop = raw.get("stop")
    tools, choice = _tools(raw)
    return ChatRequest(
        turns=_turns(raw["messages"]),
        max_tokens=min(bounds, default=None),
        temperature=raw.get("temperature"),
        top_p=raw.get("top_p"),
        stop=(stop,) if isinstance(stop, str) else tuple(stop or ()),
        tools=tools,
        tool_choice=choice,
        parallel_tools=raw.get("parallel_tool_calls"),
        effort=effort(raw.get("reasoning_effort"), "reasoning_effort"),
        json_schema=_json_schema(raw.get("response_format")),
        cache_minutes=cache_minutes(raw.get("prompt_cache_options")),
        end_user=raw.get("safety_identifier") or raw.get("user"),
        service_tier=raw.get("service_tier"),
        json_object=_asks_any_json(raw.get("response_format")),
        seed=raw.get("seed"),
        frequency_penalty=raw.get("frequency_penalty"),
        presence_penalty=raw.get("presence_penalty"),
        n=raw.get("n"),
        metadata=raw.get("metadata"),
        names=_NAMES,
    )


def _asks_any_json(response_format: Mapping[str, Any] | None) -> bool:
    return response_format is not None and response_format.get("type") == "json_object"


def text_at(source: object, name: str, place: str) -> str:
    """The string at `name`. Raises `BadRequest` when there is none."""
    value = source.get(name) if isinstance(source, Mapping) else None
    if not isinstance(value, str):
        raise wrong(f"{place}.{name}", "a string")
    return value


def _json_schema(response_format: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if response_format is None or response_format.get("type") != "json_schema":
        return None
    described = response_format.get("json_schema")
    schema = described.get("schema") if isinstance(described, Mapping) else None
    if not isinstance(schema, Mapping):
        raise wrong("response_format.json_schema.schema", "a JSON schema")
    return schema


def _turns(messages: list[dict[str, Any]]) -> tuple[Turn, ...]:
    turns = []
    function_call_id: str | None = None
    for position, message in enumerate(messages):
        place = f"messages[{position}]"
        role = message["role"]
        if role in {"system", "developer"}:
            turns.append(Turn(role="system", parts=_content(message.get("content"), place), place=place))
        elif role == "user":
            turns.append(Turn(role="user", parts=_content(message.get("content"), place), place=place))
        elif role == "assistant":
            if message.get("function_call") is not None:
                function_call_id = f"call_{position}"
            turns.append(Turn(role="assistant", parts=_said(message, place, function_call_id), place=place))
        elif role in {"tool", "function"}:
            call_id = text_at(message, "tool_call_id", place) if role == "tool" else function_call_id
            turns.append(Turn(role="user", parts=(_result(message, place, call_id),), place=place))
        else:
            raise wrong(f"{place}.role", "system, developer, user, assistant, tool or function")
    return tuple(turns)


def _said(message: Mapping[str, Any], place: str, function_call_id: str | None) -> tuple[Part, ...]:
    """An assistant's message: what it thought, said and called, in that order."""
    parts: list[Part] = [_thinking(block, place) for block in _listed(message, "thinking_blocks", place)]
    parts += _content(message.get("content"), place)
    refusal = message.get("refusal")
    if refusal is not None:
        parts.append(Text(text=text_at(message, "refusal", place)))
    for position, call in enumerate(_listed(message, "tool_calls", place)):
        parts.append(_tool_call(call, f"{place}.tool_calls[{position}]"))
    function = message.get("function_call")
    if function is not None and function_call_id is not None:
        inner = f"{place}.function_call"
        name, arguments = text_at(function, "name", inner), text_at(function, "arguments", inner)
        parts.append(ToolCall(id=function_call_id, name=name, arguments=arguments))
    return tuple(parts)


def _listed(message: Mapping[str, Any], name: str, place: str) -> list[Any]:
    value = message.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong(f"{place}.{name}", "an array")
    return value


def _thinking(block: Any, place: str) -> Thinking:
    place = f"{place}.thinking_blocks[]"
    if isinstance(block, Mapping) and block.get("type") == "redacted_thinking":
        return Thinking(redacted=text_at(block, "data", place))
    return Thinking(text=text_at(block, "thinking", place), signature=text_at(block, "signature", place))


def _tool_call(call: Any, place: str) -> ToolCall:
    call_id = text_at(call, "id", place)
    function, inner = call.get("function"), f"{place}.function"
    return ToolCall(
        id=call_id, name=text_at(function, "name", inner), arguments=text_at(function, "arguments", inner)
    )


def _result(message: Mapping[str, Any], place: str, call_id: str | None) -> ToolResult:
    if call_id is None:
        raise BadRequest("A function's result must follow its call.", param=f"{place}.role")
    parts = []
    for part in _content(message.get("content"), place):
        if not isinstance(part, Text | Image):
            raise wrong(f"{place}.content", "text")
        parts.append(part)
    return ToolResult(call_id=call_id, parts=tuple(parts))


def _content(content: Any, place: str) -> tuple[Part, ...]:
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(text=content),)
    return tuple(_part(part, f"{place}.content[{position}]") for position, part in enumerate(content))


def _part(part: Mapping[str, Any], place: str) -> Part:
    cache = part.get("prompt_cache_breakpoint") is not None
    kind = part["type"]
    if kind == "text":
        return Text(text=text_at(part, "text", place), cache=cache)
    if kind == "refusal":
        return Text(text=text_at(part, "refusal", place), cache=cache)
    if kind == "image_url":
        return _image(text_at(part.get("image_url"), "url", f"{place}.image_url"), place, cache=cache)
    if kind == "input_audio":
        inner, sound = f"{place}.input_audio", part.get("input_audio")
        return Audio(data=text_at(sound, "data", inner), format=text_at(sound, "format", inner), cache=cache)
    if kind == "file":
        return _file(part.get("file"), place, cache=cache)
    raise wrong(f"{place}.type", "text, image_url, input_audio, file or refusal")


def _image(url: str, place: str, *, cache: bool) -> Image:
    if url.startswith(("https://", "http://")):
        return Image(url=url, cache=cache)
    media_type, data = _data_url(url, f"{place}.image_url.url")
    return Image(media_type=media_type, data=data, cache=cache)


def _file(file: Any, place: str, *, cache: bool) -> File:
    if not isinstance(file, Mapping):
        raise wrong(f"{place}.file", "an object")
    name = text_at(file, "filename", f"{place}.file") if file.get("filename") is not None else None
    if file.get("file_data") is None:
        return File(file_id=text_at(file, "file_id", f"{place}.file"), name=name, cache=cache)
    encoded = text_at(file, "file_data", f"{place}.file")
    media_type, data = _data_url(encoded, f"{place}.file.file_data")
    return File(media_type=media_type, data=data, name=name, cache=cache)


def _data_url(url: str, param: str) -> tuple[str, str]:
    """Media type and base64 text of a data URL."""
    match = _DATA_URL.match(url)
    if match is None:
        raise wrong(param, "an http(s) URL or a base64 data URL")
    return match[1].lower(), url[match.end() :]


def _tools(raw: Mapping[str, Any]) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    """The tools on offer and the choice among them; the deprecated `functions` are tools by another name."""
    functions = [
        (tool.get("function"), f"tools[{n}].function") for n, tool in enumerate(raw.get("tools") or ())
    ]
    functions += [(function, f"functions[{n}]") for n, function in enumerate(raw.get("functions") or ())]
    tools = tuple(_tool(function, place) for function, place in functions)
    choice = raw.get("tool_choice")
    if choice is None:
        choice = raw.get("function_call")
    if isinstance(choice, Mapping) and choice.get("type") == "allowed_tools":
        return _allowed(choice, tools)
    return tools, _choice(choice)


def _tool(function: Any, place: str) -> Tool:
    name = text_at(function, "name", place)
    parameters, description, strict = (function.get(key) for key in ("parameters", "description", "strict"))
    if parameters is not None and not isinstance(parameters, Mapping):
        raise wrong(f"{place}.parameters", "a JSON schema")
    if description is not None and not isinstance(description, str):
        raise wrong(f"{place}.description", "a string")
    return Tool(name=name, description=description, parameters=parameters, strict=strict is True)


def _allowed(choice: Mapping[str, Any], tools: tuple[Tool, ...]) -> tuple[tuple[Tool, ...], ToolChoice]:
    place = "tool_choice.allowed_tools"
    allowed = choice.get("allowed_tools")
    mode = text_at(allowed, "mode", place)
    listed = allowed.get("tools") if isinstance(allowed, Mapping) else None
    if mode not in {"auto", "required"} or not isinstance(listed, list):
        raise wrong(place, "a mode (auto or required) and an array of tools")
    names = {
        text_at(item.get("function") if isinstance(item, Mapping) else None, "name", place) for item in listed
    }
    kept = tuple(tool for tool in tools if tool.name in names)
    return kept, ToolChoice(mode="required" if mode == "required" else "auto")


def _choice(choice: Any) -> ToolChoice | None:
    if choice is None:
        return None
    if isinstance(choice, Mapping):
        function = choice.get("function") if "function" in choice else choice
        return ToolChoice(mode="named", name=text_at(function, "name", "tool_choice.function"))
    if choice in {"auto", "none", "required"}:
        return ToolChoice(mode=choice)
    raise wrong("tool_choice", "none, auto, required or a named tool")
