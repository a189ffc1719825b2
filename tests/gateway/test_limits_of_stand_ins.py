"""A model's limits within a key hold, by whatever way the model is reached."""

import pytest
from proving import Customer, sale_of
from test_limits_of_keys import USED, assert_free, budget, limit, spent
from test_stand_ins import ask, pair

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOO_LONG = "status=400 error_code=context_length_exceeded"


async def sold(customer: Customer) -> list[str]:
    return [row["model"] for row in await customer.usage() if row["sale"]]


class TestAStandInAtItsLimit:
    async def test_of_requests_is_not_asked(self, customer: Customer) -> None:
        first, second = await pair(customer)
        await limit(customer, models={second: {"requests_per_min": 1}})
        assert [(await ask(customer, second)).status for _ in range(2)] == [200, 429]
        customer.fault("openai", TOO_LONG, count=2)
        replies = [await ask(customer, first, models=[second]) for _ in range(2)]
        assert [(reply.status, reply.error["code"]) for reply in replies] == [
            (429, "rate_limit_exceeded")
        ] * 2
        assert await sold(customer) == [second]
        await assert_free(customer)

    async def test_of_a_budget_is_not_asked(self, customer: Customer) -> None:
        first, second = await pair(customer)
        await budget(customer, 1, "requests", api_key_id=customer.api_key_id, model=second)
        customer.fault("openai", "status=500", count=3)
        replies = [await ask(customer, first) for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 429, 429]
        assert replies[1].error["code"] == "request_quota_exceeded"
        assert await sold(customer) == [second]
        assert await spent(customer) == [1]
        await assert_free(customer)

    async def test_leaves_the_next_to_answer(self, customer: Customer) -> None:
        first, second = await pair(customer)
        third = await customer.serve("openai_compatible")
        await limit(customer, models={second: {"requests_per_min": 1}})
        assert (await ask(customer, second)).status == 200
        customer.fault("openai", "status=500")
        assert (await ask(customer, first, models=[second, third])).status == 200
        assert await sold(customer) == [second, third]

    async def test_asked_by_another_name_is_at_that_names_limit(self, customer: Customer) -> None:
        first, second = await pair(customer)
        alias = f"{second}-alias"
        await customer.change("INSERT INTO model_alias (alias, model_id) VALUES (%s, %s)", [alias, second])
        await limit(customer, models={alias: {"requests_per_min": 1}})
        customer.fault("openai", "status=500", count=2)
        replies = [await ask(customer, first, models=[alias]) for _ in range(2)]
        assert [reply.status for reply in replies] == [200, 429]


class TestAStandInWithinItsLimits:
    async def test_is_counted_and_put_right(self, customer: Customer) -> None:
        first, second = await pair(customer)
        await limit(customer, models={second: {"concurrent": 1, "tokens_per_min": 20_000}})
        await budget(customer, 10**9, api_key_id=customer.api_key_id, model=second)
        customer.fault("openai", "status=500", count=2)
        customer.fault("anthropic", USED, count=2)
        for _ in range(2):
            assert (await ask(customer, first, max_tokens=100)).status == 200
        assert await spent(customer) == [2 * 2 * sale_of(in_fresh=10, out_text=7)]
        await assert_free(customer)

    async def test_is_counted_once_by_a_limit_of_both(self, customer: Customer) -> None:
        first, _ = await pair(customer)
        await limit(customer, models={"*": {"requests_per_min": 2}})
        customer.fault("openai", "status=500")
        assert [(await ask(customer, first)).status for _ in range(3)] == [200, 200, 429]
