"""OpenAI's chat completions: reading requests, writing errors.

Source: the public OpenAI OpenAPI document, schema `CreateChatCompletionRequest`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from bursar.core.chat import BadRequest
from bursar.core.estimate import tokens_of_bytes, tokens_of_text
from bursar.gateway.dialects import Asked, Call

DIALECT = "openai_chat"
ENDPOINT = "/v1/chat/completions"
PLAINLY_ASKED = Asked(ENDPOINT)

MESSAGE_TOKENS = 4
"""Role and separators around each message in OpenAI's chat format."""
REPLY_TOKENS = 3
IMAGE_TOKENS = 5_000
"""One picture at full detail: above what today's providers count (OpenAI ≈ 1,500, Anthropic < 4,800)."""
IMAGE_TOKENS_LOW = 300
"""One picture at `detail: low` (OpenAI: 85 to 260 by model)."""
AUDIO_BYTES_PER_TOKEN = 100
"""Base64 bytes of compressed speech per audio token, on the expensive side."""
FILE_TOKENS = 10_000
"""A file given by reference or address: its size is unknown here."""
FILE_BYTES_PER_TOKEN = 4
N_MAX = 128
OBJECTS_MAX = 200_000
VALUES_MAX = 2_000_000
"""Braces and commas of a body, its texts included: a hundred megabytes of tiny messages would hold up
everybody for seconds and take fifteen times their size; the longest prompts of today stay far below."""
NAME_CHARACTERS_MAX = 256


def read(body: bytes, asked: Asked = PLAINLY_ASKED) -> Call:
    """Check a request body. Raises `BadRequest` (422) naming the property that is wrong."""
    raw = _parse(body)
    check(raw)
    stream = raw.get("stream") is True
    options = raw.get("stream_options") or {}
    return Call(
        dialect=DIALECT,
        endpoint=asked.endpoint,
        model=raw["model"],
        stream=stream,
        include_usage=stream and options.get("include_usage") is True,
        max_tokens=_output_bound(raw),
        n=raw.get("n") or 1,
        input_tokens=estimate_input(raw),
        end_user=raw.get("safety_identifier") or raw.get("user"),
        tools_present=bool(raw.get("tools") or raw.get("functions")),
        raw=raw,
    )


def _parse(body: bytes) -> dict[str, Any]:
    if len(body) > OBJECTS_MAX and (body.count(b"{") > OBJECTS_MAX or body.count(b",") > VALUES_MAX):
        raise BadRequest("The body has too many parts.", code="invalid_json")
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError as broken:
        raise BadRequest(f"The body is not valid JSON: {broken.msg}.", code="invalid_json") from None
    if not isinstance(raw, dict):
        raise BadRequest("The body must be a JSON object.", code="invalid_json")
    return raw


def _output_bound(raw: Mapping[str, Any]) -> int | None:
    bounds = [raw[name] for name in ("max_completion_tokens", "max_tokens") if raw.get(name) is not None]
    return min(bounds, default=None)


def check(raw: Mapping[str, Any]) -> None:
    """Types and ranges of what is known; unknown properties are left to whoever serves the request."""
    for name in ("model", "messages"):
        if raw.get(name) is None:
            raise BadRequest(
                f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name
            )
    for name, value in raw.items():
        checker = _CHECKS.get(name)
        if checker is not None and value is not None:
            checker(name, value)


def _wrong(name: str, expected: str) -> BadRequest:
    return BadRequest(f"Invalid value for '{name}': expected {expected}.", code="invalid_type", param=name)


def _of_type(kind: type | tuple[type, ...], expected: str) -> Callable[[str, Any], None]:
    def checked(name: str, value: Any) -> None:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise _wrong(name, expected)

    return checked


def _within(low: int, high: int, kind: type | tuple[type, ...]) -> Callable[[str, Any], None]:
    expected = f"{'an integer' if kind is int else 'a number'} between {low} and {high}"
    of_kind = _of_type(kind, expected)

    def checked(name: str, value: Any) -> None:
        of_kind(name, value)
        if not low <= value <= high:
            raise _wrong(name, expected)

    return checked


def _check_model(name: str, value: Any) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= NAME_CHARACTERS_MAX:
        raise _wrong(name, f"a string of 1 to {NAME_CHARACTERS_MAX} characters")


def _check_messages(name: str, value: Any) -> None:
    if not isinstance(value, list) or not value:
        raise _wrong(name, "a non-empty array of messages")
    for position, message in enumerate(value):
        place = f"{name}[{position}]"
        if not isinstance(message, dict):
            raise _wrong(place, "an object")
        if not isinstance(message.get("role"), str):
            raise _wrong(f"{place}.role", "a string")
        _check_content(f"{place}.content", message.get("content"))


def _check_content(place: str, content: Any) -> None:
    if content is None or isinstance(content, str):
        return
    if not isinstance(content, list):
        raise _wrong(place, "a string or an array of content parts")
    for position, part in enumerate(content):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise _wrong(f"{place}[{position}]", "an object with a 'type'")


def _check_stream_options(name: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise _wrong(name, "an object")
    if not isinstance(value.get("include_usage", False), bool | None):
        raise _wrong(f"{name}.include_usage", "a boolean")


def _check_stop(name: str, value: Any) -> None:
    if isinstance(value, str):
        return
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(name, "a string or an array of strings")


def _check_objects(name: str, value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _wrong(name, "an array of objects")


_INT64_MAX = 2**63 - 1
_NUMBER = (int, float)
_STRING = _of_type(str, "a string")
_BOOLEAN = _of_type(bool, "a boolean")
_OBJECT = _of_type(dict, "an object")
_CHECKS: dict[str, Callable[[str, Any], None]] = {
    "model": _check_model,
    "messages": _check_messages,
    "stream": _BOOLEAN,
    "stream_options": _check_stream_options,
    "n": _within(1, N_MAX, int),
    "max_tokens": _within(1, _INT64_MAX, int),
    "max_completion_tokens": _within(1, _INT64_MAX, int),
    "temperature": _within(0, 2, _NUMBER),
    "top_p": _within(0, 1, _NUMBER),
    "frequency_penalty": _within(-2, 2, _NUMBER),
    "presence_penalty": _within(-2, 2, _NUMBER),
    "top_logprobs": _within(0, 20, int),
    "seed": _of_type(int, "an integer"),
    "logprobs": _BOOLEAN,
    "store": _BOOLEAN,
    "parallel_tool_calls": _BOOLEAN,
    "tools": _check_objects,
    "functions": _check_objects,
    "tool_choice": _of_type((str, dict), "a string or an object"),
    "function_call": _of_type((str, dict), "a string or an object"),
    "response_format": _OBJECT,
    "logit_bias": _OBJECT,
    "metadata": _OBJECT,
    "audio": _OBJECT,
    "prediction": _OBJECT,
    "moderation": _OBJECT,
    "prompt_cache_options": _OBJECT,
    "web_search_options": _OBJECT,
    "modalities": _of_type(list, "an array"),
    "stop": _check_stop,
    "user": _STRING,
    "safety_identifier": _STRING,
    "prompt_cache_key": _STRING,
    "prompt_cache_retention": _STRING,
    "reasoning_effort": _STRING,
    "service_tier": _STRING,
    "verbosity": _STRING,
}


_NOT_READ_BY_THE_MODEL = frozenset(
    {"model", "messages", *_CHECKS} - {"tools", "functions", "response_format", "prediction"}
)
"""Properties that add no input tokens; what is not known here is counted, since an upstream may read it."""


_PLAIN = frozenset({"role", "content"})


def estimate_input(raw: Mapping[str, Any]) -> int:
    """Input tokens on the high side: text by its characters, pictures, sound, files by bounded constants."""
    texts: list[str] = []
    tokens = REPLY_TOKENS
    for message in raw["messages"]:
        tokens += MESSAGE_TOKENS
        content = message.get("content")
        if isinstance(content, str):
            texts.append(content)
        elif content is not None:
            tokens += sum(_part_tokens(part, texts) for part in content)
        if content is None or len(message) > len(_PLAIN):
            tokens += _rest_tokens(message)
    for name, value in raw.items():
        if name not in _NOT_READ_BY_THE_MODEL and value:
            tokens += tokens_of_bytes(len(orjson.dumps(value)))
    return tokens + tokens_of_text("\n".join(texts))


def _rest_tokens(message: Mapping[str, Any]) -> int:
    rest = {name: value for name, value in message.items() if name not in _PLAIN and value}
    return tokens_of_bytes(len(orjson.dumps(rest))) if rest else 0


def _part_tokens(part: Mapping[str, Any], texts: list[str]) -> int:
    tokens = 0
    match part:
        case {"type": "text", "text": str(text)}:
            texts.append(text)
        case {"type": "image_url", "image_url": {"detail": "low"}}:
            tokens = IMAGE_TOKENS_LOW
        case {"type": "image_url"}:
            tokens = IMAGE_TOKENS
        case {"type": "input_audio", "input_audio": {"data": str(sound)}}:
            tokens = 1 + len(sound) // AUDIO_BYTES_PER_TOKEN
        case {"type": "file", "file": {"file_data": str(file)}}:
            tokens = max(FILE_TOKENS, len(file) // FILE_BYTES_PER_TOKEN)
        case {"type": "file"}:
            tokens = FILE_TOKENS
        case _:
            tokens = tokens_of_bytes(len(orjson.dumps(part)))
    return tokens
