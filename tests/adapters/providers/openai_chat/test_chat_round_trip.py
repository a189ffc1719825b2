"""What is written in OpenAI's chat dialect and read back from it means the same."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bursar.adapters.providers import ProviderFailure
from bursar.adapters.providers.openai import OpenAI
from bursar.adapters.providers.openai_chat import ChatServer
from bursar.core.chat import (
    Audio,
    ChatAnswer,
    ChatEvent,
    ChatRequest,
    File,
    Finish,
    Finished,
    Image,
    Part,
    Started,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingDone,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    ToolChoice,
    ToolResult,
    Turn,
)
from bursar.core.sse import Framer, parse
from bursar.gateway.dialects import Call
from bursar.gateway.dialects.openai_chat.canonical import canonical
from bursar.gateway.dialects.openai_chat.reading import read
from bursar.gateway.dialects.openai_chat.writing import ChatWriter
from recorded import attempt


class Keeping(ChatServer):
    """A server that takes back all there is, so that nothing has to be lost."""

    kind = "keeping"
    style = replace(OpenAI.style, thoughts="reasoning_content", cache_marked=())
    dispositions = OpenAI.dispositions


KEEPING = Keeping()
WORDS = st.text(min_size=1, max_size=12)
NAMES = st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True)
BASE64 = st.sampled_from(["aGk=", "JVBE", "AAAA"])
BOOLS = st.booleans()
ARGUMENTS = st.dictionaries(NAMES, WORDS | st.integers(-9, 9) | st.none(), max_size=3).map(
    lambda arguments: orjson.dumps(arguments).decode()
)
TEXTS = st.builds(Text, text=WORDS, cache=BOOLS)
IMAGES = st.builds(
    Image, media_type=st.sampled_from(["image/png", "image/jpeg"]), data=BASE64, cache=BOOLS
) | st.builds(Image, url=NAMES.map(lambda name: f"https://pictures.test/{name}.png"), cache=BOOLS)
SOUNDS = st.builds(Audio, data=BASE64, format=st.sampled_from(["wav", "mp3"]), cache=BOOLS)
FILES = st.builds(File, media_type=st.just("application/pdf"), data=BASE64, name=NAMES, cache=BOOLS)
THOUGHTS = st.builds(Thinking, text=WORDS, signature=WORDS) | st.builds(Thinking, redacted=WORDS)
CALLS = st.builds(ToolCall, id=NAMES, name=NAMES, arguments=ARGUMENTS)
RESULTS = st.builds(
    ToolResult,
    call_id=NAMES,
    parts=st.lists(TEXTS, min_size=1, max_size=2).map(tuple),
)
TURNS = st.lists(
    st.builds(Turn, role=st.just("system"), parts=st.lists(TEXTS, min_size=1, max_size=2).map(tuple))
    | st.builds(
        Turn,
        role=st.just("user"),
        parts=st.lists(TEXTS | IMAGES | SOUNDS | FILES | RESULTS, min_size=1, max_size=4).map(tuple),
    )
    | st.builds(
        Turn,
        role=st.just("assistant"),
        parts=st.lists(TEXTS | THOUGHTS | CALLS, min_size=1, max_size=4).map(tuple),
    ),
    min_size=1,
    max_size=4,
).map(tuple)
TOOLS = st.lists(
    st.builds(
        Tool,
        name=NAMES,
        description=st.none() | WORDS,
        parameters=st.just({"type": "object", "properties": {"a": {"type": "string"}}}),
        strict=BOOLS,
    ),
    min_size=1,
    max_size=2,
).map(tuple)
CHOICES = (
    st.none()
    | st.builds(ToolChoice, mode=st.sampled_from(["auto", "none", "required"]))
    | st.builds(ToolChoice, mode=st.just("named"), name=NAMES)
)
SCHEMAS = st.sampled_from(
    [{"type": "object", "properties": {}, "additionalProperties": False}, {"type": "string"}]
)
REQUESTS = st.builds(
    ChatRequest,
    turns=TURNS,
    max_tokens=st.none() | st.integers(1, 64_000),
    temperature=st.none() | st.sampled_from([0, 0.5, 2]),
    top_p=st.none() | st.sampled_from([0.1, 1]),
    stop=st.lists(WORDS, max_size=4).map(tuple),
    effort=st.none() | st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "max"]),
    json_schema=st.none() | SCHEMAS,
    end_user=st.none() | NAMES,
    service_tier=st.none() | st.sampled_from(["auto", "default", "flex"]),
    seed=st.none() | st.integers(0, 9),
    frequency_penalty=st.none() | st.sampled_from([0.5, -1]),
    presence_penalty=st.none() | st.sampled_from([0.5, -1]),
)
ASKED = ChatRequest(turns=(Turn(role="user", parts=(Text(text="Hi"),)),))
FINISHES = st.sampled_from([Finish.STOP, Finish.LENGTH, Finish.CONTENT_FILTER])
ANSWERS = st.tuples(
    st.lists(THOUGHTS, max_size=2),
    st.none() | WORDS,
    st.lists(CALLS, max_size=2),
    FINISHES,
    st.none() | WORDS,
)
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def said(turns: Iterable[Turn]) -> list[tuple[str, Part]]:
    """Who said what. Of what one role said in a row, results come first and calls last."""

    def place(part: Part) -> int:
        return {ToolResult: 0, Thinking: 1, ToolCall: 3}.get(type(part), 2)

    told: list[tuple[str, Part]] = []
    for role, row in groupby(turns, key=lambda turn: turn.role):
        parts = [part for turn in row for part in turn.parts]
        told += [(role, part) for part in sorted(parts, key=place) if part != Text(text="")]
    return told


def meaning(request: ChatRequest) -> dict[str, Any]:
    kept = {name: getattr(request, name) for name in request.__slots__ if name not in {"turns", "names"}}
    return {**kept, "said": said(request.turns)}


def there_and_back(request: ChatRequest) -> ChatRequest:
    sent = KEEPING.build(request, attempt("gpt-5.6"), stream=True)
    return canonical(read(sent.body).raw)


def call() -> Call:
    return read(b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":true}')


class TestRequests:
    @settings(PATIENT, max_examples=150)
    @given(REQUESTS)
    def test_mean_the_same_after_the_round_trip(self, request: ChatRequest) -> None:
        assert meaning(there_and_back(request)) == meaning(request)

    @settings(PATIENT, max_examples=50)
    @given(TOOLS, CHOICES, st.none() | BOOLS)
    def test_offer_the_same_tools(
        self,
        tools: tuple[Tool, ...],
        choice: ToolChoice | None,
        parallel: bool | None,  # noqa: FBT001 - drawn
    ) -> None:
        request = replace(ASKED, tools=tools, tool_choice=choice, parallel_tools=parallel)
        assert meaning(there_and_back(request)) == meaning(request)

    def test_keep_results_together_and_their_pictures_behind_them(self) -> None:
        picture = Image(media_type="image/png", data="aGk=")
        turns = (
            Turn(role="user", parts=(ToolResult(call_id="a", parts=(Text(text="1"), picture)),)),
            Turn(role="user", parts=(ToolResult(call_id="b", parts=(Text(text="2"),)), Text(text="go on"))),
        )
        assert said(there_and_back(replace(ASKED, turns=turns)).turns) == [
            ("user", ToolResult(call_id="a", parts=(Text(text="1"),))),
            ("user", ToolResult(call_id="b", parts=(Text(text="2"),))),
            ("user", picture),
            ("user", Text(text="go on")),
        ]


def answer_of(drawn: tuple[Any, ...]) -> ChatAnswer:
    thoughts, text, calls, finish, refusal = drawn
    parts = (*thoughts, *([Text(text=text)] if text else []), *calls)
    if finish is Finish.STOP and calls:
        finish = Finish.TOOL_CALLS
    if refusal:
        finish = Finish.CONTENT_FILTER
    return ChatAnswer(id="chat-1", model="m", parts=parts, finish=finish, usage=None, refusal=refusal)


def events_of(answer: ChatAnswer) -> list[ChatEvent]:
    events: list[ChatEvent] = [Started(answer.id, answer.model)]
    calls = 0
    for part in answer.parts:
        if isinstance(part, Text):
            events.append(TextDelta(part.text))
        elif isinstance(part, Thinking):
            events += [*([ThinkingDelta(part.text)] if part.text else []), ThinkingDone(part)]
        else:
            events += [ToolCallStarted(calls, part.id, part.name), ToolCallDelta(calls, part.arguments)]
            calls += 1
    return [*events, Finished(answer.finish, answer.refusal)]


def read_back(stream: bytes, chunk_size: int) -> list[ChatEvent]:
    reader, framer = KEEPING.read_stream(ASKED, attempt()), Framer()
    chunks = [stream[at : at + chunk_size] for at in range(0, len(stream), chunk_size)]
    frames = [frame for chunk in chunks for frame in framer.feed(chunk)]
    heard = [event for frame in frames if (said := parse(frame)) for event in reader.read(said)]
    assert reader.terminal
    return heard


class TestAnswers:
    @settings(PATIENT, max_examples=150)
    @given(ANSWERS)
    def test_mean_the_same_after_the_round_trip(self, drawn: tuple[Any, ...]) -> None:
        answer = answer_of(drawn)
        assert KEEPING.read_answer(ChatWriter(call(), created_s=1).answer(answer), ASKED) == answer

    @settings(PATIENT, max_examples=150)
    @given(ANSWERS, st.integers(1, 300))
    def test_stream_the_same_events(self, drawn: tuple[Any, ...], chunk_size: int) -> None:
        events = events_of(answer_of(drawn))
        writer = ChatWriter(call(), created_s=1)
        stream = b"".join(writer.write(event) for event in events) + b"".join(writer.tail(None, None))
        assert read_back(stream, chunk_size) == events


SAID_KEYS = st.sampled_from([
    "id", "choices", "delta", "message", "content", "tool_calls", "function", "name", "arguments", "index",
    "usage", "finish_reason", "refusal", "reasoning", "reasoning_content", "thinking_blocks", "type", "data",
    "thinking", "text", "prompt_tokens", "completion_tokens", "error", "service_tier",
])  # fmt: skip
ANYTHING = st.recursive(
    st.none()
    | BOOLS
    | st.integers(-5, 5)
    | st.floats(allow_nan=False)
    | st.sampled_from(["stop", "error", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SAID_KEYS, inner, max_size=4),
    max_leaves=10,
)
CHUNKS = st.lists(
    st.fixed_dictionaries(
        {"choices": st.lists(st.fixed_dictionaries({"delta": ANYTHING, "message": ANYTHING}), max_size=2)},
        optional={"usage": ANYTHING, "id": ANYTHING},
    )
    | ANYTHING,
    max_size=4,
)


class TestStrangers:
    @settings(PATIENT, max_examples=200)
    @given(CHUNKS)
    def test_no_chunk_breaks_the_reader(self, chunks: list[Any]) -> None:
        reader = KEEPING.read_stream(ASKED, attempt())
        framer = Framer()
        frames = framer.feed(b"".join(b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks))
        failed = 0
        for frame in frames:
            event = parse(frame)
            try:
                reader.read(event) if event else None
            except ProviderFailure as failure:
                failed = failure.status
        assert failed == 0 or failed >= 400
        assert not reader.terminal

    @settings(PATIENT, max_examples=200)
    @given(CHUNKS)
    def test_no_answer_breaks_the_reader(self, bodies: list[Any]) -> None:
        for body in bodies:
            try:
                status, parts = 200, KEEPING.read_answer(orjson.dumps(body), ASKED).parts
            except ProviderFailure as failure:
                status, parts = failure.status, ()
            assert status >= 400 or isinstance(parts, tuple)
