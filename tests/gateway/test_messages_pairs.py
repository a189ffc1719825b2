"""Callers of Anthropic's dialect at providers of every type: what each kind of request comes back as."""

from typing import Any

import pytest
from messages_caller import ask_messages, events_of, said_in
from proving import KINDS, Customer

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOOL: dict[str, Any] = {
    "name": "get_weather",
    "description": "Looks up the weather.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
ASK = "What is the weather in Lisbon today?"
PICTURE = {
    "type": "image",
    "source": {
        "type": "base64",
        "media_type": "image/png",
        "data": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5E"
        "rkJggg==",
    },
}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def tool_uses(content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [block for block in content if block["type"] == "tool_use"]


@pytest.mark.parametrize("kind", KINDS)
class TestPairs:
    async def test_usage_told_is_usage_booked(self, customer: Customer, kind: str) -> None:
        for stream in (False, True):
            reply = await ask_messages(customer, kind, ASK, stream=stream, system="Be brief.")
            row = (await customer.usage())[-1]
            usage = events_of(reply)[-2]["usage"] if stream else reply.json()["usage"]
            assert said_in(reply)
            assert (row["outcome"], row["output_tokens"]) == ("completed", usage["output_tokens"])
            if not stream or kind != "anthropic":  # Anthropic tells the input when a stream begins
                cached = usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]
                assert row["input_tokens"] == usage["input_tokens"] + cached

    async def test_tools_there_and_back(self, customer: Customer, kind: str) -> None:
        first = await ask_messages(customer, kind, ASK, tools=[TOOL])
        content = first.json()["content"]
        [call] = tool_uses(content)
        assert (first.json()["stop_reason"], call["name"], list(call["input"])) == (
            "tool_use",
            "get_weather",
            ["city"],
        )
        told = {"type": "tool_result", "tool_use_id": call["id"], "content": "sunny and warm"}
        messages = [
            {"role": "user", "content": ASK},
            {"role": "assistant", "content": content},
            {"role": "user", "content": [told]},
        ]
        second = await ask_messages(customer, kind, ASK, tools=[TOOL], messages=messages)
        assert (second.status, second.json()["stop_reason"]) == (200, "end_turn")
        assert "sunny and warm" in said_in(second)

    async def test_tools_in_streams(self, customer: Customer, kind: str) -> None:
        reply = await ask_messages(customer, kind, ASK, tools=[TOOL], stream=True)
        events = events_of(reply)
        started = [event["content_block"] for event in events if event["type"] == "content_block_start"]
        assert [block["name"] for block in tool_uses(started)] == ["get_weather"]
        assert events[-2]["delta"]["stop_reason"] == "tool_use"

    async def test_pictures_and_documents(self, customer: Customer, kind: str) -> None:
        source = {"type": "text", "media_type": "text/plain", "data": "Lisbon is sunny."}
        blocks = [PICTURE, {"type": "document", "source": source, "title": "News"}]
        content = [*blocks, {"type": "text", "text": "What is it?"}]
        reply = await ask_messages(customer, kind, ASK, messages=[{"role": "user", "content": content}])
        assert reply.status == 200, reply.json()
        assert said_in(reply)

    async def test_answers_in_a_schema(self, customer: Customer, kind: str) -> None:
        config = {"format": {"type": "json_schema", "schema": SCHEMA}}
        reply = await ask_messages(customer, kind, ASK, output_config=config)
        assert reply.status == 200, reply.json()
        assert '"city"' in said_in(reply)

    async def test_the_callers_bound_is_kept(self, customer: Customer, kind: str) -> None:
        reply = await ask_messages(customer, kind, ASK, max_tokens=3)
        assert (reply.json()["stop_reason"], reply.json()["usage"]["output_tokens"]) == ("max_tokens", 3)

    async def test_what_cannot_be_said_is_refused_by_name(self, customer: Customer, kind: str) -> None:
        search = {"type": "search_result", "source": "s", "title": "t", "content": []}
        reply = await ask_messages(customer, kind, ASK, messages=[{"role": "user", "content": [search]}])
        if kind == "anthropic":  # it knows such blocks
            assert reply.status == 200
        else:
            error = reply.json()["error"]
            assert (reply.status, error["code"]) == (422, "unsupported_parameter")
            assert error["param"] == "messages.0.content.0.type"
