"""Anthropic's bytes on their way to callers of its dialect, and the callers' headers on theirs."""

import orjson
import pytest
from caller import request
from messages_caller import MESSAGES, ask_messages, events_of, headers_of, message_payload
from proving import Customer, sale_of
from raw_provider import LAST_CHUNK, OK_STREAM, Visit, chunked, raw_provider, whole_answer

pytestmark = pytest.mark.asyncio(loop_scope="module")

BEGINNING = (
    b'event: message_start\r\ndata: {"type": "message_start", "of_tomorrow": 1, "message": {"id": "msg_1",'
    b' "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {"input_tokens": 30,'
    b' "output_tokens": 1, "of_tomorrow": {"x": 1}}}}\r\n\r\n'
    b": a comment\r\n\r\n"
    b'event: of_tomorrow\ndata: {"type":"of_tomorrow"}\n\n'
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"server_tool_use","id":"s","name":"web_fetch","input":{}}}\n\n'
    b'event: ping\ndata: {"type": "ping"}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"of_tomorrow_delta","text":"\xeb\x8b\xa8\xec\x96\xb4"}}\n\n'
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
)
ENDING = (
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"pause_turn","x":null},'
    b'"usage":{"output_tokens":7,"of_tomorrow":[1]},"context_management":{"applied_edits":[]}}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
)


class TestStreams:
    @pytest.mark.parametrize("size", [1, 7, 10_000], ids=["bytes", "pieces", "whole"])
    async def test_reach_the_caller_as_they_came_but_for_the_cost(
        self, customer: Customer, size: int
    ) -> None:
        said = BEGINNING + ENDING
        pieces = [said[at : at + size] for at in range(0, len(said), size)]

        async def script(visit: Visit) -> None:
            await visit.say(OK_STREAM + chunked(*pieces) + LAST_CHUNK)

        async with raw_provider(script) as provider:
            await customer.serve("anthropic", base_url=provider.base_url("anthropic"))
            reply = await ask_messages(customer, "anthropic", "hello there", stream=True)
        row = await customer.one_row()
        told, stop = events_of(reply)[-2:]
        sent = orjson.loads(ENDING.split(b"data: ")[1].partition(b"\n")[0])
        usage = told["usage"]
        assert bytes(reply.body).startswith(BEGINNING)
        assert {**told, "usage": sent["usage"]} == sent
        assert usage.keys() - sent["usage"].keys() == {"cost", "currency", "balance"}
        assert usage.items() >= sent["usage"].items()
        assert stop == {"type": "message_stop"}
        assert row["sale"] == sale_of(in_fresh=30, out_text=7)


class TestWholeAnswers:
    async def test_reach_the_caller_byte_for_byte(self, customer: Customer) -> None:
        body = (
            b'{ "type": "message", "id": "msg_1", "content": [{"type":"of_tomorrow"}], "stop_reason": "new",'
            b' "usage": {"input_tokens": 3, "output_tokens": 4}, "of_tomorrow": 1.50 }'
        )

        async def script(visit: Visit) -> None:
            await visit.say(whole_answer(body))

        async with raw_provider(script) as provider:
            await customer.serve("anthropic", base_url=provider.base_url("anthropic"))
            reply = await ask_messages(customer, "anthropic", "hello there")
        assert bytes(reply.body) == body
        assert (await customer.one_row())["sale"] == sale_of(in_fresh=3, out_text=4)


class TestHeaders:
    async def test_betas_in_several_headers_all_arrive(self, customer: Customer) -> None:
        async def script(visit: Visit) -> None:
            await visit.say(whole_answer(b'{"type":"message","content":[],"stop_reason":"end_turn"}'))

        async with raw_provider(script) as provider, customer.calling() as caller:
            await customer.serve("anthropic", base_url=provider.base_url("anthropic"))
            body = message_payload(customer, "anthropic", "hello there")
            headers = {**headers_of(customer), "anthropic-beta": "one-2025-01-01,two-2025-01-01"}
            written = request("POST", f"{MESSAGES}?beta=true", body, headers)
            caller.write(written.replace(b"\r\nx-api-key", b"\r\nanthropic-beta: zero\r\nx-api-key", 1))
            await caller.reply()
        head = provider.visits[0].head.lower()
        assert b"anthropic-beta: zero,one-2025-01-01,two-2025-01-01\r\n" in head
        assert head.count(b"anthropic-version") == 1
        assert customer.key.encode() not in head
