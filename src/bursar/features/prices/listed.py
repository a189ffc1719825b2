"""Read genai-prices' data into dated prices: pure, exact, and honest about what it cannot express.

genai-prices (MIT) lists, per model, prices in USD per million tokens (or thousand calls), tiers above a count
of input tokens, and conditions: a start date, a time of day, or a request's context such as a service tier.
The price book knows dates and tiers; the rest is reported by name.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Final

from genai_prices.types import (
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from bursar.core.money import ATTO_DIGITS
from bursar.core.pricing import METER_FALLBACK
from bursar.core.usage import Meter

MILLION: Final = 1_000_000
THOUSAND: Final = 1_000
SINCE_EVER_MS: Final = 0

# Price key of genai-prices → the meter, and how many units one price is for. `cache_write_mtok` is the
# provider's shortest write (5 minutes at Anthropic, 30 at OpenAI); the other writes fall back on it.
PRICE_KEYS: Final[Mapping[str, tuple[Meter, int]]] = {
    "input_mtok": (Meter.IN_FRESH, MILLION),
    "output_mtok": (Meter.OUT_TEXT, MILLION),
    "cache_read_mtok": (Meter.CACHE_READ, MILLION),
    "cache_write_mtok": (Meter.CACHE_WRITE_5M, MILLION),
    "cache_write_5m_mtok": (Meter.CACHE_WRITE_5M, MILLION),
    "cache_write_1h_mtok": (Meter.CACHE_WRITE_1H, MILLION),
    "input_audio_mtok": (Meter.IN_AUDIO, MILLION),
    "output_audio_mtok": (Meter.OUT_AUDIO, MILLION),
    "cache_audio_read_mtok": (Meter.CACHE_READ_AUDIO, MILLION),
    "input_image_mtok": (Meter.IN_IMAGE, MILLION),
    "output_image_mtok": (Meter.OUT_IMAGE, MILLION),
    "cache_image_read_mtok": (Meter.CACHE_READ_IMAGE, MILLION),
    "input_video_mtok": (Meter.IN_VIDEO, MILLION),
    "output_video_mtok": (Meter.OUT_VIDEO, MILLION),
    "input_tool_mtok": (Meter.IN_TOOL, MILLION),
    "output_reasoning_mtok": (Meter.OUT_REASONING, MILLION),
    "web_searches_kcount": (Meter.WEB_SEARCH, THOUSAND),
    "requests_kcount": (Meter.REQUEST, THOUSAND),
}

Place = tuple[Meter, int]
Sheet = dict[Place, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPrice:
    """What the provider charges: atto per ONE unit, from a moment on, above `tier_from` input tokens."""

    meter: Meter
    tier_from: int
    effective_from_ms: int
    cost_atto: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsupported:
    """Something in the source that the price book cannot express, by the source's own name."""

    model: str
    what: str


def listed_prices(model: ModelInfo) -> tuple[list[ListedPrice], list[Unsupported]]:
    """The model's whole dated list, oldest first; only changes are listed.

    A tier or meter that a later list drops gets a row with the price that then applies in its place.
    """
    unsupported = [Unsupported(model=model.id, what=what) for what in dict.fromkeys(_unsupported(model))]
    conditional = _conditional(model)
    moments = sorted({SINCE_EVER_MS, *(_start_ms(entry) for entry in conditional)})
    sheets = [(moment, _sheet(_in_force(conditional, moment))) for moment in moments if conditional]
    return list(_changes(sheets)), unsupported


def _conditional(model: ModelInfo) -> list[ConditionalPrice]:
    entries = (
        [ConditionalPrice(prices=model.prices)] if isinstance(model.prices, ModelPrice) else model.prices
    )
    return [entry for entry in entries if not isinstance(entry.constraint, TimeOfDateConstraint)]


def _start_ms(entry: ConditionalPrice) -> int:
    if isinstance(entry.constraint, StartDateConstraint):
        return midnight_ms(entry.constraint.start_date)
    return SINCE_EVER_MS


def midnight_ms(day: date) -> int:
    """The unix millisecond at which a UTC day begins; days before 1970 begin at 0."""
    midnight = datetime.combine(day, time(), UTC)
    return max(0, (midnight - datetime(1970, 1, 1, tzinfo=UTC)).days * 86_400_000)


def _in_force(entries: Sequence[ConditionalPrice], moment_ms: int) -> ModelPrice:
    """The source's own rule: the last active entry, or the first when none is."""
    active = [entry for entry in entries if _start_ms(entry) <= moment_ms]
    return (active[-1] if active else entries[0]).prices


def _sheet(prices: ModelPrice) -> Sheet:
    sheet: Sheet = {}
    for key, value in stated(prices):
        if key not in PRICE_KEYS:
            continue
        meter, per = PRICE_KEYS[key]
        steps = [(0, value)] if isinstance(value, Decimal) else _steps(value)
        for tier_from, price in steps:
            atto = exact_atto(price, per)
            if atto is not None:
                sheet[meter, tier_from] = atto
    return sheet


def _steps(tiered: TieredPrices) -> list[tuple[int, Decimal]]:
    """`start` is exclusive at the source ("more than 200,000 tokens"), as it is in the price book."""
    return [(0, tiered.base), *((tier.start, tier.price) for tier in tiered.tiers if tier.start > 0)]


def exact_atto(price: Decimal, per: int) -> int | None:
    """Atto for one unit, or None when the price is finer than 10^-18 or no price at all."""
    if not price.is_finite() or price < 0:
        return None
    numerator, denominator = price.as_integer_ratio()
    atto, rest = divmod(numerator * 10**ATTO_DIGITS, denominator * per)
    return None if rest else atto


def _changes(sheets: Sequence[tuple[int, Sheet]]) -> Iterator[ListedPrice]:
    known: Sheet = {}
    for moment, sheet in sheets:
        for place in sorted(sheet.keys() | known.keys()):
            cost = sheet[place] if place in sheet else _stand_in(place, sheet)
            if cost is not None and known.get(place) != cost:
                known[place] = cost
                meter, tier_from = place
                yield ListedPrice(meter=meter, tier_from=tier_from, effective_from_ms=moment, cost_atto=cost)


def _stand_in(place: Place, sheet: Sheet) -> int | None:
    """What a dropped place costs now: a lower tier of its meter, else its fallback meter."""
    meter, tier_from = place
    for name in (meter, *METER_FALLBACK.get(meter, ())):
        tiers = [tier for other, tier in sheet if other == name and tier <= tier_from]
        if tiers:
            return sheet[name, max(tiers)]
    return None


def stated(prices: ModelPrice) -> list[tuple[str, Decimal | TieredPrices]]:
    """The keys a price list really states, with their values."""
    return [(key, value) for key, value in vars(prices).items() if isinstance(value, Decimal | TieredPrices)]


def _unsupported(model: ModelInfo) -> Iterator[str]:
    entries = [] if isinstance(model.prices, ModelPrice) else model.prices
    for entry in entries:
        if isinstance(entry.constraint, TimeOfDateConstraint):
            span = f"{entry.constraint.start_time:%H:%M}-{entry.constraint.end_time:%H:%M}"
            yield f"time-of-day price {span}"
    lists = [model.prices] if isinstance(model.prices, ModelPrice) else [entry.prices for entry in entries]
    for prices in lists:
        for key, value in stated(prices):
            if key not in PRICE_KEYS:
                yield f"price key {key}"
            elif not _exact(value, PRICE_KEYS[key][1]):
                yield f"price of {key} finer than 10^-18"
    for variant in model.price_variants or ():
        if not stated(variant.prices):
            continue  # the standard price under another name
        yield "variant " + ",".join(f"{key}={value}" for key, value in sorted(variant.when.items()))


def _exact(value: Decimal | TieredPrices, per: int) -> bool:
    steps = [(0, value)] if isinstance(value, Decimal) else _steps(value)
    return all(exact_atto(price, per) is not None for _, price in steps)
