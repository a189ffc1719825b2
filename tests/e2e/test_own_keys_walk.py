"""A customer brings his own provider key: a wrong one first, then the fee, a fallback, and back to ours."""

import asyncio
import time
from collections.abc import Callable, Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import openai
import pytest
from operator_client import MODELS, POLL_S, READY_WAIT_S_MAX, Customer, Operator

from bursar.simulator import Simulator

MODEL = MODELS["openai"]
WRONG, RIGHT = "no-key-of-openai", "sk-test-own-key-of-a-customer"
NANO = Decimal("0.000000001")
SCRIPT = "input_tokens=12345 cached=2345 output_tokens=777"


@pytest.fixture(autouse=True)
def _no_faults_left(providers: Simulator) -> Iterator[None]:
    yield
    providers.faults.clear()


def asking(script: str = SCRIPT) -> list[Any]:
    return [{"role": "user", "content": f"Say hello. [[sim: {script}]]"}]


def own_path(customer: Customer) -> str:
    return f"/organisations/{customer.organisation_id}/own-credentials"


def bring(customer: Customer, secret: str = RIGHT) -> dict[str, Any]:
    """Register a credential of his own, and wait until the gateway uses it."""
    provider_id = customer.operator.provider_ids["openai"]
    customer.operator.patch(f"/providers/{provider_id}", {"takes_own_keys": True})
    body = {"provider_id": provider_id, "name": "mine", "secret": secret}
    made = customer.operator.post(own_path(customer), body)
    assert isinstance(made, dict)
    if secret == RIGHT:
        until(lambda: ask(customer).headers["x-bursar-cost"] != "0.00" and last_row(customer)["own_key"])
    return made


def until(holds: Callable[[], Any]) -> None:
    """The gateway hears of a change in a moment."""
    deadline = time.monotonic() + READY_WAIT_S_MAX
    while not holds():
        assert time.monotonic() < deadline, "the gateway never heard of it"
        time.sleep(POLL_S)


def ask(customer: Customer, model: str = MODEL, script: str = SCRIPT) -> Any:
    return customer.sync.chat.completions.with_raw_response.create(model=model, messages=asking(script))


def refusal(customer: Customer, model: str = MODEL, script: str = SCRIPT) -> str:
    """Status and code of a refusal; empty when it is answered."""
    try:
        ask(customer, model, script)
    except openai.APIStatusError as error:
        return f"{error.status_code} {error.code}"
    return ""


def last_row(customer: Customer) -> dict[str, Any]:
    return customer.usage()[-1]


class TestACustomerWithAKeyOfHisOwn:
    def test_is_told_that_it_is_wrong_and_mends_it(self, customer: Customer) -> None:
        made = bring(customer, WRONG)
        assert made["hint"] == "…enai"
        until(lambda: refusal(customer) == "424 own_key_refused")
        refused = last_row(customer)
        assert (refused["sale"], refused["cost"], refused["own_key"]) == ("0.00", "0.00", True)
        rotate = f"{own_path(customer)}/{made['id']}/rotate"
        assert customer.operator.post(rotate, {"secret": RIGHT})["hint"] == "…omer"
        until(lambda: refusal(customer) == "")
        assert last_row(customer)["own_key"]

    def test_pays_the_fee_and_can_see_why(self, customer: Customer) -> None:
        bring(customer)
        answer = ask(customer)
        told = customer.explanation(answer.headers["x-request-id"])
        listed = sum(Decimal(line["list_cost"]) for line in told["lines"])
        due = (listed * Decimal(told["fee"]["percent_of_list_cost"]) / 100).quantize(NANO, ROUND_HALF_EVEN)
        assert Decimal(answer.headers["x-bursar-cost"]) == Decimal(told["sale"]) == due > 0
        assert told["adds_up"] is True
        assert Decimal(told["list_cost"]) == listed
        row = last_row(customer)
        assert (row["cost"], Decimal(row["sale"]), Decimal(row["list_cost"])) == ("0.00", due, listed)

    async def test_pays_it_for_streams_and_at_once(self, customer: Customer) -> None:
        bring(customer)
        fee = last_row(customer)["sale"]
        stream = customer.sync.chat.completions.create(
            model=MODEL, messages=asking(), stream=True, stream_options={"include_usage": True}
        )
        usage = [chunk.usage for chunk in stream if chunk.usage is not None][-1]
        assert usage.model_extra is not None
        assert usage.model_extra["cost"] == fee
        create = customer.aio.chat.completions.create
        await asyncio.gather(*(create(model=MODEL, messages=asking()) for _ in range(20)))
        rows = customer.usage()[-21:]
        assert {(row["sale"], row["cost"], row["own_key"]) for row in rows} == {(fee, "0.00", True)}
        customer.until_posted()
        spent = sum(Decimal(row["sale"]) for row in customer.usage())
        assert Decimal(customer.wallet()["balance"]) == 100 - spent

    def test_has_a_fee_of_his_own(self, customer: Customer) -> None:
        bring(customer)
        owner = {"organisation_id": customer.organisation_id}
        customer.operator.post("/platform-fees", {**owner, "percent": "0", "per_request": "0.001"})
        until(lambda: ask(customer).headers["x-bursar-cost"] == "0.001")

    def test_hears_that_his_account_is_empty_not_his_wallet(
        self, customer: Customer, providers: Simulator
    ) -> None:
        bring(customer)
        providers.faults.add("billing", count=None, key=RIGHT)
        assert refusal(customer) == "424 own_key_out_of_funds"
        providers.faults.clear()
        assert refusal(customer) == ""

    def test_falls_back_at_our_price_when_he_allows_it(
        self, customer: Customer, providers: Simulator
    ) -> None:
        rules = f"/organisations/{customer.organisation_id}/routing"
        customer.operator.patch(rules, {"own_keys_fall_back": True})
        bring(customer)
        providers.faults.add("status=401", count=None, key=RIGHT)
        assert refusal(customer) == ""
        failed, served = customer.usage()[-2:]
        assert failed["request_id"] == served["request_id"]
        assert (failed["sale"], failed["own_key"], failed["error_code"]) == ("0.00", True, "own_key_refused")
        assert (served["own_key"], served["list_cost"]) == (False, None)
        assert Decimal(served["sale"]) == Decimal(served["cost"]) * Decimal("1.2") > 0

    def test_is_back_on_ours_when_he_takes_it_away(self, customer: Customer) -> None:
        made = bring(customer)
        answer = customer.operator._http.delete(f"{own_path(customer)}/{made['id']}")
        assert answer.json()["id"] == made["id"]
        assert customer.operator.get(own_path(customer)) == []
        until(lambda: refusal(customer) == "" and not last_row(customer)["own_key"])
        assert Decimal(last_row(customer)["cost"]) > 0


class TestACustomerWithRules:
    def test_is_served_inside_them_alone(self, customer: Customer, operator: Operator) -> None:
        for kind, region in (("openai", "eu"), ("anthropic", "us")):
            operator.patch(f"/providers/{operator.provider_ids[kind]}", {"region": region})
        rules = f"/organisations/{customer.organisation_id}/routing"
        operator.patch(rules, {"allowed_regions": ["eu"]})
        until(lambda: refusal(customer, MODELS["anthropic"], "") == "403 routing_not_permitted")
        assert refusal(customer) == ""
        assert refusal(customer, MODELS["openai_compatible"]) == "403 routing_not_permitted"
        offered = {model.id for model in customer.sync.models.list()}
        assert MODEL in offered
        assert not {MODELS["anthropic"], MODELS["openai_compatible"]} & offered
        operator.patch(rules, {"allowed_regions": None})
        until(lambda: refusal(customer, MODELS["anthropic"], "") == "")
