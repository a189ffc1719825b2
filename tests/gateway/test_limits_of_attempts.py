"""Limits asked per attempt: of a provider within a key what the key pays, of a credential what we pay."""

from dataclasses import replace
from typing import Any

import pytest
from caller import Caller
from own_customer import OWN_SECRET, bring, provider_of
from proving import CHAT, Customer, as_nano, eventually
from test_limits_of_keys import assert_free, budget, limit, spent

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def shown(customer: Customer) -> list[dict[str, Any]]:
    told = (await customer.send(b"", path="/v1/limits", method="GET")).json()["data"]
    return list(told)


async def narrowed(customer: Customer, amount: int, unit: str = "money", credentials: int = 1) -> None:
    """A budget of a new model's provider within his key."""
    model = await customer.serve("openai", credentials=credentials)
    provider_id = await provider_of(customer, model)
    await budget(customer, amount, unit, api_key_id=customer.api_key_id, provider_id=provider_id)


class TestMoneyAtAProviderWithinAKey:
    async def test_is_what_the_key_pays(self, customer: Customer) -> None:
        await narrowed(customer, 10**9)
        assert (await customer.chat("openai")).status == 200
        row = await customer.one_row()
        assert await spent(customer) == [row["sale"]] != [row["cost"]]

    async def test_tells_nobody_what_the_operator_pays(self, customer: Customer) -> None:
        await narrowed(customer, 10**9)
        await customer.chat("openai")
        (told,) = [one for one in await shown(customer) if one["kind"] == "money_day"]
        assert as_nano(told["used"]) == (await customer.one_row())["sale"]

    async def test_is_the_fee_on_own_credentials(self, customer: Customer) -> None:
        model = await customer.serve("openai")
        await bring(customer, model, secret=OWN_SECRET)
        provider_id = await provider_of(customer, model)
        await budget(customer, 10**9, api_key_id=customer.api_key_id, provider_id=provider_id)
        customer.fault("openai", "input_tokens=100000 output_tokens=1000")
        assert (await customer.chat("openai")).status == 200
        row = await customer.one_row()
        assert row["sale"] > 0
        assert await spent(customer) == [row["sale"]]

    async def test_is_nothing_for_what_failed(self, customer: Customer) -> None:
        await narrowed(customer, 10**9, credentials=2)
        customer.fault("openai", "status=500")
        assert (await customer.chat("openai")).status == 200
        _, answered = await customer.usage()
        assert await spent(customer) == [answered["sale"]]
        await assert_free(customer)


class TestRequestsToAProviderWithinAKey:
    async def test_are_counted_once_however_often_it_is_tried(self, customer: Customer) -> None:
        await narrowed(customer, 100, "requests", credentials=2)
        customer.fault("openai", "status=500", count=1)
        assert (await customer.chat("openai")).status == 200
        assert len(await customer.usage()) == 2
        assert await spent(customer) == [1]
        await assert_free(customer)

    @pytest.mark.parametrize("rates", [{"requests_per_min": 1}, {"concurrent": 1}], ids=["rate", "at_once"])
    async def test_do_not_keep_one_from_being_tried_again(
        self, customer: Customer, rates: dict[str, int]
    ) -> None:
        model = await customer.serve("openai", credentials=2)
        (row,) = await customer.rows(
            "SELECT slug FROM provider WHERE id = %s", [await provider_of(customer, model)]
        )
        await limit(customer, providers={row["slug"]: rates})
        customer.fault("openai", "status=500", count=1)
        assert (await customer.chat("openai")).status == 200
        assert len(await customer.usage()) == 2
        await assert_free(customer)


class TestAnAttemptThatCannotBeJudged:
    async def test_leaves_no_place_taken(self, customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
        model = await customer.serve("openai")
        await customer.change(
            "UPDATE provider_credential SET limits = '{\"concurrent\": 1}' WHERE provider_id = %s",
            [await provider_of(customer, model)],
        )

        customer.may_be_logged = ("request.failed", "request.abandoned", "background.failed")

        def fail(*_: object) -> None:
            raise RuntimeError("a bug of ours")

        with monkeypatch.context() as broken:
            broken.setattr("bursar.gateway.settle.judge", fail)
            assert (await customer.chat("openai")).status == 500
            await customer.stack.quiet()
        await assert_free(customer)
        assert (await customer.chat("openai")).status == 200


class TestACallerWhoLeavesBetweenTwoTries:
    async def test_leaves_no_place_taken(self, customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
        await customer.serve("openai")
        await limit(customer, concurrent=1, tokens_per_min=1_000_000)
        patient = replace(
            customer.gw.limits,
            rounds_max=2,
            retry_backoff_ms=20_000,
            retry_backoff_ms_max=20_000,
            retry_deadline_ms=60_000,
        )
        monkeypatch.setattr(customer.gw, "limits", patient)
        customer.fault("openai", "status=500", count=3)
        caller = await Caller.connect(customer.stack.url, customer.heard)
        await caller.post(CHAT, customer.payload("openai"), customer.authorization)
        await eventually(lambda: any(ticket.failed for ticket in customer.gw.under_way.values()))
        caller.hang_up()
        await assert_free(customer)
        assert [row["sale"] for row in await customer.usage()] == [0]


class TestMoneyOfACredential:
    async def test_is_what_we_pay(self, customer: Customer) -> None:
        model = await customer.serve("openai")
        (credential,) = await customer.rows(
            "SELECT id FROM provider_credential WHERE provider_id = %s", [await provider_of(customer, model)]
        )
        await budget(customer, 10**9, organisation_id=None, credential_id=credential["id"])
        assert (await customer.chat("openai")).status == 200
        row = await customer.one_row()
        await customer.gw.limiter.budgets.tend()
        (told,) = await customer.rows(
            "SELECT sum(spent)::bigint AS spent FROM budget_slice JOIN budget ON budget.id = budget_id"
            " WHERE credential_id = %s",
            [credential["id"]],
        )
        assert told["spent"] == row["cost"] != row["sale"]
