"""Anthropic's official client at every type of provider: whole answers and streams, and what they cost."""

from decimal import Decimal
from typing import Any

import anthropic
import pytest
from claude_clients import async_claude_client, claude_client, text_of
from operator_client import MODELS, Customer

# The client knows when each model is to end; the simulated one goes on.
pytestmark = pytest.mark.filterwarnings("ignore:The model .* is deprecated:DeprecationWarning")

HELLO: list[Any] = [{"role": "user", "content": "Say hello to the world."}]


def asked(kind: str, **more: Any) -> dict[str, Any]:
    return {"model": MODELS[kind], "max_tokens": 200, "messages": HELLO, **more}


def tokens_of(usage: Any) -> tuple[int, int]:
    """Input with what the cache gave, and output."""
    cached = (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
    return usage.input_tokens + cached, usage.output_tokens


def booked(row: dict[str, Any]) -> tuple[int, int]:
    return row["input_tokens"], row["output_tokens"]


@pytest.mark.parametrize("kind", MODELS)
class TestWholeAnswers:
    def test_are_messages_with_the_usage_that_is_booked(self, customer: Customer, kind: str) -> None:
        with claude_client(customer) as client:
            message = client.messages.create(**asked(kind))
        [row] = customer.usage()
        assert (message.type, message.role, message.stop_reason) == ("message", "assistant", "end_turn")
        assert text_of(message)
        assert tokens_of(message.usage) == booked(row)
        assert (row["endpoint"], row["streamed"], row["outcome"]) == ("/v1/messages", False, "completed")

    def test_tell_cost_and_request_in_headers(self, customer: Customer, kind: str) -> None:
        with claude_client(customer) as client:
            raw = client.messages.with_raw_response.create(**asked(kind))
        [row] = customer.usage()
        assert Decimal(raw.headers["x-bursar-cost"]) == Decimal(row["sale"]) > 0
        assert raw.headers["x-request-id"] == row["request_id"]
        assert raw.parse()._request_id == row["request_id"]

    async def test_come_to_the_asynchronous_client_too(self, customer: Customer, kind: str) -> None:
        async with async_claude_client(customer) as client:
            message = await client.messages.create(**asked(kind))
        assert text_of(message)

    def test_end_at_the_callers_bound(self, customer: Customer, kind: str) -> None:
        with claude_client(customer) as client:
            message = client.messages.create(**asked(kind, max_tokens=3))
        assert message.stop_reason == "max_tokens"
        assert message.usage.output_tokens == 3

    def test_follow_a_system_prompt_and_a_conversation(self, customer: Customer, kind: str) -> None:
        talk: list[Any] = [*HELLO, {"role": "assistant", "content": "Hello."}, *HELLO]
        with claude_client(customer) as client:
            message = client.messages.create(
                **asked(kind, messages=talk, system="Be brief.", stop_sequences=["STOP"])
            )
        assert text_of(message)


@pytest.mark.parametrize("kind", MODELS)
class TestStreams:
    def test_put_together_are_the_usage_that_is_booked(self, customer: Customer, kind: str) -> None:
        with claude_client(customer) as client, client.messages.stream(**asked(kind)) as stream:
            said = "".join(stream.text_stream)
            final = stream.get_final_message()
        [row] = customer.usage()
        assert said == text_of(final) != ""
        assert final.stop_reason == "end_turn"
        assert tokens_of(final.usage) == booked(row)
        assert (row["endpoint"], row["streamed"], row["outcome"]) == ("/v1/messages", True, "completed")

    def test_tell_their_cost_with_the_last_usage(self, customer: Customer, kind: str) -> None:
        with claude_client(customer) as client:
            events = list(client.messages.create(**asked(kind), stream=True))
        [row] = customer.usage()
        told: Any = next(event for event in events if event.type == "message_delta").usage
        assert Decimal(told.cost) == Decimal(row["sale"]) > 0
        assert (told.currency, events[-1].type) == ("USD", "message_stop")
        assert Decimal(told.balance) == Decimal(100) - Decimal(row["sale"])

    def test_come_in_the_documented_order(self, customer: Customer, kind: str) -> None:
        with claude_client(customer) as client:
            kinds = [event.type for event in client.messages.create(**asked(kind), stream=True)]
        assert kinds[:2] == ["message_start", "content_block_start"]
        assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
        assert set(kinds[2:-3]) == {"content_block_delta"}

    async def test_come_to_the_asynchronous_helper_too(self, customer: Customer, kind: str) -> None:
        async with async_claude_client(customer) as client, client.messages.stream(**asked(kind)) as stream:
            said = "".join([text async for text in stream.text_stream])
            final = await stream.get_final_message()
        assert said == text_of(final) != ""


@pytest.mark.parametrize("kind", MODELS)
class TestInStreamErrors:
    def test_are_raised_by_the_client_and_charged_as_delivered(self, customer: Customer, kind: str) -> None:
        broken: list[Any] = [{"role": "user", "content": "Hello [[sim: error_event_after=6]]"}]
        with claude_client(customer) as client, pytest.raises(anthropic.APIStatusError) as raised:
            for _ in client.messages.create(**asked(kind, messages=broken), stream=True):
                pass
        [row] = customer.usage()
        assert isinstance(raised.value.body, dict)
        assert raised.value.body["error"]["code"] in {"provider_error", "provider_overloaded"}
        assert row["outcome"] == "provider_error_after_output"
