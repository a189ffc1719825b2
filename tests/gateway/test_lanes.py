"""Which lane a request takes: strategies, a prompt's cache, margin floors, breakers."""

from collections import Counter, defaultdict
from typing import Any
from uuid import UUID

import orjson
import pytest
from proving import Customer

from gateway_stack import SECRETS

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG = "the quick brown fox jumps over the lazy dog and " * 100  # 1,600 tokens by our count


async def equals(customer: Customer, credentials: int = 5, **serving: Any) -> str:
    """A model at one provider with so many credentials of one priority."""
    model = await customer.serve("openai", credentials=credentials, **serving)
    await customer.change(
        "UPDATE provider_credential SET priority = 1 WHERE provider_id IN"
        " (SELECT provider_id FROM route WHERE model_id = %s)",
        [model],
    )
    return model


async def order_by(customer: Customer, model: str, strategy: str) -> None:
    await customer.change("UPDATE model SET strategy = %s WHERE id = %s", [strategy, model])


async def routes_of(customer: Customer, model: str) -> list[UUID]:
    rows = await customer.rows("SELECT provider_id FROM route WHERE model_id = %s ORDER BY priority", [model])
    return [row["provider_id"] for row in rows]


async def ask(customer: Customer, beginning: str, ending: str, **parameters: Any) -> None:
    messages = [{"role": "system", "content": beginning}, {"role": "user", "content": ending}]
    body = orjson.dumps({"model": customer.models["openai"], "messages": messages, **parameters})
    assert (await customer.send(body)).status == 200


class TestAPromptsCache:
    async def test_is_met_again_by_at_least_95_percent(self, customer: Customer) -> None:
        """Five credentials, twenty beginnings, ten requests each, one credential that often fails."""
        await equals(customer)
        customer.stack.simulator.faults.add("status=500", count=4, key=f"{SECRETS['openai']}-3")
        for number in range(200):
            await ask(customer, f"{number % 20} {LONG}", f"question {number}", user=f"{number % 20}")
        lanes = defaultdict[str, Counter[UUID]](Counter)
        for row in await customer.usage():
            if row["outcome"] == "completed":
                lanes[row["end_user"]][row["credential_id"]] += 1
        same = sum(max(met.values()) for met in lanes.values())
        assert same >= 190
        assert len({met.most_common(1)[0][0] for met in lanes.values()}) >= 3

    async def test_follows_a_conversation(self, customer: Customer) -> None:
        await equals(customer)
        turns: list[dict[str, str]] = [{"role": "system", "content": LONG}]
        for number in range(6):
            turns.append({"role": "user", "content": f"and {number}?"})
            await customer.send(orjson.dumps({"model": customer.models["openai"], "messages": turns}))
            turns.append({"role": "assistant", "content": "yes"})
        assert len({row["credential_id"] for row in await customer.usage()}) == 1

    async def test_follows_the_callers_own_key(self, customer: Customer) -> None:
        await equals(customer)
        for number in range(6):
            await ask(customer, f"{number} {LONG}", "go on", prompt_cache_key="mine")
        assert len({row["credential_id"] for row in await customer.usage()}) == 1

    async def test_is_none_for_short_prompts(self, customer: Customer) -> None:
        """They stay with the first, as listed: `priority` spreads nothing by itself."""
        await equals(customer)
        for number in range(6):
            await ask(customer, f"{number}", "hello")
        assert len({row["credential_id"] for row in await customer.usage()}) == 1


class TestWeights:
    async def test_share_out_the_requests(self, customer: Customer) -> None:
        model = await customer.serve("openai", "anthropic")
        await order_by(customer, model, "weighted")
        heavy, light = await routes_of(customer, model)
        await customer.change("UPDATE route SET priority = 1, weight = 9 WHERE provider_id = %s", [heavy])
        await customer.change("UPDATE route SET priority = 1, weight = 1 WHERE provider_id = %s", [light])
        for _ in range(150):
            assert (await customer.chat("openai")).status == 200
        served = Counter(row["provider_id"] for row in await customer.usage())
        assert 0 < served[light] < served[heavy]  # none for the light one: once in 10^7 runs

    async def test_leave_the_other_for_when_one_fails(self, customer: Customer) -> None:
        model = await customer.serve("openai", "anthropic")
        await order_by(customer, model, "weighted")
        customer.fault("openai", "status=500", count=None)
        for _ in range(5):
            assert (await customer.chat("openai")).status == 200


class TestTheCheapest:
    async def test_goes_first(self, customer: Customer) -> None:
        model = await customer.serve("openai", "anthropic")
        dear, cheap = await routes_of(customer, model)
        await customer.change(
            "INSERT INTO price (provider_id, model, meter, currency, effective_from, cost, sale, source,"
            " created_at) SELECT provider_id, model, meter, currency, now(), cost / 2, sale / 2, 'test',"
            " now() FROM price WHERE provider_id = %s",
            [cheap],
        )
        assert (await customer.chat("openai")).status == 200
        await order_by(customer, model, "cheapest")
        assert (await customer.chat("openai")).status == 200
        assert [row["provider_id"] for row in await customer.usage()] == [dear, cheap]


class TestTheFastest:
    async def test_goes_first_once_it_is_known(self, customer: Customer) -> None:
        model = await customer.serve("openai", "anthropic")
        await order_by(customer, model, "least_latency")
        slow, fast = await routes_of(customer, model)
        customer.fault("openai", "delay_ms=2000", count=None)
        for _ in range(6):
            assert (await customer.chat("openai")).status == 200
        served = [row["provider_id"] for row in await customer.usage()]
        assert sorted(served[:2]) == sorted([slow, fast])  # one request each finds out
        assert served[2:] == [fast] * 4


class TestTheMarginFloor:
    async def test_leaves_out_what_sells_below_it(self, customer: Customer) -> None:
        model = await customer.serve("openai", "anthropic")  # both sell 20 % over cost
        first, second = await routes_of(customer, model)
        await customer.change("UPDATE route SET min_margin_percent = 20.0001 WHERE provider_id = %s", [first])
        await customer.change("UPDATE route SET min_margin_percent = 20 WHERE provider_id = %s", [second])
        assert (await customer.chat("openai")).status == 200
        assert [row["provider_id"] for row in await customer.usage()] == [second]

    @pytest.mark.parametrize(
        "told",
        [
            "UPDATE model SET min_margin_percent = 21 WHERE id = %s",
            "INSERT INTO setting SELECT 'min_margin_percent', '\"21\"' WHERE %s <> ''",
        ],
        ids=["of_the_model", "of_all"],
    )
    async def test_refuses_when_nothing_is_left(self, customer: Customer, told: str) -> None:
        model = await customer.serve("openai")
        await customer.change(told, [model])
        try:
            reply = await customer.chat("openai")
        finally:
            await customer.change("DELETE FROM setting WHERE key = 'min_margin_percent'")
        assert (reply.status, reply.error["code"]) == (503, "model_unavailable")
        assert await customer.usage() == []


class TestABreaker:
    @pytest.mark.parametrize(("open_ms", "is_asked_again"), [(600_000, False), (1, True)])
    async def test_leaves_a_failing_lane_alone_and_then_probes_it(
        self, customer: Customer, open_ms: int, *, is_asked_again: bool
    ) -> None:
        model = await customer.serve("openai", "anthropic")
        bad, good = await routes_of(customer, model)
        rule = {"calls_min": 4, "failures_percent": 50, "open_ms": open_ms, "probes": 1}
        await customer.change(
            "UPDATE provider SET breaker = %s WHERE id = %s", [orjson.dumps(rule).decode(), bad]
        )
        customer.fault("openai", "status=500", count=4)
        for _ in range(8):
            assert (await customer.chat("openai")).status == 200
        tried = [row["provider_id"] for row in await customer.usage()]
        assert tried == [bad, good] * 4 + [bad if is_asked_again else good] * 4

    async def test_is_told_in_the_report(self, customer: Customer) -> None:
        model = await customer.serve("openai")
        rule = {"calls_min": 2, "open_ms": 60_000}
        await customer.change(
            "UPDATE provider SET breaker = %s WHERE id IN"
            " (SELECT provider_id FROM route WHERE model_id = %s)",
            [orjson.dumps(rule).decode(), model],
        )
        customer.fault("openai", "status=500", count=2)
        for _ in range(2):
            assert (await customer.chat("openai")).status == 502
        rows = customer.gw.routing.report(customer.gw.clock.monotonic_ms())
        (row,) = [row for row in rows if row["model"] == model]
        assert row["breaker"] == "open"
        assert (await customer.chat("openai")).status == 200  # nothing else is left: better than a refusal
