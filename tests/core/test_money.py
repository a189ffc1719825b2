from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.core.money import (
    AMOUNT_MAX,
    ASSET_SCALE,
    PRICE_ATTO_MAX,
    AmountInvalid,
    AssetUnknown,
    atto_to_units,
    format_amount,
    format_price,
    format_price_per_million,
    parse_amount,
    parse_price,
    parse_price_per_million,
    round_half_even,
    round_up,
)

assets = st.sampled_from(sorted(ASSET_SCALE))
amounts = st.integers(-AMOUNT_MAX, AMOUNT_MAX)
numerators = st.integers(-(10**30), 10**30)
denominators = st.integers(1, 10**12)


class TestAmounts:
    @given(amounts, assets)
    def test_survive_the_way_out_and_back(self, units: int, asset: str) -> None:
        assert parse_amount(format_amount(units, asset), asset) == units

    @given(amounts, assets)
    def test_agree_with_decimal(self, units: int, asset: str) -> None:
        assert Decimal(format_amount(units, asset)) == Decimal(units).scaleb(-ASSET_SCALE[asset])

    @pytest.mark.parametrize(
        ("units", "asset", "text"),
        [
            (48_000_000_000, "USD", "48.00"),
            (49_952_000_000, "USD", "49.952"),
            (1, "EUR", "0.000000001"),
            (-500_000_000, "CNY", "-0.50"),
            (0, "USD", "0.00"),
            (900_000_000, "JPY", "90"),
            (5_000_000, "KRW", "0.5"),
            (0, "JPY", "0"),
        ],
    )
    def test_print_plainly_with_cents_where_there_are_cents(self, units: int, asset: str, text: str) -> None:
        assert format_amount(units, asset) == text

    @pytest.mark.parametrize(
        ("text", "asset", "units"),
        [("50", "USD", 50_000_000_000), ("0.048", "USD", 48_000_000), ("1.000000000000", "KRW", 10_000_000)],
    )
    def test_read_any_plain_decimal(self, text: str, asset: str, units: int) -> None:
        assert parse_amount(text, asset) == units

    @pytest.mark.parametrize(
        "text",
        [
            "",
            ".",
            "1.",
            ".5",
            "+1",
            "1e3",
            " 1",
            "1 ",
            "1,000",
            "0x1",
            "NaN",
            "inf",
            "--1",
            "1_0",
            "\u0661",
            "1\n",
        ],
    )
    def test_refuse_anything_else(self, text: str) -> None:
        with pytest.raises(AmountInvalid, match="not a plain decimal"):
            parse_amount(text, "USD")

    def test_refuse_a_digit_the_ledger_cannot_keep(self) -> None:
        with pytest.raises(AmountInvalid, match="more than 7 digits"):
            parse_amount("0.00000001", "JPY")

    def test_refuse_text_of_hostile_length(self) -> None:
        with pytest.raises(AmountInvalid, match="not a plain decimal"):
            parse_amount("9" * 65, "USD")

    @pytest.mark.parametrize("text", ["9223372036.854775808", "-9223372036.854775808"])
    def test_refuse_more_than_a_bigint(self, text: str) -> None:
        with pytest.raises(AmountInvalid, match="more than the ledger can hold"):
            parse_amount(text, "USD")

    @pytest.mark.parametrize("asset", ["GBP", "usd", ""])
    def test_refuse_an_unknown_asset(self, asset: str) -> None:
        with pytest.raises(AssetUnknown):
            parse_amount("1", asset)


class TestPrices:
    @given(st.integers(0, PRICE_ATTO_MAX))
    def test_survive_the_way_out_and_back(self, atto: int) -> None:
        assert parse_price(format_price(atto)) == atto
        assert parse_price_per_million(format_price_per_million(atto)) == atto

    def test_are_what_a_price_list_prints_per_million(self) -> None:
        assert parse_price_per_million("2.50") == parse_price("0.0000025") == 2_500_000_000_000
        assert format_price_per_million(2_500_000_000_000) == "2.5"
        assert format_price(2_500_000_000_000) == "0.0000025"

    @pytest.mark.parametrize("text", ["-0.1", "100000000000000000000"])
    def test_refuse_a_figure_out_of_range(self, text: str) -> None:
        with pytest.raises(AmountInvalid, match="not a price"):
            parse_price(text)

    def test_refuse_a_figure_finer_than_the_column(self) -> None:
        with pytest.raises(AmountInvalid, match="more than 18 digits"):
            parse_price("0.0000000000000000001")
        with pytest.raises(AmountInvalid, match="more than 12 digits"):
            parse_price_per_million("0.0000000000001")


class TestRounding:
    @given(numerators, denominators)
    def test_half_even_agrees_with_decimal(self, numerator: int, denominator: int) -> None:
        doubled = abs(2 * numerator - 2 * denominator * round_half_even(numerator, denominator))
        assert doubled <= denominator
        if doubled == denominator:
            assert round_half_even(numerator, denominator) % 2 == 0

    @pytest.mark.parametrize("halves", range(-9, 10))
    def test_half_even_sends_ties_to_the_even_neighbour(self, halves: int) -> None:
        expected = (Decimal(halves) / 2).to_integral_value(ROUND_HALF_EVEN)
        assert round_half_even(halves, 2) == expected

    @given(numerators, denominators)
    def test_up_is_the_least_integer_that_covers(self, numerator: int, denominator: int) -> None:
        covered = round_up(numerator, denominator)
        assert covered * denominator >= numerator
        assert (covered - 1) * denominator < numerator

    @given(st.integers(0, 10**28), assets)
    def test_of_a_total_happens_at_the_scale_of_the_asset(self, atto: int, asset: str) -> None:
        exact = Decimal(atto).scaleb(ASSET_SCALE[asset] - 18)
        assert atto_to_units(atto, asset, round_half_even) == exact.to_integral_value(ROUND_HALF_EVEN)
        assert atto_to_units(atto, asset, round_up) == exact.to_integral_value(ROUND_CEILING)


class TestTheDocumentsOwnSums:
    @pytest.mark.parametrize(
        ("balance", "charge", "after", "asset"),
        [("50.00", "0.048", "49.952", "USD"), ("100", "10", "90.00", "CNY"), ("100", "10", "90", "JPY")],
    )
    def test_balance_less_charge(self, balance: str, charge: str, after: str, asset: str) -> None:
        left = parse_amount(balance, asset) - parse_amount(charge, asset)
        assert format_amount(left, asset) == after
