"""What official clients make of a limit: the right exception, and a wait only where waiting helps."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anthropic
import openai
import orjson
import pytest
from proving import Customer

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELLO = [{"role": "user", "content": "hello there"}]


@asynccontextmanager
async def openai_client(customer: Customer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=customer.stack.url, api_key=customer.key, max_retries=2) as client:
        yield client


@asynccontextmanager
async def anthropic_client(customer: Customer) -> AsyncIterator[anthropic.AsyncAnthropic]:
    base_url = customer.stack.url.removesuffix("/v1")
    async with anthropic.AsyncAnthropic(base_url=base_url, api_key=customer.key, max_retries=2) as client:
        yield client


async def no_budget(customer: Customer) -> None:
    await customer.change(
        "INSERT INTO budget (id, organisation_id, name, unit, amount, period, created_at)"
        " VALUES (gen_random_uuid(), %s, 'none', 'requests', 0, 'month', now())",
        [customer.organisation_id],
    )


class TestASpentBudget:
    async def test_is_an_error_that_openais_client_does_not_repeat(self, customer: Customer) -> None:
        await no_budget(customer)
        async with openai_client(customer) as client:
            with pytest.raises(openai.RateLimitError) as refused:
                await client.chat.completions.create(model=customer.models["openai"], messages=HELLO)  # type: ignore[arg-type]  # a literal
        assert refused.value.code == "request_quota_exceeded"
        assert refused.value.response.headers["x-should-retry"] == "false"
        assert refused.value.response.request.headers["x-stainless-retry-count"] == "0"

    async def test_is_an_error_that_anthropics_client_does_not_repeat(self, customer: Customer) -> None:
        model = await customer.serve("anthropic")
        await no_budget(customer)
        async with anthropic_client(customer) as client:
            with pytest.raises(anthropic.RateLimitError) as refused:
                await client.messages.create(
                    model=model,
                    max_tokens=20,
                    messages=HELLO,  # type: ignore[arg-type]  # a literal
                )
        assert refused.value.response.json()["error"]["type"] == "rate_limit_error"
        assert "used up" in str(refused.value)
        assert refused.value.response.request.headers["x-stainless-retry-count"] == "0"


class TestALimitOfTheMinute:
    async def test_is_waited_for_by_clients_themselves(self, customer: Customer) -> None:
        await customer.change(
            "UPDATE api_key SET limits = %s WHERE id = %s",
            [orjson.dumps({"requests_per_min": 60, "requests_burst": 1}).decode(), customer.api_key_id],
        )
        async with openai_client(customer) as client:
            for _ in range(2):
                raw = await client.chat.completions.with_raw_response.create(
                    model=customer.models["openai"],
                    messages=HELLO,  # type: ignore[arg-type]  # a literal
                )
                assert raw.headers["x-ratelimit-remaining-requests"] == "0"
        assert raw.retries_taken == 1
        assert len(await customer.usage()) == 2
