"""What Anthropic accepts in a messages request.

Source: https://platform.claude.com/docs/en/api/messages and the parameter types of the Python SDK 2.10.0;
`temperature`, `top_p` and `top_k` exist only under `anthropic-version: 2023-06-01`, for older models.
"""

from typing import Any

from bursar.simulator.checks import (
    Check,
    Kind,
    Path,
    Problem,
    anything,
    boolean,
    choice,
    integer,
    list_of,
    mapping,
    nullable,
    number,
    record,
    tagged,
    text,
    text_or,
)
from bursar.simulator.schema import well_formed

MESSAGES_MAX = 100_000
TOOL_NAME = text(shortest=1, longest=128, pattern=r"[a-zA-Z0-9_-]{1,128}")
CALL_ID = text(shortest=1, pattern=r"[a-zA-Z0-9_-]+")
SERVER_TOOLS = (
    "web_search_",
    "web_fetch_",
    "code_execution_",
    "bash_",
    "text_editor_",
    "computer_",
    "memory_",
    "tool_search_tool_",
    "browser_toolset_",
)

_CACHE = nullable(record({"type": choice("ephemeral"), "ttl": choice("5m", "1h")}, required=("type",)))
_IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")


def _block(fields: dict[str, Check], *required: str) -> Check:
    return record({"type": anything, "cache_control": _CACHE, **fields}, required=required)


_TEXT = _block({"text": text(), "citations": anything}, "text")
_SOURCE = tagged(
    "type",
    {
        "base64": record(
            {"type": anything, "media_type": choice(*_IMAGE_TYPES), "data": text(shortest=1)},
            required=("media_type", "data"),
        ),
        "url": record({"type": anything, "url": text(pattern=r"https?://.*")}, required=("url",)),
        "file": record({"type": anything, "file_id": text(shortest=1)}, required=("file_id",)),
    },
    label=True,
)
_IMAGE = _block({"source": _SOURCE, "transformations": anything}, "source")
_DOCUMENT = _block(
    {"source": mapping, "title": anything, "context": anything, "citations": anything}, "source"
)
_SEARCH_RESULT = _block(
    {"source": text(), "title": text(), "content": list_of(mapping), "citations": anything},
    "source",
    "title",
    "content",
)
_RESULT_BLOCKS = text_or(
    list_of(
        tagged(
            "type",
            {
                "text": _TEXT,
                "image": _IMAGE,
                "document": _DOCUMENT,
                "search_result": _SEARCH_RESULT,
                "tool_reference": mapping,
                "browser_state": mapping,
            },
            label=True,
        )
    )
)
_TOOL_USE = _block(
    {"id": CALL_ID, "name": TOOL_NAME, "input": mapping, "caller": anything, "toolset_name": anything},
    "id", "name", "input",
)  # fmt: skip
_TOOL_RESULT = _block(
    {"tool_use_id": CALL_ID, "content": _RESULT_BLOCKS, "is_error": boolean, "toolset_name": anything},
    "tool_use_id",
)
_THINKING = record(
    {"type": anything, "thinking": text(), "signature": text()}, required=("thinking", "signature")
)
_BLOCK = tagged(
    "type",
    {
        "text": _TEXT,
        "image": _IMAGE,
        "document": _DOCUMENT,
        "search_result": _SEARCH_RESULT,
        "thinking": _THINKING,
        "redacted_thinking": record({"type": anything, "data": text(shortest=1)}, required=("data",)),
        "tool_use": _TOOL_USE,
        "tool_result": _TOOL_RESULT,
        "server_tool_use": mapping,
        "web_search_tool_result": mapping,
        "web_fetch_tool_result": mapping,
        "code_execution_tool_result": mapping,
        "bash_code_execution_tool_result": mapping,
        "text_editor_code_execution_tool_result": mapping,
        "tool_search_tool_result": mapping,
        "container_upload": mapping,
    },
    label=True,
)
_MESSAGE = record(
    {"role": choice("user", "assistant", "system"), "content": text_or(list_of(_BLOCK))},
    required=("role", "content"),
)
_CUSTOM_TOOL = record(
    {
        "type": nullable(choice("custom")),
        "name": TOOL_NAME,
        "description": text(),
        "input_schema": tagged("type", {"object": well_formed}),
        "cache_control": _CACHE,
        "strict": boolean,
        "allowed_callers": list_of(text()),
        "defer_loading": boolean,
        "eager_input_streaming": nullable(boolean),
        "input_examples": list_of(mapping),
    },
    required=("name", "input_schema"),
)


def _tool(value: Any, path: Path) -> None:
    mapping(value, path)
    kind = value.get("type") or "custom"
    if kind == "custom":
        _CUSTOM_TOOL(value, (*path, "custom"))
    elif not isinstance(kind, str) or not kind.startswith(SERVER_TOOLS):
        raise Problem(Kind.CHOICE, (*path, "type"), expected=("custom", *SERVER_TOOLS), value=kind)


_PARALLEL = {"type": anything, "disable_parallel_tool_use": boolean}
_TOOL_CHOICE = tagged(
    "type",
    {
        "auto": record(_PARALLEL),
        "any": record(_PARALLEL),
        "tool": record({**_PARALLEL, "name": text()}, required=("name",)),
        "none": record({"type": anything}),
    },
    label=True,
)
_DISPLAY = {"type": anything, "display": nullable(choice("summarized", "omitted"))}
_THINKING_CONFIG = tagged(
    "type",
    {
        "enabled": record({**_DISPLAY, "budget_tokens": integer(1024)}, required=("budget_tokens",)),
        "disabled": record({"type": anything}),
        "between_tools": record({"type": anything}),
        "adaptive": record(_DISPLAY),
    },
    label=True,
)
_COMMON: dict[str, Check] = {
    "model": text(shortest=1),
    "messages": list_of(_MESSAGE, least=1, most=MESSAGES_MAX),
    "system": text_or(list_of(tagged("type", {"text": _TEXT}))),
    "tools": list_of(_tool),
    "tool_choice": _TOOL_CHOICE,
    "thinking": _THINKING_CONFIG,
    "output_config": record(
        {
            "effort": nullable(choice("low", "medium", "high", "xhigh", "max")),
            "format": nullable(
                record({"type": choice("json_schema"), "schema": well_formed}, required=("type", "schema"))
            ),
        }
    ),
    "cache_control": _CACHE,
    "speed": nullable(choice("standard", "fast")),
}
BETA_FIELDS: dict[str, Check] = {"mcp_servers": list_of(mapping), "context_management": nullable(mapping)}
"""Accepted only beside an `anthropic-beta` header."""
MESSAGES: dict[str, Check] = {
    **_COMMON,
    "max_tokens": integer(0),
    "metadata": record({"user_id": nullable(text(longest=512))}),
    "stop_sequences": nullable(list_of(text())),
    "stream": boolean,
    "temperature": number(0, 1),
    "top_k": integer(0),
    "top_p": number(0, 1),
    "service_tier": choice("auto", "standard_only"),
    "container": anything,
    "diagnostics": nullable(mapping),
    "inference_geo": nullable(text()),
    "user_profile_id": text(),
}
COUNT_TOKENS = _COMMON
VERSION_WITH_SAMPLING = "2023-06-01"
VERSION = "2026-10-21"
SAMPLING = ("temperature", "top_p", "top_k")
"""Removed by version 2026-10-21: https://platform.claude.com/docs/en/api/versioning."""


def accepted(version: str, *, beta: bool, counting: bool) -> Check:
    """The check of a whole request under one API version."""
    fields = {**(COUNT_TOKENS if counting else MESSAGES), **(BETA_FIELDS if beta else {})}
    if version != VERSION_WITH_SAMPLING:
        fields = {name: check for name, check in fields.items() if name not in SAMPLING}
    return record(fields, required=("model", "messages") if counting else ("model", "max_tokens", "messages"))
