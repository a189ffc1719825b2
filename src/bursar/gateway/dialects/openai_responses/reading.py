"""OpenAI's requests for a response: reading, checks, an estimate of their input.

Source: the public OpenAI OpenAPI document, schema `CreateResponse`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from bursar.core.estimate import tokens_of_bytes, tokens_of_text
from bursar.gateway.dialects import Asked, Call, Memory
from bursar.gateway.dialects.bodies import (
    NUMBER,
    Check,
    check_model,
    of_type,
    parse_object,
    require,
    within,
    wrong,
)

DIALECT: Final = "openai_responses"
ENDPOINT: Final = "/v1/responses"
PLAINLY_ASKED: Final = Asked(ENDPOINT)

ITEM_TOKENS: Final = 4
"""Role and separators around each item, as around a chat's messages."""
REPLY_TOKENS: Final = 3
IMAGE_TOKENS: Final = 5_000
"""One picture at full detail: above what today's providers count."""
IMAGE_TOKENS_LOW: Final = 300
FILE_TOKENS: Final = 10_000
"""A file given by reference or address: its size is unknown here."""
FILE_BYTES_PER_TOKEN: Final = 4
ID_CHARACTERS_MAX: Final = 128
_INT64_MAX = 2**63 - 1


def read(body: bytes, asked: Asked = PLAINLY_ASKED) -> Call:
    """Check a request body. Raises `BadRequest` (422) naming the property that is wrong."""
    raw = parse_object(body)
    check(raw)
    stream = raw.get("stream") is True
    return Call(
        dialect=DIALECT,
        endpoint=asked.endpoint,
        model=raw["model"],
        stream=stream,
        include_usage=stream,
        max_tokens=raw.get("max_output_tokens"),
        n=1,
        input_tokens=estimate_input(raw),
        end_user=raw.get("safety_identifier") or raw.get("user"),
        tools_present=bool(raw.get("tools")),
        raw=raw,
        memory=Memory(previous_id=raw.get("previous_response_id"), own_input=items_of(raw["input"])),
    )


def items_of(given: Any) -> list[Any]:
    """The input as items; a text is a message of the user's."""
    if isinstance(given, str):
        content = [{"type": "input_text", "text": given}]
        return [{"type": "message", "role": "user", "content": content}]
    return list(given)


def check(raw: Mapping[str, Any]) -> None:
    """Types and ranges of what is known; unknown properties are left to whoever serves the request."""
    require(raw, "model", "input")
    for name, value in raw.items():
        checker = _CHECKS.get(name)
        if checker is not None and value is not None:
            checker(name, value)
    if not raw["input"] and raw.get("previous_response_id") is None:
        raise wrong("input", "a text or a non-empty array of items")


def _check_input(name: str, value: Any) -> None:
    if isinstance(value, str):
        return
    if not isinstance(value, list):
        raise wrong(name, "a text or an array of items")
    for position, item in enumerate(value):
        place = f"{name}[{position}]"
        if not isinstance(item, dict):
            raise wrong(place, "an object")
        if not isinstance(item.get("type"), str | None):
            raise wrong(f"{place}.type", "a string")
        if not isinstance(item.get("role"), str | None):
            raise wrong(f"{place}.role", "a string")
        for group in ("content", "output"):
            _check_parts(f"{place}.{group}", item.get(group))


def _check_parts(place: str, content: Any) -> None:
    if not isinstance(content, list):
        return  # a text, or an object that some kinds of items have
    for position, part in enumerate(content):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise wrong(f"{place}[{position}]", "an object with a 'type'")


def _check_id(name: str, value: Any) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= ID_CHARACTERS_MAX:
        raise wrong(name, f"a string of 1 to {ID_CHARACTERS_MAX} characters")


def _check_objects(name: str, value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise wrong(name, "an array of objects")


def _check_include(name: str, value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise wrong(name, "an array of strings")


def _check_text(name: str, value: Any) -> None:
    _OBJECT(name, value)
    if value.get("format") is not None:
        _OBJECT(f"{name}.format", value["format"])


_STRING = of_type(str, "a string")
_BOOLEAN = of_type(bool, "a boolean")
_OBJECT = of_type(dict, "an object")
_CHECKS: dict[str, Check] = {
    "model": check_model,
    "input": _check_input,
    "background": _BOOLEAN,
    "context_management": _check_objects,
    "conversation": of_type((str, dict), "a string or an object"),
    "include": _check_include,
    "instructions": _STRING,
    "max_output_tokens": within(1, _INT64_MAX, int),
    "max_tool_calls": within(0, _INT64_MAX, int),
    "metadata": _OBJECT,
    "moderation": _OBJECT,
    "parallel_tool_calls": _BOOLEAN,
    "previous_response_id": _check_id,
    "prompt": _OBJECT,
    "prompt_cache_key": _STRING,
    "prompt_cache_options": _OBJECT,
    "prompt_cache_retention": _STRING,
    "reasoning": _OBJECT,
    "safety_identifier": _STRING,
    "service_tier": _STRING,
    "store": _BOOLEAN,
    "stream": _BOOLEAN,
    "stream_options": _OBJECT,
    "temperature": within(0, 2, NUMBER),
    "text": _check_text,
    "tool_choice": of_type((str, dict), "a string or an object"),
    "tools": _check_objects,
    "top_logprobs": within(0, 20, int),
    "top_p": within(0, 1, NUMBER),
    "truncation": _STRING,
    "user": _STRING,
}
_COUNTED_APART = frozenset({"model", "input", "instructions"})
_READ_BY_THE_MODEL = frozenset({"tools", "text", "moderation", "context_management", "prompt"})
_NOT_READ_BY_THE_MODEL = frozenset(_CHECKS) - _READ_BY_THE_MODEL - _COUNTED_APART


def estimate_input(raw: Mapping[str, Any]) -> int:
    """Input tokens on the high side; what is not known here is counted, since an upstream may read it."""
    given = raw["input"]
    if isinstance(given, str):
        tokens = REPLY_TOKENS + ITEM_TOKENS + tokens_of_text(given)
    else:
        tokens = REPLY_TOKENS + estimate_items(given)
    if raw.get("instructions"):
        tokens += ITEM_TOKENS + tokens_of_text(raw["instructions"])
    for name, value in raw.items():
        if name not in _NOT_READ_BY_THE_MODEL and name not in _COUNTED_APART and value:
            tokens += tokens_of_bytes(len(orjson.dumps(value)))
    return tokens


def estimate_items(items: Iterable[Mapping[str, Any]]) -> int:
    """The tokens of input items: text by its characters, pictures and files by bounded constants."""
    texts: list[str] = []
    tokens = 0
    for item in items:
        tokens += ITEM_TOKENS
        rest = {}
        for name, value in item.items():
            if name in {"content", "output"} and isinstance(value, str):
                texts.append(value)
            elif name in {"content", "output"} and isinstance(value, list):
                tokens += sum(_part_tokens(part, texts) for part in value)
            elif value and name not in {"type", "role", "id", "status"}:
                rest[name] = value
        tokens += tokens_of_bytes(len(orjson.dumps(rest))) if rest else 0
    return tokens + tokens_of_text("\n".join(texts))


def _part_tokens(part: Mapping[str, Any], texts: list[str]) -> int:
    tokens = 0
    match part:
        case {"type": "input_text" | "output_text", "text": str(text)}:
            texts.append(text)
        case {"type": "input_image", "detail": "low"}:
            tokens = IMAGE_TOKENS_LOW
        case {"type": "input_image"}:
            tokens = IMAGE_TOKENS
        case {"type": "input_file", "file_data": str(file)}:
            tokens = max(FILE_TOKENS, len(file) // FILE_BYTES_PER_TOKEN)
        case {"type": "input_file"}:
            tokens = FILE_TOKENS
        case _:
            tokens = tokens_of_bytes(len(orjson.dumps(part)))
    return tokens
