"""Anthropic's messages requests: checked as far as money and endings need it, and counted on the high side.

Source: Anthropic's API reference and the parameter types of its Python SDK 2.10 (`MessageCreateParams`,
`MessageCountTokensParams`). What is not known here is left to whoever serves the request.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from bursar.core.chat import BadRequest
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

DIALECT: Final = "anthropic_messages"
ENDPOINT: Final = "/v1/messages"
COUNT_ENDPOINT: Final = "/v1/messages/count_tokens"
PLAINLY_ASKED: Final = Asked(ENDPOINT)

FORWARDED_HEADERS: Final = ("anthropic-version", "anthropic-beta")
"""Headers of the caller that belong to the dialect: a provider that speaks it gets them untouched."""

REPLY_TOKENS: Final = 3
MESSAGE_TOKENS: Final = 4
"""Role and separators around each message."""
TOOLS_TOKENS: Final = 800
"""The system prompt that tools bring with them (public figures: 264 to 735, by model and choice)."""
IMAGE_TOKENS: Final = 5_000
"""One picture at full size: above what today's models count (Anthropic < 4,800)."""
FILE_TOKENS: Final = 10_000
"""A document given by address, or a short one: its pages are read as text and as pictures."""
FILE_BYTES_PER_TOKEN: Final = 4
SEARCHES_UNSAID: Final = 10
"""Web searches allowed, and held for, where the caller sets no `max_uses`."""
SEARCH_TOKENS: Final = 20_000
"""Input that one search may bring in: the pages it finds, read again with each further search. Anthropic's
documentation shows one that came to 14,500 tokens, half of them read from the cache."""
DEPTH_MAX: Final = 8
"""Blocks inside blocks: a picture in a document in a tool's result is three deep."""
_INT64_MAX: Final = 2**63 - 1


def read(body: bytes, asked: Asked = PLAINLY_ASKED) -> Call:
    """Check a request body. Raises `BadRequest` (422) naming the property that is wrong."""
    raw = parse_object(body)
    counting = asked.endpoint == COUNT_ENDPOINT
    _check(raw, counting=counting)
    stream = raw.get("stream") is True and not counting
    tools = raw.get("tools") or ()
    searches = _bound_searches(tools)
    return Call(
        dialect=DIALECT,
        endpoint=asked.endpoint,
        model=raw["model"],
        stream=stream,
        include_usage=stream,
        max_tokens=raw.get("max_tokens"),
        n=1,
        input_tokens=estimate_input(raw),
        end_user=(raw.get("metadata") or {}).get("user_id"),
        tools_present=bool(tools),
        raw=raw,
        headers=_forwarded(asked.headers),
        counts={Meter.WEB_SEARCH: searches} if searches else {},
        brought_tokens=searches * SEARCH_TOKENS,
    )


def _forwarded(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    found = {}
    for name in FORWARDED_HEADERS:
        value = headers.get(name.encode())
        if value is None:
            continue
        if not value.isascii():
            raise BadRequest(f"The header {name!r} holds other than ASCII.", param=name)
        found[name] = value.decode()
    return found


def is_web_search(tool: Mapping[str, Any]) -> bool:
    """Whether a tool is Anthropic's own search, which is billed by the search."""
    kind = tool.get("type")
    return isinstance(kind, str) and kind.startswith("web_search_")


def _bound_searches(tools: Any) -> int:
    """How many searches there may be; where the caller set no bound, ours is written into his tool."""
    searches = 0
    for position, tool in enumerate(tools):
        if not is_web_search(tool):
            continue
        if tool.get("max_uses") is None:
            tool["max_uses"] = SEARCHES_UNSAID
        _COUNT(f"tools.{position}.max_uses", tool["max_uses"])
        searches += tool["max_uses"]
    return searches


def _check(raw: Mapping[str, Any], *, counting: bool) -> None:
    """Types and ranges of what is known; unknown properties are left to whoever serves the request."""
    require(raw, "model", "messages") if counting else require(raw, "model", "max_tokens", "messages")
    for name, value in raw.items():
        checker = _CHECKS.get(name)
        if checker is not None and value is not None:
            checker(name, value)


def _check_messages(name: str, value: Any) -> None:
    if not isinstance(value, list) or not value:
        raise wrong(name, "a non-empty array of messages")
    for position, message in enumerate(value):
        place = f"{name}.{position}"
        if not isinstance(message, dict):
            raise wrong(place, "an object")
        if message.get("role") not in {"user", "assistant", "system"}:
            raise wrong(f"{place}.role", "user, assistant or system")
        _check_content(f"{place}.content", message.get("content"))


def _check_content(place: str, content: Any, depth: int = 0) -> None:
    """A text, or blocks; inside a tool's result and a document there may be blocks again."""
    if isinstance(content, str):
        return
    if depth > DEPTH_MAX:
        raise wrong(place, "no deeper nesting of blocks")
    if not isinstance(content, list):
        raise wrong(place, "a string or an array of content blocks")
    for position, block in enumerate(content):
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise wrong(f"{place}.{position}", "an object with a 'type'")
        if block["type"] == "tool_result" and block.get("content") is not None:
            _check_content(f"{place}.{position}.content", block["content"], depth + 1)
        elif block["type"] in {"image", "document"}:
            _check_source(f"{place}.{position}.source", block.get("source"), depth)


def _check_source(place: str, source: Any, depth: int) -> None:
    if not isinstance(source, dict) or not isinstance(source.get("type"), str):
        raise wrong(place, "an object with a 'type'")
    if source["type"] == "content":
        _check_content(f"{place}.content", source.get("content"), depth + 1)


def _check_system(name: str, value: Any) -> None:
    _check_content(name, value)


def _check_stop_sequences(name: str, value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise wrong(name, "an array of strings")


def _check_tools(name: str, value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise wrong(name, "an array of objects")


def _check_metadata(name: str, value: Any) -> None:
    _OBJECT(name, value)
    if not isinstance(value.get("user_id"), str | None):
        raise wrong(f"{name}.user_id", "a string")


_COUNT: Final = within(0, 1_000_000, int)
_STRING: Final = of_type(str, "a string")
_BOOLEAN: Final = of_type(bool, "a boolean")
_OBJECT: Final = of_type(dict, "an object")
_CHECKS: Final[dict[str, Check]] = {
    "model": check_model,
    "messages": _check_messages,
    "system": _check_system,
    "max_tokens": within(0, _INT64_MAX, int),
    "stream": _BOOLEAN,
    "temperature": within(0, 1, NUMBER),
    "top_p": within(0, 1, NUMBER),
    "top_k": within(0, _INT64_MAX, int),
    "stop_sequences": _check_stop_sequences,
    "tools": _check_tools,
    "tool_choice": _OBJECT,
    "thinking": _OBJECT,
    "output_config": _OBJECT,
    "metadata": _check_metadata,
    "service_tier": _STRING,
    "cache_control": _OBJECT,
}

_COUNTED_APART: Final = frozenset({"model", "messages", "system", *_CHECKS} - {"tools", "output_config"})
"""Properties that add no input tokens, or are counted by their blocks; what is not known here is counted."""


def estimate_input(raw: Mapping[str, Any]) -> int:
    """Input tokens on the high side: text by its characters, pictures and documents by bounded constants."""
    texts: list[str] = []
    tokens = REPLY_TOKENS + _content_tokens(raw.get("system") or (), texts)
    for message in raw["messages"]:
        tokens += MESSAGE_TOKENS + _content_tokens(message["content"], texts)
    for name, value in raw.items():
        if name not in _COUNTED_APART and value:
            tokens += tokens_of_bytes(len(orjson.dumps(value)))
    if raw.get("tools"):
        tokens += TOOLS_TOKENS
    return tokens + tokens_of_text("\n".join(texts))


def _content_tokens(content: Any, texts: list[str]) -> int:
    if isinstance(content, str):
        texts.append(content)
        return 0
    return sum(_block_tokens(block, texts) for block in content)


def _block_tokens(block: Mapping[str, Any], texts: list[str]) -> int:
    tokens = 0
    match block:
        case {"type": "text", "text": str(text)}:
            texts.append(text)
        case {"type": "image"}:
            tokens = IMAGE_TOKENS
        case {"type": "document", "source": source}:
            told = {name: value for name, value in block.items() if name != "source"}
            tokens = tokens_of_bytes(len(orjson.dumps(told))) + _document_tokens(source, texts)
        case {"type": "tool_result", "content": str() | list() as content}:
            tokens = MESSAGE_TOKENS + _content_tokens(content, texts)
        case _:
            tokens = tokens_of_bytes(len(orjson.dumps(block)))
    return tokens


def _document_tokens(source: Mapping[str, Any], texts: list[str]) -> int:
    match source:
        case {"type": "text", "data": str(text)}:
            texts.append(text)
            return 0
        case {"type": "content", "content": content}:
            return _content_tokens(content, texts)
        case {"type": "base64", "data": str(data)}:
            return max(FILE_TOKENS, len(data) // FILE_BYTES_PER_TOKEN)
    return FILE_TOKENS
