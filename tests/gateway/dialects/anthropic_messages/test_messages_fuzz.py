"""Strangers' bytes on both sides break nothing; and what is translated there and back means the same."""

from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bursar.adapters.providers import Provider, ProviderFailure
from bursar.adapters.providers.anthropic import Anthropic
from bursar.adapters.providers.anthropic.answer import MessageStream, read_message
from bursar.adapters.providers.openai import OpenAI
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
from bursar.core.sse import Framer, parse
from bursar.core.usage import Meter, Usage
from bursar.gateway.dialects import Exchange
from bursar.gateway.dialects.anthropic_messages import reading
from bursar.gateway.dialects.anthropic_messages.canonical import FAILED, canonical
from bursar.gateway.dialects.anthropic_messages.writing import MessageWriter
from bursar.gateway.exchange import open_exchange
from recorded import SECRET, attempt

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""These strategies nest deeply; how fast this machine draws from them is not what is tested."""
PROVIDERS = st.sampled_from([OpenAI(), Anthropic()])

# What a stranger may write.

ATOMS = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False)
KEYS = st.sampled_from([
    "type", "role", "content", "text", "source", "media_type", "data", "url", "title", "context", "id",
    "name", "input", "tool_use_id", "is_error", "thinking", "signature", "cache_control", "ttl", "citations",
    "budget_tokens", "input_schema", "description", "strict", "effort", "format", "schema", "user_id",
    "disable_parallel_tool_use", "max_uses", "index", "delta", "content_block", "message", "usage",
    "stop_reason", "partial_json", "input_tokens", "output_tokens", "cache_creation", "error",
    "cache_creation_input_tokens", "ephemeral_1h_input_tokens", "iterations",
])  # fmt: skip
WORDS = st.sampled_from([
    "user", "assistant", "system", "text", "image", "document", "tool_use", "tool_result", "thinking",
    "redacted_thinking", "base64", "file", "content", "ephemeral", "1h", "enabled", "disabled", "adaptive",
    "auto", "any", "tool", "json_schema", "web_search_1", "message_start", "message_delta", "message_stop",
    "content_block_start", "content_block_delta", "error", "end_turn", "refusal", "image/png", "text/plain",
])  # fmt: skip
ANYTHING = st.recursive(
    ATOMS | WORDS | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=8,
)
BLOCKS = st.lists(
    st.fixed_dictionaries({"type": WORDS}, optional=dict.fromkeys(
        ("text", "source", "content", "id", "name", "input", "tool_use_id", "thinking", "signature", "data",
         "cache_control", "is_error"), ANYTHING)),
    max_size=3,
)  # fmt: skip
MESSAGES = st.lists(
    st.fixed_dictionaries({
        "role": st.sampled_from(["user", "assistant", "system"]),
        "content": st.text(max_size=5) | BLOCKS | ANYTHING,
    }),
    min_size=1,
    max_size=4,
)  # fmt: skip
OPTIONS = st.fixed_dictionaries({}, optional=dict.fromkeys(
    ("system", "tools", "tool_choice", "thinking", "output_config", "metadata", "stop_sequences",
     "cache_control", "service_tier", "top_k", "temperature"), ANYTHING))  # fmt: skip
EVENTS = st.fixed_dictionaries({"type": WORDS}, optional=dict.fromkeys(
    ("index", "delta", "content_block", "message", "usage", "error"), ANYTHING))  # fmt: skip


def opened(provider: Provider, messages: Any, **properties: Any) -> Exchange:
    body = {"model": "m", "max_tokens": 2_000, "messages": messages, **properties}
    return open_exchange(reading.read(orjson.dumps(body)), provider, attempt().deployment, SECRET, None)


def exchange(provider: Provider, **properties: Any) -> Exchange:
    return opened(provider, [{"role": "user", "content": "Hello"}], **properties)


class TestCallersWords:
    @settings(PATIENT, max_examples=150)
    @given(PROVIDERS, MESSAGES, OPTIONS)
    def test_no_request_breaks_reading_or_translation(
        self, provider: Provider, messages: list[Any], options: dict[str, Any]
    ) -> None:
        try:
            status, sent = 200, orjson.loads(opened(provider, messages, **options).body)["messages"]
        except BadRequest as refused:
            status, sent = refused.status, []
        assert status == (200 if sent else 422)

    @settings(PATIENT, max_examples=100)
    @given(st.binary(max_size=50) | ANYTHING.map(orjson.dumps))
    def test_no_body_breaks_reading(self, body: bytes) -> None:
        try:
            tokens = reading.read(body).input_tokens
        except BadRequest as refused:
            tokens = len(refused.message)
        assert tokens > 0


class TestProvidersWords:
    @settings(PATIENT, max_examples=150)
    @given(PROVIDERS, st.lists(EVENTS, max_size=4))
    def test_no_stream_breaks_the_reader(self, provider: Provider, events: list[Any]) -> None:
        asked = exchange(provider, stream=True)
        for event in events:
            asked.feed(b"event: x\ndata: " + orjson.dumps(event) + b"\n\n")
        asked.end()
        assert asked.measured.delivered_tokens >= 0
        assert asked.tail({})[-1].startswith(b"event: message_stop\n")

    @settings(PATIENT, max_examples=100)
    @given(PROVIDERS, ANYTHING | EVENTS)
    def test_no_answer_breaks_the_reader(self, provider: Provider, body: Any) -> None:
        asked = exchange(provider)
        try:
            answered = asked.answer(200, orjson.dumps(body))
        except ProviderFailure as failure:
            status, said = failure.status, failure.message
        else:
            status, said = 200, orjson.loads(answered)["content"]
        assert (status == 200) == isinstance(said, list)


# What a careful caller writes: valid, and with every property this dialect shares with the canonical form.

NAMES = st.text("abcdefgh_", min_size=1, max_size=6)
TEXTS = st.text(min_size=1, max_size=12)
OBJECTS = st.dictionaries(
    NAMES, st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=5), max_size=3
)
SCHEMAS = st.builds(lambda names: {"type": "object", "properties": {n: {"type": "string"} for n in names}},
                    st.lists(NAMES, max_size=2))  # fmt: skip
TEXT_BLOCKS = st.builds(lambda text: {"type": "text", "text": text}, TEXTS)
IMAGES = st.sampled_from([
    {"type": "image", "source": {"type": "url", "url": "https://pictures.example/a.png"}},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
])  # fmt: skip
DOCUMENTS = st.builds(
    lambda source, title: {"type": "document", "source": source, **({"title": title} if title else {})},
    st.sampled_from([
        {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
        {"type": "text", "media_type": "text/plain", "data": "wörds"},
    ]),
    st.none() | TEXTS,
)  # fmt: skip
MARKS = st.none() | st.just({"type": "ephemeral", "ttl": "1h"})


def marked(block: dict[str, Any], mark: dict[str, Any] | None) -> dict[str, Any]:
    return block if mark is None else {**block, "cache_control": mark}


SHOWN = st.builds(marked, TEXT_BLOCKS | IMAGES | DOCUMENTS, MARKS)
RESULTS = st.builds(
    lambda call_id, content, failed: {
        "type": "tool_result",
        "tool_use_id": call_id,
        "content": content,
        **({"is_error": True} if failed else {}),
    },
    NAMES,
    TEXTS | st.lists(TEXT_BLOCKS | IMAGES, max_size=2),
    st.booleans(),
)
THOUGHTS = st.builds(
    lambda thought, signature: {"type": "thinking", "thinking": thought, "signature": signature}, TEXTS, NAMES
) | st.builds(lambda data: {"type": "redacted_thinking", "data": data}, NAMES)
CALLS = st.builds(
    lambda call_id, name, given: {"type": "tool_use", "id": call_id, "name": name, "input": given},
    NAMES,
    NAMES,
    OBJECTS,
)
BY_USER = TEXTS | st.builds(
    lambda results, shown: results + shown,
    st.lists(RESULTS, max_size=2),
    st.lists(SHOWN, min_size=1, max_size=3),
)
BY_MODEL = TEXTS | st.lists(TEXT_BLOCKS | THOUGHTS | CALLS, min_size=1, max_size=4)
SAID_BY_USER = st.builds(lambda content: {"role": "user", "content": content}, BY_USER)
SAID_BY_MODEL = st.builds(lambda content: {"role": "assistant", "content": content}, BY_MODEL)
TALKS = st.builds(
    lambda turns, last: [message for pair in turns for message in pair] + [last],
    st.lists(st.tuples(SAID_BY_USER, SAID_BY_MODEL), max_size=2),
    SAID_BY_USER,
)
TOOLS = st.builds(
    lambda name, description, schema: {"name": name, "description": description, "input_schema": schema},
    NAMES,
    TEXTS,
    SCHEMAS,
)
SETTINGS = st.fixed_dictionaries(
    {"tools": st.lists(TOOLS, min_size=1, max_size=2)},
    optional={
        "system": st.lists(st.builds(marked, TEXT_BLOCKS, MARKS), min_size=1, max_size=2),
        "temperature": st.sampled_from([0, 0.5, 1]),
        "top_p": st.sampled_from([0.1, 1]),
        "top_k": st.integers(1, 99),
        "stop_sequences": st.lists(NAMES, min_size=1, max_size=2),
        "metadata": st.builds(lambda user: {"user_id": user}, NAMES),
        "service_tier": st.sampled_from(["auto", "standard_only"]),
        "thinking": st.builds(
            lambda budget: {"type": "enabled", "budget_tokens": budget}, st.integers(1024, 1999)
        ),
        "tool_choice": st.sampled_from(
            [
                {"type": "auto"},
                {"type": "any"},
                {"type": "none"},
                {"type": "tool", "name": "f"},
                {"type": "auto", "disable_parallel_tool_use": True},
            ]
        ),
    },
)


def plain(content: Any) -> list[dict[str, Any]]:
    """Content as blocks; what a failed tool said is told in words."""
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    written = []
    for block in blocks:
        if block["type"] == "tool_result":
            failed = [{"type": "text", "text": FAILED}] if block.get("is_error") else []
            kept = {name: value for name, value in block.items() if name != "is_error"}
            written.append({**kept, "content": [*failed, *plain(block["content"])]})
        else:
            written.append(block)
    return written


class TestRoundTripOfRequests:
    @settings(PATIENT, max_examples=150)
    @given(TALKS, SETTINGS)
    def test_through_the_canonical_form_means_the_same(
        self, talk: list[dict[str, Any]], options: dict[str, Any]
    ) -> None:
        raw = {"model": "m", "max_tokens": 2_000, "messages": talk, **options}
        call = reading.read(orjson.dumps(raw))
        deployed = attempt("claude-sonnet-4-5")
        written = orjson.loads(Anthropic().build(canonical(call.raw), deployed, stream=False).body)
        expected = {
            **raw,
            "model": "claude-sonnet-4-5",
            "messages": [{"role": said["role"], "content": plain(said["content"])} for said in talk],
        }
        if loop_without_thoughts(talk):
            expected.pop("thinking", None)
        assert written == expected


def loop_without_thoughts(talk: list[dict[str, Any]]) -> bool:
    """A tool loop that began without visible thinking goes on without: the API refuses anything else."""
    if len(talk) < 2:
        return False
    asked, answered = plain(talk[-1]["content"]), plain(talk[-2]["content"])
    kinds = {block["type"] for block in answered}
    return any(block["type"] == "tool_result" for block in asked) and not kinds & {
        "thinking",
        "redacted_thinking",
    }


# What a model answers.

PARTS = (
    st.builds(lambda text: Text(text=text), TEXTS)
    | st.builds(lambda text, signed: Thinking(text=text, signature=signed), TEXTS, NAMES)
    | st.builds(lambda data: Thinking(redacted=data), NAMES)
    | st.builds(
        lambda call_id, name, given: ToolCall(id=call_id, name=name, arguments=orjson.dumps(given).decode()),
        NAMES,
        NAMES,
        OBJECTS,
    )
)
FIGURES = st.dictionaries(
    st.sampled_from([
        Meter.IN_FRESH, Meter.CACHE_READ, Meter.CACHE_WRITE_5M, Meter.CACHE_WRITE_1H, Meter.OUT_TEXT,
        Meter.OUT_REASONING, Meter.WEB_SEARCH,
    ]),
    st.integers(1, 10**6),
)  # fmt: skip
FINISHES = st.sampled_from(Finish)


def writer() -> MessageWriter:
    asked = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
    return MessageWriter(reading.read(orjson.dumps(asked)))


def failing(body: bytes) -> ProviderFailure:
    raise AssertionError(body)


class TestRoundTripOfAnswers:
    @settings(PATIENT, max_examples=100)
    @given(st.lists(PARTS, max_size=5), FIGURES, FINISHES)
    def test_whole_ones_say_the_same(
        self, parts: list[Any], figures: dict[Meter, int], finish: Finish
    ) -> None:
        answer = ChatAnswer(id="a", model="m", parts=tuple(parts), finish=finish, usage=Usage(figures))
        read = read_message(writer().answer(answer), cache_life=Meter.CACHE_WRITE_5M)
        assert (read.id, read.model, read.finish) == ("a", "m", finish)
        assert list(map(same, read.parts)) == list(map(same, parts))
        assert read.usage is not None
        assert read.usage.quantities == figures

    @settings(PATIENT, max_examples=100)
    @given(st.lists(PARTS, max_size=5), FIGURES, FINISHES)
    def test_streamed_ones_say_the_same(
        self, parts: list[Any], figures: dict[Meter, int], finish: Finish
    ) -> None:
        writing = writer()
        said = [Started("a", "m"), *told(parts), Finished(finish)]
        frames = b"".join([writing.write(event) for event in said] + writing.tail(Usage(figures), {}))
        reader = MessageStream(cache_life=Meter.CACHE_WRITE_5M, failure=failing)
        read: list[ChatEvent] = []
        for frame in Framer().feed(frames):
            event = parse(frame)
            assert event is not None
            read += reader.read(event)
        assert read == said
        assert (reader.terminal, reader.usage_final) == (True, True)
        assert reader.usage is not None
        assert reader.usage.quantities == figures


def same(part: Any) -> Any:
    """A tool call by what its arguments mean."""
    return (part.id, part.name, orjson.loads(part.arguments)) if isinstance(part, ToolCall) else part


def told(parts: list[Any]) -> list[ChatEvent]:
    """The events of these parts, each text and each set of arguments in one piece."""
    events: list[ChatEvent] = []
    calls = 0
    for part in parts:
        match part:
            case Text(text=text):
                events.append(TextDelta(text))
            case Thinking(redacted=None, text=text):
                events += [ThinkingDelta(text), ThinkingDone(part)]
            case Thinking():
                events.append(ThinkingDone(part))
            case ToolCall(id=call_id, name=name, arguments=arguments):
                events += [ToolCallStarted(calls, call_id, name), ToolCallDelta(calls, arguments)]
                calls += 1
    return events
