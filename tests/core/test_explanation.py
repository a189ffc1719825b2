from dataclasses import dataclass, field
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from bursar.core.explanation import explain
from bursar.core.money import format_amount, parse_price, parse_price_per_million
from bursar.core.payer import Outcome
from bursar.core.pricing import PriceBook, PriceRow, rate
from bursar.core.usage import Meter, Usage

PROVIDER = UUID(int=7)


@dataclass(frozen=True, kw_only=True)
class Booked:
    asset: str = "USD"
    outcome: str = Outcome.COMPLETED
    estimated: bool = False
    quantities: dict[str, int] = field(default_factory=dict)
    price_ids: dict[str, int] = field(default_factory=dict)
    input_tokens: int = 0
    cost: int = 0
    sale: int = 0


def price(number: int, meter: Meter, cost: str, sale: str, tier_from: int = 0) -> PriceRow:
    return PriceRow(
        price_id=number,
        provider_id=PROVIDER,
        model="m",
        meter=meter,
        currency="USD",
        effective_from_ms=0,
        tier_from=tier_from,
        cost_atto=parse_price_per_million(cost),
        sale_atto=parse_price_per_million(sale),
    )


PRICES = [price(1, Meter.IN_FRESH, "10", "12"), price(2, Meter.OUT_TEXT, "30", "36")]


class TestExplain:
    def test_names_each_class_its_price_and_its_exact_amount(self) -> None:
        row = Booked(
            quantities={"in_fresh": 1_000_000, "out_text": 1_000_000},
            price_ids={"in_fresh": 1, "out_text": 2},
            input_tokens=1_000_000,
            cost=40 * 10**9,
            sale=48 * 10**9,
        )
        shown = explain(row, PRICES).to_json(with_cost=True)
        assert shown["sale"] == "48.00"
        assert shown["cost"] == "40.00"
        assert shown["adds_up"] is True
        assert [(line["meter"], line["price_id"], line["amount"]) for line in shown["lines"]] == [
            ("in_fresh", 1, "12"),
            ("out_text", 2, "36"),
        ]
        assert shown["lines"][0]["unit_price"] == "0.000012"
        assert shown["lines"][0]["unit_price_per_million"] == "12"

    def test_hides_what_we_pay_from_a_customer(self) -> None:
        row = Booked(quantities={"in_fresh": 5}, price_ids={"in_fresh": 1}, sale=60_000, cost=50_000)
        assert "cost" not in str(explain(row, PRICES).to_json(with_cost=False))

    @given(
        st.dictionaries(
            st.sampled_from([Meter.IN_FRESH, Meter.OUT_TEXT, Meter.OUT_REASONING, Meter.CACHE_READ]),
            st.integers(0, 10**7),
        )
    )
    def test_adds_up_to_what_rating_booked(self, quantities: dict[Meter, int]) -> None:
        odd = [price(1, Meter.IN_FRESH, "0.123456789", "0.987654321"), price(2, Meter.OUT_TEXT, "7", "7.7")]
        usage = Usage(quantities)
        rated = rate(PriceBook(odd).quote(PROVIDER, "m", "USD", 0), usage, "USD")
        row = Booked(
            quantities={str(meter): quantity for meter, quantity in quantities.items()},
            price_ids={str(line.meter): line.price_id for line in rated.lines},
            input_tokens=usage.input_tokens,
            cost=rated.cost,
            sale=rated.sale,
        )
        explained = explain(row, odd)
        assert explained.sale_adds_up
        assert explained.to_json(with_cost=False)["sale"] == format_amount(rated.sale, "USD")
        assert sum(line.sale_atto for line in explained.lines) == explained.sale_exact_atto

    def test_says_whose_price_stands_in(self) -> None:
        row = Booked(quantities={"out_reasoning": 10}, price_ids={"out_reasoning": 2}, sale=360_000)
        explained = explain(row, PRICES)
        assert explained.to_json(with_cost=False)["lines"][0]["priced_as"] == "out_text"
        assert explained.notes == ("out_reasoning has no price of its own and takes that of out_text.",)

    def test_says_which_tier_applied(self) -> None:
        tier = price(3, Meter.IN_FRESH, "20", "24", tier_from=200_000)
        row = Booked(
            quantities={"in_fresh": 300_000},
            price_ids={"in_fresh": 3},
            input_tokens=300_000,
            sale=300_000 * 24_000,
        )
        (note,) = explain(row, [tier]).notes
        assert "more than 200000 input tokens" in note
        assert "300000" in note

    def test_says_that_a_class_had_no_price(self) -> None:
        explained = explain(Booked(quantities={"web_search": 2}), PRICES)
        assert explained.notes == ("web_search had no price and was charged at nothing.",)
        assert explained.to_json(with_cost=True)["lines"][0]["unit_price"] is None

    def test_says_that_a_picture_is_sold_by_its_tokens(self) -> None:
        row = Booked(quantities={"out_text": 100, "image": 1}, price_ids={"out_text": 2}, sale=3_600_000)
        assert explain(row, PRICES).notes == ("Pictures are sold by the tokens they were drawn with.",)

    def test_says_that_tokens_are_part_of_a_picture(self) -> None:
        row = Booked(quantities={"in_fresh": 10, "image": 1}, price_ids={"image": 3}, sale=50_000_000)
        explained = explain(row, [price(3, Meter.IMAGE, "40000", "50000")])
        assert explained.notes == ("in_fresh is part of the price of a picture.",)
        assert explained.sale_adds_up

    def test_says_why_nothing_was_charged(self) -> None:
        row = Booked(
            outcome=Outcome.PROVIDER_ERROR_BEFORE_OUTPUT,
            quantities={"in_fresh": 10},
            price_ids={"in_fresh": 1},
        )
        explained = explain(row, PRICES)
        assert not explained.sale_adds_up
        assert explained.notes == (
            "The provider failed before any output.",
            "Nothing was charged for it.",
        )

    def test_says_when_the_rule_charged_something_else(self) -> None:
        row = Booked(
            estimated=True, quantities={"in_fresh": 10}, price_ids={"in_fresh": 1}, sale=1, input_tokens=10
        )
        notes = explain(row, PRICES).notes
        assert notes[0].startswith("Not quantity times price")
        assert notes[1].startswith("Quantities are our estimate")

    def test_counters_have_no_price_per_million(self) -> None:
        searches = PriceRow(
            price_id=9,
            provider_id=PROVIDER,
            model="m",
            meter=Meter.WEB_SEARCH,
            currency="USD",
            effective_from_ms=0,
            tier_from=0,
            cost_atto=parse_price("0.01"),
            sale_atto=parse_price("0.012"),
        )
        row = Booked(quantities={"web_search": 2}, price_ids={"web_search": 9}, sale=24_000_000)
        (line,) = explain(row, [searches]).to_json(with_cost=False)["lines"]
        assert line["amount"] == "0.024"
        assert "unit_price_per_million" not in line
