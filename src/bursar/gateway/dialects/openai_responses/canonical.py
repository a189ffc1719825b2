"""OpenAI's requests for a response, read into the canonical form. What makes no sense raises `BadRequest`."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from bursar.adapters.providers.openai_responses.rules import REDACTED, SIGNED, kind_of
from bursar.core.chat import (
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

NAMES: Final[Mapping[str, str]] = {
    "max_tokens": "max_output_tokens",
    "parallel_tools": "parallel_tool_calls",
    "effort": "reasoning.effort",
    "thinking_tokens": "reasoning.effort",
    "json_schema": "text.format.schema",
    "json_object": "text.format.type",
    "cache_minutes": "prompt_cache_options.ttl",
    "end_user": "safety_identifier",
}
"""What this dialect calls the canonical fields that have another name here."""

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w=.+-]+)*;base64,", re.ASCII)
_ROLES: Mapping[str, Literal["system", "user", "assistant"]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
_PDF = "application/pdf"


def canonical(raw: Mapping[str, Any]) -> ChatRequest:
    """The request in the canonical form; `raw` has passed `reading.check` and the table of dispositions."""
    tools, choice = _tools(raw)
    text = raw.get("text") or {}
    wanted = text.get("format") or {}
    return ChatRequest(
        turns=_turns(raw),
        max_tokens=raw.get("max_output_tokens"),
        temperature=raw.get("temperature"),
        top_p=raw.get("top_p"),
        tools=tools,
        tool_choice=choice,
        parallel_tools=raw.get("parallel_tool_calls"),
        effort=effort((raw.get("reasoning") or {}).get("effort"), "reasoning.effort"),
        json_schema=_json_schema(wanted),
        json_object=wanted.get("type") == "json_object",
        cache_minutes=cache_minutes(raw.get("prompt_cache_options")),
        end_user=raw.get("safety_identifier") or raw.get("user"),
        service_tier=raw.get("service_tier"),
        names=NAMES,
    )


def text_at(source: Mapping[str, Any], name: str, place: str) -> str:
    """The string at `name`. Raises `BadRequest` when there is none."""
    value = source.get(name)
    if not isinstance(value, str):
        raise wrong(f"{place}.{name}", "a string")
    return value


def _json_schema(wanted: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if wanted.get("type") != "json_schema":
        return None
    schema = wanted.get("schema")
    if not isinstance(schema, Mapping):
        raise wrong("text.format.schema", "a JSON schema")
    return schema


# What was said


class _Said(NamedTuple):
    """One item: who says it, its parts, and where it stands."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[Part, ...]
    place: str
    is_message: bool


def _turns(raw: Mapping[str, Any]) -> tuple[Turn, ...]:
    """Items as turns: what the model says and calls in a row is one turn, and so are results in a row."""
    given = raw["input"]
    turns: list[Turn] = []
    if raw.get("instructions"):
        turns.append(Turn(role="system", parts=(Text(text=raw["instructions"]),), place="instructions"))
    if isinstance(given, str):
        return (*turns, Turn(role="user", parts=(Text(text=given),), place="input"))
    was_message = True
    for said in _said(given):
        follows = bool(turns) and turns[-1].role == said.role
        if follows and (said.role == "assistant" or not (was_message or said.is_message)):
            joined = (*turns[-1].parts, *said.parts)
            turns[-1] = Turn(role=said.role, parts=joined, place=turns[-1].place)
        else:
            turns.append(Turn(role=said.role, parts=said.parts, place=said.place))
        was_message = said.is_message
    return tuple(turns)


def _said(items: list[Any]) -> Iterator[_Said]:
    for position, item in enumerate(items):
        place = f"input[{position}]"
        kind = kind_of(item)
        if kind == "message":
            role = _ROLES.get(item.get("role") or "")
            if role is None:
                raise wrong(f"{place}.role", "user, assistant, system or developer")
            yield _Said(role, _content(item.get("content"), f"{place}.content"), place, is_message=True)
        elif kind == "reasoning":
            yield _Said("assistant", _thinking(item, place), place, is_message=False)
        elif kind == "function_call":
            yield _Said("assistant", (_tool_call(item, place),), place, is_message=False)
        elif kind == "function_call_output":
            yield _Said("user", (_result(item, place),), place, is_message=False)
        else:
            raise wrong(f"{place}.type", "message, reasoning, function_call or function_call_output")


def _thinking(item: Mapping[str, Any], place: str) -> tuple[Part, ...]:
    """Reasoning as its provider must get it back; OpenAI's own can be read by nobody else."""
    sealed = item.get("encrypted_content")
    sealed = sealed if isinstance(sealed, str) else ""
    if sealed.startswith(REDACTED):
        return (Thinking(redacted=sealed.removeprefix(REDACTED)),)
    parts = [*_listed(item, "summary", place), *_listed(item, "content", place)]
    text = "".join(text_at(part, "text", f"{place}.summary[]") for part in parts)
    if sealed.startswith(SIGNED):
        return (Thinking(text=text, signature=sealed.removeprefix(SIGNED)),)
    return (Thinking(text=text),) if text and not sealed else ()


def _listed(item: Mapping[str, Any], name: str, place: str) -> list[Mapping[str, Any]]:
    value = item.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(part, Mapping) for part in value):
        raise wrong(f"{place}.{name}", "an array of objects")
    return value


def _tool_call(item: Mapping[str, Any], place: str) -> ToolCall:
    return ToolCall(
        id=text_at(item, "call_id", place),
        name=text_at(item, "name", place),
        arguments=text_at(item, "arguments", place),
    )


def _result(item: Mapping[str, Any], place: str) -> ToolResult:
    parts = []
    for part in _content(item.get("output"), f"{place}.output"):
        if not isinstance(part, Text | Image):
            raise wrong(f"{place}.output", "text or pictures")
        parts.append(part)
    return ToolResult(call_id=text_at(item, "call_id", place), parts=tuple(parts))


def _content(content: Any, place: str) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Text(text=content),)
    if not isinstance(content, list):
        raise wrong(place, "a string or an array of parts")
    return tuple(_part(part, f"{place}[{position}]") for position, part in enumerate(content))


def _part(part: Mapping[str, Any], place: str) -> Part:
    cache = part.get("prompt_cache_breakpoint") is not None
    kind = part["type"]
    if kind in {"input_text", "output_text"}:
        return Text(text=text_at(part, "text", place), cache=cache)
    if kind == "refusal":
        return Text(text=text_at(part, "refusal", place), cache=cache)
    if kind == "input_image":
        return _image(text_at(part, "image_url", place), f"{place}.image_url", cache=cache)
    if kind == "input_file":
        return _file(part, place, cache=cache)
    raise wrong(f"{place}.type", "input_text, input_image, input_file, output_text or refusal")


def _image(url: str, param: str, *, cache: bool) -> Image:
    if url.startswith(("https://", "http://")):
        return Image(url=url, cache=cache)
    match = _DATA_URL.match(url)
    if match is None:
        raise wrong(param, "an http(s) URL or a base64 data URL")
    return Image(media_type=match[1].lower(), data=url[match.end() :], cache=cache)


def _file(part: Mapping[str, Any], place: str, *, cache: bool) -> File:
    """A file in base64, as a data URL or, as OpenAI takes it too, bare with the type in its name."""
    encoded = text_at(part, "file_data", place)
    name = part.get("filename")
    if not isinstance(name, str | None):
        raise wrong(f"{place}.filename", "a string")
    match = _DATA_URL.match(encoded)
    if match is not None:
        return File(media_type=match[1].lower(), data=encoded[match.end() :], name=name, cache=cache)
    if name is None or not name.lower().endswith(".pdf"):
        raise wrong(f"{place}.file_data", "a base64 data URL")
    return File(media_type=_PDF, data=encoded, name=name, cache=cache)


# Tools


def _tools(raw: Mapping[str, Any]) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    """The tools on offer and the choice among them."""
    tools = tuple(_tool(tool, f"tools[{n}]") for n, tool in enumerate(raw.get("tools") or ()))
    choice = raw.get("tool_choice")
    if choice is None:
        return tools, None
    if isinstance(choice, Mapping):
        if choice.get("type") == "allowed_tools":
            return _allowed(choice, tools)
        return tools, ToolChoice(mode="named", name=text_at(choice, "name", "tool_choice"))
    if choice not in {"auto", "none", "required"}:
        raise wrong("tool_choice", "none, auto, required or a named tool")
    return tools, ToolChoice(mode=choice)


def _tool(tool: Mapping[str, Any], place: str) -> Tool:
    name = text_at(tool, "name", place)
    parameters, description = tool.get("parameters"), tool.get("description")
    if parameters is not None and not isinstance(parameters, Mapping):
        raise wrong(f"{place}.parameters", "a JSON schema")
    if description is not None and not isinstance(description, str):
        raise wrong(f"{place}.description", "a string")
    return Tool(name=name, description=description, parameters=parameters, strict=tool.get("strict") is True)


def _allowed(choice: Mapping[str, Any], tools: tuple[Tool, ...]) -> tuple[tuple[Tool, ...], ToolChoice]:
    mode, listed = choice.get("mode"), choice.get("tools")
    if mode not in {"auto", "required"} or not isinstance(listed, list):
        raise wrong("tool_choice", "a mode (auto or required) and an array of tools")
    names = {
        text_at(item if isinstance(item, Mapping) else {}, "name", f"tool_choice.tools[{n}]")
        for n, item in enumerate(listed)
    }
    kept = tuple(tool for tool in tools if tool.name in names)
    return kept, ToolChoice(mode="required" if mode == "required" else "auto")
