"""OpenAI's chat requests: what is checked, what is estimated, how errors look."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.core.chat import BadRequest
from bursar.core.estimate import tokens_of_text
from bursar.gateway.dialects import Call
from bursar.gateway.dialects.openai_chat.errors import error_body
from bursar.gateway.dialects.openai_chat.reading import (
    AUDIO_BYTES_PER_TOKEN,
    FILE_BYTES_PER_TOKEN,
    FILE_TOKENS,
    IMAGE_TOKENS,
    IMAGE_TOKENS_LOW,
    read,
)

HELLO = [{"role": "user", "content": "Hello"}]


def call(**properties: Any) -> Call:
    return read(orjson.dumps({"model": "m", "messages": HELLO, **properties}))


def refused(body: bytes) -> BadRequest:
    with pytest.raises(BadRequest) as raised:
        read(body)
    assert raised.value.status == 422
    return raised.value


def tokens(*parts: Any) -> int:
    alone = call(messages=[{"role": "user", "content": []}]).input_tokens
    return call(messages=[{"role": "user", "content": list(parts)}]).input_tokens - alone


class TestRead:
    def test_takes_what_money_needs(self) -> None:
        read_call = call(
            stream=True,
            stream_options={"include_usage": True},
            max_tokens=50,
            max_completion_tokens=40,
            n=3,
            user="u-1",
            tools=[{"type": "function", "function": {"name": "f"}}],
        )
        assert (read_call.dialect, read_call.model) == ("openai_chat", "m")
        assert (read_call.stream, read_call.include_usage) == (True, True)
        assert (read_call.max_tokens, read_call.n) == (40, 3)
        assert (read_call.end_user, read_call.tools_present) == ("u-1", True)

    def test_says_nothing_the_caller_did_not(self) -> None:
        plain = call()
        assert (plain.stream, plain.include_usage, plain.max_tokens, plain.n) == (False, False, None, 1)
        assert (plain.end_user, plain.tools_present) == (None, False)

    def test_null_means_left_out(self) -> None:
        nulls = call(stream=None, stream_options=None, n=None, max_tokens=None, temperature=None, stop=None)
        assert (nulls.stream, nulls.max_tokens, nulls.n) == (False, None, 1)

    def test_usage_is_asked_for_in_streams_only(self) -> None:
        assert call(stream_options={"include_usage": True}).include_usage is False

    def test_a_prompt_never_shows_in_a_repr(self) -> None:
        assert "Hello" not in repr(call())

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b'{"model": "\xff"}', b"null"])
    def test_refuses_what_is_no_json_object(self, body: bytes) -> None:
        assert refused(body).code == "invalid_json"

    @pytest.mark.parametrize("missing", ["model", "messages"])
    def test_refuses_when_something_is_missing(self, missing: str) -> None:
        body = {"model": "m", "messages": HELLO}
        del body[missing]
        refusal = refused(orjson.dumps(body))
        assert (refusal.code, refusal.param) == ("missing_required_parameter", missing)

    @pytest.mark.parametrize(
        ("properties", "param"),
        [
            ({"model": 7}, "model"),
            ({"model": ""}, "model"),
            ({"model": "m" * 257}, "model"),
            ({"messages": []}, "messages"),
            ({"messages": "hi"}, "messages"),
            ({"messages": ["hi"]}, "messages[0]"),
            ({"messages": [{"content": "x"}]}, "messages[0].role"),
            ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
            ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
            ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0]"),
            ({"stream": "yes"}, "stream"),
            ({"stream_options": []}, "stream_options"),
            ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
            ({"n": 0}, "n"),
            ({"n": True}, "n"),
            ({"n": 129}, "n"),
            ({"max_tokens": 0}, "max_tokens"),
            ({"max_tokens": 1.5}, "max_tokens"),
            ({"max_completion_tokens": -1}, "max_completion_tokens"),
            ({"temperature": "hot"}, "temperature"),
            ({"temperature": 2.1}, "temperature"),
            ({"top_p": -0.1}, "top_p"),
            ({"stop": 7}, "stop"),
            ({"stop": ["a", 7]}, "stop"),
            ({"tools": {}}, "tools"),
            ({"tools": [7]}, "tools"),
            ({"tool_choice": 7}, "tool_choice"),
            ({"response_format": "json"}, "response_format"),
            ({"metadata": "x"}, "metadata"),
            ({"modalities": "text"}, "modalities"),
            ({"user": 7}, "user"),
            ({"seed": 1.5}, "seed"),
        ],
    )
    def test_refuses_wrong_types_by_name(self, properties: dict[str, Any], param: str) -> None:
        refusal = refused(orjson.dumps({"model": "m", "messages": HELLO, **properties}))
        assert refusal.param == param

    @pytest.mark.parametrize("piece", [b'{"role":"user","content":"a"},', b"1,"], ids=["messages", "numbers"])
    def test_refuses_what_would_hold_up_everybody(self, piece: bytes) -> None:
        many = piece * (2_100_000 if piece == b"1," else 201_000)
        body = b'{"model":"m","messages":[' + many + b"1]}"
        assert refused(body).message == "The body has too many parts."

    @given(st.binary(max_size=100))
    def test_survives_any_bytes(self, body: bytes) -> None:
        refused(body)


class TestEstimate:
    def test_counts_text_wherever_it_stands(self) -> None:
        text = "Tell me about the weather in Seoul, please." * 10
        assert tokens({"type": "text", "text": text}) >= tokens_of_text(text)
        said = call(messages=[{"role": "user", "content": text}]).input_tokens
        assert said >= tokens_of_text(text)
        alone = call().input_tokens
        calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": text}}]
        assert call(messages=[*HELLO, {"role": "assistant", "tool_calls": calls}]).input_tokens > alone + 100
        assert (
            call(tools=[{"type": "function", "function": {"name": "f", "description": text}}]).input_tokens
            > alone + 100
        )
        assert call(unknown_context=text).input_tokens > alone + 100

    def test_settings_cost_nothing(self) -> None:
        assert (
            call(user="u" * 500, metadata={"a": "b" * 500}, stop=["x" * 99]).input_tokens
            == call().input_tokens
        )

    def test_pictures_are_bounded_whatever_their_size(self) -> None:
        large = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}
        small = {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}}
        assert (tokens(large), tokens(small)) == (IMAGE_TOKENS, IMAGE_TOKENS_LOW)

    def test_sound_and_files_grow_with_their_size(self) -> None:
        sound = {"type": "input_audio", "input_audio": {"data": "A" * 10_000, "format": "mp3"}}
        assert tokens(sound) == 1 + 10_000 // AUDIO_BYTES_PER_TOKEN
        assert tokens({"type": "file", "file": {"file_id": "f"}}) == FILE_TOKENS
        assert (
            tokens({"type": "file", "file": {"file_data": "A" * 400_000}}) == 400_000 // FILE_BYTES_PER_TOKEN
        )

    def test_unknown_parts_count_as_written(self) -> None:
        assert tokens({"type": "video_url", "video_url": {"url": "x" * 300}}) > 100

    def test_more_messages_are_more_tokens(self) -> None:
        assert call(messages=HELLO * 3).input_tokens > call(messages=HELLO * 2).input_tokens


class TestErrorBody:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (401, "authentication_error"),
            (402, "insufficient_quota"),
            (403, "permission_error"),
            (404, "not_found_error"),
            (422, "invalid_request_error"),
            (429, "rate_limit_error"),
            (502, "api_error"),
        ],
    )
    def test_has_openais_shape(self, status: int, kind: str) -> None:
        body = orjson.loads(error_body(status, "code", "words", "param", {"estimate": "0.1"}))
        assert body == {
            "error": {"message": "words", "type": kind, "param": "param", "code": "code", "estimate": "0.1"}
        }
