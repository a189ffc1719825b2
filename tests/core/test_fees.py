"""The platform fee of requests on customers' own credentials: exact, rounded once, never above its hold."""

from dataclasses import dataclass, field, replace
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.core.estimate import Reach, affordable_output, hold_amount
from bursar.core.explanation import OWN_KEY_NOTE, explain
from bursar.core.fees import PLATFORM_FEE, Fee, FeeBook, FeeInvalid, fee_quote, rate_fee
from bursar.core.money import ASSET_SCALE, parse_price, parse_price_per_million, round_up
from bursar.core.payer import Outcome
from bursar.core.pricing import CurrencyMismatch, ModelNotPriced, PriceBook, PriceRow, Quote, rate
from bursar.core.usage import CACHE_WRITE_METERS, Meter, Usage

PROVIDER = UUID(int=7)
ORGANISATION, OTHER = UUID(int=1), UUID(int=2)
TOKENS = [Meter.IN_FRESH, Meter.CACHE_READ, Meter.CACHE_WRITE_5M, Meter.OUT_TEXT, Meter.OUT_REASONING]

assets = st.sampled_from(sorted(ASSET_SCALE))
costs_atto = st.integers(0, 10**15)
millionths = st.integers(0, 10_000_000)
fixed_atto = st.integers(0, 10**18)
quantities = st.dictionaries(st.sampled_from(TOKENS), st.integers(0, 10**6))


def fee_of(millionths: int = 50_000, fixed_atto: int = 0, **changed: object) -> Fee:
    made = Fee(
        fee_id=3,
        organisation_id=None,
        currency="USD",
        effective_from_ms=0,
        millionths=millionths,
        fixed_atto=fixed_atto,
    )
    return replace(made, **changed)  # type: ignore[arg-type]  # fields of a fee


def price(number: int, meter: Meter, cost_atto: int, currency: str = "USD", tier_from: int = 0) -> PriceRow:
    return PriceRow(
        price_id=number,
        provider_id=PROVIDER,
        model="m",
        meter=meter,
        currency=currency,
        effective_from_ms=0,
        tier_from=tier_from,
        cost_atto=cost_atto,
        sale_atto=cost_atto * 2,
    )


def quote_of(*rows: PriceRow, currency: str = "USD") -> Quote:
    return PriceBook(rows).quote(PROVIDER, "m", currency, 0)


LIST = [
    price(1, Meter.IN_FRESH, parse_price_per_million("2")),
    price(2, Meter.OUT_TEXT, parse_price_per_million("8")),
]


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


class TestFee:
    def test_is_a_percentage_of_list_cost_and_a_fixed_amount(self) -> None:
        usage = Usage({Meter.IN_FRESH: 1_000_000, Meter.OUT_TEXT: 500_000})
        rated = rate_fee(quote_of(*LIST), usage, fee_of(fixed_atto=parse_price("0.001")))
        assert rated.sale == 301_000_000  # 5 % of 6.00 and 0.001
        assert rated.cost == 0
        assert [line.cost_atto for line in rated.lines] == [2 * 10**18, 4 * 10**18]

    def test_may_be_nothing(self) -> None:
        usage = Usage({Meter.IN_FRESH: 1_000_000})
        assert rate_fee(quote_of(*LIST), usage, fee_of(0, 0)).sale == 0

    def test_rounds_a_tie_to_the_even_neighbour(self) -> None:
        unit = 10**9  # atto in a unit of USD
        assert [fee_of(500_000).amount(unit * odd) for odd in (1, 3, 5)] == [0, 2, 2]

    def test_names_meters_without_a_price(self) -> None:
        rated = rate_fee(quote_of(*LIST), Usage({Meter.WEB_SEARCH: 2}), fee_of())
        assert (rated.sale, rated.unpriced) == (0, (Meter.WEB_SEARCH,))

    def test_is_never_negative(self) -> None:
        for wrong in ({"millionths": -1}, {"fixed_atto": -1}):
            with pytest.raises(FeeInvalid):
                fee_of(**wrong)

    def test_is_of_one_currency(self) -> None:
        with pytest.raises(CurrencyMismatch):
            rate_fee(quote_of(*LIST), Usage({}), fee_of(currency="EUR"))

    @given(assets, costs_atto, costs_atto, millionths, fixed_atto, quantities)
    def test_is_exact_and_rounded_once(  # noqa: PLR0913, PLR0917 - each drawn by itself
        self, asset: str, input_cost: int, output_cost: int, share: int, fixed: int, used: dict[Meter, int]
    ) -> None:
        quote = quote_of(
            price(1, Meter.IN_FRESH, input_cost, asset),
            price(2, Meter.OUT_TEXT, output_cost, asset),
            currency=asset,
        )
        usage = Usage(used)
        rated = rate_fee(quote, usage, fee_of(share, fixed, currency=asset))
        due = Fraction(fixed) + Fraction(share, 10**6) * (
            input_cost * usage.input_tokens + output_cost * usage.output_tokens
        )
        # round() of a Fraction is half to even: another road to the same rounding.
        assert rated.sale == round(due / 10 ** (18 - ASSET_SCALE[asset]))
        assert rated.cost == 0
        assert rated.lines == rate(quote, usage, asset).lines

    @given(costs_atto, costs_atto, millionths, fixed_atto, quantities)
    def test_never_exceeds_what_is_held_for_it(
        self, input_cost: int, output_cost: int, share: int, fixed: int, used: dict[Meter, int]
    ) -> None:
        quote = quote_of(
            price(1, Meter.IN_FRESH, input_cost),
            price(2, Meter.OUT_TEXT, output_cost),
            price(4, Meter.CACHE_WRITE_5M, input_cost * 2),
            price(5, Meter.IN_FRESH, input_cost * 3, tier_from=1_000),
        )
        fee, usage = fee_of(share, fixed), Usage(used)
        reach = Reach(may_write_cache=True, meters=CACHE_WRITE_METERS)
        held = hold_amount(fee_quote(quote, fee), usage.input_tokens, usage.output_tokens, "USD", reach)
        assert rate_fee(quote, usage, fee).sale <= held

    @given(costs_atto, costs_atto, millionths, fixed_atto, st.integers(0, 10**6), st.integers(0, 10**6))
    def test_is_held_for_to_the_unit(  # noqa: PLR0913, PLR0917 - each drawn by itself
        self, input_cost: int, output_cost: int, share: int, fixed: int, tokens_in: int, tokens_out: int
    ) -> None:
        quote = quote_of(price(1, Meter.IN_FRESH, input_cost), price(2, Meter.OUT_TEXT, output_cost))
        fee = fee_of(share, fixed)
        held = hold_amount(fee_quote(quote, fee), tokens_in, tokens_out, "USD")
        due = fee.amount(input_cost * tokens_in + output_cost * tokens_out, round_up)
        # Unit prices round up to whole atto: less than one atto a token, and a unit is 10^9 of them.
        assert due <= held <= due + 1


class TestFeeQuote:
    def test_costs_us_nothing(self) -> None:
        quote = fee_quote(quote_of(*LIST), fee_of(fixed_atto=5))
        assert {price.cost_atto for sheet in quote.sheets for price in sheet.values()} == {0}

    def test_leaves_the_price_book_alone(self) -> None:
        quote = quote_of(*LIST)
        before = hold_amount(quote, 10, 10, "USD")
        assert hold_amount(fee_quote(quote, fee_of()), 10, 10, "USD") < before
        assert hold_amount(quote, 10, 10, "USD") == before

    def test_says_how_much_output_the_money_covers(self) -> None:
        quote = fee_quote(quote_of(*LIST), fee_of(fixed_atto=parse_price("0.001")))
        # 0.4 per million tokens of output, after 0.001 for the request
        assert affordable_output(quote, 1_400_000, 0, "USD") == 1_000
        assert affordable_output(quote, 999_999, 0, "USD") == 0


class TestFeeBook:
    def test_prefers_the_organisations_own(self) -> None:
        mine = fee_of(fee_id=1, organisation_id=ORGANISATION)
        everybodys = fee_of(fee_id=2, effective_from_ms=5)
        book = FeeBook([everybodys, mine])
        assert book.in_force(ORGANISATION, "USD", 10) is mine
        assert book.in_force(OTHER, "USD", 10) is everybodys

    def test_takes_the_newest_not_after_the_moment(self) -> None:
        old, new = fee_of(fee_id=9, effective_from_ms=5), fee_of(fee_id=8, effective_from_ms=6)
        book = FeeBook([old, new])
        assert [book.in_force(OTHER, "USD", at_ms).fee_id for at_ms in (5, 6, 7)] == [9, 8, 8]

    def test_falls_back_to_everybodys_until_its_own_begins(self) -> None:
        mine = fee_of(fee_id=1, organisation_id=ORGANISATION, effective_from_ms=100)
        book = FeeBook([mine, fee_of(fee_id=2)])
        assert [book.in_force(ORGANISATION, "USD", at_ms).fee_id for at_ms in (99, 100)] == [2, 1]

    def test_makes_the_quote_of_a_fee_once_for_each_quote_of_the_price_book(self) -> None:
        fee, quote = fee_of(), quote_of(*LIST)
        book = FeeBook([fee])
        made = book.quote(quote, fee)
        assert book.quote(quote, fee) is made
        dearer = quote_of(price(1, Meter.IN_FRESH, 10**15), price(2, Meter.OUT_TEXT, 10**15))
        assert hold_amount(book.quote(dearer, fee), 1, 1, "USD") == 2 * 10**6 // 20
        assert hold_amount(book.quote(dearer, replace(fee, fee_id=4, millionths=0)), 1, 1, "USD") == 0

    def test_refuses_a_currency_without_one(self) -> None:
        with pytest.raises(ModelNotPriced):
            FeeBook([fee_of()]).in_force(OTHER, "EUR", 10)
        with pytest.raises(ModelNotPriced):
            FeeBook([fee_of(effective_from_ms=11)]).in_force(OTHER, "USD", 10)


class TestExplainedFee:
    ROW = Booked(
        quantities={"in_fresh": 1_000_000, "out_text": 500_000},
        price_ids={"in_fresh": 1, "out_text": 2, PLATFORM_FEE: 3},
        input_tokens=1_000_000,
        sale=301_000_000,
    )

    def test_says_what_was_charged_and_for_what(self) -> None:
        shown = explain(self.ROW, LIST, [fee_of(fixed_atto=parse_price("0.001"))]).to_json(with_cost=False)
        assert (shown["sale"], shown["sale_exact"], shown["adds_up"]) == ("0.301", "0.301", True)
        assert (shown["own_key"], shown["list_cost"]) == (True, "6")
        assert shown["fee"] == {"id": 3, "percent_of_list_cost": "5", "per_request": "0.001"}
        assert [(line["meter"], line["unit_list_cost_per_million"]) for line in shown["lines"]] == [
            ("in_fresh", "2"),
            ("out_text", "8"),
        ]
        assert [line["list_cost"] for line in shown["lines"]] == ["2", "4"]
        assert shown["notes"] == [OWN_KEY_NOTE]

    def test_names_no_sale_price_that_was_not_asked(self) -> None:
        shown = explain(self.ROW, LIST, [fee_of()]).to_json(with_cost=True)
        assert shown["cost"] == "0.00"
        assert not {"unit_price", "amount", "unit_cost"} & {name for line in shown["lines"] for name in line}

    def test_says_when_nothing_was_charged(self) -> None:
        failed = replace(self.ROW, sale=0, outcome=Outcome.PROVIDER_ERROR_BEFORE_OUTPUT)
        shown = explain(failed, LIST, [fee_of()]).to_json(with_cost=False)
        assert shown["adds_up"] is False
        assert "Nothing was charged for it." in shown["notes"]

    def test_says_when_less_was_charged(self) -> None:
        shown = explain(replace(self.ROW, sale=1), LIST, [fee_of()]).to_json(with_cost=False)
        assert any(note.startswith("Not the fee on these quantities") for note in shown["notes"])

    @given(millionths, fixed_atto, quantities)
    def test_adds_up_to_what_rating_booked(self, share: int, fixed: int, used: dict[Meter, int]) -> None:
        fee = fee_of(share, fixed)
        rated = rate_fee(quote_of(*LIST), Usage(used), fee)
        row = Booked(
            quantities={meter.value: quantity for meter, quantity in used.items()},
            price_ids={line.meter.value: line.price_id for line in rated.lines} | {PLATFORM_FEE: fee.fee_id},
            sale=rated.sale,
        )
        assert explain(row, LIST, [fee]).sale_adds_up
