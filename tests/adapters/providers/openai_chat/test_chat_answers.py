"""Answers and streams of servers that speak OpenAI's chat dialect, each with its own accent."""

from typing import Any

import orjson
import pytest

from bursar.adapters.providers import ProviderFailure
from bursar.adapters.providers.openai_chat.stream import CALLS_MAX, ChatStream
from bursar.adapters.providers.openai_compatible import OpenAICompatible
from bursar.core.chat import (
    ChatAnswer,
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
from recorded import attempt, recorded

ASKED = ChatRequest(turns=(Turn(role="user", parts=(Text(text="Hi"),)),))


def answered(message: dict[str, Any], finish: str | None = "stop", **rest: Any) -> ChatAnswer:
    body = {"id": "c1", "choices": [{"index": 0, "message": message, "finish_reason": finish}], **rest}
    return OpenAICompatible().read_answer(orjson.dumps(body), ASKED)


def reader() -> ChatStream:
    return OpenAICompatible().read_stream(ASKED, attempt())


def heard(*deltas: dict[str, Any], finish: str = "stop", stream: ChatStream | None = None) -> list[ChatEvent]:
    """What is said after the beginning."""
    stream = stream or reader()
    events: list[ChatEvent] = []
    choices = [{"index": 0, "delta": delta} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": finish})
    for choice in choices:
        events += stream.read(Event("", orjson.dumps({"id": "c1", "choices": [choice]})))
    assert events[0] == Started("c1", "")
    return events[1:]


def failure(body: Any) -> ProviderFailure:
    with pytest.raises(ProviderFailure) as failed:
        OpenAICompatible().read_answer(body if isinstance(body, bytes) else orjson.dumps(body), ASKED)
    return failed.value


def calling(index: int | None, **fields: Any) -> dict[str, Any]:
    function = {name: fields.pop(name) for name in ("name", "arguments") if name in fields}
    return {"tool_calls": [{**({} if index is None else {"index": index}), **fields, "function": function}]}


class TestAnswer:
    def test_is_read_with_its_usage_and_tier(self) -> None:
        answer = OpenAICompatible().read_answer(recorded("openai/answer.json"), ASKED)
        assert answer.finish is Finish.STOP
        assert answer.usage is not None
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == (1219, 110)
        assert answer.service_tier == answer.usage.service_tier == "default"

    def test_calls_tools(self) -> None:
        answer = OpenAICompatible().read_answer(recorded("openai/answer_tools.json"), ASKED)
        assert answer.finish is Finish.TOOL_CALLS
        assert any(isinstance(part, ToolCall) for part in answer.parts)

    @pytest.mark.parametrize(
        ("message", "thought"),
        [
            ({"reasoning_content": "hm"}, Thinking(text="hm")),
            ({"reasoning": "hm"}, Thinking(text="hm")),
            (
                {"reasoning_content": "x", "thinking_blocks": [{"thinking": "hm", "signature": "s"}]},
                Thinking(text="hm", signature="s"),
            ),
            ({"thinking_blocks": [{"type": "redacted_thinking", "data": "d"}]}, Thinking(redacted="d")),
            (
                {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
                Thinking(text="hm"),
            ),
        ],
    )
    def test_shows_reasoning_by_any_name(self, message: dict[str, Any], thought: Thinking) -> None:
        assert answered(message).parts == (thought,)

    def test_says_why_it_refused(self) -> None:
        answer = answered({"content": None, "refusal": "I must not."})
        assert (answer.finish, answer.refusal, answer.parts) == (Finish.CONTENT_FILTER, "I must not.", ())

    @pytest.mark.parametrize(
        ("reason", "finish"),
        [
            ("length", Finish.LENGTH),
            ("model_length", Finish.LENGTH),
            ("eos", Finish.STOP),
            ("sensitive", Finish.CONTENT_FILTER),
            ("tool_calls", Finish.TOOL_CALLS),
            ("something_new", Finish.STOP),
            (None, Finish.STOP),
        ],
    )
    def test_ends_for_a_reason(self, reason: str | None, finish: Finish) -> None:
        assert answered({"content": "x"}, reason).finish is finish

    def test_a_call_that_was_insisted_on_is_a_call(self) -> None:
        call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        assert answered({"tool_calls": [call]}, "stop").finish is Finish.TOOL_CALLS

    def test_calls_without_an_id_get_one_and_objects_become_text(self) -> None:
        calls = [{"function": {"name": "f", "arguments": {"a": 1}}}, {"id": "", "function": {"name": "g"}}]
        assert answered({"tool_calls": calls}).parts == (
            ToolCall(id="call_c1_0", name="f", arguments='{"a":1}'),
            ToolCall(id="call_c1_1", name="g", arguments="{}"),
        )

    def test_the_older_function_call_is_a_call(self) -> None:
        answer = answered({"function_call": {"name": "f", "arguments": "{}"}}, "function_call")
        assert answer.parts == (ToolCall(id="call_c1_0", name="f", arguments="{}"),)
        assert answer.finish is Finish.TOOL_CALLS


class TestNoAnswer:
    @pytest.mark.parametrize(
        "body", [b"<html>", b"[]", {}, {"choices": []}, {"choices": [1]}, {"choices": [{"message": None}]}]
    )
    def test_is_the_providers_failure(self, body: Any) -> None:
        assert (failure(body).status, failure(body).retryable) == (502, True)

    def test_an_error_instead_of_an_answer_is_classified_without_its_words(self) -> None:
        refused = failure({"error": {"code": 429, "message": "sk-abcdef123456 at 10.0.0.1"}})
        assert (refused.kind, refused.status, refused.retryable) == ("rate_limited", 503, True)
        assert "sk-" not in refused.message

    @pytest.mark.parametrize(
        ("reason", "kind"),
        [("error", "server"), ("network_error", "server"), ("insufficient_system_resource", "overloaded")],
    )
    def test_some_endings_are_failures(self, reason: str, kind: str) -> None:
        with pytest.raises(ProviderFailure) as failed:
            answered({"content": "half an"}, reason)
        assert (failed.value.kind, failed.value.retryable) == (kind, True)


class TestStream:
    def test_of_words_ends_with_its_usage(self) -> None:
        stream = reader()
        frames = Framer().feed(recorded("openai/stream.sse"))
        events = [said for frame in frames if (event := parse(frame)) for said in stream.read(event)]
        assert isinstance(events[0], Started)
        assert events[-1] == Finished(Finish.STOP)
        assert "".join(event.text for event in events if isinstance(event, TextDelta))
        assert (stream.terminal, stream.usage_final) == (True, True)
        assert stream.usage is not None
        assert stream.usage.quantity(Meter.OUT_TEXT) > 0

    def test_of_calls_tells_each_from_the_other(self) -> None:
        assert heard(
            {"role": "assistant", "content": None},
            calling(0, id="a", name="f", arguments=""),
            calling(0, arguments='{"x":'),
            calling(1, id="b", name="g", arguments="{}"),
            calling(0, arguments="1}"),
            finish="tool_calls",
        ) == [
            ToolCallStarted(0, "a", "f"),
            ToolCallDelta(0, '{"x":'),
            ToolCallStarted(1, "b", "g"),
            ToolCallDelta(1, "{}"),
            ToolCallDelta(0, "1}"),
            Finished(Finish.TOOL_CALLS),
        ]

    def test_calls_without_an_index_go_on_until_the_next_id(self) -> None:
        assert heard(
            calling(None, id="a", name="f"),
            calling(None, arguments="{}"),
            calling(None, id="b", name="g", arguments="[]"),
        ) == [
            ToolCallStarted(0, "a", "f"),
            ToolCallDelta(0, "{}"),
            ToolCallStarted(1, "b", "g"),
            ToolCallDelta(1, "[]"),
            Finished(Finish.TOOL_CALLS),
        ]

    def test_calls_that_share_an_index_are_told_apart_by_their_ids(self) -> None:
        told = heard(
            calling(0, id="a", name="f", arguments="{}"), calling(0, id="b", name="f", arguments="{}")
        )
        assert told == [
            ToolCallStarted(0, "a", "f"),
            ToolCallDelta(0, "{}"),
            ToolCallStarted(1, "b", "f"),
            ToolCallDelta(1, "{}"),
            Finished(Finish.TOOL_CALLS),
        ]

    def test_calls_without_an_id_or_arguments_get_both(self) -> None:
        assert heard(calling(0, name="f")) == [
            ToolCallStarted(0, "call_c1_0", "f"),
            ToolCallDelta(0, "{}"),
            Finished(Finish.TOOL_CALLS),
        ]

    @pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
    def test_reasoning_ends_where_the_words_begin(self, name: str) -> None:
        assert heard({name: "h"}, {name: "m"}, {"content": "Yes."}) == [
            ThinkingDelta("h"),
            ThinkingDelta("m"),
            ThinkingDone(Thinking(text="hm")),
            TextDelta("Yes."),
            Finished(Finish.STOP),
        ]

    def test_reasoning_is_signed_by_pieces_or_as_a_whole(self) -> None:
        pieces = (
            {"reasoning_content": "hm", "thinking_blocks": [{"thinking": "hm", "signature": None}]},
            {"thinking_blocks": [{"thinking": "", "signature": "s"}]},
        )
        whole = ({"thinking_blocks": [{"thinking": "hm", "signature": "s"}]},)
        signed = ThinkingDone(Thinking(text="hm", signature="s"))
        assert heard(*pieces) == [ThinkingDelta("hm"), signed, Finished(Finish.STOP)]
        assert heard(*whole) == [signed, Finished(Finish.STOP)]

    def test_reasoning_in_chunks_of_the_content_is_reasoning(self) -> None:
        chunk = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
        assert heard({"content": [chunk]}, {"content": [{"type": "text", "text": "Yes."}]}) == [
            ThinkingDelta("hm"),
            ThinkingDone(Thinking(text="hm")),
            TextDelta("Yes."),
            Finished(Finish.STOP),
        ]

    def test_refusals_are_told_at_the_end(self) -> None:
        told = heard({"refusal": "I must "}, {"refusal": "not."})
        assert told == [Finished(Finish.CONTENT_FILTER, "I must not.")]

    def test_other_choices_are_not_mixed_in(self) -> None:
        stream = reader()
        chunk = {"choices": [{"index": 1, "delta": {"content": "other"}}, {"delta": {"content": "mine"}}]}
        assert stream.read(Event("", orjson.dumps(chunk)))[1:] == [TextDelta("mine")]


class TestEndOfStream:
    def test_is_the_marker_or_a_reason(self) -> None:
        stream = reader()
        heard({"content": "x"}, stream=stream)
        assert not stream.terminal
        assert stream.end() == []
        assert stream.terminal

    def test_without_either_the_answer_is_broken_off(self) -> None:
        stream = reader()
        stream.read(Event("", b'{"choices":[{"delta":{"content":"x"}}]}'))
        stream.end()
        assert not stream.terminal

    @pytest.mark.parametrize(
        ("data", "kind"),
        [
            (b'{"error":{"code":429,"message":"slow down"},"choices":[]}', "rate_limited"),
            (b'{"error":{"code":"server_error","message":"x"}}', "server"),
            (b'{"choices":[{"delta":{},"finish_reason":"error"}]}', "server"),
            (b'{"choices":[{"delta":{},"finish_reason":"insufficient_system_resource"}]}', "overloaded"),
            (b"nonsense", "server"),
            (b"[]", "server"),
        ],
    )
    def test_errors_are_failures(self, data: bytes, kind: str) -> None:
        with pytest.raises(ProviderFailure) as failed:
            reader().read(Event("", data))
        assert failed.value.kind == kind

    def test_usage_of_the_input_alone_is_not_final(self) -> None:
        stream = reader()
        stream.read(Event("", b'{"choices":[],"usage":{"prompt_tokens":5}}'))
        assert (stream.usage is not None, stream.usage_final) == (True, False)

    def test_more_calls_than_anyone_makes_are_refused(self) -> None:
        stream = reader()
        calls = [{"index": at, "function": {"name": "f"}} for at in range(CALLS_MAX + 1)]
        with pytest.raises(ProviderFailure):
            stream.read(Event("", orjson.dumps({"choices": [{"delta": {"tool_calls": calls}}]})))
