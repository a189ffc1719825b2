"""The order of deployments: what each strategy promises, for any deployments."""

import math
from collections import Counter
from dataclasses import dataclass
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.core.pricing import PriceBook, PriceRow, Quote
from bursar.core.routing import (
    Standing,
    Strategy,
    backoff_ms,
    estimate_atto,
    keeps_margin,
    latency_step,
    mix,
    ordered,
    overflows_context,
    race,
    tries_for,
)
from bursar.core.usage import Meter

words = st.integers(0, 2**64 - 1)
standings = st.lists(
    st.builds(
        Standing,
        key=words,
        priority=st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)),
        weight=st.integers(1, 1_000),
        latency_ms=st.none() | st.integers(0, 100_000),
        sale=st.integers(0, 5),
        cost=st.integers(0, 5),
    ),
    max_size=8,
)
PROVIDER = UUID(int=1)


@dataclass(frozen=True)
class Told:
    cost: int
    sale: int
    tier_from: int = 0
    meter: Meter = Meter.IN_FRESH


def quote_of(*told: Told) -> Quote:
    rows = [
        PriceRow(
            price_id=number,
            provider_id=PROVIDER,
            model="m",
            meter=one.meter,
            currency="USD",
            effective_from_ms=0,
            tier_from=one.tier_from,
            cost_atto=one.cost,
            sale_atto=one.sale,
        )
        for number, one in enumerate(told)
    ]
    return PriceBook(rows).quote(PROVIDER, "m", "USD", 1)


class TestEveryStrategy:
    @given(strategy=st.sampled_from(Strategy), ways=standings, seed=words, is_affine=st.booleans())
    def test_names_every_way_once(
        self, strategy: Strategy, ways: list[Standing], seed: int, *, is_affine: bool
    ) -> None:
        assert sorted(ordered(strategy, ways, seed=seed, is_affine=is_affine)) == list(range(len(ways)))

    @given(strategy=st.sampled_from(Strategy), ways=standings, seed=words, is_affine=st.booleans())
    def test_says_the_same_twice(
        self, strategy: Strategy, ways: list[Standing], seed: int, *, is_affine: bool
    ) -> None:
        first = ordered(strategy, ways, seed=seed, is_affine=is_affine)
        assert ordered(strategy, ways, seed=seed, is_affine=is_affine) == first

    @given(ways=standings, seed=words, is_affine=st.booleans())
    def test_by_priority_never_puts_a_higher_number_first(
        self, ways: list[Standing], seed: int, *, is_affine: bool
    ) -> None:
        order = ordered(Strategy.PRIORITY, ways, seed=seed, is_affine=is_affine)
        assert [ways[place].priority for place in order] == sorted(way.priority for way in ways)

    @given(standings, words)
    def test_by_priority_leaves_equals_as_listed(self, ways: list[Standing], seed: int) -> None:
        order = ordered(Strategy.PRIORITY, ways, seed=seed)
        assert order == sorted(order, key=lambda place: (ways[place].priority, place))

    @given(standings, words)
    def test_by_weight_keeps_the_priorities_of_routes(self, ways: list[Standing], seed: int) -> None:
        order = ordered(Strategy.WEIGHTED, ways, seed=seed)
        assert [ways[place].priority[:2] for place in order] == sorted(way.priority[:2] for way in ways)

    @given(standings, words)
    def test_by_price_never_puts_a_dearer_one_first(self, ways: list[Standing], seed: int) -> None:
        order = ordered(Strategy.CHEAPEST, ways, seed=seed)
        assert [(ways[place].sale, ways[place].cost) for place in order] == sorted(
            (way.sale, way.cost) for way in ways
        )

    @given(standings, words)
    def test_by_latency_tries_the_unknown_and_then_the_fastest(self, ways: list[Standing], seed: int) -> None:
        order = ordered(Strategy.LEAST_LATENCY, ways, seed=seed)
        steps = [latency_step(ways[place].latency_ms) for place in order]
        assert steps == sorted(steps)


class TestWeights:
    @pytest.mark.parametrize("weights", [(1, 1, 1), (1, 3, 6), (1, 1_000, 999)])
    def test_are_the_shares_of_first_tries(self, weights: tuple[int, ...]) -> None:
        """Twenty thousand draws; five standard deviations."""
        ways = [Standing(mix(number), (0, 0, 0), weight) for number, weight in enumerate(weights)]
        draws = 20_000
        firsts = Counter(
            ordered(Strategy.WEIGHTED, ways, seed=mix(1_000_003 * draw))[0] for draw in range(draws)
        )
        for place, weight in enumerate(weights):
            share = weight / sum(weights)
            assert abs(firsts[place] - draws * share) < 5 * math.sqrt(draws * share * (1 - share)) + 1

    @given(words, st.integers(1, 1_000))
    def test_make_a_runner_faster(self, seed: int, weight: int) -> None:
        assert race(seed, 7, weight + 1) <= race(seed, 7, weight)


class TestAffinity:
    @given(standings.filter(bool), words, st.integers(0, 7), st.sampled_from(Strategy))
    def test_moves_only_what_was_at_the_way_that_dropped_out(
        self, ways: list[Standing], seed: int, gone: int, strategy: Strategy
    ) -> None:
        order = ordered(strategy, ways, seed=seed, is_affine=True)
        left = [place for place in range(len(ways)) if place != gone]
        again = ordered(strategy, [ways[place] for place in left], seed=seed, is_affine=True)
        assert [left[place] for place in again] == [place for place in order if place != gone]

    def test_spreads_beginnings_evenly(self) -> None:
        ways = [Standing(mix(number), (0, 0, 0)) for number in range(5)]
        firsts = Counter(
            ordered(Strategy.PRIORITY, ways, seed=mix(beginning), is_affine=True)[0]
            for beginning in range(10_000)
        )
        assert all(1_800 < firsts[place] < 2_200 for place in range(5))


class TestLatencySteps:
    @given(st.integers(1, 10**6), st.integers(1, 10**6))
    def test_rise_with_latency(self, one: int, other: int) -> None:
        if one <= other:
            assert latency_step(one) <= latency_step(other)

    @given(st.integers(8, 10**6))
    def test_tell_apart_what_is_half_as_fast_again(self, latency_ms: int) -> None:
        assert latency_step(latency_ms) < latency_step(latency_ms * 3 // 2)


class TestTheMarginFloor:
    OUT = Told(100, 200, meter=Meter.OUT_TEXT)

    @pytest.mark.parametrize(
        ("cost", "sale", "floor", "kept"),
        [
            (100, 120, 200_000, True),
            (100, 119, 200_000, False),
            (100, 100, 0, True),
            (100, 99, 0, False),
            (0, 0, 500_000, True),
            (100, 90, -100_000, True),
        ],
    )
    def test_is_sale_over_cost(self, cost: int, sale: int, floor: int, *, kept: bool) -> None:
        assert keeps_margin(quote_of(Told(cost, sale), self.OUT), floor) is kept

    def test_holds_for_every_tier(self) -> None:
        quote = quote_of(Told(100, 150), Told(200, 201, tier_from=1_000), self.OUT)
        assert not keeps_margin(quote, 100_000)

    def test_holds_for_every_meter(self) -> None:
        quote = quote_of(Told(100, 150), self.OUT, Told(100, 100, meter=Meter.CACHE_READ))
        assert not keeps_margin(quote, 100_000)

    @given(
        st.integers(0, 10**6),
        st.integers(0, 10**6),
        st.integers(0, 10**6),
        st.integers(0, 10**6),
        st.integers(-900_000, 10**6),
        st.integers(0, 10**5),
        st.integers(0, 10**5),
    )
    def test_holds_for_any_mix_of_them(  # noqa: PLR0913, PLR0917 - two prices, a floor, two quantities
        self, in_cost: int, in_sale: int, out_cost: int, out_sale: int, floor: int, put_in: int, put_out: int
    ) -> None:
        quote = quote_of(Told(in_cost, in_sale), Told(out_cost, out_sale, meter=Meter.OUT_TEXT))
        if keeps_margin(quote, floor):
            cost = put_in * in_cost + put_out * out_cost
            sale = put_in * in_sale + put_out * out_sale
            assert sale * 1_000_000 >= cost * (1_000_000 + floor)


class TestTries:
    def test_leave_one_for_every_model_after(self) -> None:
        assert [tries_for(4, after) for after in range(6)] == [4, 3, 2, 1, 1, 1]


class TestBackoff:
    @given(st.integers(1, 60), st.integers(1, 10_000), st.integers(1, 60_000), words)
    def test_is_half_to_all_of_a_doubling_pause(
        self, number: int, first_ms: int, most_ms: int, draw: int
    ) -> None:
        pause_ms = min(first_ms * 2 ** min(number - 1, 30), most_ms)
        assert pause_ms // 2 <= backoff_ms(number, first_ms, most_ms, draw) <= pause_ms

    def test_differs_between_callers(self) -> None:
        assert len({backoff_ms(1, 200, 1_000, mix(draw)) for draw in range(100)}) > 50


class TestContext:
    def test_of_a_model_nobody_measured_takes_any(self) -> None:
        assert not overflows_context(None, 10**9)

    def test_overflows_when_even_half_the_estimate_is_too_much(self) -> None:
        assert not overflows_context(100, 200)
        assert overflows_context(100, 201)


class TestTheEstimate:
    def test_adds_up_what_has_a_price(self) -> None:
        quote = quote_of(Told(2, 3), Told(5, 7, meter=Meter.OUT_TEXT))
        assert estimate_atto(quote, 10, 100, {Meter.IMAGE: 4}) == (730, 520)
