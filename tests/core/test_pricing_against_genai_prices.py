"""Another program's arithmetic over public price lists must give the same figure to the last digit."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, Provider, TieredPrices
from hypothesis import given, settings
from hypothesis import strategies as st

from bursar.core.money import parse_price_per_million
from bursar.core.pricing import PriceBook, PriceRow, Quote, rate
from bursar.core.usage import Meter, Usage

PROVIDER = UUID(int=7)
MOMENT = datetime(2026, 11, 1, 12, tzinfo=UTC)
PROVIDERS = ("openai", "anthropic", "google", "x-ai", "mistral", "deepseek", "zhipuai", "z-ai")

METER_OF = {
    "input_mtok": Meter.IN_FRESH,
    "input_audio_mtok": Meter.IN_AUDIO,
    "input_image_mtok": Meter.IN_IMAGE,
    "input_video_mtok": Meter.IN_VIDEO,
    "cache_read_mtok": Meter.CACHE_READ,
    "cache_audio_read_mtok": Meter.CACHE_READ_AUDIO,
    "cache_image_read_mtok": Meter.CACHE_READ_IMAGE,
    "cache_write_mtok": Meter.CACHE_WRITE_UNKNOWN,
    "cache_write_1h_mtok": Meter.CACHE_WRITE_1H,
    "output_mtok": Meter.OUT_TEXT,
    "output_reasoning_mtok": Meter.OUT_REASONING,
    "output_audio_mtok": Meter.OUT_AUDIO,
    "output_image_mtok": Meter.OUT_IMAGE,
}

# The other program counts inclusively: each of its figures is a sum of our disjoint classes.
INCLUSIVE = {
    "cache_read_tokens": (Meter.CACHE_READ, Meter.CACHE_READ_AUDIO, Meter.CACHE_READ_IMAGE),
    "cache_audio_read_tokens": (Meter.CACHE_READ_AUDIO,),
    "cache_image_read_tokens": (Meter.CACHE_READ_IMAGE,),
    "cache_write_tokens": (Meter.CACHE_WRITE_UNKNOWN, Meter.CACHE_WRITE_5M, Meter.CACHE_WRITE_1H),
    "cache_write_5m_tokens": (Meter.CACHE_WRITE_5M,),
    "cache_write_1h_tokens": (Meter.CACHE_WRITE_1H,),
    "input_audio_tokens": (Meter.IN_AUDIO, Meter.CACHE_READ_AUDIO),
    "input_image_tokens": (Meter.IN_IMAGE, Meter.CACHE_READ_IMAGE),
    "input_video_tokens": (Meter.IN_VIDEO,),
    "output_reasoning_tokens": (Meter.OUT_REASONING,),
    "output_audio_tokens": (Meter.OUT_AUDIO,),
    "output_image_tokens": (Meter.OUT_IMAGE,),
}


def price_keys(model: ModelInfo) -> dict[str, Decimal | TieredPrices]:
    listed = model.get_prices(MOMENT).__dict__
    return {key: price for key, price in listed.items() if price is not None}


def models() -> Iterator[tuple[Provider, ModelInfo]]:
    for provider in get_snapshot().providers:
        for model in provider.models:
            keys = price_keys(model).keys()
            tokens = {key for key in keys if key.endswith("_mtok")}
            if provider.id in PROVIDERS and {"input_mtok", "output_mtok"} <= tokens <= METER_OF.keys():
                yield provider, model


MODELS = list(models())


def quote_of(model: ModelInfo) -> Quote:
    rows = []
    for key, price in price_keys(model).items():
        if key not in METER_OF:
            continue
        tiered = isinstance(price, TieredPrices)
        steps = (
            [(0, price.base), *((tier.start, tier.price) for tier in price.tiers)] if tiered else [(0, price)]
        )
        for tier_from, step in steps:
            atto = parse_price_per_million(f"{step:f}")
            rows.append(
                PriceRow(
                    price_id=len(rows),
                    provider_id=PROVIDER,
                    model=model.id,
                    meter=METER_OF[key],
                    currency="USD",
                    effective_from_ms=0,
                    tier_from=tier_from,
                    cost_atto=atto,
                    sale_atto=atto,
                )
            )
    return PriceBook(rows).quote(PROVIDER, model.id, "USD", 0)


def comparable_meters(model: ModelInfo) -> list[Meter]:
    """Meters that both programs price alike: priced ones, and those with a single possible stand-in."""
    priced = {METER_OF[key] for key in price_keys(model) if key in METER_OF}
    meters = priced | {Meter.IN_FRESH, Meter.OUT_TEXT, Meter.OUT_REASONING, Meter.CACHE_READ}
    if Meter.CACHE_WRITE_UNKNOWN in priced:
        meters |= {Meter.CACHE_WRITE_5M, Meter.CACHE_WRITE_1H}
    return sorted(meters)


def inclusive(figures: dict[Meter, int]) -> genai_prices.Usage:
    usage = Usage(figures)
    parts = {name: sum(usage.quantity(meter) for meter in meters) for name, meters in INCLUSIVE.items()}
    return genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        **parts,
    )


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
