import re
from dataclasses import replace
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.core.money import format_amount, parse_price_per_million
from bursar.core.pricing import (
    METER_FALLBACK,
    CurrencyMismatch,
    ModelNotPriced,
    PriceBook,
    PriceInvalid,
    PriceRow,
    Quote,
    RatedLine,
    rate,
)
from bursar.core.usage import Meter, Usage

PROVIDER = UUID(int=7)
NOW_MS = 1_790_000_000_000

prices = st.integers(0, 10**16)
quantities = st.dictionaries(st.sampled_from(Meter), st.integers(0, 10**7))
thresholds = st.integers(1, 10**6)


PLAIN = PriceRow(
    price_id=1,
    provider_id=PROVIDER,
    model="m",
    meter=Meter.IN_FRESH,
    currency="USD",
    effective_from_ms=0,
    tier_from=0,
    cost_atto=0,
    sale_atto=0,
)


def row(meter: Meter, sale_atto: int, **others: Any) -> PriceRow:
    return replace(PLAIN, meter=meter, sale_atto=sale_atto, **others)


def quote_of(*rows: PriceRow, currency: str = "USD", at_ms: int = NOW_MS) -> Quote:
    return PriceBook(rows).quote(PROVIDER, "m", currency, at_ms)


def sold_per_million(
    meter: Meter, cost: str, margin_percent: int, price_id: int, tier_from: int = 0
) -> PriceRow:
    cost_atto = parse_price_per_million(cost)
    sale_atto = cost_atto * (100 + margin_percent) // 100
    return row(meter, sale_atto, cost_atto=cost_atto, price_id=price_id, tier_from=tier_from)


@st.composite
def price_books(draw: st.DrawFn) -> list[PriceRow]:
    """Rows of one model with in and out priced, other meters sometimes, tiers sometimes."""
    places = {(Meter.IN_FRESH, 0), (Meter.OUT_TEXT, 0)}
    places |= draw(st.sets(st.tuples(st.sampled_from(Meter), st.just(0) | thresholds), max_size=12))
    return [
        row(meter, draw(prices), price_id=number, tier_from=tier_from, cost_atto=draw(prices))
        for number, (meter, tier_from) in enumerate(sorted(places))
    ]


class TestRate:
    def test_of_the_documents_own_example_is_48_for_a_cost_of_40(self) -> None:
        quote = quote_of(
            sold_per_million(Meter.IN_FRESH, "10", 20, price_id=1),
            sold_per_million(Meter.OUT_TEXT, "30", 20, price_id=2),
        )
        rating = rate(quote, Usage({Meter.IN_FRESH: 10**6, Meter.OUT_TEXT: 10**6}), "USD")
        assert (format_amount(rating.cost, "USD"), format_amount(rating.sale, "USD")) == ("40.00", "48.00")

    @given(price_books(), quantities)
    def test_is_the_exact_sum_rounded_once(self, rows: list[PriceRow], figures: dict[Meter, int]) -> None:
        rating = rate(quote_of(*rows), Usage(figures), "USD")
        exact_sale = Fraction(sum(line.sale_atto for line in rating.lines), 10**9)
        exact_cost = Fraction(sum(line.cost_atto for line in rating.lines), 10**9)
        assert (rating.cost, rating.sale) == (round(exact_cost), round(exact_sale))

    @given(price_books(), quantities)
    def test_names_every_meter_used_once_as_a_line_or_as_unpriced(
        self, rows: list[PriceRow], figures: dict[Meter, int]
    ) -> None:
        rating = rate(quote_of(*rows), Usage(figures), "USD")
        named = [line.meter for line in rating.lines] + list(rating.unpriced)
        used = {meter for meter, quantity in figures.items() if quantity}
        assert len(named) == len(set(named))
        assert set(named) | {Meter.REQUEST} == used | {Meter.REQUEST}

    @given(price_books(), quantities)
    def test_takes_each_price_from_the_meter_or_its_first_priced_stand_in(
        self, rows: list[PriceRow], figures: dict[Meter, int]
    ) -> None:
        usage = Usage(figures)
        reached = [one for one in rows if one.tier_from == 0 or usage.input_tokens > one.tier_from]
        for line in rate(quote_of(*rows), usage, "USD").lines:
            for meter in (line.meter, *METER_FALLBACK.get(line.meter, ())):
                own = [one for one in reached if one.meter is meter]
                if own:
                    break
            expected = max(own, key=lambda one: one.tier_from)
            assert line.price_id == expected.price_id
            assert line.sale_atto == line.quantity * expected.sale_atto
            assert line.cost_atto == line.quantity * expected.cost_atto

    @given(price_books(), quantities, st.integers(1, 1_000))
    def test_never_falls_when_output_grows(
        self, rows: list[PriceRow], figures: dict[Meter, int], more: int
    ) -> None:
        quote = quote_of(*rows)
        grown = {**figures, Meter.OUT_TEXT: figures.get(Meter.OUT_TEXT, 0) + more}
        assert rate(quote, Usage(grown), "USD").sale >= rate(quote, Usage(figures), "USD").sale

    def test_rounds_half_to_even(self) -> None:
        quote = quote_of(row(Meter.IN_FRESH, 5 * 10**8), row(Meter.OUT_TEXT, 0))
        sales = [rate(quote, Usage({Meter.IN_FRESH: n}), "USD").sale for n in (1, 2, 3, 5, 7)]
        assert sales == [0, 1, 2, 2, 4]

    def test_keeps_a_zero_price_visible(self) -> None:
        quote = quote_of(row(Meter.IN_FRESH, 0, price_id=3), row(Meter.OUT_TEXT, 0, price_id=4))
        rating = rate(quote, Usage({Meter.IN_FRESH: 5}), "USD")
        assert rating.lines == (RatedLine(Meter.IN_FRESH, 5, 3, 0, 0),)
        assert rating.unpriced == ()

    def test_books_a_fact_without_a_price_and_says_so(self) -> None:
        quote = quote_of(row(Meter.IN_FRESH, 10**9), row(Meter.OUT_TEXT, 10**9))
        rating = rate(quote, Usage({Meter.IN_FRESH: 5, Meter.WEB_SEARCH: 2, Meter.REQUEST: 1}), "USD")
        assert (rating.sale, rating.unpriced) == (5, (Meter.WEB_SEARCH,))

    def test_charges_per_request_where_that_is_priced(self) -> None:
        quote = quote_of(row(Meter.IN_FRESH, 0), row(Meter.OUT_TEXT, 0), row(Meter.REQUEST, 20 * 10**9))
        assert rate(quote, Usage({Meter.REQUEST: 1}), "USD").sale == 20

    @pytest.mark.parametrize(("asset", "sale"), [("CNY", 1_500_000_000), ("JPY", 15_000_000)])
    def test_counts_in_the_scale_of_the_asset(self, asset: str, sale: int) -> None:
        rows = [row(meter, 10**18, currency=asset) for meter in (Meter.IN_FRESH, Meter.OUT_TEXT)]
        half = row(Meter.REQUEST, 5 * 10**17, currency=asset)
        quote = quote_of(*rows, half, currency=asset)
        assert rate(quote, Usage({Meter.IN_FRESH: 1, Meter.REQUEST: 1}), asset).sale == sale

    def test_refuses_a_wallet_in_another_currency(self) -> None:
        quote = quote_of(row(Meter.IN_FRESH, 1), row(Meter.OUT_TEXT, 1))
        with pytest.raises(CurrencyMismatch):
            rate(quote, Usage({Meter.IN_FRESH: 1}), "EUR")


class TestTiers:
    """A public long-context list: 5 in and 30 out per million, 10 and 45 above 272k input tokens."""

    quote = quote_of(
        sold_per_million(Meter.IN_FRESH, "5", 0, price_id=1),
        sold_per_million(Meter.OUT_TEXT, "30", 0, price_id=2),
        sold_per_million(Meter.IN_FRESH, "10", 0, price_id=3, tier_from=272_000),
        sold_per_million(Meter.OUT_TEXT, "45", 0, price_id=4, tier_from=272_000),
    )

    @pytest.mark.parametrize(("input_tokens", "sale"), [(272_000, "1.39"), (272_001, "2.76501")])
    def test_price_the_whole_request_once_exceeded(self, input_tokens: int, sale: str) -> None:
        usage = Usage({Meter.IN_FRESH: input_tokens, Meter.OUT_TEXT: 1_000})
        assert format_amount(rate(self.quote, usage, "USD").sale, "USD") == sale

    def test_count_cached_input_too(self) -> None:
        usage = Usage({Meter.IN_FRESH: 1, Meter.CACHE_READ: 272_000, Meter.OUT_TEXT: 1_000})
        assert [line.price_id for line in rate(self.quote, usage, "USD").lines] == [3, 3, 4]

    def test_make_an_aggregate_cost_something_else_so_it_is_never_priced(self) -> None:
        one = Usage({Meter.IN_FRESH: 10_000, Meter.OUT_TEXT: 500})
        summed = Usage({Meter.IN_FRESH: 10_000_000, Meter.OUT_TEXT: 500_000})
        assert format_amount(1_000 * rate(self.quote, one, "USD").sale, "USD") == "65.00"
        assert format_amount(rate(self.quote, summed, "USD").sale, "USD") == "122.50"

    @given(st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 5_000)), min_size=2, max_size=30))
    def test_never_make_requests_cheaper_one_by_one_than_summed_plus_rounding(
        self, requests: list[tuple[int, int]]
    ) -> None:
        def sale(tokens_in: int, tokens_out: int) -> int:
            usage = Usage({Meter.IN_FRESH: tokens_in, Meter.OUT_TEXT: tokens_out})
            return rate(self.quote, usage, "USD").sale

        one_by_one = sum(sale(*request) for request in requests)
        summed = sale(sum(t for t, _ in requests), sum(t for _, t in requests))
        crossed = sum(t for t, _ in requests) > 272_000
        assert (one_by_one < summed) == crossed

    @given(price_books(), st.integers(0, 2 * 10**6))
    def test_are_reached_only_by_exceeding_them(self, rows: list[PriceRow], input_tokens: int) -> None:
        quote = quote_of(*rows)
        tiers = [
            one.tier_from for one in rows if one.meter is Meter.OUT_TEXT and one.tier_from < input_tokens
        ]
        reached = max(tiers, default=0)
        [expected] = [one for one in rows if one.meter is Meter.OUT_TEXT and one.tier_from == reached]
        assert quote.sale_atto(Meter.OUT_TEXT, input_tokens) == expected.sale_atto
        assert quote.cost_atto(Meter.OUT_TEXT, input_tokens) == expected.cost_atto


class TestPriceBook:
    def test_answers_the_newest_row_not_after_the_moment(self) -> None:
        book = PriceBook(
            [
                row(Meter.IN_FRESH, 3, price_id=3, effective_from_ms=300),
                row(Meter.IN_FRESH, 1, price_id=1, effective_from_ms=100),
                row(Meter.IN_FRESH, 2, price_id=2, effective_from_ms=200),
                row(Meter.OUT_TEXT, 9, price_id=9),
            ]
        )
        moments = [100, 199, 200, 299, 300, 10**12, 250, 150]
        sales = [book.quote(PROVIDER, "m", "USD", at_ms).sale_atto(Meter.IN_FRESH, 0) for at_ms in moments]
        assert sales == [1, 1, 2, 2, 3, 3, 2, 1]

    @given(
        st.lists(
            st.tuples(st.integers(0, 50), prices), min_size=1, max_size=10, unique_by=lambda pair: pair[0]
        ),
        st.lists(st.integers(0, 60), min_size=1, max_size=20),
    )
    def test_never_serves_a_kept_quote_outside_its_time(
        self, history: list[tuple[int, int]], moments: list[int]
    ) -> None:
        rows = [row(Meter.OUT_TEXT, 0), row(Meter.IN_FRESH, 0)]
        rows += [
            row(Meter.OUT_TEXT, sale, price_id=2, effective_from_ms=since_ms)
            for since_ms, sale in history
            if since_ms
        ]
        book = PriceBook(rows)
        for at_ms in moments:
            kept = book.quote(PROVIDER, "m", "USD", at_ms)
            assert kept == PriceBook(rows).quote(PROVIDER, "m", "USD", at_ms)
            assert book.quote(PROVIDER, "m", "USD", at_ms) is kept

    def test_dates_each_tier_by_itself(self) -> None:
        book = PriceBook(
            [
                row(Meter.IN_FRESH, 1, price_id=1),
                row(Meter.OUT_TEXT, 1, price_id=2),
                row(Meter.IN_FRESH, 7, price_id=3, tier_from=10),
                row(Meter.IN_FRESH, 2, price_id=4, effective_from_ms=50),
            ]
        )
        quote = book.quote(PROVIDER, "m", "USD", 60)
        assert (quote.sale_atto(Meter.IN_FRESH, 10), quote.sale_atto(Meter.IN_FRESH, 11)) == (2, 7)

    def test_takes_the_row_added_last_when_two_share_a_moment(self) -> None:
        quote = quote_of(
            row(Meter.IN_FRESH, 2, price_id=2),
            row(Meter.IN_FRESH, 1, price_id=1),
            row(Meter.OUT_TEXT, 0, price_id=3),
        )
        assert quote.sale_atto(Meter.IN_FRESH, 0) == 2

    @pytest.mark.parametrize(
        ("rows", "missing"),
        [
            ([], "no in_fresh and no out_text"),
            ([row(Meter.IN_FRESH, 1)], "no out_text"),
            ([row(Meter.IN_FRESH, 1), row(Meter.OUT_TEXT, 1, tier_from=5)], "no out_text"),
            ([row(Meter.IN_FRESH, 1, effective_from_ms=NOW_MS + 1), row(Meter.OUT_TEXT, 1)], "no in_fresh"),
            ([row(Meter.IN_FRESH, 1, currency="EUR"), row(Meter.OUT_TEXT, 1)], "no in_fresh"),
        ],
    )
    def test_refuses_a_model_without_a_price_in_and_out(self, rows: list[PriceRow], missing: str) -> None:
        with pytest.raises(ModelNotPriced, match=re.escape(missing)):
            quote_of(*rows)

    def test_refuses_a_meter_without_a_price_or_stand_in(self) -> None:
        quote = quote_of(row(Meter.IN_FRESH, 1), row(Meter.OUT_TEXT, 1))
        with pytest.raises(ModelNotPriced, match="no web_search price"):
            quote.sale_atto(Meter.WEB_SEARCH, 0)

    @pytest.mark.parametrize("figures", [{"sale_atto": -1}, {"cost_atto": -1}, {"tier_from": -1}])
    def test_refuses_a_negative_figure(self, figures: dict[str, int]) -> None:
        with pytest.raises(PriceInvalid):
            PriceBook([row(Meter.IN_FRESH, **{"sale_atto": 1, **figures})])
