"""Reasoning that a provider signed goes back to it as it came, and to nobody else."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from bursar.adapters.providers.openrouter import OpenRouter
from bursar.core.chat import (
    ChatAnswer,
    ChatEvent,
    ChatRequest,
    Part,
    Text,
    Thinking,
    ThinkingDelta,
    ThinkingDone,
    Turn,
)
from bursar.core.sse import Event
from recorded import attempt

HELLO = Turn(role="user", parts=(Text(text="Hi"),))
ASKED = ChatRequest(turns=(HELLO,))
DETAILS = [
    {
        "type": "reasoning.text",
        "text": "Hm.",
        "signature": "c2ln",
        "format": "anthropic-claude-v1",
        "index": 0,
    },
    {"type": "reasoning.summary", "summary": "He thought.", "format": "openai-responses-v1", "index": 1},
    {
        "type": "reasoning.encrypted",
        "data": "gAAAA",
        "id": "rs_1",
        "format": "openai-responses-v1",
        "index": 2,
    },
]


def sent_back(*parts: Part) -> dict[str, Any]:
    """The assistant's message, when these parts come back from the caller."""
    request = replace(ASKED, turns=(HELLO, Turn(role="assistant", parts=parts), HELLO))
    body = orjson.loads(OpenRouter().build(request, attempt("m"), stream=False).body)
    message: dict[str, Any] = body["messages"][1]
    return message


def whole(message: dict[str, Any]) -> ChatAnswer:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return OpenRouter().read_answer(orjson.dumps({"id": "a", "choices": [choice]}), ASKED)


def streamed(*deltas: dict[str, Any]) -> list[ChatEvent]:
    reader = OpenRouter().read_stream(ASKED, attempt("m"))
    chunks = [{"id": "a", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    return [said for chunk in chunks for said in reader.read(Event(name="", data=orjson.dumps(chunk)))]


class TestReasoningDetails:
    def test_go_back_as_they_came(self) -> None:
        answer = whole({"reasoning": "Hm.", "reasoning_details": DETAILS, "content": "Yes."})
        *thoughts, text = answer.parts
        assert (len(thoughts), text) == (len(DETAILS), Text(text="Yes."))
        message = sent_back(*answer.parts)
        assert message["reasoning_details"] == [DETAILS[0], DETAILS[2]]
        assert "thinking_blocks" not in message

    def test_in_pieces_go_back_whole(self) -> None:
        said = {"type": "reasoning.text", "index": 0}
        signed = {"signature": "c2ln", "format": "anthropic-claude-v1"}
        events = streamed(
            {"reasoning": "Let me ", "reasoning_details": [{**said, "text": "Let me "}]},
            {"reasoning_details": [{**said, "text": "see."}]},
            {"reasoning_details": [{**said, **signed}]},
            {"reasoning_details": [DETAILS[2]]},
            {"content": "Yes."},
        )
        thoughts = [event.thinking for event in events if isinstance(event, ThinkingDone)]
        assert [event.text for event in events if isinstance(event, ThinkingDelta)] == ["Let me ", "see."]
        details = sent_back(*thoughts)["reasoning_details"]
        assert details == [{**said, **signed, "text": "Let me see."}, DETAILS[2]]

    def test_what_another_provider_signed_goes_as_plain_words(self) -> None:
        elsewhere = Thinking(text="Hm.", signature="EqQBCgIYAhIM1gbcDa9GJwZA2b3h")
        message = sent_back(elsewhere, Thinking(redacted="x"), Text(text="Yes."))
        assert message == {"role": "assistant", "content": "Yes.", "reasoning": "Hm."}

    @pytest.mark.parametrize("odd", [None, 7, "x", [7], [{}], [{"type": "reasoning.text", "text": 7}]])
    def test_odd_ones_are_none(self, odd: Any) -> None:
        assert whole({"reasoning_details": odd, "content": "Yes."}).parts == (Text(text="Yes."),)
