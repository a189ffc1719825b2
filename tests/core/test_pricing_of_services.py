"""What must have a price depends on what is asked for; no price is never zero."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.core.estimate import Reach, affordable_output, hold_amount
from bursar.core.pricing import REQUIRED_METERS, ModelNotPriced, PriceBook, PriceRow, Quote, rate
from bursar.core.service import ENDPOINTS, Service
from bursar.core.usage import INPUT_METERS, OUTPUT_METERS, Meter, Usage

PROVIDER = UUID(int=7)
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
USD = 10**9
"""Atto in one unit of the asset."""

sold_at = st.dictionaries(st.sampled_from(Meter), st.integers(1, 10**14))
used = st.dictionaries(st.sampled_from(Meter), st.integers(0, 10**6))


def book(prices: dict[Meter, int], tier_from: int = 0) -> PriceBook:
    rows = [
        replace(PLAIN, price_id=number, meter=meter, sale_atto=sale, cost_atto=sale, tier_from=tier_from)
        for number, (meter, sale) in enumerate(prices.items())
    ]
    return PriceBook(rows)


def quote(service: Service, prices: dict[Meter, int]) -> Quote:
    return book(prices).quote(PROVIDER, "m", "USD", 0, service)


class TestQuote:
    @pytest.mark.parametrize(
        ("service", "meters"),
        [
            (Service.CHAT, "in_fresh"),
            (Service.CHAT, "out_text"),
            (Service.CHAT, "image"),
            (Service.EMBEDDINGS, "out_text"),
            (Service.EMBEDDINGS, "request"),
            (Service.IMAGES, "in_fresh"),
            (Service.IMAGES, "out_image"),
            (Service.IMAGES, "in_image out_text"),
        ],
    )
    def test_refuses_without_what_is_sold(self, service: Service, meters: str) -> None:
        with pytest.raises(ModelNotPriced, match="has no"):
            quote(service, {Meter(meter): 1 for meter in meters.split()})

    @pytest.mark.parametrize(
        ("service", "meters"),
        [
            (Service.CHAT, "in_fresh out_text"),
            (Service.EMBEDDINGS, "in_fresh"),
            (Service.IMAGES, "image"),
            (Service.IMAGES, "in_fresh out_image"),
            (Service.IMAGES, "in_fresh out_text"),
        ],
    )
    def test_is_given_with_it(self, service: Service, meters: str) -> None:
        assert quote(service, {Meter(meter): 1 for meter in meters.split()}).sheets

    def test_needs_a_price_for_requests_of_any_size(self) -> None:
        with pytest.raises(ModelNotPriced):
            book({Meter.IN_FRESH: 1}, tier_from=1_000).quote(PROVIDER, "m", "USD", 0, Service.EMBEDDINGS)

    def test_of_one_service_is_not_taken_for_another(self) -> None:
        prices = book({Meter.IN_FRESH: 1})
        assert prices.quote(PROVIDER, "m", "USD", 0, Service.EMBEDDINGS)
        with pytest.raises(ModelNotPriced):
            prices.quote(PROVIDER, "m", "USD", 0)

    def test_every_service_has_an_endpoint_and_something_to_sell(self) -> None:
        assert set(ENDPOINTS) == set(REQUIRED_METERS) == set(Service)

    def test_a_book_knows_names_it_has_a_price_for_in_force(self) -> None:
        prices = PriceBook([replace(PLAIN, effective_from_ms=10)])
        assert prices.knows(PROVIDER, "m", "USD", 10)
        assert not prices.knows(PROVIDER, "m", "USD", 9)
        assert not prices.knows(PROVIDER, "m:hd", "USD", 10)


class TestPictures:
    def test_are_sold_by_the_piece_or_by_tokens_never_by_both(self) -> None:
        prices = {Meter.IN_FRESH: 1, Meter.OUT_TEXT: 5, Meter.OUT_IMAGE: 7, Meter.IMAGE: 1_000}
        usage = Usage({Meter.IN_FRESH: 10 * USD, Meter.OUT_IMAGE: 100 * USD, Meter.IMAGE: 2 * USD})
        by_piece = rate(quote(Service.IMAGES, prices), usage, "USD")
        by_tokens = rate(quote(Service.IMAGES, {**prices, Meter.IMAGE: 0}), usage, "USD")
        del prices[Meter.IMAGE]
        unpiced = rate(quote(Service.IMAGES, prices), usage, "USD")
        assert (by_piece.sale, by_piece.unpriced) == (10 + 2_000, ())
        assert (by_tokens.sale, by_tokens.unpriced) == (10, ())  # an explicit zero is a price
        assert (unpiced.sale, unpiced.unpriced) == (10 + 700, ())

    def test_sold_by_count_alone_say_so(self) -> None:
        assert quote(Service.IMAGES, {Meter.IMAGE: 1}).is_by_count
        assert not quote(Service.IMAGES, {Meter.IMAGE: 1, Meter.IN_FRESH: 1}).is_by_count
        assert not quote(Service.EMBEDDINGS, {Meter.IN_FRESH: 1}).is_by_count

    def test_name_what_was_used_and_has_no_price(self) -> None:
        usage = Usage({Meter.IN_FRESH: 1, Meter.OUT_IMAGE: 1, Meter.IMAGE: 1, Meter.WEB_SEARCH: 1})
        rated = rate(quote(Service.IMAGES, {Meter.IN_FRESH: 1, Meter.OUT_IMAGE: 1}), usage, "USD")
        assert rated.unpriced == (Meter.WEB_SEARCH,)


class TestRate:
    @given(sold_at, used, st.sampled_from(Service))
    def test_takes_no_unit_of_what_is_required_for_nothing(
        self, prices: dict[Meter, int], quantities: dict[Meter, int], service: Service
    ) -> None:
        """Everything is dear here: what costs nothing was unpriced, and is named or sold with something."""
        try:
            quoted = quote(service, prices)
        except ModelNotPriced:
            assert not any(set(group) <= set(prices) for group in REQUIRED_METERS[service])
            return
        rated = rate(quoted, Usage(quantities), "USD")
        lines = {line.meter for line in rated.lines}
        for meter, quantity in quantities.items():
            if quantity:
                assert meter in lines or meter in rated.unpriced or meter in quoted.included
        for group in REQUIRED_METERS[service]:
            if set(group) <= set(prices):
                assert not set(group) & set(rated.unpriced)
                break


class TestHold:
    @given(sold_at, st.integers(0, 10**6), st.integers(0, 10), st.integers(0, 10**5))
    def test_covers_all_that_may_be_used(
        self, prices: dict[Meter, int], sent: int, pictures: int, tokens: int
    ) -> None:
        prices = {**prices, Meter.IN_FRESH: prices.get(Meter.IN_FRESH, 1), Meter.OUT_IMAGE: 3}
        quoted = quote(Service.IMAGES, prices)
        counted = {Meter.IMAGE: pictures, Meter.OUT_IMAGE: tokens}
        held = hold_amount(quoted, sent, 0, "USD", Reach(counters=counted))
        assert held >= rate(quoted, Usage({Meter.IN_FRESH: sent, **counted}), "USD").sale

    def test_of_an_embedding_is_its_input(self) -> None:
        quoted = quote(Service.EMBEDDINGS, {Meter.IN_FRESH: 3 * USD})
        assert hold_amount(quoted, 100, 0, "USD") == 300
        assert affordable_output(quoted, 299, 100, "USD") == 0

    def test_of_pictures_by_the_piece_takes_no_notice_of_tokens(self) -> None:
        quoted = quote(Service.IMAGES, {Meter.IMAGE: 50 * USD})
        reach = Reach(counters={Meter.IMAGE: 4, Meter.OUT_IMAGE: 10_000})
        assert hold_amount(quoted, 1_000, 0, "USD", reach) == 200
        assert set(quoted.included) >= INPUT_METERS | OUTPUT_METERS
