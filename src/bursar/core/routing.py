"""In which order the deployments of a model are tried: pure, the random number is an argument.

A *way* is one deployment with one credential. The order is decided by the strategy; where it leaves ways
equal, a race decides that is drawn from a seed: a random number spreads requests by weight, a hash of the
prompt's beginning sends the same beginnings to the same credential, where the provider still has them in its
cache (weighted rendezvous hashing: when a way drops out, only its own requests move).
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from bursar.core.pricing import Quote
from bursar.core.usage import Meter

MARGIN_SCALE: Final = 1_000_000
"""Margins are counted in millionths of the cost: 20 % is 200,000."""

MASK: Final = (1 << 64) - 1
_LOG_BITS: Final = 16
_GOLDEN: Final = 0x9E3779B97F4A7C15
_MIX_1: Final = 0xBF58476D1CE4E5B9
_MIX_2: Final = 0x94D049BB133111EB


class Strategy(StrEnum):
    """How a model's deployments are ordered.

    `PRIORITY`: lower numbers first; equals as they are listed, unless a prompt's cache decides. `WEIGHTED`:
    lower numbers first, equals drawn by weight. `LEAST_LATENCY`: the fastest lately, in steps of a quarter.
    `CHEAPEST`: the lowest sale price of this request, then the lowest cost.
    """

    PRIORITY = "priority"
    WEIGHTED = "weighted"
    LEAST_LATENCY = "least_latency"
    CHEAPEST = "cheapest"


class Standing(NamedTuple):
    """What is known of one way when a request is about to be sent.

    `key`: 64 bits that name it for ever. `priority`: what the caller wishes, the route's, the credential's.
    `latency_ms`: lately; None: not known, so that it is tried to find out. `sale`, `cost`: of this request,
    estimated; only `CHEAPEST` needs them.
    """

    key: int
    priority: tuple[int, int, int]
    weight: int = 1
    latency_ms: int | None = None
    sale: int = 0
    cost: int = 0


def ordered(
    strategy: Strategy, standings: Sequence[Standing], *, seed: int, is_affine: bool = False
) -> list[int]:
    """The places of `standings`, best first.

    `seed`: 64 bits; random, or with `is_affine` a hash of what should meet the same credential again.
    """
    places = range(len(standings))
    match strategy:
        case Strategy.PRIORITY:
            if not is_affine:
                return sorted(places, key=lambda place: standings[place].priority)
            return _by(lambda one: one.priority, standings, seed)
        case Strategy.WEIGHTED:
            return _by(lambda one: one.priority[:2], standings, seed)
        case Strategy.LEAST_LATENCY:
            return _by(lambda one: (latency_step(one.latency_ms),), standings, seed)
        case Strategy.CHEAPEST:
            return _by(lambda one: (one.sale, one.cost), standings, seed)


def _by(rank: Callable[[Standing], tuple[int, ...]], standings: Sequence[Standing], seed: int) -> list[int]:
    def place_of(place: int) -> tuple[tuple[int, ...], int, int]:
        one = standings[place]
        return rank(one), race(seed, one.key, one.weight), place

    return sorted(range(len(standings)), key=place_of)


def latency_step(latency_ms: int | None) -> int:
    """Latencies within a quarter of each other are equal, so that the fastest by a hair does not get all."""
    if latency_ms is None:
        return -1
    bits = max(latency_ms, 1).bit_length()
    return bits * 4 + ((max(latency_ms, 1) << 3 >> bits) & 3)


def race(seed: int, key: int, weight: int) -> int:
    """How late `key` comes in when `seed` fires the start: who comes first wins in proportion to weight.

    An exponential race (-ln u / weight, u uniform) in whole numbers: the order of all runners is the order of
    draws by weight without putting back, and a runner's time does not depend on who else runs.
    """
    return _minus_log2(mix(seed ^ key)) // weight


def mix(word: int) -> int:
    """Scatter 64 bits evenly (the finaliser of SplitMix64, Steele, Lea and Flood 2014)."""
    word = (word + _GOLDEN) & MASK
    word = ((word ^ (word >> 30)) * _MIX_1) & MASK
    word = ((word ^ (word >> 27)) * _MIX_2) & MASK
    return word ^ (word >> 31)


def _minus_log2(word: int) -> int:
    """-log2(word / 2^64) with `_LOG_BITS` binary places, times 2^20 so that a weight divides it finely."""
    word |= 1
    whole = word.bit_length() - 1
    mantissa = word << (63 - whole) >> 32  # in [2^31, 2^32)
    fraction = 0
    for _ in range(_LOG_BITS):
        mantissa = mantissa * mantissa >> 31
        fraction <<= 1
        if mantissa >> 32:
            fraction |= 1
            mantissa >>= 1
    return ((64 << _LOG_BITS) - ((whole << _LOG_BITS) | fraction)) << 20


def keeps_margin(quote: Quote, floor: int) -> bool:
    """Whether whatever a request uses sells for at least cost plus `floor` (in `MARGIN_SCALE`).

    Every meter of every tier must, so the floor holds for any mix of them. What costs and sells nothing does.
    """
    return all(
        price.sale_atto * MARGIN_SCALE >= price.cost_atto * (MARGIN_SCALE + floor)
        for sheet in quote.sheets
        for price in sheet.values()
    )


def estimate_atto(
    quote: Quote, input_tokens: int, output_tokens: int, counts: Mapping[Meter, int]
) -> tuple[int, int]:
    """Sale and cost of a request of about this size, in atto, to compare deployments by; not for billing."""
    sheet = quote.sheet(input_tokens)
    sale = cost = 0
    for meter, number in ((Meter.IN_FRESH, input_tokens), (Meter.OUT_TEXT, output_tokens), *counts.items()):
        price = sheet.get(meter)
        if price is not None:
            sale += number * price.sale_atto
            cost += number * price.cost_atto
    return sale, cost


def overflows_context(context_window: int | None, input_tokens: int) -> bool:
    """Whether a prompt is surely too long for a model; one whose window nobody entered takes any.

    Input estimates run high, up to twice the provider's own count.
    """
    return context_window is not None and input_tokens > 2 * context_window


def tries_for(left: int, models_after: int) -> int:
    """How many of the tries that are left one model may use: each model after it keeps one."""
    return max(1, left - models_after)


def backoff_ms(round_number: int, first_ms: int, most_ms: int, draw: int) -> int:
    """How long to wait before asking everybody again: half to all of a doubling pause.

    Rounds count from 1; `draw` is 64 random bits, so that callers that failed together come back apart.
    """
    pause_ms = min(first_ms << min(round_number - 1, 30), most_ms)
    half_ms = pause_ms // 2
    return half_ms + draw % (pause_ms - half_ms + 1)
