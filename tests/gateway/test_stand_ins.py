"""Other models instead, the caller's wishes, and what they cost: never beyond what the key may use."""

import secrets
from dataclasses import replace
from typing import Any

import orjson
import pytest
from caller import Reply
from proving import Customer, SharedStack, as_nano, new_customer, sale_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEAR = {"in_fresh": ("4", "4.8"), "out_text": ("16", "19.2")}  # twice the ordinary prices
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


async def pair(customer: Customer, **dear: Any) -> tuple[str, str]:
    """An ordinary model at `openai` and a dearer one at `anthropic` that stands in for it."""
    first = await customer.serve("openai")
    second = await customer.serve("anthropic", prices=DEAR, **dear)
    await stand_in(customer, first, second)
    return first, second


async def stand_in(customer: Customer, model: str, *others: str) -> None:
    await customer.change("UPDATE model SET fallbacks = %s WHERE id = %s", [list(others), model])


async def ask(
    customer: Customer, model: str, headers: dict[str, str] | None = None, **parameters: Any
) -> Reply:
    messages = [{"role": "user", "content": "hello there"}]
    body = orjson.dumps({"model": model, "messages": messages, **parameters})
    return await customer.send(body, headers={**customer.authorization, **(headers or {})})


async def slug_of(customer: Customer, model: str) -> str:
    (row,) = await customer.rows(
        "SELECT slug FROM provider JOIN route ON provider_id = provider.id WHERE model_id = %s", [model]
    )
    return str(row["slug"])


class TestAStandIn:
    @streamed_or_not
    async def test_answers_at_its_own_price(self, customer: Customer, *, stream: bool) -> None:
        first, second = await pair(customer)
        customer.fault("openai", "status=500")
        customer.fault("anthropic", "input_tokens=10 output_tokens=7")
        reply = await ask(customer, first, stream=stream)
        failed, answered = await customer.usage()
        assert reply.status == 200
        assert (failed["model"], failed["sale"], failed["attempt"]) == (first, 0, 0)
        assert (answered["model"], answered["attempt"]) == (second, 1)
        assert answered["sale"] == 2 * sale_of(in_fresh=10, out_text=7)

    async def test_is_not_asked_when_the_caller_is_at_fault(self, customer: Customer) -> None:
        first, _ = await pair(customer)
        customer.fault("openai", "status=400")
        assert (await ask(customer, first)).status == 400
        assert len(await customer.usage()) == 1

    async def test_that_cannot_do_it_leaves_the_failure_to_the_model_that_failed(
        self, customer: Customer
    ) -> None:
        first, _ = await pair(customer)
        customer.fault("openai", "status=500", count=9)
        await ask(customer, first, n=2)  # Anthropic has no n: the stand-in is turned to, but never asked
        assert {row["model"] for row in await customer.usage()} == {first}

    async def test_with_more_room_is_asked_when_a_prompt_is_too_long(self, customer: Customer) -> None:
        first, second = await pair(customer)
        customer.fault("openai", "status=400 error_code=context_length_exceeded")
        assert (await ask(customer, first)).status == 200
        assert [row["model"] for row in await customer.usage()] == [first, second]

    async def test_keeps_a_try_when_the_first_has_many_lanes(self, customer: Customer) -> None:
        customer.gw.limits = replace(customer.gw.limits, attempts_max=3)
        first = await customer.serve("openai", credentials=5)
        second = await customer.serve("anthropic")
        await stand_in(customer, first, second)
        customer.fault("openai", "status=500", count=9)
        assert (await ask(customer, first)).status == 200
        assert [row["model"] for row in await customer.usage()] == [first, first, second]

    async def test_goes_before_a_first_model_whose_lanes_all_rest(self, customer: Customer) -> None:
        first, second = await pair(customer)
        customer.fault("openai", "status=429 retry_after=60")
        await ask(customer, first)
        reply = await ask(customer, first)
        assert reply.status == 200
        assert [row["model"] for row in await customer.usage()] == [first, second, second]

    async def test_is_passed_over_when_the_key_may_not_use_it(self, customer: Customer) -> None:
        first, _ = await pair(customer)
        await customer.change(
            "UPDATE api_key SET allowed_models = %s WHERE id = %s", [[first], customer.api_key_id]
        )
        customer.fault("openai", "status=500")
        assert (await ask(customer, first)).status == 502
        assert [row["model"] for row in await customer.usage()] == [first]

    async def test_is_passed_over_when_it_is_gone(self, customer: Customer) -> None:
        first, second = await pair(customer)
        await customer.change("UPDATE model SET status = 'retired' WHERE id = %s", [second])
        customer.fault("openai", "status=500")
        assert (await ask(customer, first)).status == 502
        assert [row["model"] for row in await customer.usage()] == [first]

    async def test_answers_a_request_that_the_first_cannot_do(self, customer: Customer) -> None:
        first, second = await pair(customer)
        await customer.change(
            "UPDATE model SET capabilities = capabilities || '{\"tools\": false}' WHERE id = %s", [first]
        )
        tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
        assert (await ask(customer, first, tools=tools)).status == 200
        assert (await ask(customer, first)).status == 200
        assert [row["model"] for row in await customer.usage()] == [second, first]

    async def test_failing_too_leaves_the_last_failure_to_be_told(self, customer: Customer) -> None:
        first, second = await pair(customer)
        customer.fault("openai", "status=500")
        customer.fault("anthropic", "status=529")
        reply = await ask(customer, first)
        assert (reply.status, reply.error["code"]) == (503, "provider_overloaded")
        rows = await customer.usage()
        assert [(row["model"], row["attempt"], row["sale"]) for row in rows] == [
            (first, 0, 0),
            (second, 1, 0),
        ]


class TestAPoorWallet:
    """The first model's hold is all he has."""

    async def test_is_never_sold_a_stand_in_it_cannot_pay(self, shared_stack: SharedStack) -> None:
        async with new_customer(shared_stack, balance="0.01") as customer:
            first, _ = await pair(customer)
            customer.fault("openai", "status=500")
            reply = await ask(customer, first, max_tokens=1_000)
            assert reply.status == 502
            assert [row["model"] for row in await customer.usage()] == [first]

    async def test_gets_a_shorter_answer_when_it_set_no_bound(self, shared_stack: SharedStack) -> None:
        async with new_customer(shared_stack, balance="0.01") as customer:
            first, second = await pair(customer)
            customer.fault("openai", "status=500")
            reply = await ask(customer, first)
            answered = (await customer.usage())[-1]
            assert (reply.status, answered["model"]) == (200, second)
            assert 0 < answered["sale"] <= as_nano("0.01")


class TestWhatACallerWishes:
    @pytest.mark.parametrize("in_body", [False, True], ids=["header", "body"])
    async def test_of_models_goes_before_the_operators(self, customer: Customer, *, in_body: bool) -> None:
        first, _ = await pair(customer)
        third = await customer.serve("openai_compatible")
        customer.fault("openai", "status=500")
        if in_body:
            reply = await ask(customer, first, models=[third])
        else:
            reply = await ask(customer, first, {"x-bursar-models": f" {third} "})
        assert reply.status == 200
        assert [row["model"] for row in await customer.usage()] == [first, third]

    @pytest.mark.parametrize("named", [{"x-bursar-models": ""}, None], ids=["header", "body"])
    async def test_of_no_models_is_heeded(self, customer: Customer, named: dict[str, str] | None) -> None:
        first, _ = await pair(customer)
        customer.fault("openai", "status=500")
        reply = await (ask(customer, first, named) if named else ask(customer, first, models=[]))
        assert reply.status == 502
        assert len(await customer.usage()) == 1

    async def test_never_reaches_a_provider(self, customer: Customer) -> None:
        first, second = await pair(customer)
        await ask(customer, first, models=[second])
        assert b'"models"' not in customer.stack.simulator.log.exchanges[-1].body

    async def test_is_no_way_around_the_keys_models(self, customer: Customer) -> None:
        first, second = await pair(customer)
        await customer.change(
            "UPDATE api_key SET allowed_models = %s WHERE id = %s", [[first], customer.api_key_id]
        )
        reply = await ask(customer, first, models=[second])
        assert (reply.status, reply.error["code"], reply.error["param"]) == (
            403,
            "model_not_allowed",
            "models",
        )
        assert await customer.usage() == []

    async def test_of_a_model_that_is_not_there_is_refused(self, customer: Customer) -> None:
        first, _ = await pair(customer)
        reply = await ask(customer, first, {"x-bursar-models": "nothing-" + secrets.token_hex(4)})
        assert (reply.status, reply.error["code"], reply.error["param"]) == (404, "model_not_found", "models")

    @pytest.mark.parametrize("said", ["m", [1], [""], {"m": 1}, ["m"] * 9, [["m"]], ["m" * 201]])
    async def test_of_models_of_the_wrong_shape_is_refused(self, customer: Customer, said: Any) -> None:
        reply = await ask(customer, customer.models["openai"], models=said)
        assert (reply.status, reply.error["param"]) == (422, "models")

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("x-bursar-models", ",".join(["m"] * 9)),
            ("x-bursar-providers", ""),
            ("x-bursar-regions", " , "),
            ("x-bursar-strategy", "luckiest"),
        ],
    )
    async def test_in_a_header_of_the_wrong_shape_is_refused(
        self, customer: Customer, name: str, value: str
    ) -> None:
        reply = await ask(customer, customer.models["openai"], {name: value})
        assert (reply.status, reply.error["param"]) == (422, name)

    async def test_of_providers_is_their_order(self, customer: Customer) -> None:
        model = await customer.serve("openai", "anthropic")
        rows = await customer.rows(
            "SELECT slug, provider.id FROM provider JOIN route ON provider_id = provider.id"
            " WHERE model_id = %s ORDER BY priority",
            [model],
        )
        (one, _), (other, other_id) = [(row["slug"], row["id"]) for row in rows]
        assert (await ask(customer, model, {"x-bursar-providers": f"{other},{one}"})).status == 200
        assert [row["provider_id"] for row in await customer.usage()] == [other_id]

    async def test_of_one_provider_leaves_out_the_others(self, customer: Customer) -> None:
        model = await customer.serve("openai", "anthropic")
        slugs = await customer.rows(
            "SELECT slug FROM provider JOIN route ON provider_id = provider.id"
            " WHERE model_id = %s ORDER BY priority",
            [model],
        )
        customer.fault("openai", "status=500")
        assert (await ask(customer, model, {"x-bursar-providers": slugs[0]["slug"]})).status == 502
        assert len(await customer.usage()) == 1

    @pytest.mark.parametrize("header", ["x-bursar-providers", "x-bursar-regions"])
    async def test_that_nobody_fulfils_is_refused(self, customer: Customer, header: str) -> None:
        reply = await ask(customer, customer.models["openai"], {header: "nowhere"})
        assert (reply.status, reply.error["code"]) == (422, "no_such_route")
        assert await customer.usage() == []

    async def test_of_regions_is_heeded(self, customer: Customer) -> None:
        model = await customer.serve("openai", "anthropic")
        routes = await customer.rows(
            "SELECT id, provider_id FROM route WHERE model_id = %s ORDER BY priority", [model]
        )
        await customer.change("UPDATE route SET region = 'eu' WHERE id = %s", [routes[1]["id"]])
        await customer.change("UPDATE provider SET region = 'us' WHERE id = %s", [routes[0]["provider_id"]])
        for region in ("eu", "us"):
            assert (await ask(customer, model, {"x-bursar-regions": region})).status == 200
        served = [row["provider_id"] for row in await customer.usage()]
        assert served == [routes[1]["provider_id"], routes[0]["provider_id"]]
