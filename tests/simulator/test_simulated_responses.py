"""The official OpenAI client against the simulated Responses API."""

from typing import Any

import openai
import pytest
from pydantic import BaseModel

from bursar.simulator import Simulator

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather of a city",
    "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CUSTOM = {"type": "custom", "name": "run_query", "description": "SQL"}


class Person(BaseModel):
    name: str
    age: int


def kinds(stream: Any) -> list[str]:
    events = list(stream)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    return [event.type for event in events]


class TestWholeResponse:
    def test_has_the_usage_identity_of_openai(self, gpt: Any) -> None:
        answer = gpt.responses.create(model="gpt-4o-mini", input="Hello")
        assert answer.usage is not None
        assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
        assert (answer.status, answer.model) == ("completed", "gpt-4o-mini-2024-07-18")
        assert answer.output_text

    def test_repeats_what_was_asked(self, gpt: Any) -> None:
        answer = gpt.responses.create(
            model="gpt-4o", input="Hello", instructions="Be brief.", store=False, metadata={"order": "7"}
        )
        assert answer.instructions == "Be brief."
        assert answer.metadata == {"order": "7"}
        assert answer.to_dict()["store"] is False

    def test_is_parsed_into_a_model(self, gpt: Any) -> None:
        answer = gpt.responses.parse(model="gpt-4o", input="Who is Ann?", text_format=Person)
        assert isinstance(answer.output_parsed, Person)

    def test_reasons_in_an_item_of_its_own(self, gpt: Any) -> None:
        answer = gpt.responses.create(
            model="gpt-5",
            input="Hello",
            reasoning={"effort": "low", "summary": "auto"},
            include=["reasoning.encrypted_content"],
        )
        thought, said = answer.output
        assert thought.type == "reasoning"
        assert thought.summary[0].text
        assert thought.encrypted_content
        assert said.type == "message"
        assert answer.usage is not None
        assert answer.usage.output_tokens_details.reasoning_tokens == 16

    @pytest.mark.parametrize(
        ("script", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
    )
    def test_tells_why_it_is_incomplete(self, gpt: Any, script: str, reason: str) -> None:
        answer = gpt.responses.create(model=f"gpt-4o+{script}", input="Hello")
        assert answer.status == "incomplete"
        assert answer.incomplete_details is not None
        assert answer.incomplete_details.reason == reason

    def test_fails_with_its_usage_told(self, gpt: Any) -> None:
        answer = gpt.responses.create(model="gpt-4o+failed", input="Hello")
        assert (answer.status, answer.error is None, answer.usage is None) == ("failed", False, False)

    def test_tells_cache_writes_by_their_life(self, gpt: Any) -> None:
        model = "gpt-4o+input_tokens=100 cached=10 cache_write=20 cache_write_12h=30"
        answer = gpt.responses.create(model=model, input="Hello")
        assert answer.usage is not None
        told = answer.usage.input_tokens_details.to_dict()
        assert told["cache_write_tokens"] == 50
        assert told["cache_write_tokens_details"] == {"ttl_30m_tokens": 20, "ttl_12h_tokens": 30}


class TestTools:
    def test_are_called_and_their_results_read(self, gpt: Any) -> None:
        asked: list[Any] = [{"role": "user", "content": "What is the weather in Oslo?"}]
        first = gpt.responses.create(model="gpt-4o", input=asked, tools=[WEATHER], store=False)
        (call,) = first.output
        assert (call.type, call.name) == ("function_call", "get_weather")
        asked += first.output
        asked.append({"type": "function_call_output", "call_id": call.call_id, "output": "-3 degrees"})
        second = gpt.responses.create(model="gpt-4o", input=asked, tools=[WEATHER])
        assert "-3 degrees" in second.output_text

    def test_may_take_free_text(self, gpt: Any) -> None:
        answer = gpt.responses.create(
            model="gpt-4o", input="Hello", tools=[CUSTOM], tool_choice={"type": "custom", "name": "run_query"}
        )
        assert answer.output[0].type == "custom_tool_call"
        assert answer.output[0].input


class TestStream:
    def test_builds_a_message(self, gpt: Any) -> None:
        told = kinds(gpt.responses.create(model='gpt-4o+text="one two"', input="Hello", stream=True))
        assert told == [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]

    def test_builds_reasoning_and_its_summary(self, gpt: Any) -> None:
        stream = gpt.responses.create(
            model="gpt-5+reasoning=2", input="Hello", stream=True, reasoning={"summary": "auto"}
        )
        assert kinds(stream)[2:9] == [
            "response.output_item.added",
            "response.reasoning_summary_part.added",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done",
            "response.reasoning_summary_part.done",
            "response.output_item.done",
        ]

    @pytest.mark.parametrize(
        "model", ["gpt-4o", "gpt-5", "gpt-4o+refusal", "gpt-4o+tools=3", "gpt-5+unicode"]
    )
    def test_adds_up_to_the_whole_answer(self, gpt: Any, model: str) -> None:
        asked: Any = {"model": model, "input": "Hello", "tools": [WEATHER, CUSTOM]}
        with gpt.responses.stream(**asked) as stream:
            streamed = stream.get_final_response()
        whole = gpt.responses.create(**asked)
        assert streamed.usage == whole.usage
        assert [item.type for item in streamed.output] == [item.type for item in whole.output]
        assert streamed.output_text == whole.output_text

    @pytest.mark.parametrize(
        ("script", "last"),
        [
            ("length", "response.incomplete"),
            ("failed", "response.failed"),
            ("error_event_after=4", "error"),
            ("no_terminal", "response.output_item.done"),
        ],
    )
    def test_ends_as_the_script_says(self, gpt: Any, script: str, last: str) -> None:
        assert kinds(gpt.responses.create(model=f"gpt-4o+{script}", input="Hello", stream=True))[-1] == last


class TestRefusals:
    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"input": [{"role": "robot", "content": "Hi"}]}, "Invalid value: 'robot'"),
            ({"max_output_tokens": 3}, "max_output_tokens"),
            ({"extra_body": {"temprature": 1}}, "temprature"),
            ({"previous_response_id": "resp_1"}, "'resp_1' not found"),
            ({"include": ["reasoning.encrypted_content"]}, "Encrypted content is not supported"),
            ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "msg_1"),
            ({"input": [{"type": "function_call_output", "call_id": "c", "output": "1"}]}, "call_id c"),
            ({"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": ""}]}, "call c"),
        ],
    )
    def test_name_what_is_wrong(self, gpt: Any, wrong: dict[str, Any], said: str) -> None:
        with pytest.raises(openai.APIStatusError) as refused:
            gpt.responses.create(**{"model": "gpt-4o", "input": "Hello", **wrong})
        assert said in str(refused.value)

    def test_reasoning_that_is_not_kept_cannot_be_referred_to(self, gpt: Any) -> None:
        thought = {"type": "reasoning", "id": "rs_1", "summary": []}
        with pytest.raises(openai.NotFoundError, match="not persisted"):
            gpt.responses.create(model="gpt-5", input=[thought, {"role": "user", "content": "Hi"}])

    def test_faults_queue_up_as_for_chat(self, simulator: Simulator, gpt: Any) -> None:
        simulator.faults.add("status=429 retry_after=2", count=1, provider="openai")
        with pytest.raises(openai.RateLimitError):
            gpt.responses.create(model="gpt-4o", input="Hello")
        assert gpt.responses.create(model="gpt-4o", input="Hello").output_text
