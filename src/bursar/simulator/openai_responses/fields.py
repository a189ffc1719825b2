"""What OpenAI accepts in a request for a response.

Source: openai/openai-openapi, schema CreateResponse, with the limits its descriptions state.
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
from bursar.simulator.openai_chat.fields import NAME
from bursar.simulator.schema import well_formed

ITEMS_MAX = 10_000
OUTPUT_TOKENS_MIN = 16
MESSAGE = "message"

_BREAKPOINT = record({"mode": choice("explicit"), "ttl": choice("30m", "12h")}, required=("mode",))
_STATUS = choice("in_progress", "completed", "incomplete")
_INPUT_TEXT = record(
    {"type": anything, "text": text(), "prompt_cache_breakpoint": _BREAKPOINT}, required=("text",)
)
_INPUT_IMAGE = record(
    {
        "type": anything,
        "image_url": nullable(text(shortest=1)),
        "file_id": nullable(text()),
        "detail": choice("auto", "low", "high", "original"),
        "prompt_cache_breakpoint": _BREAKPOINT,
    }
)
_INPUT_FILE = record(
    {
        "type": anything,
        "file_id": nullable(text()),
        "filename": text(),
        "file_data": text(),
        "file_url": text(),
        "detail": anything,
        "prompt_cache_breakpoint": _BREAKPOINT,
    }
)
_OUTPUT_TEXT = record(
    {"type": anything, "text": text(), "annotations": anything, "logprobs": anything}, required=("text",)
)
_REFUSAL = record({"type": anything, "refusal": text()}, required=("refusal",))
_SHOWN = {"input_text": _INPUT_TEXT, "input_image": _INPUT_IMAGE, "input_file": _INPUT_FILE}
_PARTS = text_or(list_of(tagged("type", {**_SHOWN, "output_text": _OUTPUT_TEXT, "refusal": _REFUSAL})))
_RESULT = text_or(list_of(tagged("type", _SHOWN)))
_MESSAGE = record(
    {
        "type": anything,
        "id": nullable(text()),
        "role": choice("user", "assistant", "system", "developer"),
        "content": _PARTS,
        "status": nullable(_STATUS),
        "phase": anything,
    },
    required=("role", "content"),
)
_CALL_ID = text(shortest=1, longest=64)


def _item(*required: str, **fields: Check) -> Check:
    return record(
        {"type": anything, "id": nullable(text()), "status": nullable(_STATUS), **fields}, required=required
    )


_ITEM = tagged(
    "type",
    {
        MESSAGE: _MESSAGE,
        "function_call": _item("call_id", "name", "arguments", call_id=_CALL_ID, name=NAME, arguments=text()),
        "function_call_output": _item("call_id", "output", call_id=_CALL_ID, output=_RESULT),
        "custom_tool_call": _item("call_id", "name", "input", call_id=_CALL_ID, name=NAME, input=text()),
        "custom_tool_call_output": _item("call_id", "output", call_id=_CALL_ID, output=_RESULT),
        "reasoning": _item(
            "id",
            "summary",
            summary=list_of(record({"type": anything, "text": text()}, required=("type", "text"))),
            content=nullable(list_of(mapping)),
            encrypted_content=nullable(text()),
        ),
        "item_reference": record({"type": anything, "id": text()}, required=("id",)),
    },
    default=MESSAGE,
)
_TOOL = tagged(
    "type",
    {
        "function": record(
            {
                "type": anything,
                "name": NAME,
                "description": nullable(text()),
                "parameters": nullable(well_formed),
                "strict": nullable(boolean),
            },
            required=("name",),
        ),
        "custom": record(
            {"type": anything, "name": NAME, "description": text(), "format": mapping}, required=("name",)
        ),
    },
)
_NAMED = record({"type": anything, "name": NAME}, required=("name",))
_CHOSEN = tagged(
    "type",
    {
        "function": _NAMED,
        "custom": _NAMED,
        "allowed_tools": record(
            {"type": anything, "mode": choice("auto", "required"), "tools": list_of(mapping)},
            required=("mode", "tools"),
        ),
    },
)
_FORMAT = tagged(
    "type",
    {
        "text": record({"type": anything}),
        "json_object": record({"type": anything}),
        "json_schema": record(
            {
                "type": anything,
                "name": NAME,
                "description": text(),
                "schema": well_formed,
                "strict": nullable(boolean),
            },
            required=("name", "schema"),
        ),
    },
)


def _word_or(inner: Check, *words: str) -> Check:
    word = choice(*words)

    def check(value: Any, path: Path) -> None:
        (word if isinstance(value, str) else inner)(value, path)

    return check


RESPONSE = record(
    {
        "model": text(shortest=1),
        "input": text_or(list_of(_ITEM, most=ITEMS_MAX)),
        "background": nullable(boolean),
        "context_management": nullable(list_of(mapping, least=1)),
        "conversation": anything,
        "include": nullable(list_of(text())),
        "instructions": nullable(text()),
        "max_output_tokens": nullable(integer(OUTPUT_TOKENS_MIN)),
        "max_tool_calls": nullable(integer(1)),
        "metadata": nullable(map_of(text(longest=512), most=16)),
        "moderation": nullable(mapping),
        "parallel_tool_calls": nullable(boolean),
        "previous_response_id": nullable(text()),
        "prompt": nullable(mapping),
        "prompt_cache_key": nullable(text()),
        "prompt_cache_options": nullable(record({"mode": anything, "ttl": anything})),
        "prompt_cache_retention": nullable(choice("in_memory", "24h")),
        "reasoning": nullable(
            record(
                {
                    "effort": nullable(choice("none", "minimal", "low", "medium", "high", "xhigh", "max")),
                    "summary": nullable(choice("auto", "concise", "detailed")),
                    "generate_summary": nullable(choice("auto", "concise", "detailed")),
                    "context": nullable(choice("auto", "current_turn", "all_turns")),
                    "mode": nullable(text()),
                }
            )
        ),
        "safety_identifier": nullable(text(longest=64)),
        "service_tier": nullable(choice("auto", "default", "flex", "scale", "priority", "fast", "ultrafast")),
        "store": nullable(boolean),
        "stream": nullable(boolean),
        "stream_options": nullable(record({"include_obfuscation": boolean})),
        "temperature": nullable(number(0, 2)),
        "text": nullable(record({"format": _FORMAT, "verbosity": nullable(choice("low", "medium", "high"))})),
        "tool_choice": nullable(_word_or(_CHOSEN, "none", "auto", "required")),
        "tools": nullable(list_of(_TOOL, most=128)),
        "top_logprobs": nullable(integer(0, 20)),
        "top_p": nullable(number(0, 1)),
        "truncation": nullable(choice("auto", "disabled")),
        "user": nullable(text()),
    },
    required=("input",),
)
