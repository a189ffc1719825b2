"""What Anthropic's SDK knows has a fate when it is translated: it is said, or refused by name.

A new version of the SDK that knows more makes these tests fail until somebody decides about it.
"""

from typing import Any, get_args, get_type_hints

import orjson
import pytest
from anthropic.types import (
    ContentBlockParam,
    MessageCreateParams,
    ToolParam,
    ToolUnionParam,
)
from anthropic.types.beta import MessageCreateParams as BetaParams

from bursar.core.chat import BadRequest, ChatRequest
from bursar.gateway.dialects.anthropic_messages import reading
from bursar.gateway.dialects.anthropic_messages.canonical import canonical

HEADERS = {"betas", "user_profile_id", "workspace_id"}
"""Sent as headers by the SDK."""
HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
SAID: dict[str, Any] = {
    "model": "m",
    "messages": HELLO,
    "max_tokens": 9,
    "cache_control": {"type": "ephemeral"},
    "metadata": {"user_id": "u"},
    "output_config": {"effort": "low"},
    "service_tier": "auto",
    "stop_sequences": ["x"],
    "stream": False,
    "system": "s",
    "thinking": {"type": "adaptive"},
    "tool_choice": {"type": "auto"},
    "tools": [{"name": "f", "input_schema": {"type": "object"}}],
}
REFUSED: dict[str, Any] = {
    "container": "c",
    "diagnostics": {"previous_message_id": "m"},
    "inference_geo": "us",
    "speed": "fast",
    "billing_policy": {"type": "x"},
    "compaction": {"type": "x"},
    "context_management": {"edits": [1]},
    "fallback_credit_token": "t",
    "fallbacks": [{"model": "m"}],
    "mcp_servers": [{"url": "u"}],
    "thread": {"id": "t"},
    "output_format": {"type": "json_schema", "schema": {}},
}
BLOCKS_SAID = {
    "text", "image", "document", "thinking", "redacted_thinking", "tool_use", "tool_result",
}  # fmt: skip
TOOL_SAID = {
    "type",
    "name",
    "description",
    "input_schema",
    "strict",
    "cache_control",
    "eager_input_streaming",
}
TOOL_REFUSED: dict[str, Any] = {
    "allowed_callers": ["code_execution_20260521"],
    "defer_loading": True,
    "input_examples": [{}],
}


def asked(**properties: Any) -> ChatRequest:
    body = {"model": "m", "max_tokens": 9, "messages": HELLO, **properties}
    return canonical(reading.read(orjson.dumps(body)).raw)


def properties_of(*kinds: Any) -> set[str]:
    """What the SDK lets callers write in a body."""
    variants = [variant for kind in kinds for variant in (get_args(kind) or (kind,))]
    return {name for variant in variants for name in get_type_hints(variant)} - HEADERS


def kinds_of(union: Any) -> set[str]:
    """The `type` of each member of a union of blocks or tools."""
    hints = [get_type_hints(member).get("type") for member in get_args(union)]
    return {str(kind) for hint in hints if hint is not None for kind in literals(hint) if kind is not None}


def literals(hint: Any) -> list[Any]:
    found = get_args(hint)
    if not found:
        return [None] if hint is type(None) else [hint]
    return [value for inner in found for value in literals(inner)]


class TestProperties:
    def test_all_have_a_fate(self) -> None:
        known = properties_of(MessageCreateParams, BetaParams)
        assert known - SAID.keys() - REFUSED.keys() == set()

    @pytest.mark.parametrize("name", SAID)
    def test_those_that_are_said_are_taken(self, name: str) -> None:
        assert asked(**{name: SAID[name]}).turns

    @pytest.mark.parametrize("name", REFUSED)
    def test_those_that_are_not_are_refused_by_name(self, name: str) -> None:
        with pytest.raises(BadRequest) as refused:
            asked(**{name: REFUSED[name]})
        assert (refused.value.code, refused.value.param) == ("unsupported_parameter", name)


class TestBlocks:
    def test_include_those_that_are_said(self) -> None:
        assert kinds_of(ContentBlockParam) > BLOCKS_SAID

    @pytest.mark.parametrize("kind", sorted(kinds_of(ContentBlockParam) - BLOCKS_SAID))
    def test_the_others_are_refused_by_name(self, kind: str) -> None:
        with pytest.raises(BadRequest) as refused:
            asked(messages=[{"role": "user", "content": [{"type": kind}]}])
        assert (refused.value.code, refused.value.param) == (
            "unsupported_parameter",
            "messages.0.content.0.type",
        )


class TestTools:
    def test_all_properties_have_a_fate(self) -> None:
        assert properties_of(ToolParam) - TOOL_SAID - TOOL_REFUSED.keys() == set()

    @pytest.mark.parametrize("name", TOOL_REFUSED)
    def test_those_that_are_not_said_are_refused_by_name(self, name: str) -> None:
        tool = {"name": "f", "input_schema": {"type": "object"}, name: TOOL_REFUSED[name]}
        with pytest.raises(BadRequest) as refused:
            asked(tools=[tool])
        assert (refused.value.code, refused.value.param) == ("unsupported_parameter", f"tools.0.{name}")

    @pytest.mark.parametrize("kind", sorted(kinds_of(ToolUnionParam) - {"custom"}))
    def test_anthropics_own_are_refused_by_name(self, kind: str) -> None:
        with pytest.raises(BadRequest) as refused:
            asked(tools=[{"type": kind, "name": "x"}])
        assert (refused.value.code, refused.value.param) == ("unsupported_parameter", "tools.0.type")
