"""Own credentials on every surface, and while requests are under way: holds, marks, wishes, what is left."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from messages_caller import ask_messages, headers_of
from own_customer import OWN_SECRET, OWN_SECRETS, bring, fee_of, secrets_seen, set_fee, set_rules
from proving import Customer, SharedStack, eventually, hold_of, input_estimate, new_customer
from serving import (
    EMBEDDING_PRICES,
    EMBEDDINGS,
    IMAGES,
    PICTURE_PRICES,
    TOKEN_PRICES,
    body,
    draws,
    embeds,
    spent,
)
from test_limits_of_keys import budget
from test_limits_of_keys import spent as spent_of_budgets

from bursar.core.fees import OWN_KEY

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAID = "hello there"
ASKED = input_estimate(SAID)


async def outstanding(customer: Customer, **parameters: Any) -> int:
    """What is held while the provider has the request; then the caller leaves."""
    customer.stack.simulator.faults.add("silence_before_headers")
    log = customer.stack.simulator.log
    before = log.requests_total
    async with customer.calling() as caller:
        await customer.start(caller, "openai", SAID, **parameters)
        await eventually(lambda: log.requests_total > before)
        (account,) = [one for one in customer.accounts() if one.lease.outstanding]
        held = int(account.lease.outstanding)
        caller.reset()
    await customer.usage()
    return held


class TestHolds:
    async def test_are_for_the_fee(self, customer: Customer) -> None:
        model = await customer.serve("openai")
        await bring(customer, model)
        await set_fee(customer, "5", "0.001")
        held = await outstanding(customer, max_tokens=100)
        due = fee_of(per_request="0.001", cache_write_5m=ASKED, out_text=100)
        assert due <= held <= due + 1

    async def test_are_for_our_price_where_ours_may_come_after(self, customer: Customer) -> None:
        model = await customer.serve("openai")
        await bring(customer, model)
        await set_rules(customer, own_keys_fall_back=True)
        assert await outstanding(customer, max_tokens=100) == hold_of(ASKED, 100)


class TestMarks:
    async def test_book_the_fee_and_no_cost(self, customer: Customer) -> None:
        model = await customer.serve("openai")
        await bring(customer, model)
        customer.fault("openai", "input_tokens=10 output_tokens=400 slow_ms_per_event=20")
        async with customer.calling() as caller:
            await customer.start(caller, "openai", SAID, stream=True)
            await caller.until(b"content")
            marks: list[dict[str, Any]] = []
            while not marks:
                marks = await customer.marks()
            caller.reset()
        (mark,) = marks
        assert (mark["cost"], mark["flags"], mark["outcome"]) == (0, [OWN_KEY], "crashed")
        assert mark["sale"] == fee_of(**mark["quantities"])
        await customer.usage()


async def embedded(customer: Customer) -> tuple[str, int]:
    model = await embeds(customer)
    await bring(customer, model)
    customer.fault("openai", "input_tokens=1000000")
    await customer.send(body(model, input="one two"), path=EMBEDDINGS)
    return OWN_SECRET, spent(EMBEDDING_PRICES, in_fresh=1_000_000)


async def drawn_by_tokens(customer: Customer) -> tuple[str, int]:
    model = await draws(customer)
    await bring(customer, model)
    customer.fault("openai", "input_tokens=20 output_tokens=1500")
    await customer.send(body(model, prompt="a cat"), path=IMAGES)
    return OWN_SECRET, spent(TOKEN_PRICES, in_fresh=20, out_image=1_500)


async def drawn_by_the_piece(customer: Customer) -> tuple[str, int]:
    model = await draws(customer, prices=PICTURE_PRICES)
    await bring(customer, model)
    await customer.send(body(model, prompt="a cat", n=2), path=IMAGES)
    return OWN_SECRET, spent(PICTURE_PRICES, image=2)


async def answered(customer: Customer) -> tuple[str, int]:
    model = await customer.serve("openai")
    await bring(customer, model)
    asked = {"model": model, "input": SAID}
    await customer.send(orjson.dumps(asked), path="/v1/responses")
    (row,) = await customer.usage()
    return OWN_SECRET, fee_of(100, **row["quantities"])


async def messaged(customer: Customer) -> tuple[str, int]:
    model = await customer.serve("anthropic")
    await bring(customer, model, secret=OWN_SECRETS["anthropic"])
    await ask_messages(customer, "anthropic", SAID)
    (row,) = await customer.usage()
    return OWN_SECRETS["anthropic"], fee_of(100, **row["quantities"])


@pytest.mark.parametrize("asked", [embedded, drawn_by_tokens, drawn_by_the_piece, answered, messaged])
class TestEverySurface:
    async def test_is_sold_for_a_part_of_list_cost(
        self, customer: Customer, asked: Callable[[Customer], Awaitable[tuple[str, int]]]
    ) -> None:
        secret, listed = await asked(customer)
        row = await customer.one_row()
        assert (row["status"], row["cost"], row["flags"]) == (200, 0, [OWN_KEY])
        assert row["sale"] * 20 == listed > 0
        assert secrets_seen(customer) == [secret]


class TestCounts:
    async def test_of_tokens_are_asked_with_it_alone(self, customer: Customer) -> None:
        model = await customer.serve("anthropic")
        await bring(customer, model, secret=OWN_SECRETS["anthropic"])
        wrong = "no-key-of-anthropic"
        asked = orjson.dumps({"model": model, "messages": [{"role": "user", "content": SAID}]})
        path, headers = "/v1/messages/count_tokens", headers_of(customer)
        assert (await customer.send(asked, path=path, headers=headers)).status == 200
        await customer.change("DELETE FROM own_credential")
        await bring(customer, model, secret=wrong)
        reply = await customer.send(asked, path=path, headers=headers)
        assert (reply.status, reply.json()["error"]["code"]) == (424, "own_key_refused")
        assert secrets_seen(customer) == [OWN_SECRETS["anthropic"], wrong]
        assert await customer.usage() == []


class TestEveryDialect:
    async def test_tells_the_owner_of_his_refused_credential(self, customer: Customer) -> None:
        model = await customer.serve("openai")
        await bring(customer, model)
        customer.fault("openai", "status=401", count=None)
        chat = await customer.chat("openai", SAID)
        message = await ask_messages(customer, "openai", SAID)
        asked = orjson.dumps({"contents": [{"parts": [{"text": SAID}]}]})
        gemini = await customer.send(
            asked,
            path=f"/v1beta/models/{model}:generateContent",
            headers={"x-goog-api-key": customer.key, "content-type": "application/json"},
        )
        assert {reply.status for reply in (chat, message, gemini)} == {424}
        assert chat.error["code"] == message.json()["error"]["code"] == "own_key_refused"
        told = gemini.json()["error"]
        assert (told["status"], told["details"][0]["reason"]) == ("FAILED_PRECONDITION", "OWN_KEY_REFUSED")
        said = {reply.json()["error"]["message"] for reply in (chat, message, gemini)}
        assert said == {"The provider refused your organisation's own credential."}


class TestManyAtOnce:
    async def test_pay_no_more_fees_than_the_wallet_holds(self, shared_stack: SharedStack) -> None:
        async with new_customer(shared_stack, balance="0.01") as poor:
            model = await poor.serve("openai")
            await bring(poor, model)
            await set_fee(poor, "0", "0.001")
            replies = await asyncio.gather(*(poor.chat("openai", SAID) for _ in range(40)))
            statuses = sorted(reply.status for reply in replies)
            assert statuses == [200] * 10 + [402] * 30
            assert {row["sale"] for row in await poor.usage()} == {1_000_000}
            assert (await poor.wallet())["posted"] == 0


class TestABudget:
    @pytest.mark.parametrize("bound", [{"max_tokens": 100}, {}], ids=["bounded", "open"])
    async def test_that_covers_the_fee_alone_lets_it_run_on_his_own(
        self, customer: Customer, bound: dict[str, int]
    ) -> None:
        model = await customer.serve("openai", output_tokens_max=200)
        await bring(customer, model)
        await set_rules(customer, own_keys_fall_back=True)
        await budget(customer, hold_of(ASKED, 100) // 2)
        customer.fault("openai", "input_tokens=10 output_tokens=150")
        assert (await customer.chat("openai", SAID, **bound)).status == 200
        assert await spent_of_budgets(customer) == [fee_of(in_fresh=10, out_text=150 if not bound else 100)]
        customer.fault("openai", "status=401", count=None)
        reply = await customer.chat("openai", SAID, **bound)
        assert (reply.status, reply.error["code"]) == (424, "own_key_refused")
        assert set(secrets_seen(customer)) == {OWN_SECRET}


class TestWishes:
    @pytest.mark.parametrize("how", ["body", "header"])
    async def test_do_not_open_ours(self, customer: Customer, how: str) -> None:
        other = await customer.serve("openai_compatible")
        model = await customer.serve("openai")
        await bring(customer, model)
        customer.fault("openai", "status=401", count=None)
        extra = {"models": [model, other]} if how == "body" else {}
        headers = {"x-bursar-models": other} if how == "header" else {}
        reply = await customer.send(
            customer.payload("openai", SAID, **extra), headers={**customer.authorization, **headers}
        )
        assert (reply.status, reply.error["code"]) == (424, "own_key_refused")
        assert set(secrets_seen(customer)) == {OWN_SECRET}


class TestAFinishedRequest:
    async def test_on_an_own_credential_is_freed_at_once(self, customer: Customer) -> None:
        model = await customer.serve("openai", "openai_compatible")
        await bring(customer, model)
        await set_rules(customer, own_keys_fall_back=True)
        gc.collect()
        gc.disable()
        try:
            for stream in (False, True):
                await customer.chat("openai", SAID, stream=stream)
            await asyncio.sleep(0)
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            left = {type(one).__module__ + "." + type(one).__name__ for one in gc.garbage}
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
        assert {kind for kind in left if kind.startswith(("bursar.gateway.", "bursar.core."))} == set()
