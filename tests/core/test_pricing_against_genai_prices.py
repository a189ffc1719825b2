"""Another program's arithmetic over public price lists must give the same figure to the last digit."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, Provider
from hypothesis import given, settings
from hypothesis import strategies as st

from bursar.core.pricing import rate
from bursar.core.usage import Meter, Usage
from genai_quotes import METER_OF, MOMENT, inclusive, price_keys, quote_of

PROVIDERS = ("openai", "anthropic", "google", "x-ai", "mistral", "deepseek", "zhipuai", "z-ai")


def models() -> Iterator[tuple[Provider, ModelInfo]]:
    for provider in get_snapshot().providers:
        for model in provider.models:
            keys = price_keys(model).keys()
            tokens = {key for key in keys if key.endswith("_mtok")}
            if provider.id in PROVIDERS and {"input_mtok", "output_mtok"} <= tokens <= METER_OF.keys():
                yield provider, model


MODELS = list(models())


def comparable_meters(model: ModelInfo) -> list[Meter]:
    """Meters that both programs price alike: priced ones, and those with a single possible stand-in."""
    priced = {METER_OF[key] for key in price_keys(model) if key in METER_OF}
    meters = priced | {Meter.IN_FRESH, Meter.OUT_TEXT, Meter.OUT_REASONING, Meter.CACHE_READ}
    if Meter.CACHE_WRITE_UNKNOWN in priced:
        meters |= {Meter.CACHE_WRITE_5M, Meter.CACHE_WRITE_1H}
    return sorted(meters)


def assert_same(provider: Provider, model: ModelInfo, figures: dict[Meter, int]) -> None:
    theirs = model.calc_price(inclusive(figures), provider, genai_request_timestamp=MOMENT).total_price
    requests = price_keys(model).get("requests_kcount")
    theirs -= requests / 1_000 if isinstance(requests, Decimal) else 0
    rating = rate(quote_of(model), Usage(figures), "USD")
    assert Decimal(sum(line.cost_atto for line in rating.lines)).scaleb(-18) == theirs


class TestRatingAgainstGenaiPrices:
    def test_covers_the_big_price_lists_and_tiers(self) -> None:
        covered = {provider.id for provider, _ in MODELS}
        assert {"openai", "anthropic", "google", "x-ai", "mistral", "deepseek"} <= covered
        assert len(MODELS) > 100
        assert any(len(quote_of(model).sheets) > 1 for _, model in MODELS)

    @settings(max_examples=500)
    @given(st.data())
    def test_agrees_to_the_last_digit(self, data: st.DataObject) -> None:
        provider, model = MODELS[data.draw(st.integers(0, len(MODELS) - 1))]
        meters = st.sampled_from(comparable_meters(model))
        figures = data.draw(st.dictionaries(meters, st.integers(0, 400_000), min_size=1))
        assert_same(provider, model, figures)

    @pytest.mark.parametrize("beyond", [-1, 0, 1])
    def test_agrees_on_both_sides_of_every_tier(self, beyond: int) -> None:
        compared = 0
        for provider, model in MODELS:
            for threshold in quote_of(model).thresholds:
                figures = {Meter.IN_FRESH: threshold - 10 + beyond, Meter.CACHE_READ: 10, Meter.OUT_TEXT: 77}
                assert_same(provider, model, figures)
                compared += 1
        assert compared > 10
