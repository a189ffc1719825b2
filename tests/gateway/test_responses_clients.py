"""OpenAI's own client at `/v1/responses`, whatever the provider of the model speaks.

Every test ends with the books checked; what an answer says it used is what was booked.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
import pytest_asyncio
from proving import KINDS, Customer, as_nano
from pydantic import BaseModel

pytestmark = pytest.mark.asyncio(loop_scope="module")

every_kind = pytest.mark.parametrize("kind", KINDS)
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather of a city",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9"
    "awAAAABJRU5ErkJggg=="
)


class Person(BaseModel):
    name: str
    age: int


@pytest_asyncio.fixture(loop_scope="module")
async def client(customer: Customer) -> AsyncIterator[Any]:
    async with openai.AsyncOpenAI(api_key=customer.key, base_url=customer.stack.url, max_retries=0) as gpt:
        yield gpt


def told(usage: Any) -> tuple[int, int]:
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    return usage.input_tokens, usage.output_tokens


async def booked(customer: Customer) -> tuple[int, int]:
    row = await customer.one_row()
    assert (row["endpoint"], row["dialect"]) == ("/v1/responses", "openai_responses")
    assert (row["outcome"], row["estimated"]) == ("completed", False)
    return row["input_tokens"], row["output_tokens"]


@every_kind
class TestAWholeResponse:
    async def test_tells_the_usage_that_is_booked(self, customer: Customer, client: Any, kind: str) -> None:
        answer = await client.responses.create(model=customer.models[kind], input="Hello")
        assert (answer.object, answer.status) == ("response", "completed")
        assert answer.id.startswith("resp_")
        assert answer.output_text
        assert told(answer.usage) == await booked(customer)

    async def test_tells_its_cost_in_the_headers(self, customer: Customer, client: Any, kind: str) -> None:
        raw = await client.responses.with_raw_response.create(model=customer.models[kind], input="Hello")
        row = await customer.one_row()
        assert as_nano(raw.headers["x-bursar-cost"]) == row["sale"] > 0

    async def test_obeys_instructions_and_earlier_turns(
        self, customer: Customer, client: Any, kind: str
    ) -> None:
        answer = await client.responses.create(
            model=customer.models[kind],
            instructions="Be brief.",
            input=[
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": "Hi!"},
                {"role": "user", "content": "[[sim:echo]]And now?"},
            ],
            max_output_tokens=500,
        )
        assert answer.output_text == "And now?"
        assert (answer.instructions, answer.max_output_tokens) == ("Be brief.", 500)

    async def test_sees_pictures(self, customer: Customer, client: Any, kind: str) -> None:
        shown = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": PNG}]
        answer = await client.responses.create(
            model=customer.models[kind], input=[{"role": "user", "content": shown}]
        )
        assert answer.output_text

    async def test_is_parsed_into_a_model(self, customer: Customer, client: Any, kind: str) -> None:
        answer = await client.responses.parse(
            model=customer.models[kind], input="Who is Ann?", text_format=Person
        )
        assert isinstance(answer.output_parsed, Person)

    async def test_tells_why_it_is_incomplete(self, customer: Customer, client: Any, kind: str) -> None:
        customer.fault(kind, "length")
        answer = await client.responses.create(model=customer.models[kind], input="Hello")
        assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")

    async def test_comes_to_the_blocking_client_too(self, customer: Customer, kind: str) -> None:
        def ask() -> Any:
            with openai.OpenAI(api_key=customer.key, base_url=customer.stack.url, max_retries=0) as gpt:
                model = customer.models[kind]
                with gpt.responses.stream(model=model, input="Hello") as stream:
                    return gpt.responses.create(model=model, input="Hello"), stream.get_final_response()

        whole, streamed = await asyncio.to_thread(ask)
        assert whole.output_text == streamed.output_text


@every_kind
class TestAStream:
    async def test_adds_up_to_the_whole_answer(self, customer: Customer, client: Any, kind: str) -> None:
        asked = {"model": customer.models[kind], "input": "Hello"}
        whole = await client.responses.create(**asked)
        async with client.responses.stream(**asked) as stream:
            streamed = await stream.get_final_response()
        assert streamed.output_text == whole.output_text
        assert told(streamed.usage) == told(whole.usage)

    async def test_numbers_its_events_and_ends_with_cost(
        self, customer: Customer, client: Any, kind: str
    ) -> None:
        stream = await client.responses.create(model=customer.models[kind], input="Hello", stream=True)
        events = [event async for event in stream]
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert events[0].type == "response.created"
        assert events[-1].type == "response.completed"
        usage = events[-1].response.usage
        row = await customer.one_row()
        assert told(usage) == (row["input_tokens"], row["output_tokens"])
        assert as_nano(usage.cost) == row["sale"]
        assert usage.currency == "USD"

    async def test_is_parsed_into_a_model(self, customer: Customer, client: Any, kind: str) -> None:
        async with client.responses.stream(
            model=customer.models[kind], input="Who is Ann?", text_format=Person
        ) as stream:
            answer = await stream.get_final_response()
        assert isinstance(answer.output_parsed, Person)


@every_kind
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
class TestTools:
    async def test_go_round(self, customer: Customer, client: Any, kind: str, *, stream: bool) -> None:
        asked: list[Any] = [{"role": "user", "content": "What is the weather in Oslo?"}]
        first = await ask(client, customer.models[kind], asked, stream=stream)
        (call,) = first.output
        assert (call.type, call.name) == ("function_call", "get_weather")
        assert call.parsed_arguments["city"]
        asked += [item.to_dict() for item in first.output]
        for one in asked:
            one.pop("parsed_arguments", None)
        asked.append({"type": "function_call_output", "call_id": call.call_id, "output": "-3 degrees"})
        second = await ask(client, customer.models[kind], asked, stream=stream)
        assert "-3 degrees" in second.output_text

    async def test_are_called_side_by_side(
        self, customer: Customer, client: Any, kind: str, *, stream: bool
    ) -> None:
        customer.fault(kind, "tools=3")
        asked: list[Any] = [{"role": "user", "content": "Compare the weather of three cities."}]
        first = await ask(client, customer.models[kind], asked, stream=stream)
        assert [item.type for item in first.output] == ["function_call"] * 3
        assert len({item.call_id for item in first.output}) == 3
        asked += [
            {"type": "function_call", "call_id": c.call_id, "name": c.name, "arguments": c.arguments}
            for c in first.output
        ]
        asked += [
            {"type": "function_call_output", "call_id": c.call_id, "output": "wet"} for c in first.output
        ]
        assert "wet" in (await ask(client, customer.models[kind], asked, stream=stream)).output_text


async def ask(client: Any, model: str, asked: list[Any], *, stream: bool) -> Any:
    if not stream:
        return await client.responses.parse(model=model, input=asked, tools=[WEATHER])
    async with client.responses.stream(model=model, input=asked, tools=[WEATHER]) as opened:
        return await opened.get_final_response()


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
class TestReasoning:
    async def test_goes_back_as_it_came(
        self, customer: Customer, client: Any, kind: str, *, stream: bool
    ) -> None:
        upstream = {"openai": "gpt-5", "anthropic": "claude-sonnet-4-5"}[kind]
        model = await customer.serve(kind, provider_model=upstream, output_tokens_max=8000)
        wanted: Any = {
            "model": model,
            "reasoning": {"effort": "low", "summary": "auto"},
            "include": ["reasoning.encrypted_content"],
            "tools": [WEATHER],
        }
        asked: list[Any] = [{"role": "user", "content": "What is the weather in Oslo?"}]
        first = await reason(client, {**wanted, "input": asked}, stream=stream)
        thought, call = first.output
        assert (thought.type, call.type) == ("reasoning", "function_call")
        assert thought.summary[0].text
        assert thought.encrypted_content
        asked += [item.to_dict() for item in first.output]
        asked.append({"type": "function_call_output", "call_id": call.call_id, "output": "-3 degrees"})
        second = await reason(client, {**wanted, "input": asked}, stream=stream)
        assert "-3 degrees" in second.output_text
        assert first.usage.output_tokens_details.reasoning_tokens > 0


async def reason(client: Any, wanted: dict[str, Any], *, stream: bool) -> Any:
    if not stream:
        return await client.responses.create(**wanted)
    events = await client.responses.create(**wanted, stream=True)
    return [event async for event in events][-1].response


@every_kind
class TestErrors:
    async def test_before_the_answer_are_openais(self, customer: Customer, client: Any, kind: str) -> None:
        customer.fault(kind, "status=429")
        with pytest.raises(openai.APIStatusError) as refused:
            await client.responses.create(model=customer.models[kind], input="Hello")
        assert refused.value.code

    async def test_inside_a_stream_are_raised(self, customer: Customer, client: Any, kind: str) -> None:
        customer.fault(kind, "error_event_after=9")
        stream = await client.responses.create(model=customer.models[kind], input="Hello", stream=True)
        kinds: list[str] = []
        with pytest.raises(openai.APIError) as raised:
            await collect(stream, kinds)
        assert kinds[-1] == "response.failed"
        assert raised.value.code in {"provider_error", "provider_overloaded"}

    @pytest.mark.parametrize(
        ("wrong", "named"),
        [
            ({"background": True}, "background"),
            ({"conversation": "conv_1"}, "conversation"),
            ({"prompt": {"id": "pmpt_1"}}, "prompt"),
            ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
            ({"tools": [{"type": "file_search", "vector_store_ids": ["v"]}]}, "tools[0].type"),
            ({"service_tier": "priority"}, "service_tier"),
            ({"store": True}, "store"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    async def test_name_what_is_not_served(
        self, customer: Customer, client: Any, kind: str, wrong: dict[str, Any], named: str
    ) -> None:
        with pytest.raises(openai.UnprocessableEntityError) as refused:
            await client.responses.create(model=customer.models[kind], input="Hello", **wrong)
        assert (refused.value.code, refused.value.param) == ("unsupported_parameter", named)
        assert await customer.usage() == []


async def collect(stream: Any, kinds: list[str]) -> None:
    """The types of a stream's events, as far as it goes."""
    async for event in stream:
        kinds.append(event.type)  # noqa: PERF401 - what came before it breaks is wanted
