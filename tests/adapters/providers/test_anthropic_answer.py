"""Anthropic's answers and streams, read into the canonical form."""

from typing import Any

import orjson
import pytest

from bursar.adapters.providers import ProviderFailure
from bursar.adapters.providers.anthropic import Anthropic
from bursar.adapters.providers.anthropic.answer import BLOCKS_MAX, MessageStream
from bursar.core.chat import (
    ChatEvent,
    ChatRequest,
    Finish,
    Finished,
    Started,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingDone,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    Turn,
)
from bursar.core.sse import Event, Framer, parse
from bursar.core.usage import Meter
from recorded import SECRET, attempt, recorded

ASKED = ChatRequest(turns=(Turn(role="user", parts=(Text(text="Hi"),)),))


def reader(request: ChatRequest = ASKED) -> MessageStream:
    return Anthropic().read_stream(request, attempt())


def event(**content: Any) -> Event:
    return Event(str(content.get("type", "")), orjson.dumps(content))


def read(path: str, stream: MessageStream) -> list[ChatEvent]:
    frames = Framer().feed(recorded(path))
    return [said for frame in frames if (event := parse(frame)) is not None for said in stream.read(event)]


class TestReadMessage:
    def test_reads_what_was_thought_and_said(self) -> None:
        answer = Anthropic().read_answer(recorded("anthropic/answer.json"), ASKED)
        assert (answer.id, answer.model) == ("msg_013Zva2CMHLNnXjNJJKqJ2EF", "claude-sonnet-4-5-20250929")
        assert answer.parts == (
            Thinking(text="The user greets me.", signature="EqQBCgIYAhIM1gbcDa9GJwZA2b3h"),
            Thinking(redacted="EmwKAhgBEgy3va3pzix/LafPsn4a"),
            Text(text="Hi! My name is Claude."),
        )
        assert (answer.finish, answer.service_tier) == (Finish.STOP, "standard")
        assert answer.usage is not None
        assert answer.usage.output_tokens == 503

    def test_reads_tool_calls(self) -> None:
        answer = Anthropic().read_answer(recorded("anthropic/answer_tools.json"), ASKED)
        assert answer.parts[1:] == (
            ToolCall(
                id="toolu_01A09q90qw90lq917835lq9",
                name="get_weather",
                arguments='{"location":"San Francisco, CA"}',
            ),
            ToolCall(id="toolu_02", name="get_time", arguments="{}"),
        )
        assert answer.finish is Finish.TOOL_CALLS

    @pytest.mark.parametrize(
        ("reason", "finish"),
        [
            ("max_tokens", Finish.LENGTH),
            ("stop_sequence", Finish.STOP),
            ("model_context_window_exceeded", Finish.LENGTH),
            ("pause_turn", Finish.STOP),
            ("refusal", Finish.CONTENT_FILTER),
            ("something_new", Finish.STOP),
        ],
    )
    def test_reads_why_it_ended(self, reason: str, finish: Finish) -> None:
        body = orjson.dumps({"content": [], "stop_reason": reason, "stop_details": {"explanation": "no"}})
        answer = Anthropic().read_answer(body, ASKED)
        assert (answer.finish, answer.refusal) == (finish, "no")

    @pytest.mark.parametrize("usage", [None, {}, {"input_tokens": 5}, {"output_tokens": 5}])
    def test_usage_that_counts_half_is_missing(self, usage: object) -> None:
        body = orjson.dumps({"content": [], "usage": usage})
        assert Anthropic().read_answer(body, ASKED).usage is None

    @pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"content": "x"}', b'{"content": [7]}'])
    def test_anything_else_is_the_providers_failure(self, body: bytes) -> None:
        with pytest.raises(ProviderFailure) as failed:
            Anthropic().read_answer(body, ASKED)
        assert (failed.value.status, failed.value.code) == (502, "provider_error")


class TestStream:
    def test_reads_text_and_the_last_usage(self) -> None:
        stream = reader()
        assert read("anthropic/stream.sse", stream) == [
            Started("msg_1nZdL29xx5MUA1yADyHTEsnR8uuvGzszyY", "claude-sonnet-4-5-20250929"),
            TextDelta("Hello"),
            TextDelta(" 세계"),
            TextDelta("!"),
            Finished(Finish.STOP),
        ]
        assert (stream.terminal, stream.usage_final) == (True, True)
        assert stream.usage is not None
        assert stream.usage.quantities == {
            Meter.IN_FRESH: 25, Meter.CACHE_READ: 1200, Meter.CACHE_WRITE_5M: 100, Meter.CACHE_WRITE_1H: 200,
            Meter.OUT_TEXT: 12, Meter.OUT_REASONING: 3,
        }  # fmt: skip
        assert stream.usage.flags == ()

    def test_a_placeholder_is_never_an_output_count(self) -> None:
        stream = reader()
        first = parse(Framer().feed(recorded("anthropic/stream.sse"))[0])
        assert first is not None
        stream.read(first)
        assert stream.usage is not None
        assert (stream.usage.input_tokens, stream.usage.output_tokens) == (1525, 0)
        assert not stream.usage_final

    def test_reads_tool_calls_with_and_without_input(self) -> None:
        assert read("anthropic/stream_tools.sse", reader())[1:] == [
            TextDelta("Okay, let's check"),
            ToolCallStarted(0, "toolu_01T1x1fJ34qAmk2tNTrN7Up6", "get_weather"),
            ToolCallDelta(0, '{"location":'),
            ToolCallDelta(0, ' "San Francisco, CA"}'),
            ToolCallStarted(1, "toolu_02", "get_time"),
            ToolCallDelta(1, "{}"),
            Finished(Finish.TOOL_CALLS),
        ]

    def test_reads_thinking_with_its_signature(self) -> None:
        signed = Thinking(
            text="Let me solve this step by step:\n\n1. 27 * 453 = 12,231",
            signature="EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pk=",
        )
        stream = reader()
        assert read("anthropic/stream_thinking.sse", stream)[1:] == [
            ThinkingDelta("Let me solve this step by step:\n\n1. 27 * 453"),
            ThinkingDelta(" = 12,231"),
            ThinkingDone(signed),
            ThinkingDone(Thinking(redacted="EmwKAhgBEgy3va3pzix")),
            TextDelta("27 * 453 = 12,231"),
            Finished(Finish.STOP),
        ]
        assert stream.usage is not None
        assert stream.usage.quantity(Meter.OUT_REASONING) == 28

    def test_server_tools_leave_only_their_cost(self) -> None:
        stream = reader(ChatRequest(turns=ASKED.turns, cache_minutes=60))
        assert read("anthropic/stream_search.sse", stream)[1:] == [
            TextDelta("Here's"),
            TextDelta(" the weather."),
            Finished(Finish.STOP),
        ]
        assert stream.usage is not None
        assert stream.usage.quantities == {
            Meter.IN_FRESH: 10682, Meter.CACHE_WRITE_1H: 500, Meter.OUT_TEXT: 510, Meter.WEB_SEARCH: 1,
        }  # fmt: skip
        assert stream.usage.flags == ("cache_write_life_assumed",)

    def test_an_error_event_is_a_failure_without_secrets(self) -> None:
        with pytest.raises(ProviderFailure) as failed:
            read("anthropic/stream_error.sse", reader())
        assert (failed.value.kind, failed.value.status) == ("overloaded", 503)
        with pytest.raises(ProviderFailure) as failed:
            reader().read(
                event(type="error", error={"type": "invalid_request_error", "message": f"key {SECRET}"})
            )
        assert SECRET not in failed.value.message

    def test_a_stream_without_final_usage_has_none_that_is_final(self) -> None:
        stream = reader()
        stream.read(
            event(type="message_start", message={"id": "m", "usage": {"input_tokens": 3, "output_tokens": 1}})
        )
        stream.read(event(type="message_delta", delta={"stop_reason": None}, usage={}))
        stream.read(event(type="message_stop"))
        assert (stream.terminal, stream.usage_final) == (True, False)

    @pytest.mark.parametrize(
        "broken",
        [
            Event("", b"{"),
            Event("", b"[]"),
            event(type="message_start"),
            event(type="content_block_start", index=0),
            event(type="content_block_start", content_block={}),
            event(type="content_block_delta", index="0", delta={}),
            event(type="content_block_delta", index=0),
            event(type="content_block_stop"),
            event(type="message_delta"),
            Event("error", b"{}"),
        ],
    )
    def test_events_that_make_no_sense_are_failures(self, broken: Event) -> None:
        with pytest.raises(ProviderFailure):
            reader().read(broken)

    @pytest.mark.parametrize(
        "odd",
        [
            event(type=7),
            event(type="vertex_event"),
            event(type="content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "x"}),
            event(type="content_block_delta", index=0, delta={"type": "text_delta"}),
            event(type="content_block_start", index=0, content_block={"type": "thinking", "thinking": ""}),
            event(type="content_block_stop", index=5),
        ],
    )
    def test_events_that_say_nothing_pass(self, odd: Event) -> None:
        assert reader().read(odd) == []

    def test_input_may_come_whole(self) -> None:
        stream = reader()
        block = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}
        said = stream.read(event(type="content_block_start", index=0, content_block=block))
        said += stream.read(event(type="content_block_stop", index=0))
        assert said == [ToolCallStarted(0, "t", "f"), ToolCallDelta(0, '{"a":1}')]

    def test_unknown_deltas_pass(self) -> None:
        stream = reader()
        stream.read(event(type="content_block_start", index=0, content_block={"type": "text"}))
        assert stream.read(event(type="content_block_delta", index=0, delta={"type": "new_delta"})) == []

    def test_blocks_cannot_pile_up_for_ever(self) -> None:
        stream = reader()
        for index in range(BLOCKS_MAX):
            stream.read(event(type="content_block_start", index=index, content_block={"type": "text"}))
        with pytest.raises(ProviderFailure):
            stream.read(event(type="content_block_start", index=BLOCKS_MAX, content_block={"type": "text"}))
