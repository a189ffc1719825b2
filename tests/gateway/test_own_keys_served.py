"""Requests on an organisation's own credentials: metered, sold for the fee, never on ours by accident."""

import asyncio
from typing import Any

import pytest
from own_customer import OWN_SECRET, OWN_SECRETS, bring, fee_of, secrets_seen, set_fee, set_rules
from proving import SIMULATED, Customer, as_nano, cost_of, input_estimate, new_customer, sale_of

from bursar.core.fees import OWN_KEY, PLATFORM_FEE
from gateway_stack import SECRETS

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAID = "hello there"
USED = {"in_fresh": 1_000, "out_text": 13}
SCRIPT = "input_tokens=1000 output_tokens=13"
FEE = fee_of(**USED)

every_kind = pytest.mark.parametrize("kind", SIMULATED)
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def last_usage(reply: Any, *, stream: bool) -> dict[str, Any]:
    """What a stream's usage chunk says."""
    assert stream
    return dict(
        next(event["usage"] for event in reversed(reply.events()) if event != "[DONE]" and event["usage"])
    )


@every_kind
@streamed_or_not
class TestServed:
    async def test_on_it_and_sold_for_the_fee(self, customer: Customer, kind: str, stream: bool) -> None:  # noqa: FBT001 - pytest passes it by name
        model = await customer.serve(kind)
        credential_id = await bring(customer, model, secret=OWN_SECRETS[kind])
        customer.fault(kind, SCRIPT)
        asked = {"stream_options": {"include_usage": True}} if stream else {}
        reply = await customer.chat(kind, SAID, stream=stream, **asked)
        assert reply.status == 200
        row = await customer.one_row()
        assert (row["sale"], row["cost"]) == (FEE, 0)
        assert row["quantities"] == USED
        assert (row["credential_id"], row["flags"]) == (credential_id, [OWN_KEY])
        assert PLATFORM_FEE in row["price_ids"]
        assert secrets_seen(customer) == [OWN_SECRETS[kind]]
        told = last_usage(reply, stream=True)["cost"] if stream else reply.headers["x-bursar-cost"]
        assert as_nano(told) == FEE

    async def test_and_explained_truthfully(self, customer: Customer, kind: str, stream: bool) -> None:  # noqa: FBT001 - the same
        model = await customer.serve(kind)
        await bring(customer, model, secret=OWN_SECRETS[kind])
        await set_fee(customer, "3", "0.0001")
        customer.fault(kind, SCRIPT)
        await customer.chat(kind, SAID, stream=stream)
        row = await customer.one_row()
        assert row["sale"] == fee_of(3, "0.0001", **USED)
        reply = await customer.send(b"", path=f"/v1/usage/{row['request_id']}", method="GET")
        told = reply.json()
        assert (told["own_key"], told["adds_up"], as_nano(told["sale"])) == (True, True, row["sale"])
        assert as_nano(told["list_cost"]) == cost_of(**USED)
        assert (told["fee"]["percent_of_list_cost"], told["fee"]["per_request"]) == ("3", "0.0001")
        assert "unit_price" not in str(told)


@every_kind
class TestTheOwnersTrouble:
    @pytest.mark.parametrize(
        ("script", "status", "code"),
        [
            ("status=401", 424, "own_key_refused"),
            ("status=403", 424, "own_key_refused"),
            ("billing", 424, "own_key_out_of_funds"),
            ("status=429 retry_after=30", 429, "own_key_rate_limited"),
        ],
    )
    @streamed_or_not
    async def test_is_told_as_his_and_ours_stay_out_of_it(  # noqa: PLR0913, PLR0917 - parameters
        self,
        customer: Customer,
        kind: str,
        script: str,
        status: int,
        code: str,
        stream: bool,  # noqa: FBT001 - pytest passes it by name
    ) -> None:
        model = await customer.serve(kind)
        credential_id = await bring(customer, model, secret=OWN_SECRETS[kind])
        customer.fault(kind, script, count=None)
        reply = await customer.chat(kind, SAID, stream=stream)
        assert (reply.status, reply.error["code"]) == (status, code)
        assert reply.error["credential_id"] == str(credential_id)
        row = (await customer.usage())[-1]
        assert (row["sale"], row["cost"], row["error_code"]) == (0, 0, code)
        assert set(secrets_seen(customer)) == {OWN_SECRETS[kind]}
        assert [line for line in customer.logged if "critical" in line] == []
        assert customer.gw.routing.refused == {}
        assert await customer.rows("SELECT * FROM credential_refusal") == []

    async def test_is_not_remembered_against_him(self, customer: Customer, kind: str) -> None:
        model = await customer.serve(kind)
        await bring(customer, model, secret=OWN_SECRETS[kind])
        customer.fault(kind, "status=401")
        assert (await customer.chat(kind, SAID)).status == 424
        assert (await customer.chat(kind, SAID)).status == 200
        assert set(secrets_seen(customer)) == {OWN_SECRETS[kind]}

    async def test_does_not_touch_other_customers(self, customer: Customer, kind: str) -> None:
        model = await customer.serve(kind)
        await bring(customer, model, secret=OWN_SECRETS[kind])
        customer.stack.simulator.faults.add("status=401", count=None, key=OWN_SECRETS[kind])
        assert (await customer.chat(kind, SAID)).status == 424
        async with new_customer(customer.stack) as other:
            other.models = customer.models
            other.stack.simulator.faults.add(SCRIPT)
            assert (await other.chat(kind, SAID)).status == 200
            row = await other.one_row()
            assert (row["sale"], row["cost"], row["flags"]) == (sale_of(**USED), cost_of(**USED), [])
        assert secrets_seen(customer)[-1] == f"{SECRETS[kind]}-0"

    async def test_of_the_provider_is_told_as_always(self, customer: Customer, kind: str) -> None:
        model = await customer.serve(kind)
        await bring(customer, model, secret=OWN_SECRETS[kind])
        customer.fault(kind, "status=500", count=None)
        reply = await customer.chat(kind, SAID)
        assert (reply.status, reply.error["code"]) == (502, "provider_error")
        assert set(secrets_seen(customer)) == {OWN_SECRETS[kind]}


class TestHolds:
    async def test_cover_the_fee_alone(self, shared_stack: Any) -> None:
        held = fee_of(cache_write_5m=input_estimate(SAID), out_text=100) + 1
        for balance, status in ((held, 200), (fee_of(out_text=90), 402)):
            async with new_customer(shared_stack, balance=f"0.{balance:09d}") as poor:
                model = await poor.serve("openai")
                await bring(poor, model)
                reply = await poor.chat("openai", SAID, max_tokens=100)
                assert reply.status == status, balance

    async def test_of_a_free_fee_are_nothing(self, shared_stack: Any) -> None:
        async with new_customer(shared_stack, balance="0") as penniless:
            model = await penniless.serve("openai")
            await bring(penniless, model)
            await set_fee(penniless, "0")
            for stream in (False, True):
                assert (await penniless.chat("openai", SAID, stream=stream)).status == 200
            assert {row["sale"] for row in await penniless.usage()} == {0}

    async def test_grow_with_a_stream_by_the_fee(self, customer: Customer) -> None:
        model = await customer.serve("openai")
        await bring(customer, model)
        customer.fault("openai", "input_tokens=10 output_tokens=3000")
        reply = await customer.chat("openai", SAID, stream=True, max_tokens=4_000)
        assert reply.events()[-1] == "[DONE]"
        assert (await customer.one_row())["sale"] == fee_of(in_fresh=10, out_text=3_000)


class TestSeveralOwnCredentials:
    async def test_are_tried_in_their_order(self, customer: Customer) -> None:
        model = await customer.serve("openai")
        second = await bring(customer, model, secret="sk-own-credential-2")
        first = await bring(customer, model, secret="sk-own-credential-1", priority=1)
        customer.stack.simulator.faults.add("status=401", count=None, key="sk-own-credential-1")
        assert (await customer.chat("openai", SAID)).status == 200
        failed, served = await customer.usage()
        assert (failed["credential_id"], failed["sale"], failed["error_code"]) == (
            first,
            0,
            "own_key_refused",
        )
        assert (served["credential_id"], served["cost"]) == (second, 0)
        assert secrets_seen(customer) == ["sk-own-credential-1", "sk-own-credential-2"]


class TestOurs:
    async def test_serve_when_his_is_switched_off(self, customer: Customer) -> None:
        model = await customer.serve("openai")
        credential_id = await bring(customer, model)
        await customer.change("UPDATE own_credential SET active = false WHERE id = %s", [credential_id])
        customer.fault("openai", SCRIPT)
        await customer.chat("openai", SAID)
        row = await customer.one_row()
        assert (row["sale"], row["cost"], row["flags"]) == (sale_of(**USED), cost_of(**USED), [])

    async def test_are_no_stand_in_for_one_that_nobody_can_open(self, customer: Customer) -> None:
        model = await customer.serve("openai")
        await bring(customer, model, key="00" * 32)
        reply = await customer.chat("openai", SAID)
        assert (reply.status, reply.error["code"]) == (503, "model_unavailable")
        assert secrets_seen(customer) == []

    async def test_are_no_stand_in_at_a_provider_that_takes_them_no_longer(self, customer: Customer) -> None:
        model = await customer.serve("openai")
        await bring(customer, model)
        await customer.change("UPDATE provider SET takes_own_keys = false")
        reply = await customer.chat("openai", SAID)
        assert (reply.status, reply.error["code"]) == (503, "model_unavailable")
        assert secrets_seen(customer) == []

    async def test_are_not_needed(self, customer: Customer) -> None:
        model = await customer.serve("openai", credentials=0)
        assert (await customer.chat("openai", SAID)).status == 503
        await bring(customer, model)
        assert (await customer.chat("openai", SAID)).status == 200
        assert model in await listed(customer)
        async with new_customer(customer.stack) as other:
            assert model not in await listed(other)

    async def test_at_another_provider_of_the_model_are_no_stand_in(self, customer: Customer) -> None:
        model = await customer.serve("openai", "openai_compatible")
        await bring(customer, model)
        customer.fault("openai", "status=500", count=None)
        assert (await customer.chat("openai", SAID)).status == 502
        assert set(secrets_seen(customer)) == {OWN_SECRET}

    async def test_of_a_stand_in_model_are_none_either(self, customer: Customer) -> None:
        stand_in = await customer.serve("openai_compatible")
        model = await customer.serve("openai")
        await bring(customer, model)
        await customer.change("UPDATE model SET fallbacks = %s WHERE id = %s", [[stand_in], model])
        customer.fault("openai", "status=401", count=None)
        reply = await customer.chat("openai", SAID)
        assert (reply.status, reply.error["code"]) == (424, "own_key_refused")
        assert set(secrets_seen(customer)) == {OWN_SECRET}


async def listed(customer: Customer) -> set[str]:
    reply = await customer.send(b"", path="/v1/models", method="GET")
    return {one["id"] for one in reply.json()["data"]}


class TestFallingBack:
    @pytest.mark.parametrize("script", ["status=401", "billing", "status=429", "status=500"])
    @streamed_or_not
    async def test_is_priced_normally_when_he_allows_it(
        self,
        customer: Customer,
        script: str,
        stream: bool,  # noqa: FBT001 - pytest passes it by name
    ) -> None:
        model = await customer.serve("openai")
        own = await bring(customer, model)
        await set_rules(customer, own_keys_fall_back=True)
        customer.stack.simulator.faults.add(script, count=None, key=OWN_SECRET)
        customer.stack.simulator.faults.add(SCRIPT)
        assert (await customer.chat("openai", SAID, stream=stream)).status == 200
        failed, served = await customer.usage()
        assert (failed["credential_id"], failed["sale"], failed["cost"]) == (own, 0, 0)
        assert failed["flags"] == [OWN_KEY]
        assert (served["sale"], served["cost"], served["flags"]) == (sale_of(**USED), cost_of(**USED), [])
        assert customer.gw.routing.refused == {}

    async def test_goes_to_his_own_first(self, customer: Customer) -> None:
        model = await customer.serve("openai")
        await bring(customer, model)
        await set_rules(customer, own_keys_fall_back=True)
        for _ in range(5):
            assert (await customer.chat("openai", SAID)).status == 200
        assert secrets_seen(customer) == [OWN_SECRET] * 5

    async def test_passes_over_a_refused_one_for_a_short_while_only(self, customer: Customer) -> None:
        model = await customer.serve("openai")
        own = await bring(customer, model)
        await set_rules(customer, own_keys_fall_back=True)
        customer.stack.simulator.faults.add("status=401", key=OWN_SECRET)
        clock, routing = customer.gw.clock, customer.gw.routing
        for _ in range(2):
            assert (await customer.chat("openai", SAID)).status == 200
        ours = f"{SECRETS['openai']}-0"
        assert secrets_seen(customer) == [OWN_SECRET, ours, ours]
        rest = routing._rests[own]
        assert rest.until_ms - clock.monotonic_ms() <= routing.limits.cooldown_ms
        assert not rest.is_out

    async def test_is_left_out_where_the_wallet_covers_the_fee_alone(self, shared_stack: Any) -> None:
        async with new_customer(shared_stack, balance="0.0001") as poor:
            model = await poor.serve("openai")
            await bring(poor, model)
            await set_rules(poor, own_keys_fall_back=True)
            for bound in ({"max_tokens": 100}, {}):
                assert (await poor.chat("openai", SAID, **bound)).status == 200
            poor.fault("openai", "status=401", count=None)
            reply = await poor.chat("openai", SAID, max_tokens=100)
            assert (reply.status, reply.error["code"]) == (424, "own_key_refused")
            assert set(secrets_seen(poor)) == {OWN_SECRET}

    async def test_goes_on_to_a_stand_in_model(self, customer: Customer) -> None:
        stand_in = await customer.serve("openai_compatible")
        model = await customer.serve("openai", credentials=0)
        await bring(customer, model)
        await set_rules(customer, own_keys_fall_back=True)
        await customer.change("UPDATE model SET fallbacks = %s WHERE id = %s", [[stand_in], model])
        customer.fault("openai", "status=401", count=None)
        customer.fault("openai_compatible", SCRIPT)
        assert (await customer.chat("openai", SAID)).status == 200
        served = (await customer.usage())[-1]
        assert (served["model"], served["sale"], served["flags"]) == (stand_in, sale_of(**USED), [])


class TestHangups:
    async def test_are_sold_for_the_fee_on_what_was_delivered(self, customer: Customer) -> None:
        model = await customer.serve("openai")
        await bring(customer, model)
        customer.fault("openai", "input_tokens=10 output_tokens=500 slow_ms_per_event=20")
        async with customer.calling() as caller:
            await customer.start(caller, "openai", SAID, stream=True)
            await caller.until(b"content")
            caller.reset()
        while not await customer.usage():
            await asyncio.sleep(0.01)
        row = await customer.one_row()
        assert (row["outcome"], row["cost"]) == ("hangup_midstream", 0)
        assert row["sale"] == fee_of(**row["quantities"])


class TestRotation:
    async def test_puts_another_secret_to_use(self, customer: Customer) -> None:
        model = await customer.serve("openai")
        old = await bring(customer, model)
        await customer.chat("openai", SAID)
        new = await bring(customer, model, secret="sk-own-credential-new")
        await customer.change(
            "UPDATE own_credential SET sealed = (SELECT sealed FROM own_credential WHERE id = %s)"
            " WHERE id = %s",
            [new, old],
        )
        await customer.change("DELETE FROM own_credential WHERE id = %s", [new])
        await customer.chat("openai", SAID)
        assert secrets_seen(customer) == [OWN_SECRET, "sk-own-credential-new"]
