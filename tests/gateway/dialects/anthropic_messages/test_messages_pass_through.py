"""Anthropic in, Anthropic out: bytes stay what they were, and are measured on the way."""

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.adapters.providers import ProviderFailure
from bursar.adapters.providers.anthropic import Anthropic
from bursar.core.chat import BadRequest
from bursar.core.estimate import tokens_of_text
from bursar.core.sse import EVENT_BYTES_MAX
from bursar.core.usage import Meter
from bursar.gateway.dialects import FOLD_SIZE, Asked, Exchange
from bursar.gateway.dialects.anthropic_messages import reading
from bursar.gateway.dialects.anthropic_messages.passing import (
    FLAG_CACHE_LIFE_ASSUMED,
    is_plain,
    text_of_block,
    text_of_frames,
)
from bursar.gateway.exchange import open_exchange
from recorded import SECRET, attempt, recorded, recorded_json

STREAM = recorded("anthropic/stream.sse")
HELLO = [{"role": "user", "content": "Hello"}]
COST = {"cost": "0.5", "currency": "USD", "balance": "9", "input_tokens": 7, "output_tokens": 3}


def exchange(
    *, max_tokens: int | None = None, headers: dict[bytes, bytes] | None = None, **properties: Any
) -> Exchange:
    body = {"model": "best-model", "max_tokens": 1000, "messages": HELLO, **properties}
    call = reading.read(orjson.dumps(body), Asked(reading.ENDPOINT, headers or {}))
    return open_exchange(call, Anthropic(), attempt("claude-sonnet-4-5").deployment, SECRET, max_tokens)


def event(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields}))


def said(text: str) -> bytes:
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def began(**usage: Any) -> bytes:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
    block = {"type": "text", "text": ""}
    return event("message_start", message={**message, "usage": usage}) + event(
        "content_block_start", index=0, content_block=block
    )


def ended(reason: str = "end_turn", **usage: Any) -> bytes:
    return event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=usage)


STOP = event("message_stop")


def payloads(frames: list[bytes]) -> list[Any]:
    return [orjson.loads(frame.partition(b"data: ")[2]) for frame in b"".join(frames).split(b"\n\n") if frame]


def refusal(**properties: Any) -> BadRequest:
    with pytest.raises(BadRequest) as refused:
        exchange(**properties)
    return refused.value


class TestRequest:
    def test_changes_the_model_and_nothing_else(self) -> None:
        asked = exchange(temperature=0.3, unknown_field={"kept": [1]}, metadata={"user_id": "u"})
        assert orjson.loads(asked.body) == {
            "model": "claude-sonnet-4-5",
            "max_tokens": 1000,
            "messages": HELLO,
            "temperature": 0.3,
            "unknown_field": {"kept": [1]},
            "metadata": {"user_id": "u"},
        }
        assert asked.path == "/messages"
        assert asked.headers == {
            "x-api-key": SECRET,
            "anthropic-version": "2023-06-01",
            "content-type": "application/json",
        }

    def test_keeps_blocks_and_tools_of_kinds_nobody_knows(self) -> None:
        blocks = [
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_fetch", "input": {"url": "x"}},
            {"type": "web_fetch_tool_result", "tool_use_id": "srvtoolu_1", "content": {"type": "new"}},
            {"type": "of_tomorrow", "encrypted": "=="},
        ]
        talk = [*HELLO, {"role": "assistant", "content": blocks}, *HELLO]
        tools = [{"type": "of_tomorrow_20270318", "name": "tomorrow", "max_uses": 2}]
        body = orjson.loads(exchange(messages=talk, tools=tools).body)
        assert body["messages"] == talk
        assert body["tools"] == tools

    @pytest.mark.parametrize("most", [{}, {"max_uses": None}], ids=["unsaid", "null"])
    def test_bounds_searches_by_what_is_held_for(self, most: dict[str, Any]) -> None:
        search = {"type": "web_search_20260318", "name": "web_search"}
        bounded = {**search, "max_uses": 2}
        body = orjson.loads(exchange(tools=[{**search, **most}, bounded]).body)
        assert body["tools"] == [{**search, "max_uses": reading.SEARCHES_UNSAID}, bounded]

    def test_forwards_version_and_betas_untouched_and_no_other_header(self) -> None:
        asked = exchange(
            headers={
                b"anthropic-version": b"2026-10-21",
                b"anthropic-beta": b"context-1m-2025-08-07, of-tomorrow-2027-01-01",
                b"x-api-key": b"the customer's",
                b"cookie": b"private",
            }
        )
        assert asked.headers == {
            "x-api-key": SECRET,
            "anthropic-version": "2026-10-21",
            "anthropic-beta": "context-1m-2025-08-07, of-tomorrow-2027-01-01",
            "content-type": "application/json",
        }

    def test_leaves_out_thoughts_of_other_providers_models(self) -> None:
        """A conversation that was begun elsewhere goes on: only Anthropic's own thoughts are signed."""
        unsigned = {"type": "thinking", "thinking": "elsewhere", "signature": ""}
        signed = {"type": "thinking", "thinking": "here", "signature": "s"}
        text = {"type": "text", "text": "x"}
        talk = [
            *HELLO,
            {"role": "assistant", "content": [unsigned, text]},
            *HELLO,
            {"role": "assistant", "content": [unsigned]},
            *HELLO,
            {"role": "assistant", "content": [signed, text]},
            *HELLO,
        ]
        assert orjson.loads(exchange(messages=talk).body)["messages"] == [
            *HELLO,
            {"role": "assistant", "content": [text]},
            *HELLO,
            *HELLO,
            {"role": "assistant", "content": [signed, text]},
            *HELLO,
        ]

    @pytest.mark.parametrize(
        ("asked", "gateway", "written"), [(80, None, 80), (80, 50, 50), (20, 50, 20), (64_001, None, 64_000)]
    )
    def test_lowers_the_output_bound(self, asked: int, gateway: int | None, written: int) -> None:
        call = reading.read(orjson.dumps({"model": "m", "max_tokens": asked, "messages": HELLO}))
        opened = open_exchange(call, Anthropic(), attempt("claude").deployment, SECRET, gateway)
        body = orjson.loads(opened.body)
        assert body["max_tokens"] == written

    @pytest.mark.parametrize(
        ("properties", "param"),
        [
            ({"speed": "fast"}, "speed"),
            ({"inference_geo": "us"}, "inference_geo"),
            ({"container": "container_1"}, "container"),
            ({"thread": {"id": "t"}}, "thread"),
            ({"fallbacks": [{"model": "other"}]}, "fallbacks"),
            ({"billing_policy": {"type": "x"}}, "billing_policy"),
            ({"tools": [{"type": "code_execution_20260521", "name": "c"}]}, "tools.0.type"),
            ({"tools": [{"name": "f"}, {"type": "advisor_20260301", "name": "a"}]}, "tools.1.type"),
            ({"tools": [{"type": "web_fetch_20260318", "name": "w", "max_uses": 2}]}, "tools.0.type"),
            ({"tools": [{"type": "mcp_toolset", "mcp_server_name": "x"}]}, "tools.0.type"),
            ({"mcp_servers": [{"type": "url", "name": "x", "url": "https://x.example"}]}, "mcp_servers"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_refuses_what_has_no_price_or_is_shared(self, properties: dict[str, Any], param: str) -> None:
        refused = refusal(**properties)
        assert (refused.code, refused.param, refused.status) == ("unsupported_parameter", param, 422)

    @pytest.mark.parametrize(
        "properties",
        [
            {"speed": "standard"},
            {"inference_geo": "global"},
            {"container": None},
            {"fallbacks": []},
            {"mcp_servers": []},
        ],
    )
    def test_lets_pass_what_asks_for_nothing_dearer(self, properties: dict[str, Any]) -> None:
        assert orjson.loads(exchange(**properties).body).items() >= properties.items()

    @pytest.mark.parametrize(
        ("block", "param"),
        [
            ({"type": "image", "source": {"type": "file", "file_id": "f"}}, "source.file_id"),
            ({"type": "container_upload", "file_id": "f"}, "file_id"),
        ],
    )
    def test_refuses_files_kept_for_everybody_however_deep(self, block: dict[str, Any], param: str) -> None:
        document = {"type": "document", "source": {"type": "content", "content": [block]}}
        result = {"type": "tool_result", "tool_use_id": "t", "content": [document]}
        for content, place in (
            ([block], "messages.0.content.0"),
            ([document], "messages.0.content.0.source.content.0"),
            ([result], "messages.0.content.0.content.0.source.content.0"),
        ):
            assert refusal(messages=[{"role": "user", "content": content}]).param == f"{place}.{param}"


class TestWholeAnswers:
    def test_pass_untouched_and_are_measured(self) -> None:
        asked = exchange()
        body = recorded("anthropic/answer.json")
        assert asked.answer(200, body) is body
        measured = asked.measured
        assert measured.usage is not None
        assert measured.usage.quantities == {
            Meter.IN_FRESH: 25,
            Meter.CACHE_READ: 1200,
            Meter.CACHE_WRITE_5M: 100,
            Meter.CACHE_WRITE_1H: 200,
            Meter.OUT_TEXT: 423,
            Meter.OUT_REASONING: 80,
            Meter.WEB_SEARCH: 2,
        }
        assert (measured.terminal, measured.usage_final, measured.finish_reason) == (True, True, "stop")
        assert measured.usage.service_tier == "standard"

    def test_count_words_thoughts_and_calls_as_delivered(self) -> None:
        asked = exchange()
        asked.answer(200, recorded("anthropic/answer_tools.json"))
        blocks = recorded_json("anthropic/answer_tools.json")["content"]
        assert asked.measured.delivered_tokens == tokens_of_text("".join(map(text_of_block, blocks)))
        assert asked.measured.finish_reason == "tool_calls"
        assert text_of_block(blocks[1]) == 'get_weather{"location":"San Francisco, CA"}'

    @pytest.mark.parametrize("body", [b"", b"no", b"[]", b"{}", b'{"content":"x"}'])
    def test_that_are_none_are_the_providers_failure(self, body: bytes) -> None:
        with pytest.raises(ProviderFailure) as failed:
            exchange().answer(200, body)
        assert (failed.value.status, failed.value.retryable) == (502, True)

    def test_that_are_errors_are_classified(self) -> None:
        body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
        with pytest.raises(ProviderFailure) as failed:
            exchange().answer(200, body)
        assert failed.value.kind == "overloaded"

    @pytest.mark.parametrize(
        "usage",
        [None, {}, {"input_tokens": 3}, {"output_tokens": 3}, {"input_tokens": -1, "output_tokens": 1}],
    )
    def test_without_usable_usage_have_none(self, usage: Any) -> None:
        asked = exchange()
        asked.answer(200, orjson.dumps({"content": [{"type": "text", "text": "abc"}], "usage": usage}))
        assert (asked.measured.usage_final, asked.measured.delivered_tokens) == (False, 1)

    @pytest.mark.parametrize(
        ("reason", "finish"),
        [("max_tokens", "length"), ("refusal", "content_filter"), ("pause_turn", "stop"), ("new", "new")],
    )
    def test_say_why_they_ended(self, reason: str, finish: str) -> None:
        asked = exchange()
        asked.answer(200, orjson.dumps({"content": [], "stop_reason": reason}))
        assert asked.measured.finish_reason == finish
        assert asked.measured.content_filtered == (reason == "refusal")


class TestStreams:
    def test_pass_byte_for_byte_but_for_the_end(self) -> None:
        asked = exchange(stream=True)
        body, _, _ = STREAM.partition(b"event: message_delta")
        assert b"".join(asked.feed(STREAM)) == body
        assert (asked.measured.terminal, asked.measured.usage_final) == (True, True)
        delta, stop = payloads(asked.tail(COST))
        assert delta == {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {
                "output_tokens": 15,
                "output_tokens_details": {"thinking_tokens": 3},
                "cost": "0.5",
                "currency": "USD",
                "balance": "9",
            },
        }
        assert stop == {"type": "message_stop"}

    @pytest.mark.parametrize("name", ["stream", "stream_search", "stream_thinking", "stream_tools"])
    @given(st.data())
    def test_say_the_same_in_whatever_pieces_they_come(self, name: str, data: Any) -> None:
        stream = recorded(f"anthropic/{name}.sse")
        cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=12)) | {0, len(stream)})
        whole, cut = exchange(stream=True), exchange(stream=True)
        expected = whole.feed(stream) + whole.end()
        came = [frame for a, b in pairwise(cuts) for frame in cut.feed(stream[a:b])]
        assert b"".join(came + cut.end()) == b"".join(expected)
        assert cut.tail(COST) == whole.tail(COST)
        assert cut.measured.usage == whole.measured.usage
        assert cut.measured.delivered_tokens == whole.measured.delivered_tokens

    def test_never_take_the_placeholder_for_the_output(self) -> None:
        asked = exchange(stream=True)
        asked.feed(began(input_tokens=50, output_tokens=4) + said("Hi"))
        assert asked.measured.usage is not None
        assert asked.measured.usage.quantities == {Meter.IN_FRESH: 50}
        assert not asked.measured.usage_final

    def test_usage_is_cumulative_and_the_last_word_counts(self) -> None:
        asked = exchange(stream=True)
        asked.feed(began(input_tokens=50, cache_read_input_tokens=7, output_tokens=1) + said("Hi"))
        first = asked.feed(ended(output_tokens=5))
        second = asked.feed(ended(output_tokens=9, input_tokens=60) + STOP)
        assert (first, second) == ([], [ended(output_tokens=5)])
        assert asked.measured.usage is not None
        assert asked.measured.usage.quantities == {
            Meter.IN_FRESH: 60,
            Meter.CACHE_READ: 7,
            Meter.OUT_TEXT: 9,
        }
        assert payloads(asked.tail(COST))[0]["usage"]["output_tokens"] == 9

    def test_what_comes_after_a_last_word_lets_it_go(self) -> None:
        asked = exchange(stream=True)
        asked.feed(began(input_tokens=5, output_tokens=1) + said("a"))
        delta, more = ended(output_tokens=5), event("of_tomorrow", x=1)
        assert asked.feed(delta) == []
        assert asked.feed(event("ping")) == [event("ping")]
        assert asked.feed(more) == [delta + more]
        assert asked.feed(said("b") + STOP) == [said("b")]
        assert payloads(asked.tail(COST))[0]["usage"]["cost"] == "0.5"

    def test_an_unended_stream_is_not_terminal(self) -> None:
        asked = exchange(stream=True)
        asked.feed(began(input_tokens=5, output_tokens=1) + said("a") + ended(output_tokens=5))
        assert asked.end() == []
        assert not asked.measured.terminal

    def test_without_usage_the_tail_tells_what_was_charged(self) -> None:
        asked = exchange(stream=True)
        asked.feed(began() + said("Hi") + event("message_delta", delta={"stop_reason": "end_turn"}) + STOP)
        assert asked.measured.usage is None
        assert payloads(asked.tail(COST))[0]["usage"] == {
            "input_tokens": 7,
            "output_tokens": 3,
            "cost": "0.5",
            "currency": "USD",
            "balance": "9",
        }

    def test_of_nothing_at_all_have_a_tail_too(self) -> None:
        asked = exchange(stream=True)
        delta, stop = payloads(asked.tail(None))
        assert (delta["delta"]["stop_reason"], stop["type"]) == (None, "message_stop")

    def test_errors_are_swallowed_classified_and_told_as_events(self) -> None:
        asked = exchange(stream=True)
        frames = asked.feed(recorded("anthropic/stream_error.sse"))
        assert b"event: error" not in b"".join(frames)
        assert asked.measured.error is not None
        assert asked.measured.error.kind == "overloaded"
        assert asked.feed(said("more")) == []
        [cut] = asked.cut("provider_overloaded", "It is overloaded.", 503)
        assert cut.startswith(b"event: error\n")
        assert payloads([cut])[0] == {
            "type": "error",
            "error": {
                "type": "overloaded_error",
                "message": "It is overloaded.",
                "code": "provider_overloaded",
                "param": None,
            },
        }

    @pytest.mark.parametrize("frame", [b"data: {\n\n", b"data: 7\n\n", b'event: error\ndata: {"a":1}\n\n'])
    def test_broken_events_are_the_providers_failure(self, frame: bytes) -> None:
        asked = exchange(stream=True)
        assert asked.feed(frame) == []
        assert asked.measured.error is not None

    def test_an_endless_event_is_a_failure_not_a_leak(self) -> None:
        asked = exchange(stream=True)
        asked.feed(b"data: " + b"x" * EVENT_BYTES_MAX)
        asked.feed(b"x")
        assert asked.measured.error is not None

    def test_comments_pass(self) -> None:
        assert exchange(stream=True).feed(b": keep-alive\n\n") == [b": keep-alive\n\n"]

    def test_counts_long_outputs_in_folds(self) -> None:
        asked = exchange(stream=True)
        asked.feed(began(input_tokens=1, output_tokens=1) + said("a"))
        piece = "word " * 1000
        for _ in range(2 * FOLD_SIZE // len(piece)):
            asked.feed(said(piece))
        assert asked.measured.delivered_tokens >= 2 * FOLD_SIZE // 3 - len(piece)


class TestCacheWrites:
    def test_above_the_split_are_given_the_life_that_was_asked_for(self) -> None:
        system = [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
        for asked, meter in (
            (exchange(stream=True), Meter.CACHE_WRITE_5M),
            (exchange(stream=True, system=system), Meter.CACHE_WRITE_1H),
        ):
            split = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}
            asked.feed(
                began(input_tokens=5, output_tokens=1, cache_creation_input_tokens=0, cache_creation=split)
                + said("a")
                + ended(output_tokens=5, cache_creation_input_tokens=70)
            )
            usage = asked.measured.usage
            assert usage is not None
            assert usage.quantities == {Meter.IN_FRESH: 5, meter: 70, Meter.OUT_TEXT: 5}
            assert usage.flags == (FLAG_CACHE_LIFE_ASSUMED,)
            assert orjson.loads(usage.raw or b"")["cache_creation"] == split


class TestPlainChunks:
    def test_are_pieces_of_text_and_nothing_else(self) -> None:
        assert is_plain(said("Hi") + said('a "quoted" \n line'))
        for chunk in (
            b"",
            said("Hi")[:-1],
            said("Hi") + event("ping"),
            event("content_block_stop", index=0),
            ended(output_tokens=1),
            said("Hi").replace(b"\n", b"\r\n"),
            b'event: content_block_delta\ndata: {"type":"content_block_delta","type":"error"}\n\n',
            b'event: content_block_delta\ndata: {"type":"content_block_delta","x":1}\nevent: error\n\n',
        ):
            assert not is_plain(chunk)

    @given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
    def test_give_their_text_back(self, texts: list[str]) -> None:
        chunk = b"".join(map(said, texts))
        assert is_plain(chunk)
        assert text_of_frames(chunk) == "".join(texts)

    def test_what_does_not_parse_counts_as_written(self) -> None:
        assert text_of_frames(b'event: x\ndata: {"type":"content_block_delta",}\n\n').startswith("event: x")
