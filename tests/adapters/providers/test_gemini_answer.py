"""The Gemini API's answers and streams, read into the canonical form."""

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.adapters.providers import ProviderFailure
from bursar.adapters.providers.gemini import Gemini
from bursar.adapters.providers.gemini.answer import ResponseStream
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
from recorded import attempt, recorded, recorded_json

ASKED = ChatRequest(turns=(Turn(role="user", parts=(Text(text="Hi"),)),))
PARTS = st.sampled_from(
    [
        {"text": "a"},
        {"text": "b", "thought": True},
        {"text": ""},
        {"functionCall": {"name": "f", "args": {"n": 1}}},
        {"functionCall": {"id": "x", "name": "g"}, "thoughtSignature": "AA=="},
        {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
        {"somethingNew": {"a": 1}},
    ]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["candidates", "content", "parts", "text", "functionCall", "usageMetadata", "promptFeedback",
             "finishReason", "promptTokenCount", "thought", "args", "error", "promptTokensDetails"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip


def reader() -> ResponseStream:
    return Gemini().read_stream(ASKED, attempt())


def event(**content: Any) -> Event:
    return Event("", orjson.dumps(content))


def candidate(*parts: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    ended = {"finishReason": finish} if finish else {}
    return {"candidates": [{"content": {"parts": list(parts), "role": "model"}, **ended}]}


def read(path: str, stream: ResponseStream) -> list[ChatEvent]:
    framer = Framer()
    frames = framer.feed(recorded(path))
    return [said for frame in frames if (event := parse(frame)) is not None for said in stream.read(event)]


def answer(**response: Any) -> ChatAnswer:
    return Gemini().read_answer(orjson.dumps(response), ASKED)


class TestReadResponse:
    def test_reads_what_was_thought_and_said(self) -> None:
        read = Gemini().read_answer(recorded("gemini/answer.json"), ASKED)
        assert (read.id, read.model) == ("b9BYaPXkK5TehMIPyoOx2As", "gemini-3.8-flash")
        assert read.parts == (Thinking(text="The user greets me."), Text(text="Hello there!"))
        assert (read.finish, read.refusal) == (Finish.STOP, None)
        assert read.usage is not None
        assert (read.usage.input_tokens, read.usage.output_tokens) == (4, 555)

    def test_reads_tool_calls_with_the_signature_in_the_id(self) -> None:
        read = Gemini().read_answer(recorded("gemini/answer_tools.json"), ASKED)
        assert read.parts == (
            Text(text="Let me look."),
            ToolCall(id="8f2b1a3c__thought__CiQBVKhc-_8", name="get_weather", arguments='{"city":"Paris"}'),
            ToolCall(id="9d0e1f2a", name="read_clock", arguments="{}"),
        )
        assert read.finish is Finish.TOOL_CALLS

    def test_makes_up_ids_that_differ(self) -> None:
        calls = [{"functionCall": {"name": "f"}}, {"functionCall": {"name": "f"}}]
        read = answer(**candidate(*calls, finish="STOP"), responseId="r/1")
        assert [part.id for part in read.parts if isinstance(part, ToolCall)] == ["call_r_1_0", "call_r_1_1"]

    @pytest.mark.parametrize(
        ("reason", "finish", "told"),
        [
            ("STOP", Finish.STOP, None),
            ("MAX_TOKENS", Finish.LENGTH, None),
            ("SAFETY", Finish.CONTENT_FILTER, "SAFETY"),
            ("RECITATION", Finish.CONTENT_FILTER, "RECITATION"),
            ("PROHIBITED_CONTENT", Finish.CONTENT_FILTER, "PROHIBITED_CONTENT"),
            ("SPII", Finish.CONTENT_FILTER, "SPII"),
            ("IMAGE_SAFETY", Finish.CONTENT_FILTER, "IMAGE_SAFETY"),
            ("MALFORMED_FUNCTION_CALL", Finish.STOP, "MALFORMED_FUNCTION_CALL"),
            ("SOMETHING_NEW", Finish.STOP, "SOMETHING_NEW"),
        ],
    )
    def test_tells_why_it_ended(self, reason: str, finish: Finish, told: str | None) -> None:
        read = answer(**candidate({"text": "x"}, finish=reason))
        assert read.finish is finish
        assert (read.refusal is None) == (told is None)
        assert (told or "") in (read.refusal or "")

    def test_a_blocked_prompt_is_an_answer_that_was_filtered(self) -> None:
        usage = {"promptTokenCount": 9, "totalTokenCount": 9}
        read = answer(promptFeedback={"blockReason": "SAFETY"}, usageMetadata=usage)
        assert (read.parts, read.finish) == ((), Finish.CONTENT_FILTER)
        assert read.refusal == "The prompt was blocked: SAFETY."
        assert read.usage is not None
        assert read.usage.quantities == {Meter.IN_FRESH: 9}

    def test_usage_that_counts_the_prompt_alone_is_none(self) -> None:
        counted = {"promptTokenCount": 9, "totalTokenCount": 9}
        assert answer(**candidate({"text": "x"}, finish="STOP"), usageMetadata=counted).usage is None

    @pytest.mark.parametrize(
        "body",
        [b"", b"<html>", b"[]", b"{}", b'{"candidates":[]}', b'{"candidates":[7]}', b'{"candidates":7}',
         b'{"candidates":[{"content":{"parts":[7]}}]}'],
    )  # fmt: skip
    def test_what_is_no_answer_is_a_failure(self, body: bytes) -> None:
        with pytest.raises(ProviderFailure) as failed:
            Gemini().read_answer(body, ASKED)
        assert failed.value.retryable

    @given(ANYTHING)
    def test_any_json_is_read_or_refused(self, content: Any) -> None:
        with suppress(ProviderFailure):  # anything else is a bug
            Gemini().read_answer(orjson.dumps(content), ASKED)


class TestReadStream:
    def test_reads_thoughts_then_words(self) -> None:
        stream = reader()
        said = read("gemini/stream.sse", stream)
        assert said == [
            Started("s1", "gemini-2.5-flash"),
            ThinkingDelta("First, "),
            ThinkingDelta("think."),
            ThinkingDone(Thinking(text="First, think.")),
            TextDelta("Grüße "),
            TextDelta("日本"),
            Finished(Finish.STOP),
        ]
        assert stream.usage is not None
        assert stream.usage.quantities == {Meter.IN_FRESH: 7, Meter.OUT_TEXT: 4, Meter.OUT_REASONING: 5}

    def test_ends_with_its_connection(self) -> None:
        stream = reader()
        read("gemini/stream.sse", stream)
        assert (stream.terminal, stream.usage_final) == (False, True)
        assert stream.end() == []
        assert stream.terminal

    def test_is_broken_off_without_a_reason_of_the_end(self) -> None:
        stream = reader()
        stream.read(event(**candidate({"text": "a"}), usageMetadata={"promptTokenCount": 3}))
        stream.end()
        assert not stream.terminal
        assert not stream.usage_final

    def test_reads_tool_calls(self) -> None:
        said = read("gemini/stream_tools.sse", reader())
        assert said[1:] == [
            ToolCallStarted(0, "call_s1_0__thought__Cg-_8w", "get_weather"),
            ToolCallDelta(0, '{"city":"Paris"}'),
            ToolCallStarted(1, "call_s1_1", "read_clock"),
            ToolCallDelta(1, "{}"),
            Finished(Finish.TOOL_CALLS),
        ]

    def test_takes_the_last_usage_even_after_the_end_was_told(self) -> None:
        stream = reader()
        stream.read(event(**candidate({"text": "a"}, finish="STOP")))
        assert not stream.usage_final
        stream.read(event(usageMetadata={"promptTokenCount": 3, "candidatesTokenCount": 1}))
        assert stream.usage_final
        assert stream.usage is not None
        assert stream.usage.output_tokens == 1

    def test_a_last_usage_without_output_is_not_final(self) -> None:
        stream = reader()
        counted = {"promptTokenCount": 3, "totalTokenCount": 3}
        stream.read(event(**candidate({"text": "a"}, finish="STOP"), usageMetadata=counted))
        assert not stream.usage_final

    def test_a_blocked_prompt_ends_it(self) -> None:
        stream = reader()
        said = stream.read(
            event(promptFeedback={"blockReason": "OTHER"}, usageMetadata={"promptTokenCount": 3})
        )
        assert said[1:] == [Finished(Finish.CONTENT_FILTER, "The prompt was blocked: OTHER.")]
        stream.end()
        assert stream.terminal
        assert stream.usage_final

    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            ({"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}, "overloaded"),
            ({"status": "RESOURCE_EXHAUSTED"}, "rate_limited"),
            ({"code": 429, "message": "Your prepayment credits are depleted."}, "billing"),
            ({}, "server"),
        ],
    )
    def test_an_error_event_is_a_failure(self, error: dict[str, Any], kind: str) -> None:
        with pytest.raises(ProviderFailure) as failed:
            reader().read(event(error=error))
        assert failed.value.kind == kind

    @given(st.lists(st.lists(PARTS, max_size=3), max_size=6))
    def test_says_what_a_whole_answer_says(self, chunks: list[list[dict[str, Any]]]) -> None:
        stream, said = reader(), list[ChatEvent]()
        for parts in chunks:
            said += stream.read(event(**candidate(*parts), responseId="r"))
        said += stream.read(event(**candidate(finish="STOP"), responseId="r"))
        whole = answer(
            **candidate(*(part for parts in chunks for part in parts), finish="STOP"), responseId="r"
        )
        texts = "".join(one.text for one in said if isinstance(one, TextDelta))
        assert texts == "".join(part.text for part in whole.parts if isinstance(part, Text))
        thoughts = [one.thinking for one in said if isinstance(one, ThinkingDone)]
        assert "".join(one.text for one in thoughts) == "".join(
            part.text for part in whole.parts if isinstance(part, Thinking)
        )
        started = [(one.id, one.name) for one in said if isinstance(one, ToolCallStarted)]
        assert started == [(part.id, part.name) for part in whole.parts if isinstance(part, ToolCall)]
        assert said[-1] == Finished(whole.finish)

    @given(st.lists(ANYTHING, max_size=4))
    def test_any_json_is_read_or_refused(self, events: list[Any]) -> None:
        stream = reader()
        with suppress(ProviderFailure):  # anything else is a bug
            for content in events:
                stream.read(Event("", orjson.dumps(content)))
        stream.end()


class TestRecordedUsages:
    @pytest.mark.parametrize("case", recorded_json("gemini/usages.json"), ids=lambda case: case["source"])
    def test_are_read_into_classes_that_add_up(self, case: dict[str, Any]) -> None:
        read = answer(**candidate({"text": "x"}, finish="STOP"), usageMetadata=case["usage"])
        assert read.usage is not None
        assert read.usage.quantities == case["disjoint"]
        assert list(read.usage.flags) == case["flags"]
        assert sum(read.usage.quantities.values()) == case["usage"]["totalTokenCount"]
