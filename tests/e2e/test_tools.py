"""Tools through the official client: called, answered and streamed, at every type of provider."""

from typing import Any

import openai
import orjson
import pytest
from openai.types.chat import ChatCompletion
from operator_client import MODELS, Customer
from pydantic import BaseModel


def tool(name: str, parameter: str) -> Any:
    schema = {
        "type": "object",
        "properties": {parameter: {"type": "string"}},
        "required": [parameter],
        "additionalProperties": False,
    }
    return {
        "type": "function",
        "function": {"name": name, "description": f"Looks up the {name}.", "parameters": schema},
    }


WEATHER, TIMEZONE = tool("get_weather", "city"), tool("get_timezone", "place")
ASK_WEATHER: list[Any] = [{"role": "user", "content": "What is the weather in Lisbon today?"}]
ASK_BOTH: list[Any] = [{"role": "user", "content": "Say the weather and the timezone of Lisbon, please."}]


def calls_of(answer: ChatCompletion) -> list[Any]:
    return list(answer.choices[0].message.tool_calls or [])


@pytest.mark.parametrize("kind", MODELS)
class TestToolCalls:
    def test_one_tool_is_called_with_arguments_that_fit_its_schema(
        self, customer: Customer, kind: str
    ) -> None:
        answer = customer.sync.chat.completions.create(
            model=MODELS[kind], messages=ASK_WEATHER, tools=[WEATHER, TIMEZONE]
        )
        assert answer.choices[0].finish_reason == "tool_calls"
        [call] = calls_of(answer)
        assert call.type == "function"
        assert call.function.name == "get_weather"
        assert list(orjson.loads(call.function.arguments)) == ["city"]
        assert call.id

    def test_several_tools_are_called_at_once(self, customer: Customer, kind: str) -> None:
        answer = customer.sync.chat.completions.create(
            model=MODELS[kind], messages=ASK_BOTH, tools=[WEATHER, TIMEZONE]
        )
        calls = calls_of(answer)
        assert [call.function.name for call in calls] == ["get_weather", "get_timezone"]
        assert len({call.id for call in calls}) == 2

    def test_parallel_calls_can_be_switched_off(self, customer: Customer, kind: str) -> None:
        answer = customer.sync.chat.completions.create(
            model=MODELS[kind], messages=ASK_BOTH, tools=[WEATHER, TIMEZONE], parallel_tool_calls=False
        )
        assert len(calls_of(answer)) == 1

    def test_a_tool_can_be_insisted_on(self, customer: Customer, kind: str) -> None:
        choice: Any = {"type": "function", "function": {"name": "get_timezone"}}
        answer = customer.sync.chat.completions.create(
            model=MODELS[kind], messages=ASK_WEATHER, tools=[WEATHER, TIMEZONE], tool_choice=choice
        )
        assert [call.function.name for call in calls_of(answer)] == ["get_timezone"]

    @pytest.mark.parametrize(("choice", "count"), [("none", 0), ("auto", 0), ("required", 1)])
    def test_the_choice_among_tools_is_kept(
        self, customer: Customer, kind: str, choice: Any, count: int
    ) -> None:
        asked: list[Any] = [{"role": "user", "content": "Say hello."}]
        answer = customer.sync.chat.completions.create(
            model=MODELS[kind], messages=asked, tools=[WEATHER], tool_choice=choice
        )
        assert len(calls_of(answer)) == count

    async def test_results_go_back_and_are_answered(self, customer: Customer, kind: str) -> None:
        first = await customer.aio.chat.completions.create(
            model=MODELS[kind], messages=ASK_BOTH, tools=[WEATHER, TIMEZONE]
        )
        calls = calls_of(first)
        told = [
            {"role": "tool", "tool_call_id": calls[0].id, "content": "sunny and warm"},
            {"role": "tool", "tool_call_id": calls[1].id, "content": "WET, one hour behind"},
        ]
        messages: list[Any] = [*ASK_BOTH, first.choices[0].message.to_dict(), *told]
        second = await customer.aio.chat.completions.create(
            model=MODELS[kind], messages=messages, tools=[WEATHER, TIMEZONE]
        )
        assert second.choices[0].finish_reason == "stop"
        said = second.choices[0].message.content or ""
        assert "sunny and warm" in said
        assert "WET, one hour behind" in said


@pytest.mark.parametrize("kind", MODELS)
class TestStreamedToolCalls:
    def test_deltas_put_together_are_the_whole_answers_calls(self, customer: Customer, kind: str) -> None:
        asked: dict[str, Any] = {"model": MODELS[kind], "messages": ASK_BOTH, "tools": [WEATHER, TIMEZONE]}
        whole = calls_of(customer.sync.chat.completions.create(**asked))
        names, arguments = {}, dict[int, str]()
        for chunk in customer.sync.chat.completions.create(**asked, stream=True):
            for part in chunk.choices[0].delta.tool_calls or []:
                if part.id:
                    names[part.index] = part.function.name
                arguments[part.index] = arguments.get(part.index, "") + (part.function.arguments or "")
        assert list(names.values()) == [call.function.name for call in whole]
        assert [orjson.loads(text) for text in arguments.values()] == [
            orjson.loads(call.function.arguments) for call in whole
        ]

    def test_the_stream_helper_tells_when_a_call_is_complete(self, customer: Customer, kind: str) -> None:
        with customer.sync.chat.completions.stream(
            model=MODELS[kind], messages=ASK_BOTH, tools=[WEATHER, TIMEZONE]
        ) as stream:
            done = [event.name for event in stream if event.type == "tool_calls.function.arguments.done"]
            final = stream.get_final_completion()
        assert done == ["get_weather", "get_timezone"]
        assert final.choices[0].finish_reason == "tool_calls"

    async def test_a_streamed_call_is_paid_for(self, customer: Customer, kind: str) -> None:
        stream = await customer.aio.chat.completions.create(
            model=MODELS[kind], messages=ASK_WEATHER, tools=[WEATHER], stream=True
        )
        finishes = [chunk.choices[0].finish_reason async for chunk in stream]
        [row] = customer.usage()
        assert finishes[-1] == "tool_calls"
        assert row["output_tokens"] > 0
        assert row["sale"] != "0.00"


class City(BaseModel):
    name: str
    inhabitants: int
    twins: list[str]


class Answer(BaseModel):
    city: City
    is_capital: bool


@pytest.mark.parametrize("kind", MODELS)
class TestAnswersInASchema:
    def test_a_json_schema_is_kept(self, customer: Customer, kind: str) -> None:
        wanted: Any = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": Answer.model_json_schema()},
        }
        answer = customer.sync.chat.completions.create(
            model=MODELS[kind], messages=ASK_WEATHER, response_format=wanted
        )
        said = Answer.model_validate_json(answer.choices[0].message.content or "")
        assert said.city.name

    def test_the_parse_helper_gives_a_model(self, customer: Customer, kind: str) -> None:
        answer = customer.sync.chat.completions.parse(
            model=MODELS[kind], messages=ASK_WEATHER, response_format=Answer
        )
        parsed = answer.choices[0].message.parsed
        assert isinstance(parsed, Answer)
        assert isinstance(parsed.city, City)

    async def test_the_async_parse_helper_does_too(self, customer: Customer, kind: str) -> None:
        answer = await customer.aio.chat.completions.parse(
            model=MODELS[kind], messages=ASK_WEATHER, response_format=Answer
        )
        assert isinstance(answer.choices[0].message.parsed, Answer)

    async def test_the_stream_helper_parses_at_the_end(self, customer: Customer, kind: str) -> None:
        async with customer.aio.chat.completions.stream(
            model=MODELS[kind], messages=ASK_WEATHER, response_format=Answer
        ) as stream:
            async for _ in stream:
                pass
            final = await stream.get_final_completion()
        assert isinstance(final.choices[0].message.parsed, Answer)

    def test_the_parse_helper_reads_strict_tool_arguments(self, customer: Customer, kind: str) -> None:
        answer = customer.sync.chat.completions.parse(
            model=MODELS[kind],
            messages=[{"role": "user", "content": "Look the city up."}],
            tools=[openai.pydantic_function_tool(City)],
        )
        [call] = calls_of(answer)
        assert isinstance(call.function.parsed_arguments, City)
