"""What an operator does takes effect for customers: money, keys, prices, providers."""

import asyncio
import time
from decimal import Decimal
from typing import Any

import openai
import pytest
from operator_client import MODELS, Customer, NewCustomer, Operator
from test_answers import HELLO, WITH_USAGE
from test_parameters import arrived

from bursar.simulator import Simulator

LLAMA = MODELS["openai_compatible"]
SOON_S_MAX = 20


def status_of(customer: Customer, model: str = LLAMA, **wanted: Any) -> int:
    """The HTTP status of one request."""
    try:
        customer.sync.chat.completions.create(model=model, messages=HELLO, **wanted)
    except openai.APIStatusError as error:
        return error.status_code
    return 200


def until(wanted: int, customer: Customer, model: str = LLAMA) -> None:
    """Ask until a request is answered with this status."""
    deadline = time.monotonic() + SOON_S_MAX
    while (status := status_of(customer, model)) != wanted:
        assert time.monotonic() < deadline, f"still {status}"
        time.sleep(0.02)


def add_model(operator: Operator, name: str, providers: Simulator, **provider: Any) -> str:
    """A model at a compatible provider of its own, priced like llama; the provider's id."""
    wanted = {"slug": name, "kind": "openai_compatible", "base_url": f"{providers.base_url}/compat/v1"}
    made = operator.post("/providers", {**wanted, **provider})
    operator.post(f"/providers/{made['id']}/credentials", {"secret": f"sk-{name}"})
    operator.post("/models", {"id": name, "output_tokens_max": 4096})
    operator.post("/routes", {"model_id": name, "provider_id": made["id"]})
    for meter in ("in_fresh", "out_text"):
        price = {"provider_id": made["id"], "model": name, "meter": meter, "cost": "1", "sale": "2"}
        operator.post("/prices", price)
    return str(made["id"])


class TestMoney:
    def test_a_top_up_opens_the_door_at_once(self, operator: Operator, new_customer: NewCustomer) -> None:
        poor = new_customer(balance="0")
        assert status_of(poor) == 402
        operator.post(f"/organisations/{poor.organisation_id}/wallet/top-ups", {"amount": "1.00"})
        until(200, poor)

    def test_a_refunded_top_up_shuts_it(self, operator: Operator, new_customer: NewCustomer) -> None:
        customer = new_customer(balance="5.00")
        assert status_of(customer) == 200
        customer.until_posted()
        [paid] = customer.movements("top_up")
        path = f"/organisations/{customer.organisation_id}/wallet/top-ups/{paid['id']}/refund"
        refund = operator.post(path, {})
        spent = Decimal(customer.usage()[0]["sale"])
        assert Decimal(refund["amount"]) == spent - 5
        assert Decimal(customer.wallet()["balance"]) == 0
        until(402, customer)

    def test_a_refunded_request_is_money_again(self, operator: Operator, customer: Customer) -> None:
        raw = customer.sync.chat.completions.with_raw_response.create(model=LLAMA, messages=HELLO)
        customer.until_posted()
        request_id = raw.headers["x-request-id"]
        operator.post(f"/organisations/{customer.organisation_id}/usage/{request_id}/refund", {})
        assert customer.wallet()["balance"] == "100.00"
        again = customer.sync.chat.completions.with_raw_response.create(model=LLAMA, messages=HELLO)
        assert Decimal(again.headers["x-bursar-balance"]) == 100 - Decimal(again.headers["x-bursar-cost"])

    def test_a_postpaid_customer_spends_what_he_will_owe(
        self, operator: Operator, new_customer: NewCustomer
    ) -> None:
        customer = new_customer(balance="0")
        billing = {"billing_type": "postpaid", "credit_limit": "10.00"}
        operator.put(f"/organisations/{customer.organisation_id}/billing", billing)
        until(200, customer)
        raw = customer.sync.chat.completions.with_raw_response.create(model=LLAMA, messages=HELLO)
        spent = sum(Decimal(row["sale"]) for row in customer.usage())
        assert Decimal(raw.headers["x-bursar-balance"]) == -spent


class TestLastMoney:
    STREAMS = 10
    SHORT_ONES = 30  # after so many short answers less is held for each
    LONG = "[[sim: output_tokens=4000 delay_first_ms=500]]"  # all are admitted before one speaks
    LONG_COST = Decimal("0.0116")

    async def test_streams_end_when_the_money_does(self, new_customer: NewCustomer) -> None:
        customer = new_customer(balance="0.05")
        for _ in range(self.SHORT_ONES):
            assert await self._stream(customer, "[[sim: output_tokens=5]]") == "stop"
        before = Decimal(customer.wallet()["balance"])
        ends = await asyncio.gather(*(self._stream(customer, self.LONG) for _ in range(self.STREAMS)))
        assert set(ends) <= {"stop", "refused", "cut"}
        assert "cut" in ends
        left = Decimal(customer.wallet()["balance"])
        assert 0 <= left < self.LONG_COST
        rows = customer.usage()[self.SHORT_ONES :]
        assert len(rows) == self.STREAMS - ends.count("refused")
        assert left == before - sum(Decimal(row["sale"]) for row in rows)
        assert [row["outcome"] for row in rows].count("cut_off") == ends.count("cut")
        assert await self._stream(customer, self.LONG) == "refused"

    @staticmethod
    async def _stream(customer: Customer, text: str) -> str:
        """How one stream ended: its finish reason, or that there was no money before or during it."""
        messages: list[Any] = [{"role": "user", "content": text}]
        end = "refused"
        try:
            stream = await customer.aio.chat.completions.create(
                model=LLAMA, messages=messages, max_tokens=4000, stream=True
            )
            end = "cut"
            async for chunk in stream:
                end = chunk.choices[0].finish_reason or end
        except openai.APIError as error:
            assert error.code == "insufficient_balance"  # noqa: PT017 - one of two good ends
        return end


class TestKeys:
    def test_a_rotated_key_works_beside_its_successor(self, operator: Operator, customer: Customer) -> None:
        path = f"/organisations/{customer.organisation_id}/keys"
        [key] = operator.get(path)["items"]
        issued = operator.post(f"{path}/{key['id']}/rotate", {})
        successor = Customer(
            address=customer.address,
            operator=operator,
            organisation_id=customer.organisation_id,
            key=issued["secret"],
        )
        successor.until_known()
        assert status_of(customer) == status_of(successor) == 200
        successor.sync.close()
        assert {row["api_key_id"] for row in customer.usage()} == {key["id"], issued["id"]}

    def test_a_suspended_organisation_is_shut_out(self, operator: Operator, customer: Customer) -> None:
        operator.patch(f"/organisations/{customer.organisation_id}", {"status": "suspended"})
        until(401, customer)


class TestPrices:
    def test_a_new_price_holds_for_new_requests_only(
        self, operator: Operator, customer: Customer, providers: Simulator
    ) -> None:
        provider_id = add_model(operator, "dearer-soon", providers)
        until(200, customer, "dearer-soon")
        before = customer.usage()[-1]
        price = {"provider_id": provider_id, "model": "dearer-soon", "cost": "10", "sale": "20"}
        for meter in ("in_fresh", "out_text"):
            operator.post("/prices", {**price, "meter": meter})
        deadline = time.monotonic() + SOON_S_MAX
        while Decimal(customer.usage()[-1]["sale"]) != 10 * Decimal(before["sale"]):
            assert time.monotonic() < deadline  # one price may come into force before the other
            customer.sync.chat.completions.create(model="dearer-soon", messages=HELLO)
        assert customer.explanation(before["request_id"])["sale"] == before["sale"]
        assert customer.explanation(before["request_id"])["adds_up"] is True


class TestProviders:
    def test_silence_is_told_as_a_time_out(
        self, operator: Operator, customer: Customer, providers: Simulator
    ) -> None:
        add_model(operator, "silent", providers, timeouts={"first_byte_ms": 300, "idle_ms": 300})
        until(200, customer, "silent")
        for script in ("silence_before_headers", "silence_after_events=0"):
            with pytest.raises(openai.InternalServerError) as caught:
                customer.sync.chat.completions.create(
                    model="silent", messages=[{"role": "user", "content": f"[[sim: {script}]]"}], stream=True
                )
            assert (caught.value.status_code, caught.value.code) == (504, "provider_timeout")

    def test_the_next_credential_serves_when_one_is_refused(
        self, operator: Operator, customer: Customer, providers: Simulator
    ) -> None:
        provider_id = add_model(operator, "two-keys", providers)
        operator.post(f"/providers/{provider_id}/credentials", {"secret": "sk-second", "priority": 200})
        until(200, customer, "two-keys")
        providers.faults.add("status=401", count=None, key="sk-two-keys")
        try:
            raw = customer.sync.chat.completions.with_raw_response.create(
                model="two-keys", messages=HELLO, stream=True, stream_options=WITH_USAGE
            )
            usage = list(raw.parse())[-1].usage
        finally:
            providers.faults.clear()
        assert usage is not None
        attempts = [row for row in customer.usage() if row["request_id"] == raw.headers["x-request-id"]]
        assert [row["outcome"] for row in attempts] == ["provider_error_before_output", "completed"]
        assert [row["sale"] for row in attempts] == ["0.00", (usage.model_extra or {})["cost"]]

    def test_a_provider_switched_off_serves_no_more(
        self, operator: Operator, customer: Customer, providers: Simulator
    ) -> None:
        provider_id = add_model(operator, "going", providers)
        until(200, customer, "going")
        operator.patch(f"/providers/{provider_id}", {"active": False})
        until(503, customer, "going")
        assert "going" not in {model.id for model in customer.sync.models.list()}

    def test_nothing_of_the_callers_own_headers_reaches_a_provider(
        self, customer: Customer, providers: Simulator
    ) -> None:
        for model in MODELS.values():
            customer.sync.chat.completions.create(
                model=model, messages=HELLO, extra_headers={"X-Secret": "mine", "Cookie": "mine"}
            )
            told = repr(providers.log.exchanges[-1].headers)
            assert customer.key not in told
            assert "mine" not in told
            assert "stainless" not in told
            assert arrived(providers)["messages"]
