"""Gemini models behind callers of other dialects: thought signatures survive, thoughts and schemas are
understood."""

from typing import Any

import anthropic
import openai
import orjson
import pytest
from proving import Customer
from pydantic import BaseModel

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIGNING = "gemini-3.8-flash"
"""Insists that its tool calls come back with their signatures."""
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
ASKED = "What is the weather in Paris today?"
TOOL: Any = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}
CLOCK: Any = {
    "type": "function",
    "function": {"name": "read_clock", "parameters": {"type": "object", "properties": {}}},
}


class Receipt(BaseModel):
    shop: str
    total: int


def gpt(customer: Customer) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key=customer.key, base_url=customer.stack.url, max_retries=0)


def sent_parts(customer: Customer) -> list[dict[str, Any]]:
    body = orjson.loads(customer.stack.simulator.log.exchanges[-1].body)
    return [part for content in body["contents"] for part in content["parts"]]


class TestSignatures:
    """The simulated model refuses a call without its signature, and one whose signature changed."""

    @pytest.mark.parametrize("stream", [False, True])
    async def test_survive_openais_chat(self, customer: Customer, *, stream: bool) -> None:
        model = await customer.serve("gemini", provider_model=SIGNING)
        asked: dict[str, Any] = {
            "model": model,
            "tools": [TOOL, CLOCK],
            "messages": [{"role": "user", "content": ASKED}],
        }
        asked["messages"][0]["content"] += " And what does the clock say?"
        async with gpt(customer) as client:
            if stream:
                async with client.chat.completions.stream(**asked) as coming:
                    message = (await coming.get_final_completion()).choices[0].message
            else:
                message = (await client.chat.completions.create(**asked)).choices[0].message
            calls = message.tool_calls or []
            results = [{"role": "tool", "tool_call_id": call.id, "content": "21 degrees"} for call in calls]
            said = {
                "role": "assistant",
                "tool_calls": [
                    {
                        "id": call.id,
                        "type": "function",
                        "function": {"name": call.function.name, "arguments": call.function.arguments},
                    }
                    for call in calls
                ],
            }
            asked["messages"] += [said, *results]
            answer = await client.chat.completions.create(**asked)
        assert len(calls) == 2
        assert "21 degrees" in str(answer.choices[0].message.content)
        signed = [
            part.get("thoughtSignature") is not None
            for part in sent_parts(customer)
            if "functionCall" in part
        ]
        assert signed == [True, False]

    async def test_survive_openais_responses(self, customer: Customer) -> None:
        model = await customer.serve("gemini", provider_model=SIGNING)
        tool: Any = {"type": "function", "name": "get_weather", "parameters": PARAMETERS, "strict": True}
        async with gpt(customer) as client:
            first = await client.responses.create(model=model, input=ASKED, tools=[tool])
            call = next(item for item in first.output if item.type == "function_call")
            items: list[Any] = [{"role": "user", "content": ASKED}]
            items += [
                {
                    "type": "function_call",
                    "call_id": call.call_id,
                    "name": call.name,
                    "arguments": call.arguments,
                },
                {"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"},
            ]
            answer = await client.responses.create(model=model, input=items, tools=[tool])
        assert "21 degrees" in answer.output_text

    @pytest.mark.parametrize("stream", [False, True])
    async def test_survive_anthropics_messages(self, customer: Customer, *, stream: bool) -> None:
        model = await customer.serve("gemini", provider_model=SIGNING)
        tool: Any = {"name": "get_weather", "input_schema": PARAMETERS}
        asked: dict[str, Any] = {"model": model, "max_tokens": 2000, "tools": [tool]}
        asked["messages"] = [{"role": "user", "content": ASKED}]
        address = customer.stack.url.removesuffix("/v1")
        async with anthropic.AsyncAnthropic(api_key=customer.key, base_url=address, max_retries=0) as client:
            if stream:
                async with client.messages.stream(**asked) as coming:
                    message = await coming.get_final_message()
            else:
                message = await client.messages.create(**asked)
            use = next(block for block in message.content if block.type == "tool_use")
            result = {"type": "tool_result", "tool_use_id": use.id, "content": "21 degrees"}
            content = [block.model_dump(exclude_none=True) for block in message.content]
            asked["messages"] += [
                {"role": "assistant", "content": content},
                {"role": "user", "content": [result]},
            ]
            answer = await client.messages.create(**asked)
        assert "21 degrees" in answer.content[-1].text

    async def test_that_never_were_do_not_stop_a_conversation(self, customer: Customer) -> None:
        """Begun with another model, or by a client that invents its ids."""
        model = await customer.serve("gemini", provider_model=SIGNING)
        call = {"id": "toolu_01", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
        messages: list[Any] = [
            {"role": "user", "content": ASKED},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "toolu_01", "content": "21 degrees"},
        ]
        async with gpt(customer) as client:
            answer = await client.chat.completions.create(model=model, messages=messages, tools=[TOOL])
        assert "21 degrees" in str(answer.choices[0].message.content)


class TestOpenAIsChat:
    @pytest.mark.parametrize("stream", [False, True])
    async def test_hears_what_the_model_thought(self, customer: Customer, *, stream: bool) -> None:
        await customer.serve("gemini", provider_model=SIGNING)
        reply = await customer.chat("gemini", "Hello", stream=stream, reasoning_effort="low")
        row = await customer.one_row()
        assert b'"reasoning_content":"' in reply.body
        assert row["quantities"]["out_reasoning"] == 16
        assert reply.text()

    async def test_gets_json_that_fits_a_schema(self, customer: Customer) -> None:
        async with gpt(customer) as client:
            parsed = await client.chat.completions.parse(
                model=customer.models["gemini"],
                messages=[{"role": "user", "content": "A receipt"}],
                response_format=Receipt,
            )
        assert isinstance(parsed.choices[0].message.parsed, Receipt)

    async def test_gets_any_json(self, customer: Customer) -> None:
        reply = await customer.chat("gemini", "Some JSON", response_format={"type": "json_object"})
        assert isinstance(orjson.loads(reply.text()), dict)

    async def test_tells_a_rate_limit_from_an_empty_account(self, customer: Customer) -> None:
        await customer.serve("gemini")  # a credential of its own: it is out of service afterwards
        customer.fault("gemini", "status=429 retry_after=7", count=None)
        limited = await customer.chat("gemini")
        customer.stack.simulator.faults.clear()
        assert (limited.status, limited.error["code"]) == (503, "provider_rate_limited")
        assert limited.headers["retry-after"] == "7"
        assert not any("credential.refused" in line for line in customer.logged)
        customer.fault("gemini", "billing", count=None)
        empty = await customer.chat("gemini")
        customer.stack.simulator.faults.clear()
        assert (empty.status, empty.error["code"]) == (502, "provider_error")
        assert any("credential.refused" in line and "billing" in line for line in customer.logged)
