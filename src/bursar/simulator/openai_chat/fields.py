"""What OpenAI accepts in a chat completion request.

Source: openai/openai-openapi, schema CreateChatCompletionRequest, with the limits its descriptions state.
"""

from typing import Any

from bursar.simulator.checks import (
    Check,
    Path,
    anything,
    boolean,
    choice,
    integer,
    list_of,
    map_of,
    mapping,
    nullable,
    number,
    record,
    tagged,
    text,
    text_or,
)
from bursar.simulator.schema import well_formed

NAME = text(shortest=1, longest=64, pattern=r"[a-zA-Z0-9_-]+")
MESSAGES_MAX = 10_000

_BREAKPOINT = record({"mode": choice("explicit"), "ttl": choice("30m", "12h")}, required=("mode",))
_TEXT_PART = record(
    {"type": anything, "text": text(), "prompt_cache_breakpoint": _BREAKPOINT}, required=("type", "text")
)
_IMAGE_PART = record(
    {
        "type": anything,
        "image_url": record(
            {"url": text(shortest=1), "detail": choice("auto", "low", "high", "original")}, required=("url",)
        ),
        "prompt_cache_breakpoint": _BREAKPOINT,
    },
    required=("image_url",),
)
_AUDIO_PART = record(
    {
        "type": anything,
        "input_audio": record({"data": text(), "format": choice("wav", "mp3")}, required=("data", "format")),
        "prompt_cache_breakpoint": _BREAKPOINT,
    },
    required=("input_audio",),
)
_FILE_PART = record(
    {
        "type": anything,
        "file": record({"filename": text(), "file_data": text(), "file_id": text()}),
        "prompt_cache_breakpoint": _BREAKPOINT,
    },
    required=("file",),
)
_REFUSAL_PART = record({"type": anything, "refusal": text()}, required=("refusal",))
_TEXT_PARTS = text_or(list_of(tagged("type", {"text": _TEXT_PART}), least=1))
_USER_PARTS = text_or(
    list_of(
        tagged(
            "type",
            {"text": _TEXT_PART, "image_url": _IMAGE_PART, "input_audio": _AUDIO_PART, "file": _FILE_PART},
        ),
        least=1,
    )
)
_ASSISTANT_PARTS = text_or(list_of(tagged("type", {"text": _TEXT_PART, "refusal": _REFUSAL_PART}), least=1))
_CALL = tagged(
    "type",
    {
        "function": record(
            {
                "id": text(shortest=1),
                "type": anything,
                "function": record({"name": NAME, "arguments": text()}, required=("name", "arguments")),
            },
            required=("id", "function"),
        ),
        "custom": record(
            {
                "id": text(shortest=1),
                "type": anything,
                "custom": record({"name": NAME, "input": text()}, required=("name", "input")),
            },
            required=("id", "custom"),
        ),
    },
)
_PARTICIPANT = text(shortest=1, longest=64, pattern=r"[^\s<|\\/>]+")
_INSTRUCTION = record(
    {"role": anything, "content": _TEXT_PARTS, "name": _PARTICIPANT},
    required=("content",),
)
_MESSAGE = tagged(
    "role",
    {
        "system": _INSTRUCTION,
        "assistant": record(
            {
                "role": anything,
                "content": nullable(_ASSISTANT_PARTS),
                "name": _PARTICIPANT,
                "refusal": nullable(text()),
                "audio": nullable(record({"id": text()}, required=("id",))),
                "annotations": nullable(list_of(mapping)),
                "tool_calls": nullable(list_of(_CALL, least=1, most=128)),
                "function_call": nullable(
                    record({"name": NAME, "arguments": text()}, required=("name", "arguments"))
                ),
            }
        ),
        "user": record(
            {"role": anything, "content": _USER_PARTS, "name": _PARTICIPANT}, required=("content",)
        ),
        "function": record(
            {"role": anything, "content": nullable(text()), "name": NAME}, required=("content", "name")
        ),
        "tool": record(
            {"role": anything, "content": _TEXT_PARTS, "tool_call_id": text()},
            required=("content", "tool_call_id"),
        ),
        "developer": _INSTRUCTION,
    },
)
_FUNCTION = record(
    {"name": NAME, "description": text(), "parameters": well_formed, "strict": nullable(boolean)},
    required=("name",),
)
_TOOL = tagged(
    "type",
    {
        "function": record({"type": anything, "function": _FUNCTION}, required=("function",)),
        "custom": record(
            {
                "type": anything,
                "custom": record(
                    {"name": NAME, "description": text(), "format": mapping}, required=("name",)
                ),
            },
            required=("custom",),
        ),
    },
)
_NAMED = record({"name": NAME}, required=("name",))
_NAMED_TOOL = tagged(
    "type",
    {
        "function": record({"type": anything, "function": _NAMED}, required=("function",)),
        "custom": record({"type": anything, "custom": _NAMED}, required=("custom",)),
        "allowed_tools": record(
            {
                "type": anything,
                "allowed_tools": record(
                    {"mode": choice("auto", "required"), "tools": list_of(mapping)},
                    required=("mode", "tools"),
                ),
            },
            required=("allowed_tools",),
        ),
    },
)
_RESPONSE_FORMAT = tagged(
    "type",
    {
        "text": record({"type": anything}),
        "json_object": record({"type": anything}),
        "json_schema": record(
            {
                "type": anything,
                "json_schema": record(
                    {"name": NAME, "description": text(), "schema": well_formed, "strict": nullable(boolean)},
                    required=("name",),
                ),
            },
            required=("json_schema",),
        ),
    },
)


def _word_or(inner: Check, *words: str) -> Check:
    word = choice(*words)

    def check(value: Any, path: Path) -> None:
        (word if isinstance(value, str) else inner)(value, path)

    return check


FIELDS: dict[str, Check] = {
    "model": text(shortest=1),
    "messages": list_of(_MESSAGE, least=1, most=MESSAGES_MAX),
    "audio": nullable(mapping),
    "frequency_penalty": nullable(number(-2, 2)),
    "function_call": nullable(_word_or(_NAMED, "none", "auto")),
    "functions": nullable(list_of(_FUNCTION, least=1, most=128)),
    "logit_bias": nullable(map_of(number(-100, 100))),
    "logprobs": nullable(boolean),
    "max_completion_tokens": nullable(integer(1)),
    "max_tokens": nullable(integer(1)),
    "metadata": nullable(map_of(text(longest=512), most=16)),
    "modalities": nullable(list_of(choice("text", "audio"), least=1)),
    "moderation": nullable(record({"model": text(), "policy": anything}, required=("model",))),
    "n": nullable(integer(1, 128)),
    "parallel_tool_calls": nullable(boolean),
    "prediction": nullable(
        record({"type": choice("content"), "content": _TEXT_PARTS}, required=("type", "content"))
    ),
    "presence_penalty": nullable(number(-2, 2)),
    "prompt_cache_key": nullable(text()),
    "prompt_cache_options": nullable(record({"mode": anything, "ttl": anything})),
    "prompt_cache_retention": nullable(choice("in_memory", "24h")),
    "reasoning_effort": nullable(choice("none", "minimal", "low", "medium", "high", "xhigh", "max")),
    "response_format": nullable(_RESPONSE_FORMAT),
    "safety_identifier": nullable(text(longest=64)),
    "seed": nullable(integer(-(2**63), 2**63 - 1)),
    "service_tier": nullable(choice("auto", "default", "flex", "scale", "priority", "fast")),
    "stop": nullable(text_or(list_of(text(), least=1, most=4))),
    "store": nullable(boolean),
    "stream": nullable(boolean),
    "stream_options": nullable(record({"include_usage": boolean, "include_obfuscation": boolean})),
    "temperature": nullable(number(0, 2)),
    "tool_choice": nullable(_word_or(_NAMED_TOOL, "none", "auto", "required")),
    "tools": nullable(list_of(_TOOL, least=1, most=128)),
    "top_logprobs": nullable(integer(0, 20)),
    "top_p": nullable(number(0, 1)),
    "user": nullable(text()),
    "verbosity": nullable(choice("low", "medium", "high")),
    "web_search_options": nullable(mapping),
}
CHAT = record(FIELDS, required=("messages",))
_LOOSE_MESSAGE = record(
    {"role": text(shortest=1), "content": nullable(text_or(list_of(mapping)))},
    required=("role",),
    closed=False,
)
COMPATIBLE = record(
    {**FIELDS, "messages": list_of(_LOOSE_MESSAGE, least=1)}, required=("messages",), closed=False
)
"""An imitator ignores what it does not know."""
