"""Answers in the Gemini API's dialect: written from the canonical form, and passed through from Google."""

from typing import Any

import orjson
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from bursar.adapters.providers.gemini import Gemini as GeminiProvider
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
)
from bursar.core.sse import Framer, parse
from bursar.core.usage import Meter, Usage
from bursar.gateway.dialects import Asked, Call, Exchange, Writer
from bursar.gateway.dialects.gemini import Gemini
from bursar.gateway.exchange import open_exchange
from recorded import SECRET, attempt, recorded

HELLO = {"role": "user", "parts": [{"text": "Hello"}]}
COST = {"cost": "0.01", "currency": "USD", "balance": "9.99", "input_tokens": 3, "output_tokens": 2}
USAGE = Usage(
    {
        Meter.IN_FRESH: 7,
        Meter.IN_IMAGE: 5,
        Meter.CACHE_READ: 3,
        Meter.IN_TOOL: 2,
        Meter.OUT_TEXT: 4,
        Meter.OUT_REASONING: 6,
    }
)
ASKED = ChatRequest(turns=())
NAMES_OF_THE_API = [
    "candidates", "content", "parts", "text", "functionCall", "finishReason", "index", "usageMetadata",
    "promptTokenCount", "candidatesTokenCount", "promptFeedback", "blockReason", "inlineData",
]  # fmt: skip
WORDS = st.text(min_size=1, max_size=6)
PARTS = st.one_of(
    st.builds(Text, text=WORDS),
    st.builds(Thinking, text=WORDS),
    st.builds(
        ToolCall,
        id=st.from_regex(r"[a-z0-9]{1,6}", fullmatch=True),
        name=st.just("f"),
        arguments=st.just('{"a":1}'),
    ),
)


def call(*, stream: bool = False, sse: bool = True, **config: Any) -> Call:
    action = "streamGenerateContent" if stream else "generateContent"
    query = {"alt": "sse"} if sse else {}
    body = orjson.dumps({"contents": [HELLO], "generationConfig": config})
    return Gemini().read(body, Asked(f"/v1beta/models/m:{action}", model="m", action=action, query=query))


def writer(*, sse: bool = True) -> Writer:
    return Gemini().writer(call(stream=True, sse=sse), created_s=0)


def chunks(frames: list[bytes], *, sse: bool = True) -> list[Any]:
    raw = b"".join(frames)
    if not sse:
        return list(orjson.loads(raw))
    events = [parse(frame) for frame in Framer().feed(raw)]
    return [orjson.loads(event.data) for event in events if event is not None]


def written(events: list[ChatEvent], *, sse: bool = True, usage: Usage | None = USAGE) -> list[Any]:
    writing = writer(sse=sse)
    frames = [writing.write(event) for event in events]
    return chunks([*frames, *writing.tail(usage, COST)], sse=sse)


def passing(*, sse: bool = True, **config: Any) -> Exchange:
    asked = call(stream=True, sse=sse, **config)
    return open_exchange(asked, GeminiProvider(), attempt("gemini-2.5-flash").deployment, SECRET, None)


class TestWholeAnswers:
    def test_are_what_the_sdk_reads(self) -> None:
        parts = (
            Thinking(text="hm", signature="s"),
            Text(text="Hi"),
            ToolCall(id="c", name="f", arguments='{"a":1}'),
        )
        answer = ChatAnswer(id="r1", model="gpt", parts=parts, finish=Finish.TOOL_CALLS, usage=USAGE)
        body = orjson.loads(writer().answer(answer))
        read = types.GenerateContentResponse.model_validate(body)
        assert (read.response_id, read.model_version, read.text) == ("r1", "gpt", "Hi")
        assert read.function_calls is not None
        assert (read.function_calls[0].id, read.function_calls[0].args) == ("c", {"a": 1})
        assert read.parts is not None
        assert (read.parts[0].thought, read.parts[0].text) == (True, "hm")
        assert read.parts[0].thought_signature

    def test_count_as_google_does(self) -> None:
        answer = ChatAnswer(id="", model="", parts=(), finish=Finish.STOP, usage=USAGE)
        assert orjson.loads(writer().answer(answer))["usageMetadata"] == {
            "promptTokenCount": 15,
            "candidatesTokenCount": 4,
            "totalTokenCount": 27,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 10},
                {"modality": "IMAGE", "tokenCount": 5},
            ],
            "cachedContentTokenCount": 3,
            "thoughtsTokenCount": 6,
            "toolUsePromptTokenCount": 2,
        }

    @pytest.mark.parametrize(
        ("finish", "told"),
        [
            (Finish.STOP, "STOP"),
            (Finish.LENGTH, "MAX_TOKENS"),
            (Finish.TOOL_CALLS, "STOP"),
            (Finish.CONTENT_FILTER, "SAFETY"),
        ],
    )
    def test_say_why_they_ended(self, finish: Finish, told: str) -> None:
        answer = ChatAnswer(
            id="", model="", parts=(Text(text="x"),), finish=finish, usage=None, refusal="No."
        )
        candidate = orjson.loads(writer().answer(answer))["candidates"][0]
        assert (candidate["finishReason"], candidate["finishMessage"]) == (told, "No.")
        assert written([Finished(finish, "No.")])[-1]["candidates"][0]["finishReason"] == told

    @pytest.mark.parametrize(
        ("finish", "told"), [(Finish.LENGTH, "MAX_TOKENS"), (Finish.TOOL_CALLS, "MALFORMED_FUNCTION_CALL")]
    )
    def test_leave_out_calls_that_are_none(self, finish: Finish, told: str) -> None:
        cut = ToolCall(id="c", name="f", arguments='{"a":')
        answer = ChatAnswer(id="", model="", parts=(cut,), finish=finish, usage=None)
        candidate = orjson.loads(writer().answer(answer))["candidates"][0]
        assert (candidate["finishReason"], candidate["content"]["parts"]) == (told, [{"text": ""}])


class TestStreams:
    @pytest.mark.parametrize("sse", [True, False])
    def test_come_in_chunks_with_the_cost_in_the_last(self, *, sse: bool) -> None:
        events: list[ChatEvent] = [
            Started("r1", "gpt"),
            ThinkingDelta("h"),
            ThinkingDelta("m"),
            ThinkingDone(Thinking(text="hm", signature="s")),
            TextDelta("Hi"),
            ToolCallStarted(0, "c", "f"),
            ToolCallDelta(0, '{"a"'),
            ToolCallDelta(0, ":1}"),
            Finished(Finish.TOOL_CALLS),
        ]
        told = written(events, sse=sse)
        parts = [chunk["candidates"][0]["content"]["parts"][0] for chunk in told]
        assert parts[0] == {"text": "h", "thought": True}
        assert parts[2]["thoughtSignature"]
        assert parts[3:] == [
            {"text": "Hi"},
            {"functionCall": {"id": "c", "name": "f", "args": {"a": 1}}},
            {"text": ""},
        ]
        assert [chunk["responseId"] for chunk in told] == ["r1"] * len(told)
        last = told[-1]
        assert last["candidates"][0]["finishReason"] == "STOP"
        assert {name: last["usageMetadata"][name] for name in ("cost", "currency", "balance")} == {
            "cost": "0.01", "currency": "USD", "balance": "9.99",
        }  # fmt: skip
        assert "finishReason" not in told[-2]["candidates"][0]

    def test_tell_the_estimate_where_the_provider_told_nothing(self) -> None:
        usage = written([TextDelta("x"), Finished(Finish.STOP)], usage=None)[-1]["usageMetadata"]
        assert (usage["promptTokenCount"], usage["candidatesTokenCount"], usage["totalTokenCount"]) == (
            3,
            2,
            5,
        )

    @pytest.mark.parametrize("sse", [True, False])
    def test_end_with_an_error_when_cut(self, *, sse: bool) -> None:
        writing = writer(sse=sse)
        frames = [
            writing.write(TextDelta("x")),
            writing.keep_alive,
            *writing.cut("provider_error", "Broken.", 502),
        ]
        error = chunks(frames, sse=sse)[-1]["error"]
        assert (error["code"], error["status"], error["message"]) == (502, "UNAVAILABLE", "Broken.")
        assert error["details"][0]["reason"] == "PROVIDER_ERROR"

    @given(st.lists(PARTS, max_size=5))
    def test_keep_their_meaning_when_read_again(self, parts: list[Text | Thinking | ToolCall]) -> None:
        """Written for a caller of the dialect and read by the adapter for it, whole or streamed."""
        finish = Finish.TOOL_CALLS if any(isinstance(part, ToolCall) for part in parts) else Finish.STOP
        events: list[ChatEvent] = [Started("r", "m")]
        calls = 0
        for part in parts:
            match part:
                case Text(text=text):
                    events.append(TextDelta(text))
                case Thinking(text=text):
                    events += [ThinkingDelta(text), ThinkingDone(part)]
                case ToolCall(id=call_id, name=name, arguments=arguments):
                    events += [ToolCallStarted(calls, call_id, name), ToolCallDelta(calls, arguments)]
                    calls += 1
        streamed = written([*events, Finished(finish)])
        answer = ChatAnswer(id="r", model="m", parts=tuple(parts), finish=finish, usage=USAGE)
        whole = GeminiProvider().read_answer(writer().answer(answer), ASKED)
        joined = {"candidates": [{"content": {"parts": []}, "finishReason": "STOP"}]}
        for chunk in streamed:
            joined["candidates"][0]["content"]["parts"] += chunk["candidates"][0]["content"]["parts"]  # type: ignore[index]  # plain JSON
        again = GeminiProvider().read_answer(orjson.dumps(joined), ASKED)
        for kind in (Text, Thinking):
            said = "".join(part.text for part in parts if isinstance(part, kind))
            assert said == "".join(part.text for part in whole.parts if isinstance(part, kind))
            assert said == "".join(part.text for part in again.parts if isinstance(part, kind))
        wanted = [part for part in parts if isinstance(part, ToolCall)]
        assert [part for part in whole.parts if isinstance(part, ToolCall)] == wanted
        assert [part for part in again.parts if isinstance(part, ToolCall)] == wanted
        assert whole.finish is again.finish is finish
        assert whole.usage is not None
        assert (whole.usage.input_tokens, whole.usage.output_tokens) == (
            USAGE.input_tokens,
            USAGE.output_tokens,
        )


class TestPassingThrough:
    @pytest.mark.parametrize("sse", [True, False])
    @pytest.mark.parametrize("size", [1, 7, 10_000])
    def test_hands_on_all_but_the_last_chunk_at_once(self, size: int, *, sse: bool) -> None:
        exchange, raw = passing(sse=sse), recorded("gemini/stream.sse")
        frames = [frame for at in range(0, len(raw), size) for frame in exchange.feed(raw[at : at + size])]
        assert not exchange.measured.terminal
        frames += exchange.end()
        assert exchange.measured.terminal
        came = chunks([*frames, *exchange.tail(COST)], sse=sse)
        sent = chunks([raw.replace(b"\r\n", b"\n")])
        assert came[:-1] == sent[:-1]
        assert came[-1]["candidates"] == sent[-1]["candidates"]
        assert came[-1]["usageMetadata"] == {
            **sent[-1]["usageMetadata"], "cost": "0.01", "currency": "USD", "balance": "9.99",
        }  # fmt: skip
        assert exchange.measured.usage is not None
        assert exchange.measured.usage.quantities == {
            Meter.IN_FRESH: 7,
            Meter.OUT_TEXT: 4,
            Meter.OUT_REASONING: 5,
        }

    def test_waits_for_every_candidate(self) -> None:
        exchange = passing(candidateCount=2)
        for index in (0, 1):
            assert not exchange.measured.terminal
            candidate = {"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP", "index": index}
            exchange.feed(b"data: " + orjson.dumps({"candidates": [candidate]}) + b"\r\n\r\n")
        exchange.end()
        assert exchange.measured.terminal
        half = passing(candidateCount=2)
        half.feed(b"data: " + orjson.dumps({"candidates": [candidate]}) + b"\r\n\r\n")
        half.end()
        assert not half.measured.terminal

    def test_hands_on_what_was_withheld_when_more_comes(self) -> None:
        exchange = passing()
        ended = {"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}]}
        later = {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4}}
        assert exchange.feed(b"data: " + orjson.dumps(ended) + b"\n\n") == []
        assert chunks(exchange.feed(b"data: " + orjson.dumps(later) + b"\n\n")) == [ended]
        exchange.end()
        assert exchange.measured.usage_final
        last = chunks(exchange.tail(COST))[0]
        assert last["usageMetadata"]["totalTokenCount"] == 4

    def test_keeps_what_was_withheld_before_an_error(self) -> None:
        exchange = passing()
        ended = {"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}]}
        exchange.feed(b"data: " + orjson.dumps(ended) + b"\n\n")
        told = chunks(exchange.cut("provider_error", "Broken.", 502))
        assert told[0] == ended
        assert told[1]["error"]["code"] == 502

    def test_takes_comments_for_signs_of_life(self) -> None:
        exchange = passing()
        assert exchange.feed(b": still here\n\n") == [b"\n\n"]
        assert chunks(exchange.feed(b": more\n\n")) == []

    @pytest.mark.parametrize(
        "event", [b"data: {", b"data: []", b"data: \xff", b'data: {"error":{"code":503}}']
    )
    def test_stops_at_nonsense_and_errors(self, event: bytes) -> None:
        exchange = passing()
        assert exchange.feed(event + b"\n\n") == []
        assert exchange.measured.error is not None

    @given(st.lists(st.binary(max_size=30) | st.just(b"\n\n") | st.just(b"data: "), max_size=8))
    def test_never_raises_whatever_comes(self, pieces: list[bytes]) -> None:
        exchange = passing()
        for piece in pieces:
            exchange.feed(piece)
        exchange.end()
        assert not exchange.measured.terminal

    @given(
        st.recursive(
            st.none() | st.integers(-5, 5) | st.text(max_size=3),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(NAMES_OF_THE_API),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=15,
        )
    )
    def test_never_raises_whatever_json_comes(self, content: Any) -> None:
        exchange = passing()
        exchange.feed(b"data: " + orjson.dumps(content) + b"\n\n")
        exchange.end()
        if exchange.measured.error is None:
            assert isinstance(content, dict)
            assert chunks([*exchange.tail(COST)])[-1]["usageMetadata"]["cost"] == "0.01"
