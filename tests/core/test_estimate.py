from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.core.estimate import (
    OUTPUT_UNBOUNDED,
    PLAIN,
    Reach,
    affordable_output,
    hold_amount,
    output_amount,
    output_bound,
    tokens_of_bytes,
    tokens_of_text,
)
from bursar.core.pricing import PriceBook, PriceRow, Quote, rate
from bursar.core.usage import CACHE_WRITE_METERS, Meter, Usage

PROVIDER = UUID(int=7)
TEXT_METERS = [Meter.IN_FRESH, Meter.CACHE_READ, Meter.OUT_TEXT, Meter.OUT_REASONING]
tokens = st.integers(0, 10**6)
prices = st.integers(0, 10**14)


def quote_of(sales: dict[Meter, int], tiers: dict[Meter, int] | None = None, tier_from: int = 1_000) -> Quote:
    places = [(meter, 0, sale) for meter, sale in sales.items()]
    places += [(meter, tier_from, sale) for meter, sale in (tiers or {}).items()]
    rows = [
        PriceRow(
            price_id=number,
            provider_id=PROVIDER,
            model="m",
            meter=meter,
            currency="USD",
            effective_from_ms=0,
            tier_from=tier,
            cost_atto=0,
            sale_atto=sale,
        )
        for number, (meter, tier, sale) in enumerate(places)
    ]
    return PriceBook(rows).quote(PROVIDER, "m", "USD", 0)


@st.composite
def quotes(draw: st.DrawFn) -> Quote:
    others = draw(st.dictionaries(st.sampled_from(Meter), prices))
    sales = {**others, Meter.IN_FRESH: draw(prices), Meter.OUT_TEXT: draw(prices)}
    return quote_of(sales, draw(st.dictionaries(st.sampled_from(Meter), prices, max_size=3)))


class TestTokensOfText:
    # Figures of public tokenizers for the same texts, the larger of the known ones.
    @pytest.mark.parametrize(
        ("text", "real"),
        [
            ("The quick brown fox jumps over the lazy dog.", 10),
            ("Antidisestablishmentarianism", 6),
            ("1234567890", 4),
            ('{"name": "Ada", "age": 36}', 12),
            ("def add(a, b):\n    return a + b\n", 14),
            ("今天天气很好、我们去公园散步吧。", 18),
            ("안녕하세요. 오늘 날씨가 좋네요.", 20),
            ("Привет, как дела?", 8),
            ("🎉🎉🎉", 9),
        ],
    )
    def test_stand_above_what_tokenizers_count_but_not_far(self, text: str, real: int) -> None:
        assert real <= tokens_of_text(text) <= 2 * real + 2

    @given(st.text())
    def test_are_never_more_than_its_bytes(self, text: str) -> None:
        assert tokens_of_text(text) <= len(text.encode("utf-8", "surrogatepass"))

    @given(st.text(), st.text())
    def test_are_never_lowered_by_cutting_it_in_two(self, head: str, tail: str) -> None:
        whole = tokens_of_text(head + tail)
        assert whole <= tokens_of_text(head) + tokens_of_text(tail) <= whole + 1

    def test_count_a_lone_surrogate_too(self) -> None:
        assert tokens_of_text("\ud800") == 2

    def test_of_nothing_are_nothing(self) -> None:
        assert tokens_of_text("") == 0


class TestTokensOfBytes:
    @pytest.mark.parametrize(("size", "expected"), [(0, 0), (1, 1), (3, 1), (4, 2), (3_000, 1_000)])
    def test_are_one_for_three(self, size: int, expected: int) -> None:
        assert tokens_of_bytes(size) == expected


class TestHoldAmount:
    @given(quotes(), tokens, tokens, st.data())
    def test_covers_any_plain_use_within_it(
        self, quote: Quote, tokens_in: int, tokens_out: int, data: st.DataObject
    ) -> None:
        reasoning = data.draw(st.integers(0, tokens_out))
        usage = {
            Meter.IN_FRESH: tokens_in,
            Meter.OUT_TEXT: tokens_out - reasoning,
            Meter.OUT_REASONING: reasoning,
            Meter.REQUEST: 1,
        }
        assert hold_amount(quote, tokens_in, tokens_out, "USD") >= rate(quote, Usage(usage), "USD").sale

    @given(quotes(), tokens, st.sampled_from(sorted(CACHE_WRITE_METERS)))
    def test_covers_cache_writes_of_any_life_when_told(
        self, quote: Quote, tokens_in: int, meter: Meter
    ) -> None:
        held = hold_amount(quote, tokens_in, 0, "USD", Reach(may_write_cache=True))
        assert held >= rate(quote, Usage({meter: tokens_in}), "USD").sale

    @given(quotes(), tokens, tokens)
    def test_covers_pictures_sound_and_calls_when_told(
        self, quote: Quote, tokens_in: int, tokens_out: int
    ) -> None:
        reach = Reach(meters=frozenset({Meter.IN_IMAGE, Meter.OUT_AUDIO}), counters={Meter.WEB_SEARCH: 5})
        used = Usage({Meter.IN_IMAGE: tokens_in, Meter.OUT_AUDIO: tokens_out, Meter.WEB_SEARCH: 5})
        assert hold_amount(quote, tokens_in, tokens_out, "USD", reach) >= rate(quote, used, "USD").sale

    def test_rounds_up(self) -> None:
        quote = quote_of({Meter.IN_FRESH: 1, Meter.OUT_TEXT: 0})
        assert hold_amount(quote, 1, 0, "USD") == 1

    def test_uses_the_tier_that_the_input_reaches(self) -> None:
        quote = quote_of({Meter.IN_FRESH: 10**9, Meter.OUT_TEXT: 10**9}, {Meter.OUT_TEXT: 3 * 10**9})
        assert hold_amount(quote, 1_000, 1, "USD") == 1_001
        assert hold_amount(quote, 1_001, 1, "USD") == 1_004


class TestOutputAmount:
    @given(quotes(), tokens, tokens)
    def test_is_what_a_hold_has_for_output(self, quote: Quote, tokens_in: int, tokens_out: int) -> None:
        with_output = hold_amount(quote, tokens_in, tokens_out, "USD")
        without = hold_amount(quote, tokens_in, 0, "USD")
        assert 0 <= without + output_amount(quote, tokens_in, tokens_out, "USD") - with_output <= 1

    def test_covers_sound_when_told(self) -> None:
        quote = quote_of({Meter.IN_FRESH: 0, Meter.OUT_TEXT: 10**9, Meter.OUT_AUDIO: 3 * 10**9})
        assert output_amount(quote, 9, 1, "USD") == 1
        assert output_amount(quote, 9, 1, "USD", Reach(meters=frozenset({Meter.OUT_AUDIO}))) == 3


class TestAffordableOutput:
    @given(quotes(), st.integers(0, 10**12), tokens)
    def test_is_the_most_whose_hold_fits(self, quote: Quote, funds: int, tokens_in: int) -> None:
        most = affordable_output(quote, funds, tokens_in, "USD")
        if most:
            assert hold_amount(quote, tokens_in, most, "USD") <= funds
        if most < OUTPUT_UNBOUNDED:
            assert hold_amount(quote, tokens_in, most + 1, "USD") > funds

    def test_is_nothing_when_the_input_alone_is_too_dear(self) -> None:
        quote = quote_of({Meter.IN_FRESH: 10**9, Meter.OUT_TEXT: 0})
        assert affordable_output(quote, 9, 10, "USD") == 0

    def test_is_unbounded_when_output_is_free(self) -> None:
        quote = quote_of({Meter.IN_FRESH: 10**9, Meter.OUT_TEXT: 0})
        assert affordable_output(quote, 10, 10, "USD", PLAIN) == OUTPUT_UNBOUNDED


class TestOutputBound:
    @pytest.mark.parametrize(
        ("max_tokens", "n", "bound"),
        [(None, 1, 4_096), (100, 1, 100), (10_000, 1, 4_096), (100, 3, 300), (0, 1, 0)],
    )
    def test_is_the_lesser_limit_for_each_answer(self, max_tokens: int | None, n: int, bound: int) -> None:
        assert output_bound(max_tokens, 4_096, n) == bound
