"""Allowed providers and regions of an organisation: nothing outside them is ever asked."""

from typing import Any

import pytest
from own_customer import OWN_SECRET, bring, fee_of, provider_of, secrets_seen, set_rules
from proving import Customer, new_customer

from gateway_stack import SECRETS

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPENAI, COMPATIBLE = SECRETS["openai"] + "-0", SECRETS["openai_compatible"] + "-0"


async def providers_of(customer: Customer, model: str) -> list[Any]:
    question = "SELECT provider_id FROM route WHERE model_id = %s ORDER BY priority"
    return [row["provider_id"] for row in await customer.rows(question, [model])]


async def put_in(customer: Customer, provider_id: Any, region: str | None) -> None:
    await customer.change("UPDATE provider SET region = %s WHERE id = %s", [region, provider_id])


async def refusal(customer: Customer) -> str:
    reply = await customer.chat("openai")
    return f"{reply.status} {reply.error['code']}"


class TestAllowedProviders:
    async def test_leave_the_others_out(self, customer: Customer) -> None:
        model = await customer.serve("openai", "openai_compatible")
        _, second = await providers_of(customer, model)
        await set_rules(customer, allowed_providers=[second])
        assert (await customer.chat("openai")).status == 200
        assert secrets_seen(customer) == [COMPATIBLE]

    async def test_keep_failures_inside(self, customer: Customer) -> None:
        model = await customer.serve("openai", "openai_compatible")
        first, _ = await providers_of(customer, model)
        await set_rules(customer, allowed_providers=[first])
        customer.fault("openai", "status=500", count=None)
        assert await refusal(customer) == "502 provider_error"
        assert set(secrets_seen(customer)) == {OPENAI}

    async def test_keep_stand_in_models_inside(self, customer: Customer) -> None:
        stand_in = await customer.serve("openai_compatible")
        model = await customer.serve("openai")
        await customer.change("UPDATE model SET fallbacks = %s WHERE id = %s", [[stand_in], model])
        await set_rules(customer, allowed_providers=[await provider_of(customer, model)])
        customer.fault("openai", "status=500", count=None)
        assert await refusal(customer) == "502 provider_error"
        assert set(secrets_seen(customer)) == {OPENAI}

    async def test_refuse_what_is_served_by_others_alone(self, customer: Customer) -> None:
        model = await customer.serve("openai")
        elsewhere = await customer.serve("openai_compatible")
        await set_rules(customer, allowed_providers=[await provider_of(customer, elsewhere)])
        assert await refusal(customer) == "403 routing_not_permitted"
        assert secrets_seen(customer) == []
        assert await customer.usage() == []
        listed = (await customer.send(b"", path="/v1/models", method="GET")).json()["data"]
        assert [one["id"] for one in listed] == [elsewhere]
        shown = await customer.send(b"", path=f"/v1/models/{model}", method="GET")
        assert shown.status == 404

    async def test_hold_for_own_credentials_too(self, customer: Customer) -> None:
        model = await customer.serve("openai", "openai_compatible")
        _, second = await providers_of(customer, model)
        await bring(customer, model)
        await set_rules(customer, allowed_providers=[second])
        assert (await customer.chat("openai")).status == 200
        assert secrets_seen(customer) == [COMPATIBLE]
        assert (await customer.one_row())["flags"] == []

    async def test_are_one_organisations_alone(self, customer: Customer) -> None:
        model = await customer.serve("openai", "openai_compatible")
        _, second = await providers_of(customer, model)
        await set_rules(customer, allowed_providers=[second])
        async with new_customer(customer.stack) as other:
            other.models = customer.models
            assert (await other.chat("openai")).status == 200
            assert secrets_seen(other) == [OPENAI]


class TestAllowedRegions:
    async def test_leave_out_other_and_unknown_ones(self, customer: Customer) -> None:
        model = await customer.serve("openai", "anthropic", "openai_compatible")
        first, _, third = await providers_of(customer, model)
        await put_in(customer, first, "us")
        await put_in(customer, third, "eu")
        await set_rules(customer, allowed_regions=["eu"])
        assert (await customer.chat("openai")).status == 200
        assert secrets_seen(customer) == [COMPATIBLE]
        await set_rules(customer, allowed_regions=["asia"])
        assert await refusal(customer) == "403 routing_not_permitted"

    async def test_are_a_routes_own_before_its_providers(self, customer: Customer) -> None:
        model = await customer.serve("openai")
        await put_in(customer, await provider_of(customer, model), "us")
        await set_rules(customer, allowed_regions=["eu"])
        assert await refusal(customer) == "403 routing_not_permitted"
        await customer.change("UPDATE route SET region = 'eu' WHERE model_id = %s", [model])
        assert (await customer.chat("openai")).status == 200

    async def test_hold_for_own_credentials_too(self, customer: Customer) -> None:
        model = await customer.serve("openai")
        await bring(customer, model)
        await set_rules(customer, allowed_regions=["eu"])
        assert await refusal(customer) == "403 routing_not_permitted"
        await put_in(customer, await provider_of(customer, model), "eu")
        customer.fault("openai", "input_tokens=100 output_tokens=7")
        assert (await customer.chat("openai")).status == 200
        assert secrets_seen(customer) == [OWN_SECRET]
        assert (await customer.one_row())["sale"] == fee_of(in_fresh=100, out_text=7)

    async def test_are_not_widened_by_what_a_request_wishes(self, customer: Customer) -> None:
        model = await customer.serve("openai", "openai_compatible")
        first, second = await providers_of(customer, model)
        await put_in(customer, first, "us")
        await put_in(customer, second, "eu")
        await set_rules(customer, allowed_regions=["eu"])
        headers = {**customer.authorization, "x-bursar-regions": "us"}
        reply = await customer.send(customer.payload("openai"), headers=headers)
        assert reply.status == 422
        assert secrets_seen(customer) == []
