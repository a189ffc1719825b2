"""Plain answers and streams through the official client, and what they say about their own cost."""

from decimal import Decimal
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk
from operator_client import MODELS, Customer

from bursar.simulator import Simulator

HELLO: list[Any] = [{"role": "user", "content": "Say hello."}]
WITH_USAGE: Any = {"include_usage": True}


def text_of(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


@pytest.mark.parametrize("kind", MODELS)
class TestWholeAnswers:
    def test_the_sync_client_reads_an_answer(self, customer: Customer, kind: str) -> None:
        answer = customer.sync.chat.completions.create(model=MODELS[kind], messages=HELLO)
        assert answer.object == "chat.completion"
        assert answer.choices[0].message.role == "assistant"
        assert answer.choices[0].message.content
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage is not None
        assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens

    async def test_the_async_client_reads_the_same(self, customer: Customer, kind: str) -> None:
        first = customer.sync.chat.completions.create(model=MODELS[kind], messages=HELLO)
        second = await customer.aio.chat.completions.create(model=MODELS[kind], messages=HELLO)
        assert second.choices == first.choices
        assert second.usage == first.usage

    def test_headers_say_what_it_cost_and_what_is_left(self, customer: Customer, kind: str) -> None:
        raw = customer.sync.chat.completions.with_raw_response.create(model=MODELS[kind], messages=HELLO)
        usage = raw.parse().usage
        assert usage is not None
        assert raw.headers["x-bursar-input-tokens"] == str(usage.prompt_tokens)
        assert raw.headers["x-bursar-output-tokens"] == str(usage.completion_tokens)
        cost = Decimal(raw.headers["x-bursar-cost"])
        assert cost > 0
        assert Decimal(raw.headers["x-bursar-balance"]) == Decimal(100) - cost
        assert customer.wallet()["balance"] == raw.headers["x-bursar-balance"]

    def test_the_request_id_is_the_one_in_the_books(self, customer: Customer, kind: str) -> None:
        answer = customer.sync.chat.completions.create(model=MODELS[kind], messages=HELLO)
        assert [row["request_id"] for row in customer.usage()] == [answer._request_id]

    def test_the_providers_secret_and_address_stay_with_us(
        self, customer: Customer, providers: Simulator, kind: str
    ) -> None:
        raw = customer.sync.chat.completions.with_raw_response.create(model=MODELS[kind], messages=HELLO)
        told = f"{raw.headers} {raw.text}"
        assert "sk-" not in told
        assert providers.base_url.removeprefix("http://") not in told

    def test_a_length_bound_is_kept(self, customer: Customer, kind: str) -> None:
        answer = customer.sync.chat.completions.create(model=MODELS[kind], messages=HELLO, max_tokens=5)
        assert answer.choices[0].finish_reason == "length"
        assert answer.usage is not None
        assert answer.usage.completion_tokens == 5


@pytest.mark.parametrize("kind", MODELS)
class TestStreams:
    def test_raw_iteration_gives_the_words_of_the_whole_answer(self, customer: Customer, kind: str) -> None:
        whole = customer.sync.chat.completions.create(model=MODELS[kind], messages=HELLO)
        chunks = list(customer.sync.chat.completions.create(model=MODELS[kind], messages=HELLO, stream=True))
        assert text_of(chunks) == whole.choices[0].message.content
        assert chunks[0].choices[0].delta.role == "assistant"
        assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
        assert len({chunk.id for chunk in chunks}) == 1

    async def test_the_async_client_streams_the_same(self, customer: Customer, kind: str) -> None:
        chunks = list(customer.sync.chat.completions.create(model=MODELS[kind], messages=HELLO, stream=True))
        stream = await customer.aio.chat.completions.create(model=MODELS[kind], messages=HELLO, stream=True)
        assert text_of([chunk async for chunk in stream]) == text_of(chunks)

    def test_the_stream_helper_puts_the_answer_together(self, customer: Customer, kind: str) -> None:
        whole = customer.sync.chat.completions.create(model=MODELS[kind], messages=HELLO)
        with customer.sync.chat.completions.stream(model=MODELS[kind], messages=HELLO) as stream:
            kinds = {event.type for event in stream}
            final = stream.get_final_completion()
        assert {"chunk", "content.delta", "content.done"} <= kinds
        assert final.choices[0].message.content == whole.choices[0].message.content

    async def test_the_async_stream_helper_does_too(self, customer: Customer, kind: str) -> None:
        async with customer.aio.chat.completions.stream(
            model=MODELS[kind], messages=HELLO, stream_options=WITH_USAGE
        ) as stream:
            deltas = [event.delta async for event in stream if event.type == "content.delta"]
            final = await stream.get_final_completion()
        assert "".join(deltas) == final.choices[0].message.content
        assert final.usage is not None
        assert final.usage.completion_tokens > 0

    def test_usage_that_was_not_asked_for_is_not_told(self, customer: Customer, kind: str) -> None:
        for options in ({}, {"stream_options": {"include_usage": False}}):
            chunks = list(
                customer.sync.chat.completions.create(
                    model=MODELS[kind], messages=HELLO, stream=True, extra_body=options
                )
            )
            assert all(chunk.usage is None for chunk in chunks)
            assert all(chunk.choices for chunk in chunks)
        assert all(row["output_tokens"] > 0 and not row["estimated"] for row in customer.usage())

    def test_usage_that_was_asked_for_comes_last_with_its_cost(self, customer: Customer, kind: str) -> None:
        whole = customer.sync.chat.completions.create(model=MODELS[kind], messages=HELLO)
        chunks = list(
            customer.sync.chat.completions.create(
                model=MODELS[kind], messages=HELLO, stream=True, stream_options=WITH_USAGE
            )
        )
        assert all(chunk.usage is None for chunk in chunks[:-1])
        last = chunks[-1]
        assert not last.choices
        assert last.id == chunks[0].id
        assert last.usage is not None
        assert whole.usage is not None
        assert last.usage.prompt_tokens == whole.usage.prompt_tokens
        assert last.usage.completion_tokens == whole.usage.completion_tokens
        told = last.usage.model_extra or {}
        row = customer.usage()[-1]
        assert told["cost"] == row["sale"]
        assert told["balance"] == customer.wallet()["balance"]
        assert told["currency"] == "USD"
        assert told["input_tokens"] == row["input_tokens"]
        assert told["output_tokens"] == row["output_tokens"]

    def test_the_headers_of_a_stream_carry_its_request_id(self, customer: Customer, kind: str) -> None:
        with customer.sync.chat.completions.with_streaming_response.create(
            model=MODELS[kind], messages=HELLO, stream=True
        ) as raw:
            lines = [line for line in raw.iter_lines() if line]
        assert raw.headers["content-type"].startswith("text/event-stream")
        assert lines[-1] == "data: [DONE]"
        assert [row["request_id"] for row in customer.usage()] == [raw.headers["x-request-id"]]

    def test_characters_of_many_bytes_arrive_in_one_piece(self, customer: Customer, kind: str) -> None:
        asked: list[Any] = [{"role": "user", "content": "Greet me. [[sim: split_utf8 output_tokens=14]]"}]
        chunks = list(customer.sync.chat.completions.create(model=MODELS[kind], messages=asked, stream=True))
        said = text_of(chunks)
        assert "日本語" in said
        assert "�" not in said
