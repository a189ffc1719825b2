"""The price lists and the arithmetic of `genai-prices`, held beside ours."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import genai_prices
from genai_prices.types import ModelInfo, TieredPrices

from bursar.core.money import parse_price_per_million
from bursar.core.pricing import PriceBook, PriceRow, Quote
from bursar.core.usage import CACHE_WRITE_METERS, Meter, Usage

PROVIDER = UUID(int=7)
MOMENT = datetime(2026, 11, 1, 12, tzinfo=UTC)

PER_THOUSAND = "_kcount"
METER_OF = {
    "web_searches_kcount": Meter.WEB_SEARCH,
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
    "cache_write_tokens": tuple(sorted(CACHE_WRITE_METERS)),
    "cache_write_5m_tokens": (Meter.CACHE_WRITE_5M,),
    "cache_write_1h_tokens": (Meter.CACHE_WRITE_1H,),
    "input_audio_tokens": (Meter.IN_AUDIO, Meter.CACHE_READ_AUDIO),
    "input_image_tokens": (Meter.IN_IMAGE, Meter.CACHE_READ_IMAGE),
    "input_video_tokens": (Meter.IN_VIDEO,),
    "output_reasoning_tokens": (Meter.OUT_REASONING,),
    "output_audio_tokens": (Meter.OUT_AUDIO,),
    "output_image_tokens": (Meter.OUT_IMAGE,),
    "web_searches": (Meter.WEB_SEARCH,),
}


def price_keys(model: ModelInfo) -> dict[str, Decimal | TieredPrices]:
    listed = model.get_prices(MOMENT).__dict__
    return {key: price for key, price in listed.items() if price is not None}


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
            scale = 1_000 if key.endswith(PER_THOUSAND) else 1
            atto = parse_price_per_million(f"{step * scale:f}")
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


def inclusive(figures: Mapping[Meter, int]) -> genai_prices.Usage:
    """Our disjoint figures as that program counts them."""
    usage = Usage(figures)
    parts = {name: sum(usage.quantity(meter) for meter in meters) for name, meters in INCLUSIVE.items()}
    return genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        **parts,
    )
