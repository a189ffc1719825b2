"""The pure half of the price import: genai-prices' data in, rows of the price book out."""

from datetime import date, time
from decimal import Decimal
from uuid import UUID

from genai_prices import data_snapshot
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    StartDateConstraint,
    TimeOfDateConstraint,
)
from hypothesis import given
from hypothesis import strategies as st

from bursar.core.money import format_price_per_million
from bursar.core.pricing import PriceBook, PriceRow, rate
from bursar.core.usage import Meter, Usage
from bursar.features.prices.listed import ListedPrice, exact_atto, listed_prices, midnight_ms
from bursar.features.prices.plan import BookedPrice, NewPrice, plan_import, sale_of

PROVIDER = UUID(int=1)
TWENTY = Decimal(20)
NOW_MS = midnight_ms(date(2026, 11, 20))


def model(
    prices: ModelPrice | list[ConditionalPrice], variants: list[PriceVariant] | None = None
) -> ModelInfo:
    return ModelInfo(id="m", match=ClauseEquals(equals="m"), prices=prices, price_variants=variants)


def known(provider: str, name: str) -> ModelInfo:
    source = next(entry for entry in data_snapshot.get_snapshot().providers if entry.id == provider)
    found = source.find_model(name)
    assert found is not None
    return found


def book_of(additions: tuple[NewPrice, ...]) -> list[BookedPrice]:
    return [
        BookedPrice(
            meter=row.meter,
            tier_from=row.tier_from,
            effective_from_ms=row.effective_from_ms,
            cost_atto=row.cost_atto,
            sale_atto=row.sale_atto,
            source="genai-prices",
        )
        for row in additions
    ]


def price_book(rows: list[BookedPrice]) -> PriceBook:
    return PriceBook(
        PriceRow(
            price_id=number,
            provider_id=PROVIDER,
            model="m",
            meter=row.meter,
            currency="USD",
            effective_from_ms=row.effective_from_ms,
            tier_from=row.tier_from,
            cost_atto=row.cost_atto,
            sale_atto=row.sale_atto,
        )
        for number, row in enumerate(rows, start=1)
    )


class TestListedPrices:
    def test_reads_cache_prices_and_calls(self) -> None:
        listed, _ = listed_prices(known("anthropic", "claude-opus-4-5"))
        per_million = {row.meter: format_price_per_million(row.cost_atto) for row in listed}
        assert per_million == {
            Meter.IN_FRESH: "5",
            Meter.OUT_TEXT: "25",
            Meter.CACHE_READ: "0.5",
            Meter.CACHE_WRITE_5M: "6.25",
            Meter.CACHE_WRITE_1H: "10",
            Meter.WEB_SEARCH: "10000",
        }

    def test_reads_audio(self) -> None:
        listed, _ = listed_prices(known("openai", "gpt-audio"))
        per_million = {row.meter: format_price_per_million(row.cost_atto) for row in listed}
        assert per_million[Meter.IN_AUDIO] == "32"
        assert per_million[Meter.OUT_AUDIO] == "64"

    def test_keeps_the_dated_history(self) -> None:
        listed, _ = listed_prices(known("openai", "o3"))
        inputs = [row for row in listed if row.meter is Meter.IN_FRESH]
        assert [(row.effective_from_ms, format_price_per_million(row.cost_atto)) for row in inputs] == [
            (0, "10"),
            (midnight_ms(date(2025, 6, 10)), "2"),
        ]

    def test_lists_a_price_once_when_a_later_date_repeats_it(self) -> None:
        listed, _ = listed_prices(known("openai", "o3"))
        assert len([row for row in listed if row.meter is Meter.CACHE_READ]) == 1

    def test_a_dropped_tier_falls_back_to_the_base_price_from_that_day(self) -> None:
        listed, _ = listed_prices(known("anthropic", "claude-sonnet-4-6"))
        tier = [row for row in listed if row.meter is Meter.IN_FRESH and row.tier_from]
        assert [(row.effective_from_ms, format_price_per_million(row.cost_atto)) for row in tier] == [
            (0, "6"),
            (midnight_ms(date(2026, 3, 13)), "3"),
        ]

    def test_a_dropped_meter_takes_the_price_of_its_stand_in(self) -> None:
        day = date(2026, 1, 1)
        listed, _ = listed_prices(
            model(
                [
                    ConditionalPrice(
                        prices=ModelPrice(
                            input_mtok=Decimal(4), output_mtok=Decimal(8), cache_read_mtok=Decimal(1)
                        )
                    ),
                    ConditionalPrice(
                        StartDateConstraint(start_date=day),
                        prices=ModelPrice(input_mtok=Decimal(3), output_mtok=Decimal(8)),
                    ),
                ]
            )
        )
        reads = [row for row in listed if row.meter is Meter.CACHE_READ]
        assert [format_price_per_million(row.cost_atto) for row in reads] == ["1", "3"]

    def test_names_what_it_cannot_express(self) -> None:
        _, unsupported = listed_prices(
            model(
                [
                    ConditionalPrice(prices=ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(2))),
                    ConditionalPrice(
                        TimeOfDateConstraint(start_time=time(16, 30), end_time=time(0, 30)),
                        prices=ModelPrice(input_mtok=Decimal("0.5"), storage_searches_kcount=Decimal("2.5")),
                    ),
                ],
                [
                    PriceVariant(when={"service_tier": "default"}, prices=ModelPrice()),
                    PriceVariant(when={"service_tier": "priority"}, prices=ModelPrice(input_mtok=Decimal(2))),
                ],
            )
        )
        assert [(entry.model, entry.what) for entry in unsupported] == [
            ("m", "time-of-day price 16:30-00:30"),
            ("m", "price key storage_searches_kcount"),
            ("m", "variant service_tier=priority"),
        ]

    def test_a_time_of_day_price_is_not_taken_for_the_whole_day(self) -> None:
        listed, _ = listed_prices(
            model(
                [
                    ConditionalPrice(prices=ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(2))),
                    ConditionalPrice(
                        TimeOfDateConstraint(start_time=time(16, 30), end_time=time(0, 30)),
                        prices=ModelPrice(input_mtok=Decimal("0.1"), output_mtok=Decimal("0.2")),
                    ),
                ]
            )
        )
        assert [format_price_per_million(row.cost_atto) for row in listed] == ["1", "2"]

    def test_a_price_finer_than_the_book_is_reported_and_not_rounded(self) -> None:
        listed, unsupported = listed_prices(
            model(ModelPrice(input_mtok=Decimal("0.0000000000001"), output_mtok=Decimal(1)))
        )
        assert [row.meter for row in listed] == [Meter.OUT_TEXT]
        assert [entry.what for entry in unsupported] == ["price of input_mtok finer than 10^-18"]

    def test_a_model_priced_only_by_the_hour_of_day_has_no_price(self) -> None:
        listed, unsupported = listed_prices(
            model(
                [
                    ConditionalPrice(
                        TimeOfDateConstraint(start_time=time(1), end_time=time(2)),
                        prices=ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(1)),
                    )
                ]
            )
        )
        assert listed == []
        assert [entry.what for entry in unsupported] == ["time-of-day price 01:00-02:00"]

    def test_every_model_of_the_source_can_be_read(self) -> None:
        read = 0
        for provider in data_snapshot.get_snapshot().providers:
            for entry in provider.models:
                listed, _ = listed_prices(entry)
                assert all(row.cost_atto >= 0 for row in listed)
                read += len(listed)
        assert read > 5_000

    def test_agrees_with_the_sources_own_calculator(self) -> None:
        """Two ways to one sum: our book and genai-prices' own arithmetic, across a tier."""
        from genai_prices import Usage as SourceUsage

        entry = known("openai", "gpt-5.5")
        provider = next(one for one in data_snapshot.get_snapshot().providers if one.id == "openai")
        plan = plan_import([], listed_prices(entry)[0], margin_percent=TWENTY, now_ms=NOW_MS)
        quote = price_book(book_of(plan.additions)).quote(PROVIDER, "m", "USD", NOW_MS)
        for fresh, cached, out in [(10_000, 0, 500), (200_000, 72_000, 10), (200_000, 72_001, 10)]:
            theirs = entry.calc_price(
                SourceUsage(input_tokens=fresh + cached, cache_read_tokens=cached, output_tokens=out),
                provider,
            ).total_price
            ours = rate(
                quote,
                Usage({Meter.IN_FRESH: fresh, Meter.CACHE_READ: cached, Meter.OUT_TEXT: out}),
                "USD",
            )
            assert Decimal(ours.cost).scaleb(-9) == theirs


class TestSaleOf:
    def test_forty_dollars_and_twenty_percent_are_forty_eight(self) -> None:
        assert sale_of(40 * 10**18, TWENTY) == 48 * 10**18

    def test_a_fractional_margin_is_exact(self) -> None:
        assert sale_of(10**18, Decimal("12.5")) == 1_125 * 10**15

    def test_a_negative_margin_sells_below_cost(self) -> None:
        assert sale_of(10**18, Decimal(-50)) == 5 * 10**17


class TestPlanImport:
    @given(
        st.lists(
            st.builds(
                ListedPrice,
                meter=st.sampled_from([Meter.IN_FRESH, Meter.OUT_TEXT]),
                tier_from=st.sampled_from([0, 200_000]),
                effective_from_ms=st.integers(0, 50),
                cost_atto=st.integers(0, 9),
            ),
            max_size=12,
            unique_by=lambda row: (row.meter, row.tier_from, row.effective_from_ms),
        ),
        st.lists(st.integers(1, 60), min_size=2, max_size=4),
    )
    def test_a_second_import_adds_nothing(self, listed: list[ListedPrice], nows: list[int]) -> None:
        book: list[BookedPrice] = []
        book += book_of(plan_import(book, listed, margin_percent=TWENTY, now_ms=min(nows)).additions)
        for now_ms in sorted(nows):
            assert plan_import(book, listed, margin_percent=TWENTY, now_ms=now_ms).additions == ()

    @given(
        st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5)), min_size=1, max_size=5),
        st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5)), min_size=1, max_size=5),
        st.integers(0, 60).map(lambda half: 2 * half + 1),
    )
    def test_after_an_import_the_list_is_in_force(
        self, before: list[tuple[int, int]], after: list[tuple[int, int]], now_ms: int
    ) -> None:
        def listing(points: list[tuple[int, int]]) -> list[ListedPrice]:
            return [
                ListedPrice(meter=Meter.IN_FRESH, tier_from=0, effective_from_ms=2 * when, cost_atto=cost)
                for when, cost in sorted(dict([(0, 1), *points]).items())
            ]

        book = book_of(plan_import([], listing(before), margin_percent=TWENTY, now_ms=0).additions)
        book += book_of(plan_import(book, listing(after), margin_percent=TWENTY, now_ms=now_ms).additions)
        in_force = max(
            (row for row in book if row.effective_from_ms <= now_ms), key=lambda row: row.effective_from_ms
        )
        right = max(
            (row for row in listing(after) if row.effective_from_ms <= now_ms),
            key=lambda row: row.effective_from_ms,
        )
        assert in_force.cost_atto == right.cost_atto

    def test_a_changed_price_begins_now_and_leaves_the_past_alone(self) -> None:
        def listing(cost: int) -> list[ListedPrice]:
            return [ListedPrice(meter=Meter.IN_FRESH, tier_from=0, effective_from_ms=0, cost_atto=cost)]

        book = book_of(plan_import([], listing(100), margin_percent=TWENTY, now_ms=5).additions)
        plan = plan_import(book, listing(90), margin_percent=TWENTY, now_ms=7)
        assert [(row.effective_from_ms, row.cost_atto, row.sale_atto) for row in plan.additions] == [
            (7, 90, 108)
        ]

    def test_two_changes_in_one_millisecond_do_not_collide(self) -> None:
        listed = [ListedPrice(meter=Meter.IN_FRESH, tier_from=0, effective_from_ms=0, cost_atto=100)]
        book = book_of(plan_import([], listed, margin_percent=TWENTY, now_ms=0).additions)
        plan = plan_import(book, listed, margin_percent=Decimal(30), now_ms=0)
        assert [(row.effective_from_ms, row.sale_atto) for row in plan.additions] == [(1, 130)]

    def test_another_margin_adds_rows_that_begin_now(self) -> None:
        listed = [ListedPrice(meter=Meter.IN_FRESH, tier_from=0, effective_from_ms=0, cost_atto=100)]
        book = book_of(plan_import([], listed, margin_percent=TWENTY, now_ms=5).additions)
        plan = plan_import(book, listed, margin_percent=Decimal(30), now_ms=7)
        assert [(row.effective_from_ms, row.sale_atto) for row in plan.additions] == [(7, 130)]

    def test_a_price_set_by_hand_is_left_alone_until_overruled(self) -> None:
        listed = [ListedPrice(meter=Meter.IN_FRESH, tier_from=0, effective_from_ms=0, cost_atto=100)]
        by_hand = BookedPrice(
            meter=Meter.IN_FRESH,
            tier_from=0,
            effective_from_ms=3,
            cost_atto=100,
            sale_atto=500,
            source="operator",
        )
        left = plan_import([by_hand], listed, margin_percent=TWENTY, now_ms=7)
        assert left.additions == ()
        assert left.pinned == (Meter.IN_FRESH,)
        overruled = plan_import([by_hand], listed, margin_percent=TWENTY, now_ms=7, overrule_operator=True)
        assert [row.sale_atto for row in overruled.additions] == [120]


class TestExactAtto:
    def test_refuses_what_is_no_price(self) -> None:
        assert exact_atto(Decimal("NaN"), 1) is None
        assert exact_atto(Decimal(-1), 1) is None
