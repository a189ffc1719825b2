"""Which rows an import adds to the price book: pure. Rows are only added, where something changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from bursar.core.money import round_half_even
from bursar.core.usage import Meter
from bursar.features.prices.listed import ListedPrice

OPERATOR_SOURCE: Final = "operator"
"""`price.source` of a row set by hand. An import never overrules one unless told to."""

HUNDRED: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedPrice:
    """A row of the book: atto per ONE unit."""

    meter: Meter
    tier_from: int
    effective_from_ms: int
    cost_atto: int
    sale_atto: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPrice:
    """A row to add: atto per ONE unit."""

    meter: Meter
    tier_from: int
    effective_from_ms: int
    cost_atto: int
    sale_atto: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one import does to one model. `pinned` meters were set by hand and are left alone."""

    additions: tuple[NewPrice, ...]
    pinned: tuple[Meter, ...]


def sale_of(cost_atto: int, margin_percent: Decimal) -> int:
    """Cost plus margin, exact but for one rounding at 10^-18, half to even."""
    numerator, denominator = margin_percent.as_integer_ratio()
    return round_half_even(cost_atto * (HUNDRED * denominator + numerator), HUNDRED * denominator)


def plan_import(
    booked: Sequence[BookedPrice],
    listed: Sequence[ListedPrice],
    *,
    margin_percent: Decimal,
    now_ms: int,
    overrule_operator: bool = False,
) -> Plan:
    """Compare one model's book with its list, meter by meter and tier by tier.

    An empty place gets the whole dated history. Otherwise later dates are appended, and if what is in force
    now still differs from the list, a row that begins now sets it right: history is never rewritten.
    """
    wanted = [
        NewPrice(
            meter=price.meter,
            tier_from=price.tier_from,
            effective_from_ms=price.effective_from_ms,
            cost_atto=price.cost_atto,
            sale_atto=sale_of(price.cost_atto, margin_percent),
        )
        for price in sorted(listed, key=lambda price: price.effective_from_ms)
    ]
    additions: list[NewPrice] = []
    pinned: dict[Meter, None] = {}
    for place in dict.fromkeys((price.meter, price.tier_from) for price in wanted):
        history = sorted(
            (row for row in booked if (row.meter, row.tier_from) == place),
            key=lambda row: row.effective_from_ms,
        )
        timeline = [price for price in wanted if (price.meter, price.tier_from) == place]
        if history and history[-1].source == OPERATOR_SOURCE and not overrule_operator:
            pinned[place[0]] = None
        else:
            additions += _missing(history, timeline, now_ms)
    return Plan(additions=tuple(additions), pinned=tuple(pinned))


def _missing(history: Sequence[BookedPrice], timeline: Sequence[NewPrice], now_ms: int) -> list[NewPrice]:
    if not history:
        return list(timeline)
    book: list[BookedPrice | NewPrice] = list(history)
    newest_ms = history[-1].effective_from_ms
    added: list[NewPrice] = []
    for price in timeline:
        if price.effective_from_ms > newest_ms and not _same(book[-1], price):
            added.append(price)
            book.append(price)
    in_force = _in_force(book, now_ms)
    right = _in_force(timeline, now_ms)
    if right is not None and (in_force is None or not _same(in_force, right)):
        taken = {row.effective_from_ms for row in book}
        added.append(_from_now(right, now_ms + (now_ms in taken)))
    return added


def _in_force(rows: Sequence[BookedPrice | NewPrice], now_ms: int) -> BookedPrice | NewPrice | None:
    return next((row for row in reversed(rows) if row.effective_from_ms <= now_ms), None)


def _same(one: BookedPrice | NewPrice, other: BookedPrice | NewPrice) -> bool:
    return (one.cost_atto, one.sale_atto) == (other.cost_atto, other.sale_atto)


def _from_now(price: BookedPrice | NewPrice, now_ms: int) -> NewPrice:
    return NewPrice(
        meter=price.meter,
        tier_from=price.tier_from,
        effective_from_ms=now_ms,
        cost_atto=price.cost_atto,
        sale_atto=price.sale_atto,
    )
