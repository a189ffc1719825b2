"""OpenAI's chat completions: reading requests, writing errors.

Source: the public OpenAI OpenAPI document, schema `CreateChatCompletionRequest`.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from bursar.core.estimate import tokens_of_bytes, tokens_of_text
from bursar.core.usage import Meter
from bursar.gateway.dialects import Asked, Call
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
_TEXT_ALONE: frozenset[Meter] = frozenset()
_HEARD = frozenset({Meter.IN_AUDIO})
_SPOKEN = frozenset({Meter.IN_AUDIO, Meter.OUT_AUDIO})


def read(body: bytes, asked: Asked = PLAINLY_ASKED) -> Call:
    """Check a request body. Raises `BadRequest` (422) naming the property that is wrong."""
    raw = parse_object(body)
    check(raw)
    stream = raw.get("stream") is True
    options = raw.get("stream_options") or {}
    input_tokens, meters = estimate_input(raw)
    if raw.get("audio") is not None or "audio" in (raw.get("modalities") or ()):
        meters = _SPOKEN
    return Call(
        dialect=DIALECT,
        endpoint=asked.endpoint,
        model=raw["model"],
        stream=stream,
        include_usage=stream and options.get("include_usage") is True,
        max_tokens=_output_bound(raw),
        n=raw.get("n") or 1,
        input_tokens=input_tokens,
        end_user=raw.get("safety_identifier") or raw.get("user"),
        tools_present=bool(raw.get("tools") or raw.get("functions")),
        raw=raw,
        meters=meters,
    )


def _output_bound(raw: Mapping[str, Any]) -> int | None:
    bounds = [raw[name] for name in ("max_completion_tokens", "max_tokens") if raw.get(name) is not None]
    return min(bounds, default=None)


def check(raw: Mapping[str, Any]) -> None:
    """Types and ranges of what is known; unknown properties are left to whoever serves the request."""
    require(raw, "model", "messages")
    for name, value in raw.items():
        checker = _CHECKS.get(name)
        if checker is not None and value is not None:
            checker(name, value)


def _check_messages(name: str, value: Any) -> None:
    if not isinstance(value, list) or not value:
        raise wrong(name, "a non-empty array of messages")
    for position, message in enumerate(value):
        place = f"{name}[{position}]"
        if not isinstance(message, dict):
            raise wrong(place, "an object")
        if not isinstance(message.get("role"), str):
            raise wrong(f"{place}.role", "a string")
        _check_content(f"{place}.content", message.get("content"))


def _check_content(place: str, content: Any) -> None:
    if content is None or isinstance(content, str):
        return
    if not isinstance(content, list):
        raise wrong(place, "a string or an array of content parts")
    for position, part in enumerate(content):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise wrong(f"{place}[{position}]", "an object with a 'type'")


def _check_stream_options(name: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise wrong(name, "an object")
    if not isinstance(value.get("include_usage", False), bool | None):
        raise wrong(f"{name}.include_usage", "a boolean")


def _check_stop(name: str, value: Any) -> None:
    if isinstance(value, str):
        return
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise wrong(name, "a string or an array of strings")


def _check_objects(name: str, value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise wrong(name, "an array of objects")


_INT64_MAX = 2**63 - 1
_STRING = of_type(str, "a string")
_BOOLEAN = of_type(bool, "a boolean")
_OBJECT = of_type(dict, "an object")
_CHECKS: dict[str, Check] = {
    "model": check_model,
    "messages": _check_messages,
    "stream": _BOOLEAN,
    "stream_options": _check_stream_options,
    "n": within(1, N_MAX, int),
    "max_tokens": within(1, _INT64_MAX, int),
    "max_completion_tokens": within(1, _INT64_MAX, int),
    "temperature": within(0, 2, NUMBER),
    "top_p": within(0, 1, NUMBER),
    "frequency_penalty": within(-2, 2, NUMBER),
    "presence_penalty": within(-2, 2, NUMBER),
    "top_logprobs": within(0, 20, int),
    "seed": of_type(int, "an integer"),
    "logprobs": _BOOLEAN,
    "store": _BOOLEAN,
    "parallel_tool_calls": _BOOLEAN,
    "tools": _check_objects,
    "functions": _check_objects,
    "tool_choice": of_type((str, dict), "a string or an object"),
    "function_call": of_type((str, dict), "a string or an object"),
    "response_format": _OBJECT,
    "logit_bias": _OBJECT,
    "metadata": _OBJECT,
    "audio": _OBJECT,
    "prediction": _OBJECT,
    "moderation": _OBJECT,
    "prompt_cache_options": _OBJECT,
    "web_search_options": _OBJECT,
    "modalities": of_type(list, "an array"),
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


def estimate_input(raw: Mapping[str, Any]) -> tuple[int, frozenset[Meter]]:
    """Input tokens on the high side, and the dearer classes among them.

    Text is counted by its characters, pictures, sound and files by bounded constants.
    """
    texts: list[str] = []
    meters = _TEXT_ALONE
    tokens = REPLY_TOKENS
    for message in raw["messages"]:
        tokens += MESSAGE_TOKENS
        content = message.get("content")
        if isinstance(content, str):
            texts.append(content)
        elif content is not None:
            for part in content:
                tokens += _part_tokens(part, texts)
                if part["type"] == "input_audio":
                    meters = _HEARD
        if content is None or len(message) > len(_PLAIN):
            tokens += _rest_tokens(message)
            if message.get("audio"):  # an earlier answer, heard again
                meters = _HEARD
    for name, value in raw.items():
        if name not in _NOT_READ_BY_THE_MODEL and value:
            tokens += tokens_of_bytes(len(orjson.dumps(value)))
    return tokens + tokens_of_text("\n".join(texts)), meters


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
