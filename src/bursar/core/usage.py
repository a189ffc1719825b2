"""What a request used, in classes that never overlap.

Providers disagree on which figure includes which; each adapter maps its provider's usage to these disjoint
classes, so that rating may multiply each class by its own price and add.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final


class Meter(StrEnum):
    """One class of usage; the value is its name in JSON and in the database."""

    IN_FRESH = "in_fresh"
    IN_AUDIO = "in_audio"
    IN_IMAGE = "in_image"
    IN_VIDEO = "in_video"
    CACHE_READ = "cache_read"
    CACHE_READ_AUDIO = "cache_read_audio"
    CACHE_READ_IMAGE = "cache_read_image"
    CACHE_WRITE_5M = "cache_write_5m"
    CACHE_WRITE_30M = "cache_write_30m"
    CACHE_WRITE_1H = "cache_write_1h"
    CACHE_WRITE_12H = "cache_write_12h"
    CACHE_WRITE_UNKNOWN = "cache_write_unknown"
    IN_TOOL = "in_tool"
    OUT_TEXT = "out_text"
    OUT_REASONING = "out_reasoning"
    OUT_AUDIO = "out_audio"
    OUT_IMAGE = "out_image"
    OUT_VIDEO = "out_video"
    WEB_SEARCH = "web_search"
    REQUEST = "request"
    IMAGE = "image"
    SECOND = "second"


CACHE_WRITE_METERS: Final = frozenset(
    {
        Meter.CACHE_WRITE_5M,
        Meter.CACHE_WRITE_30M,
        Meter.CACHE_WRITE_1H,
        Meter.CACHE_WRITE_12H,
        Meter.CACHE_WRITE_UNKNOWN,
    }
)
INPUT_METERS: Final = CACHE_WRITE_METERS | {
    Meter.IN_FRESH,
    Meter.IN_AUDIO,
    Meter.IN_IMAGE,
    Meter.IN_VIDEO,
    Meter.CACHE_READ,
    Meter.CACHE_READ_AUDIO,
    Meter.CACHE_READ_IMAGE,
    Meter.IN_TOOL,
}
"""Counted in tokens that went in; together they choose the price tier."""

OUTPUT_METERS: Final = frozenset(
    {Meter.OUT_TEXT, Meter.OUT_REASONING, Meter.OUT_AUDIO, Meter.OUT_IMAGE, Meter.OUT_VIDEO}
)
"""Counted in tokens that came out."""

COUNTER_METERS: Final = frozenset({Meter.WEB_SEARCH, Meter.REQUEST, Meter.IMAGE, Meter.SECOND})
"""Counted in calls, pictures or seconds, never in tokens."""


class UsageInvalid(ValueError):
    """A quantity is negative: an adapter failed to clamp and flag a provider's contradictory figures."""

    code: ClassVar[str] = "usage_invalid"
    status: ClassVar[int] = 502


@dataclass(frozen=True, slots=True)
class Usage:
    """Disjoint quantities of one attempt, with the provider's raw usage JSON beside them.

    ``flags`` say what is doubtful about the figures; ``service_tier`` is the tier served, not asked for.
    """

    quantities: Mapping[Meter, int]
    raw: bytes | None = None
    estimated: bool = False
    flags: tuple[str, ...] = ()
    service_tier: str | None = None

    def __post_init__(self) -> None:
        for quantity in self.quantities.values():
            if quantity < 0:
                raise UsageInvalid(f"negative quantity in {dict(self.quantities)}")

    @property
    def input_tokens(self) -> int:
        """All tokens that went in, cached ones included."""
        return sum(quantity for meter, quantity in self.quantities.items() if meter in INPUT_METERS)

    @property
    def output_tokens(self) -> int:
        """All tokens that came out, reasoning included."""
        return sum(quantity for meter, quantity in self.quantities.items() if meter in OUTPUT_METERS)

    def quantity(self, meter: Meter) -> int:
        return self.quantities.get(meter, 0)
