"""What an answer says it cost, what the books say, what the price list says: one figure to the last digit."""

import asyncio
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import openai
import pytest
from operator_client import MODELS, OLD_MODEL, YUAN_MODEL, Customer, NewCustomer, Operator
from test_answers import HELLO, WITH_USAGE

NANO = Decimal("0.000000001")
CLASSES = {
    "openai": ("input_tokens=12345 cached=2345 output_tokens=777", {"in_fresh", "cache_read", "out_text"}),
    "anthropic": (
        "input_tokens=12345 cached=2345 cache_write=345 cache_write_1h=45 output_tokens=777",
        {"in_fresh", "cache_read", "cache_write_5m", "cache_write_1h", "out_text"},
    ),
    "openai_compatible": (
        "input_tokens=12345 cached=2345 output_tokens=777 reasoning=77",
        {"in_fresh", "cache_read", "out_text", "out_reasoning"},
    ),
}


def asking(script: str) -> list[Any]:
    return [{"role": "user", "content": f"Say hello. [[sim: {script}]]"}]


def spend(customer: Customer, model: str, script: str) -> Any:
    """One whole answer with the tokens the script says; the raw response, headers and all."""
    return customer.sync.chat.completions.with_raw_response.create(model=model, messages=asking(script))


def keys_in(value: Any) -> set[str]:
    """Every name at every depth."""
    if isinstance(value, list):
        return set().union(*map(keys_in, value))
    if not isinstance(value, dict):
        return set()
    return set(value).union(*map(keys_in, value.values()))


@pytest.mark.parametrize("kind", MODELS)
class TestOneFigure:
    @pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
    def test_answer_books_and_explanation_agree_to_the_last_digit(
        self, customer: Customer, operator: Operator, kind: str, *, stream: bool
    ) -> None:
        script, classes = CLASSES[kind]
        request_id, cost = self._ask(customer, kind, script, stream=stream)
        [row] = customer.usage()
        told = customer.explanation(request_id)
        assert row["request_id"] == request_id == told["id"]
        assert cost == row["sale"] == told["sale"]
        assert {line["meter"] for line in told["lines"]} == classes
        exact = sum((self._checked(operator, row, line) for line in told["lines"]), Decimal(0))
        assert Decimal(told["sale_exact"]) == exact
        assert Decimal(told["sale"]) == exact.quantize(NANO, ROUND_HALF_EVEN)
        assert told["adds_up"] is True
        assert sum(line["quantity"] for line in told["lines"]) == row["input_tokens"] + row["output_tokens"]

    def test_what_we_pay_is_not_the_customers_to_see(self, customer: Customer, kind: str) -> None:
        raw = spend(customer, MODELS[kind], "output_tokens=50")
        shown = keys_in(customer.explanation(raw.headers["x-request-id"]))
        assert not {name for name in shown if "cost" in name or "margin" in name or "provider" in name}
        [row] = customer.usage()
        assert Decimal(row["sale"]) == Decimal(row["cost"]) * Decimal("1.2")

    def test_nobody_else_can_look(self, customer: Customer, new_customer: NewCustomer, kind: str) -> None:
        raw = spend(customer, MODELS[kind], "output_tokens=50")
        stranger = new_customer()
        with pytest.raises(AssertionError, match="usage_not_found"):
            stranger.explanation(raw.headers["x-request-id"])

    @staticmethod
    def _ask(customer: Customer, kind: str, script: str, *, stream: bool) -> tuple[str, str]:
        """The request's id and cost, as the answer told them."""
        if not stream:
            raw = customer.sync.chat.completions.with_raw_response.create(
                model=MODELS[kind], messages=asking(script)
            )
            return raw.headers["x-request-id"], raw.headers["x-bursar-cost"]
        opened = customer.sync.chat.completions.with_raw_response.create(
            model=MODELS[kind], messages=asking(script), stream=True, stream_options=WITH_USAGE
        )
        usage = list(opened.parse())[-1].usage
        assert usage is not None
        cost = (usage.model_extra or {})["cost"]
        assert isinstance(cost, str)
        return opened.headers["x-request-id"], cost

    @staticmethod
    def _checked(operator: Operator, row: dict[str, Any], line: dict[str, Any]) -> Decimal:
        """The line's amount, worked out anew from the price list."""
        price = operator.get(f"/prices/{line['price_id']}")
        assert price["model"] == row["provider_model"]
        assert price["meter"] == line["priced_as"]
        assert price["sale"] == line["unit_price"]
        assert row["quantities"][line["meter"]] == line["quantity"]
        amount = Decimal(price["sale"]) * int(line["quantity"])
        assert Decimal(line["amount"]) == amount
        return amount


class TestTheDocumentsOwnSums:
    def test_cost_of_40_and_a_margin_of_20_percent_are_48(self, customer: Customer) -> None:
        raw = spend(customer, OLD_MODEL, "input_tokens=1000000 reported_output=1000000")
        [row] = customer.usage()
        assert (row["input_tokens"], row["output_tokens"]) == (1_000_000, 1_000_000)
        assert (row["cost"], row["sale"], row["margin"]) == ("40.00", "48.00", "8.00")
        assert raw.headers["x-bursar-cost"] == "48.00"
        assert raw.headers["x-bursar-balance"] == "52.00"

    def test_50_less_a_request_of_0_048_is_49_952(self, new_customer: NewCustomer) -> None:
        customer = new_customer(balance="50.00")
        raw = spend(customer, OLD_MODEL, "input_tokens=1000 reported_output=1000")
        [row] = customer.usage()
        assert (row["cost"], row["sale"], row["margin"]) == ("0.04", "0.048", "0.008")
        assert raw.headers["x-bursar-cost"] == "0.048"
        assert raw.headers["x-bursar-balance"] == "49.952"
        customer.until_posted()
        assert customer.wallet()["posted"] == "49.952"
        assert [(one["amount"], one["balance_after"]) for one in customer.movements()] == [
            ("50.00", "50.00"),
            ("-0.048", "49.952"),
        ]

    def test_100_yuan_less_a_clip_of_10_are_90(self, new_customer: NewCustomer) -> None:
        customer = new_customer(balance="100", currency="CNY")
        raw = spend(customer, YUAN_MODEL, "input_tokens=200000 reported_output=100000")
        assert raw.headers["x-bursar-cost"] == "10.00"
        assert raw.headers["x-bursar-balance"] == "90.00"
        customer.until_posted()
        wallet = customer.wallet()
        assert (wallet["currency"], wallet["posted"], wallet["balance"]) == ("CNY", "90.00", "90.00")
        assert customer.explanation(raw.headers["x-request-id"])["currency"] == "CNY"

    def test_a_model_without_a_price_in_the_wallets_currency_is_refused(
        self, new_customer: NewCustomer
    ) -> None:
        customer = new_customer(balance="100", currency="CNY")
        with pytest.raises(openai.InternalServerError) as caught:
            customer.sync.chat.completions.create(model=MODELS["openai"], messages=HELLO)
        assert (caught.value.status_code, caught.value.code) == (503, "model_not_priced")


class TestAtOnce:
    REQUESTS = 60

    async def test_balances_told_are_the_ledgers_own_sequence(self, customer: Customer) -> None:
        told = await asyncio.gather(*(self._ask(customer, number) for number in range(self.REQUESTS)))
        left = Decimal(100)
        for balance, cost, _ in sorted(told, reverse=True):
            left -= cost
            assert balance == left
        rows = {row["request_id"]: Decimal(row["sale"]) for row in customer.usage()}
        assert rows == {request_id: cost for _, cost, request_id in told}
        await asyncio.to_thread(customer.until_posted)
        wallet = customer.wallet()
        assert Decimal(wallet["posted"]) == Decimal(wallet["balance"]) == left
        assert sum(Decimal(one["amount"]) for one in customer.movements()) == left
        assert Decimal(customer.movements()[-1]["balance_after"]) == left

    @staticmethod
    async def _ask(customer: Customer, number: int) -> tuple[Decimal, Decimal, str]:
        """Balance, cost and id as one answer told them; every second one is a stream."""
        model = list(MODELS.values())[number % 3]
        messages = asking(f"output_tokens={20 + number}")
        create = customer.aio.chat.completions.with_raw_response.create
        if number % 2:
            raw = await create(model=model, messages=messages)
            headers = raw.headers
            balance, cost = headers["x-bursar-balance"], headers["x-bursar-cost"]
        else:
            opened = await create(model=model, messages=messages, stream=True, stream_options=WITH_USAGE)
            chunks = [chunk async for chunk in opened.parse()]
            assert chunks[-1].usage is not None
            extra = chunks[-1].usage.model_extra or {}
            headers, balance, cost = opened.headers, extra["balance"], extra["cost"]
        return Decimal(balance), Decimal(cost), headers["x-request-id"]
