"""The same request, whole and streamed: the same words, the same end, the same figures, the same price."""

from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion
from operator_client import MODELS, Customer
from test_answers import WITH_USAGE
from test_tools import TIMEZONE, WEATHER

TOOLS = {"tools": [WEATHER, TIMEZONE]}
# What a healthy stream may look like on the way, and what may be in it.
SCRIPTS: dict[str, dict[str, Any]] = {
    "crlf": {},
    "ping_every=2": {},
    "extra_fields": {},
    "unknown_event": {},
    "unicode output_tokens=30": {},
    "split_utf8 output_tokens=14": {},
    "split_bytes=400 output_tokens=12": {},
    "big_event=200000 output_tokens=5": {},
    "running_usage": {},
    "wrong_total": {},
    "length output_tokens=9": {},
    "refusal": {},
    "content_filter output_tokens=20": {},
    "reasoning=33 output_tokens=9": {"max_tokens": 4000},
    "cached=7 input_tokens=70": {},
    "tools=3": TOOLS,
    "tool=get_weather crlf": TOOLS,
    "tool=get_weather split_bytes=500": TOOLS,
}


def put_together(customer: Customer, asked: dict[str, Any]) -> ChatCompletion:
    """What the stream helper makes of a stream; it raises for unusual ends, and carries the answer then."""
    with customer.sync.chat.completions.stream(**asked, stream_options=WITH_USAGE) as stream:
        try:
            return stream.get_final_completion()
        except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError) as unusual:
            ended = unusual
    assert ended.completion is not None
    return ended.completion


def shape_of(answer: ChatCompletion) -> dict[str, Any]:
    """What must be equal: everything but ids and times."""
    [choice] = answer.choices
    message = choice.message
    calls: list[Any] = [call.to_dict()["function"] for call in message.tool_calls or []]
    extra = message.model_extra or {}
    return {
        "content": message.content or "",
        "refusal": message.refusal,
        "calls": [(told["name"], told["arguments"]) for told in calls],
        "thoughts": extra.get("reasoning_content"),
        "finish": choice.finish_reason,
    }


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("script", SCRIPTS)
class TestWholeAndStreamed:
    def test_say_and_cost_the_same(self, customer: Customer, kind: str, script: str) -> None:
        messages: list[Any] = [{"role": "user", "content": f"Tell me. [[sim: {script}]]"}]
        asked: dict[str, Any] = {"model": MODELS[kind], "messages": messages, **SCRIPTS[script]}
        whole = customer.sync.chat.completions.create(**asked)
        streamed = put_together(customer, asked)
        assert shape_of(streamed) == shape_of(whole)
        assert whole.usage is not None
        assert streamed.usage is not None
        assert streamed.usage.prompt_tokens == whole.usage.prompt_tokens
        assert streamed.usage.completion_tokens == whole.usage.completion_tokens
        first, second = customer.usage()
        same = ("sale", "cost", "quantities", "outcome", "estimated", "flags")
        assert {name: first[name] for name in same} == {name: second[name] for name in same}
