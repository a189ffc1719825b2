"""Strangers' bytes on both sides of `/v1/responses`: a refusal or a failure, no crash; meaning survives."""

from typing import Any

import orjson
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bursar.adapters.providers import Provider, ProviderFailure
from bursar.adapters.providers.anthropic import Anthropic
from bursar.adapters.providers.openai import OpenAI
from bursar.adapters.providers.openai_compatible import OpenAICompatible
from bursar.core.chat import (
    BadRequest,
    ChatAnswer,
    ChatEvent,
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
from bursar.core.usage import Meter, Usage
from bursar.gateway.dialects import Exchange
from bursar.gateway.dialects.openai_responses import reading
from bursar.gateway.dialects.openai_responses.canonical import canonical
from bursar.gateway.dialects.openai_responses.writing import ResponsesWriter
from bursar.gateway.exchange import open_exchange
from recorded import SECRET, attempt

WORDS = st.sampled_from([
    "message", "function_call", "function_call_output", "reasoning", "user", "assistant", "input_text",
    "output_text", "input_image", "input_file", "refusal", "summary_text", "completed", "failed",
    "incomplete", "response.completed", "response.created", "response.output_text.delta", "error", "{}",
    "data:image/png;base64,aGk=", "30m", "auto", "allowed_tools", "json_schema", "bursar.signed.x",
    "bursar.redacted.x",
])  # fmt: skip
KEYS = st.sampled_from([
    "type", "role", "content", "text", "output", "call_id", "name", "arguments", "summary", "id",
    "encrypted_content", "image_url", "file_data", "filename", "format", "schema", "effort", "ttl", "mode",
    "tools", "parameters", "response", "usage", "input_tokens", "output_tokens", "input_tokens_details",
    "error", "code", "message", "item", "delta", "status", "sequence_number", "incomplete_details", "reason",
])  # fmt: skip
ATOMS = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False)
SAID = st.recursive(
    ATOMS | WORDS | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=8,
)
EVENTS = st.fixed_dictionaries(
    {
        "type": st.sampled_from([
            "response.created", "response.completed", "response.incomplete", "response.failed", "error",
            "response.output_text.delta", "response.output_item.added", "response.new",
        ])
    },
    optional=dict.fromkeys(("response", "delta", "item", "error", "message", "sequence_number"), SAID),
)  # fmt: skip
ITEMS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["message", "function_call", "function_call_output", "reasoning"]) | SAID,
            "role": st.sampled_from(["user", "assistant", "system", "developer"]) | SAID,
            **dict.fromkeys(
                ("content", "output", "call_id", "name", "arguments", "summary", "encrypted_content"), SAID
            ),
        },
    ),
    max_size=4,
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("tools", "tool_choice", "text", "reasoning", "include", "prompt_cache_options", "stream_options"),
        SAID,
    ),
)
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""These strategies nest deeply; how fast this machine draws from them is not what is tested."""
PROVIDERS = st.sampled_from([OpenAI(), Anthropic(), OpenAICompatible()])
LETTERS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
NAMES = st.text("abcdef", min_size=1, max_size=5)
PARTS = st.lists(
    st.builds(Text, text=LETTERS)
    | st.builds(Thinking, text=LETTERS, signature=NAMES)
    | st.builds(Thinking, redacted=NAMES)
    | st.builds(ToolCall, id=NAMES, name=NAMES, arguments=st.just('{"a": 1}')),
    max_size=5,
)
USAGE = Usage({Meter.IN_FRESH: 3, Meter.OUT_TEXT: 2})


def opened(provider: Provider, given_input: Any, **properties: Any) -> Exchange:
    call = reading.read(orjson.dumps({"model": "m", "input": given_input, **properties}))
    return open_exchange(call, provider, attempt().deployment, SECRET, None)


def frames_of(written: bytes) -> list[dict[str, Any]]:
    return [orjson.loads(frame.partition(b"\ndata: ")[2]) for frame in written.split(b"\n\n") if frame]


class TestProvidersWords:
    @settings(PATIENT, max_examples=100)
    @given(PROVIDERS, st.lists(EVENTS, max_size=4))
    def test_no_stream_breaks_the_reader(self, provider: Provider, events: list[Any]) -> None:
        asked = opened(provider, "Hello", stream=True)
        for event in events:
            asked.feed(b"event: x\ndata: " + orjson.dumps(event) + b"\n\n")
        asked.end()
        assert asked.measured.delivered_tokens >= 0
        if asked.measured.terminal and asked.measured.error is None:
            assert frames_of(asked.tail({"cost": "1"})[-1])[0]["response"]["usage"]["cost"] == "1"
        assert frames_of(asked.cut("provider_error", "It broke.")[-1])[0]["code"] == "provider_error"

    @settings(PATIENT, max_examples=100)
    @given(PROVIDERS, SAID | EVENTS)
    @example(OpenAI(), {"status": []})
    def test_no_answer_breaks_the_reader(self, provider: Provider, body: Any) -> None:
        asked = opened(provider, "Hello")
        try:
            answered = asked.answer(200, orjson.dumps(body))
        except ProviderFailure as failure:
            status, said = failure.status, failure.message
        else:
            status, said = 200, orjson.loads(answered)["output"]
        assert (status == 200) == isinstance(said, list)

    @settings(PATIENT, max_examples=100)
    @given(st.lists(st.binary(max_size=40) | EVENTS.map(orjson.dumps), max_size=6), st.integers(1, 30))
    def test_no_cutting_of_bytes_changes_what_is_passed_on(self, parts: list[bytes], size: int) -> None:
        sent = b"".join(b"event: e\ndata: " + part + b"\n\n" for part in parts)
        whole, cut = (opened(OpenAI(), "Hello", stream=True) for _ in range(2))
        passed = b"".join([*whole.feed(sent), *whole.end()])
        pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
        assert b"".join([*(f for piece in pieces for f in cut.feed(piece)), *cut.end()]) == passed
        assert cut.measured.delivered_tokens == whole.measured.delivered_tokens
        assert (cut.measured.terminal, cut.measured.error is None) == (
            whole.measured.terminal,
            whole.measured.error is None,
        )


class TestCallersWords:
    @settings(PATIENT, max_examples=150)
    @given(PROVIDERS, ITEMS | SAID, OPTIONS)
    def test_no_request_breaks_the_translation(
        self, provider: Provider, items: Any, options: dict[str, Any]
    ) -> None:
        try:
            status, sent = 200, orjson.loads(opened(provider, items, **options).body)
        except BadRequest as refused:
            status, sent = refused.status, {}
        assert status == (200 if sent else 422)


class TestARoundTrip:
    """What was answered, sent back as input, is what was answered."""

    @settings(PATIENT, max_examples=100)
    @given(PARTS, st.sampled_from(Finish))
    def test_keeps_the_meaning_of_a_whole_answer(self, parts: list[Any], finish: Finish) -> None:
        call = reading.read(orjson.dumps({"model": "m", "input": "Hello"}))
        answer = ChatAnswer(id="a1", model="m", parts=tuple(parts), finish=finish, usage=USAGE)
        response = orjson.loads(ResponsesWriter(call, created_s=1).answer(answer))
        assert said_again(response) == merged(parts)
        assert response["usage"]["total_tokens"] == USAGE.input_tokens + USAGE.output_tokens

    @settings(PATIENT, max_examples=100)
    @given(PARTS, st.sampled_from(Finish), st.integers(1, 4))
    def test_keeps_the_meaning_of_a_stream(self, parts: list[Any], finish: Finish, size: int) -> None:
        call = reading.read(orjson.dumps({"model": "m", "input": "Hello", "stream": True}))
        writer = ResponsesWriter(call, created_s=1)
        written = [writer.write(event) for event in streamed(parts, finish, size)]
        events = [event for one in [*written, *writer.tail(USAGE, {"cost": "1"})] for event in frames_of(one)]
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert said_again(events[-1]["response"]) == merged(parts)
        assert built(events) == events[-1]["response"]["output"]


def streamed(parts: list[Any], finish: Finish, size: int) -> list[ChatEvent]:
    """The same answer bit by bit."""
    events: list[ChatEvent] = [Started("a1", "m")]
    calls = 0
    for part in parts:
        match part:
            case Text(text=text):
                events += [TextDelta(text[at : at + size]) for at in range(0, len(text), size)]
            case Thinking(text=text):
                events += [ThinkingDelta(text[at : at + size]) for at in range(0, len(text), size)]
                events.append(ThinkingDone(part))
            case ToolCall(id=call_id, name=name, arguments=arguments):
                events.append(ToolCallStarted(calls, call_id, name))
                pieces = [arguments[at : at + size] for at in range(0, len(arguments), size)]
                events += [ToolCallDelta(calls, piece) for piece in pieces]
                calls += 1
    return [*events, Finished(finish)]


def said_again(response: dict[str, Any]) -> list[Any]:
    """The parts of an answer that came back as input."""
    if not response["output"]:
        return []
    (turn,) = canonical({"input": response["output"]}).turns
    assert turn.role == "assistant"
    return list(turn.parts)


def merged(parts: list[Any]) -> list[Any]:
    """Neighbouring texts are one message."""
    joined: list[Any] = []
    for part in parts:
        if isinstance(part, Text) and joined and isinstance(joined[-1], Text):
            joined[-1] = Text(text=joined[-1].text + part.text)
        else:
            joined.append(part)
    return joined


def built(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items as a client builds them: added, grown by deltas, done; every delta has its place."""
    items: dict[int, dict[str, Any]] = {}
    said: dict[str, str] = {}
    for event in events:
        kind = event["type"]
        if kind == "response.output_item.added":
            assert event["output_index"] == len(items)
            items[event["output_index"]] = event["item"]
            said[event["item"]["id"]] = ""
        elif kind.endswith(".delta"):
            assert items[event["output_index"]]["id"] == event["item_id"]
            said[event["item_id"]] += event["delta"]
        elif kind == "response.output_item.done":
            assert items[event["output_index"]]["id"] == event["item"]["id"]
            items[event["output_index"]] = event["item"]
            assert said[event["item"]["id"]] == words_of(event["item"])
    return [items[index] for index in sorted(items)]


def words_of(item: dict[str, Any]) -> str:
    parts = item.get("content", item.get("summary", []))
    return item.get("arguments", "") + "".join(part["text"] for part in parts)
