"""Canonical answers and events as Anthropic's messages: read back by the official client's own types."""

from typing import Any

import orjson
import pytest
from anthropic.types import Message

from bursar.core.chat import (
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
from bursar.core.estimate import tokens_of_text
from bursar.core.usage import Meter, Usage
from bursar.gateway.dialects.anthropic_messages import reading
from bursar.gateway.dialects.anthropic_messages.frames import usage_object
from bursar.gateway.dialects.anthropic_messages.writing import MessageWriter

USAGE = Usage({
    Meter.IN_FRESH: 10, Meter.IN_IMAGE: 5, Meter.CACHE_READ: 3, Meter.CACHE_WRITE_5M: 2,
    Meter.CACHE_WRITE_30M: 4, Meter.OUT_TEXT: 7, Meter.OUT_REASONING: 6, Meter.WEB_SEARCH: 1,
})  # fmt: skip
COST = {"cost": "0.5", "currency": "USD", "balance": "9", "input_tokens": 24, "output_tokens": 13}


def writer(**properties: Any) -> MessageWriter:
    asked = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}], **properties}
    return MessageWriter(reading.read(orjson.dumps(asked)))


def written(*events: ChatEvent, usage: Usage | None = USAGE, **properties: Any) -> list[dict[str, Any]]:
    """The JSON of every frame of a stream of these events, its tail included."""
    writing = writer(stream=True, **properties)
    frames = b"".join([*(writing.write(event) for event in events), *writing.tail(usage, COST)])
    return [orjson.loads(frame.partition(b"\ndata: ")[2]) for frame in frames.split(b"\n\n") if frame]


def put_together(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The content blocks that a client makes of a stream; every block must be opened and closed once."""
    blocks: dict[int, dict[str, Any]] = {}
    closed = []
    for event in events:
        match event:
            case {"type": "content_block_start", "index": index, "content_block": block}:
                assert index == len(blocks)
                blocks[index] = {**block, "json": ""}
            case {"type": "content_block_delta", "index": index, "delta": delta}:
                kept = {"partial_json": "json"}
                for name, value in delta.items():
                    if name != "type":
                        blocks[index][kept.get(name, name)] += value
            case {"type": "content_block_stop", "index": index}:
                closed.append(index)
    assert sorted(closed) == sorted(set(closed)) == list(blocks)
    return [blocks[index] for index in sorted(blocks)]


def answer(*parts: Any, finish: Finish = Finish.STOP, **more: Any) -> dict[str, Any]:
    told = ChatAnswer(
        id="a-1", model="gpt", parts=parts, finish=finish, usage=more.pop("usage", USAGE), **more
    )
    body = writer().answer(told)
    Message.model_validate_json(body, strict=False)
    message = orjson.loads(body)
    assert isinstance(message, dict)
    return message


class TestUsage:
    def test_is_disjoint_as_anthropics_is(self) -> None:
        told = usage_object(USAGE)
        assert (told["input_tokens"], told["cache_read_input_tokens"]) == (15, 3)
        assert (told["cache_creation_input_tokens"], told["output_tokens"]) == (6, 13)
        assert told["output_tokens_details"] == {"thinking_tokens": 6}
        assert told["server_tool_use"] == {"web_search_requests": 1, "web_fetch_requests": 0}
        whole = told["input_tokens"] + told["cache_creation_input_tokens"] + told["cache_read_input_tokens"]
        assert whole == USAGE.input_tokens

    @pytest.mark.parametrize(("tier", "told"), [("priority", "priority"), ("flex", None), (None, None)])
    def test_names_only_tiers_that_anthropic_has(self, tier: str | None, told: str | None) -> None:
        assert usage_object(Usage({}, service_tier=tier))["service_tier"] == told


class TestWholeAnswers:
    def test_hold_every_kind_of_block_in_order(self) -> None:
        message = answer(
            Thinking(text="hm", signature="s"),
            Thinking(redacted="r"),
            Text(text="Hi"),
            ToolCall(id="t", name="f", arguments='{"a":1}'),
            finish=Finish.TOOL_CALLS,
        )
        assert message["content"] == [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "redacted_thinking", "data": "r"},
            {"type": "text", "text": "Hi"},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
        ]
        assert (message["id"], message["type"], message["role"], message["model"]) == (
            "a-1",
            "message",
            "assistant",
            "gpt",
        )
        assert (message["stop_reason"], message["stop_sequence"]) == ("tool_use", None)

    @pytest.mark.parametrize(("finish", "reason"), [(Finish.STOP, "end_turn"), (Finish.LENGTH, "max_tokens")])
    def test_say_why_they_ended(self, finish: Finish, reason: str) -> None:
        message = answer(Text(text="Hi"), finish=finish)
        assert message["stop_reason"] == reason
        assert "stop_details" not in message

    @pytest.mark.parametrize("finish", [Finish.CONTENT_FILTER, Finish.STOP])
    def test_explain_a_refusal(self, finish: Finish) -> None:
        message = answer(finish=finish, refusal="No.")
        assert message["stop_reason"] == "refusal"
        assert message["stop_details"]["explanation"] == "No."

    @pytest.mark.parametrize("arguments", ["", '{"a":', "[1]"])
    def test_show_input_that_is_no_object_as_empty(self, arguments: str) -> None:
        message = answer(ToolCall(id="t", name="f", arguments=arguments))
        assert message["content"][0]["input"] == {}

    def test_have_usage_even_when_the_provider_told_none(self) -> None:
        told = answer(Text(text="three letters"), usage=None)["usage"]
        assert told["input_tokens"] > 0
        assert told["output_tokens"] == tokens_of_text("three letters")

    def test_leave_out_thoughts_that_were_not_wanted(self) -> None:
        told = ChatAnswer(
            id="a", model="m", parts=(Thinking(text="hm", signature="s"),), finish=Finish.STOP, usage=None
        )
        wanted = {"type": "adaptive", "display": "omitted"}
        message = orjson.loads(writer(thinking=wanted).answer(told))
        assert message["content"] == [{"type": "thinking", "thinking": "", "signature": "s"}]


class TestStreams:
    def test_come_in_the_documented_order(self) -> None:
        events = written(Started("a-1", "gpt"), TextDelta("Hel"), TextDelta("lo"), Finished(Finish.STOP))
        assert [event["type"] for event in events] == [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
        message = events[0]["message"]
        assert (message["id"], message["model"], message["content"]) == ("a-1", "gpt", [])
        assert message["usage"] == {"input_tokens": 0, "output_tokens": 0}
        assert events[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
        assert events[-2]["usage"] == {
            **usage_object(USAGE),
            "cost": "0.5",
            "currency": "USD",
            "balance": "9",
        }

    def test_thoughts_words_and_calls_are_blocks_of_their_own(self) -> None:
        events = written(
            Started("a", "m"),
            ThinkingDelta("h"),
            ThinkingDelta("m"),
            ThinkingDone(Thinking(text="hm", signature="s")),
            ThinkingDone(Thinking(redacted="r")),
            TextDelta("Hi"),
            ToolCallStarted(0, "t0", "f"),
            ToolCallDelta(0, '{"a"'),
            ToolCallDelta(0, ":1}"),
            ToolCallStarted(1, "t1", "g"),
            ToolCallDelta(1, "{}"),
            Finished(Finish.TOOL_CALLS),
        )
        thought, redacted, text, first, second = put_together(events)
        assert (thought["thinking"], thought["signature"]) == ("hm", "s")
        assert redacted["data"] == "r"
        assert text["text"] == "Hi"
        assert (first["id"], first["name"], first["input"], first["json"]) == ("t0", "f", {}, '{"a":1}')
        assert (second["id"], second["json"]) == ("t1", "{}")

    def test_calls_that_come_interleaved_lose_nothing(self) -> None:
        events = written(
            Started("a", "m"),
            ToolCallStarted(0, "t0", "f"),
            ToolCallStarted(1, "t1", "g"),
            ToolCallDelta(0, '{"a":1}'),
            ToolCallDelta(1, '{"b":2}'),
            ToolCallDelta(7, "nobody began this"),
            Finished(Finish.TOOL_CALLS),
        )
        assert [block["json"] for block in put_together(events)] == ['{"a":1}', '{"b":2}']

    def test_a_thought_without_words_keeps_its_signature(self) -> None:
        events = written(Started("a", "m"), ThinkingDone(Thinking(signature="s")), Finished(Finish.STOP))
        [thought] = put_together(events)
        assert (thought["thinking"], thought["signature"]) == ("", "s")

    def test_thoughts_that_were_not_wanted_are_left_out(self) -> None:
        events = written(
            Started("a", "m"),
            ThinkingDelta("secret"),
            ThinkingDone(Thinking(text="secret", signature="s")),
            TextDelta("Hi"),
            Finished(Finish.STOP),
            thinking={"type": "adaptive", "display": "omitted"},
        )
        thought, text = put_together(events)
        assert (thought["thinking"], thought["signature"], text["text"]) == ("", "s", "Hi")

    def test_text_between_thoughts_starts_anew(self) -> None:
        events = written(
            Started("a", "m"), TextDelta("a"), ThinkingDelta("b"), TextDelta("c"), Finished(Finish.STOP)
        )
        assert [block["type"] for block in put_together(events)] == ["text", "thinking", "text"]

    def test_without_a_beginning_get_one(self) -> None:
        for events in (written(), written(TextDelta("x")), written(Finished(Finish.LENGTH))):
            assert events[0]["type"] == "message_start"
            assert [event["type"] for event in events[-2:]] == ["message_delta", "message_stop"]
            put_together(events)

    def test_without_usage_tell_what_was_charged(self) -> None:
        told = written(Started("a", "m"), Finished(Finish.STOP), usage=None)[-2]["usage"]
        assert told == {
            "input_tokens": 24,
            "output_tokens": 13,
            "cost": "0.5",
            "currency": "USD",
            "balance": "9",
        }

    def test_refusals_are_explained_at_the_end(self) -> None:
        delta = written(Started("a", "m"), Finished(Finish.CONTENT_FILTER, "No."))[-2]["delta"]
        assert (delta["stop_reason"], delta["stop_details"]["explanation"]) == ("refusal", "No.")

    def test_keep_alive_is_a_ping(self) -> None:
        assert writer().keep_alive == b'event: ping\ndata: {"type":"ping"}\n\n'

    def test_are_cut_by_an_error_event(self) -> None:
        [frame] = writer().cut("insufficient_balance", "Out of money.", 402)
        told = orjson.loads(frame.partition(b"\ndata: ")[2])
        assert frame.startswith(b"event: error\n")
        assert (told["error"]["type"], told["error"]["code"]) == ("billing_error", "insufficient_balance")
