"""What is checked of a messages request, by Anthropic's own names, and how its input is estimated."""

from typing import Any

import orjson
import pytest

from bursar.core.chat import BadRequest
from bursar.core.estimate import tokens_of_text
from bursar.core.usage import Meter
from bursar.gateway.dialects import Asked, Call
from bursar.gateway.dialects.anthropic_messages import reading
from bursar.gateway.dialects.anthropic_messages.reading import (
    COUNT_ENDPOINT,
    FILE_TOKENS,
    IMAGE_TOKENS,
    MESSAGE_TOKENS,
    REPLY_TOKENS,
    TOOLS_TOKENS,
)

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]


def read(**properties: Any) -> Call:
    return reading.read(orjson.dumps({"model": "m", "max_tokens": 9, "messages": HELLO, **properties}))


def refused(**properties: Any) -> BadRequest:
    with pytest.raises(BadRequest) as error:
        read(**properties)
    return error.value


def tokens(*blocks: Any, **properties: Any) -> int:
    """What the blocks add to an empty message."""
    asked = read(messages=[{"role": "user", "content": list(blocks)}], **properties)
    return asked.input_tokens - REPLY_TOKENS - MESSAGE_TOKENS


class TestCall:
    def test_says_what_money_and_endings_need(self) -> None:
        call = read(stream=True, metadata={"user_id": "u-1"}, tools=[{"name": "f"}], unknown={"x": 1})
        assert (call.dialect, call.endpoint, call.model) == ("anthropic_messages", "/v1/messages", "m")
        assert (call.stream, call.include_usage, call.max_tokens, call.n) == (True, True, 9, 1)
        assert (call.end_user, call.tools_present) == ("u-1", True)
        assert call.raw["unknown"] == {"x": 1}
        assert call.counts == {}

    def test_keeps_the_dialects_own_headers_only(self) -> None:
        headers = {b"anthropic-beta": b"a,b", b"anthropic-version": b"v", b"x-api-key": b"k", b"host": b"h"}
        body = orjson.dumps({"model": "m", "max_tokens": 9, "messages": HELLO})
        call = reading.read(body, Asked("/v1/messages", headers))
        assert call.headers == {"anthropic-version": "v", "anthropic-beta": "a,b"}

    def test_refuses_headers_that_no_provider_can_be_sent(self) -> None:
        body = orjson.dumps({"model": "m", "max_tokens": 9, "messages": HELLO})
        with pytest.raises(BadRequest) as error:
            reading.read(body, Asked("/v1/messages", {b"anthropic-beta": "é".encode()}))
        assert error.value.param == "anthropic-beta"

    def test_counts_the_searches_it_may_make(self) -> None:
        search: dict[str, Any] = {"type": "web_search_20260318", "name": "web_search"}
        assert read(tools=[{**search, "max_uses": 3}]).counts == {Meter.WEB_SEARCH: 3}
        assert read(tools=[search, {"name": "f"}]).counts == {Meter.WEB_SEARCH: reading.SEARCHES_UNSAID}
        assert refused(tools=[{**search, "max_uses": "x"}]).param == "tools.0.max_uses"

    def test_allows_for_what_each_search_may_bring_in(self) -> None:
        search: dict[str, Any] = {"type": "web_search_20260318", "name": "web_search"}
        assert read(tools=[{**search, "max_uses": 3}]).brought_tokens == 3 * reading.SEARCH_TOKENS
        assert read(tools=[{"name": "f"}]).brought_tokens == 0
        assert read(tools=[search]).brought_tokens == reading.SEARCHES_UNSAID * reading.SEARCH_TOKENS

    def test_a_count_of_tokens_needs_no_bound(self) -> None:
        call = reading.read(
            orjson.dumps({"model": "m", "messages": HELLO, "stream": True}), Asked(COUNT_ENDPOINT)
        )
        assert (call.max_tokens, call.stream) == (None, False)


class TestChecks:
    @pytest.mark.parametrize("missing", ["model", "messages", "max_tokens"])
    def test_name_what_is_missing(self, missing: str) -> None:
        error = refused(**{missing: None})
        assert (error.code, error.param, error.status) == ("missing_required_parameter", missing, 422)

    @pytest.mark.parametrize(
        ("properties", "param"),
        [
            ({"model": 7}, "model"),
            ({"model": ""}, "model"),
            ({"max_tokens": -1}, "max_tokens"),
            ({"max_tokens": True}, "max_tokens"),
            ({"max_tokens": 1.5}, "max_tokens"),
            ({"messages": []}, "messages"),
            ({"messages": ["x"]}, "messages.0"),
            ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
            ({"messages": [{"role": "user"}]}, "messages.0.content"),
            ({"messages": [{"role": "user", "content": [7]}]}, "messages.0.content.0"),
            ({"messages": [{"role": "user", "content": [{"type": 7}]}]}, "messages.0.content.0"),
            (
                {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": 7}]}]},
                "messages.0.content.0.content",
            ),
            (
                {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
                "messages.0.content.0.source",
            ),
            ({"system": 7}, "system"),
            ({"system": [{"text": "x"}]}, "system.0"),
            ({"stream": "yes"}, "stream"),
            ({"temperature": 1.1}, "temperature"),
            ({"top_p": "x"}, "top_p"),
            ({"top_k": 1.5}, "top_k"),
            ({"stop_sequences": "x"}, "stop_sequences"),
            ({"stop_sequences": [7]}, "stop_sequences"),
            ({"tools": {}}, "tools"),
            ({"tools": [7]}, "tools"),
            ({"tool_choice": "auto"}, "tool_choice"),
            ({"thinking": "on"}, "thinking"),
            ({"output_config": []}, "output_config"),
            ({"metadata": []}, "metadata"),
            ({"metadata": {"user_id": 7}}, "metadata.user_id"),
            ({"service_tier": 7}, "service_tier"),
            ({"cache_control": "x"}, "cache_control"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_name_what_is_wrong_as_anthropic_does(self, properties: dict[str, Any], param: str) -> None:
        error = refused(**properties)
        assert (error.code, error.param, error.status) == ("invalid_type", param, 422)

    @pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"'])
    def test_a_body_that_is_no_object_is_refused(self, body: bytes) -> None:
        with pytest.raises(BadRequest) as error:
            reading.read(body)
        assert error.value.code == "invalid_json"

    def test_blocks_may_not_nest_without_end(self) -> None:
        block: dict[str, Any] = {"type": "text", "text": "x"}
        for _ in range(90):
            block = {"type": "tool_result", "tool_use_id": "t", "content": [block]}
        assert "nesting" in refused(messages=[{"role": "user", "content": [block]}]).message


class TestInputEstimate:
    def test_counts_text_wherever_it_is(self) -> None:
        text = "some words of text"
        assert tokens({"type": "text", "text": text}) == tokens_of_text(text)
        assert read(system=text).input_tokens == read().input_tokens + tokens_of_text(text + "\nHello") - 2
        plain = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": text}}
        assert tokens(plain) >= tokens_of_text(text)
        made = {
            "type": "document",
            "source": {"type": "content", "content": [{"type": "text", "text": text}]},
        }
        assert tokens(made) >= tokens_of_text(text)
        result = {"type": "tool_result", "tool_use_id": "t", "content": text}
        assert tokens(result) == MESSAGE_TOKENS + tokens_of_text(text)

    def test_counts_pictures_and_documents_by_constants(self) -> None:
        picture = {"type": "image", "source": {"type": "url", "url": "https://x.example/y.png"}}
        assert tokens(picture) == IMAGE_TOKENS
        assert tokens({"type": "tool_result", "content": [picture]}) == MESSAGE_TOKENS + IMAGE_TOKENS
        source = {"type": "base64", "media_type": "application/pdf", "data": "A" * 400_000}
        assert tokens({"type": "document", "source": source}) >= 100_000
        assert tokens({"type": "document", "source": {"type": "url", "url": "u"}}) >= FILE_TOKENS

    def test_counts_what_it_does_not_know_by_its_bytes(self) -> None:
        assert tokens({"type": "of_tomorrow", "payload": "x" * 3000}) >= 1000
        assert read(of_tomorrow="x" * 3000).input_tokens >= 1000

    def test_tools_bring_their_own_prompt(self) -> None:
        tool = {"name": "f", "input_schema": {"type": "object"}}
        assert (
            read(tools=[tool]).input_tokens
            >= read().input_tokens + TOOLS_TOKENS + len(orjson.dumps(tool)) // 3
        )
