"""Why a request cost what it cost: each token class times its price = an exact amount, and one rounding.

The price ids were written on the usage row when it was rated, so an explanation needs no clock and says the
same for ever. A row that names a platform fee ran on the customer's own credential: what its classes come to
is the provider's list cost, and the sale is the fee on it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from bursar.core.fees import FEE_DIGITS, PERCENT_DIGITS, PLATFORM_FEE, Fee
from bursar.core.money import (
    ATTO_DIGITS,
    asset_scale,
    format_amount,
    format_exact,
    format_price,
    format_price_per_million,
    round_half_even,
)
from bursar.core.payer import Outcome
from bursar.core.pricing import PriceRow
from bursar.core.usage import COUNTER_METERS, INPUT_METERS, OUTPUT_METERS, Meter

# What a person is told of an end that was not an ordinary one.
OUTCOME_NOTES: Final[Mapping[str, str]] = {
    Outcome.REFUSED: "Refused before it was sent on.",
    Outcome.HANGUP_BEFORE_SEND: "The caller hung up before anything was sent on.",
    Outcome.PROVIDER_ERROR_BEFORE_OUTPUT: "The provider failed before any output.",
    Outcome.PROVIDER_ERROR_AFTER_OUTPUT: "The provider failed midway; what was delivered is charged.",
    Outcome.HANGUP_BEFORE_OUTPUT: "The caller hung up after sending, before the first output.",
    Outcome.HANGUP_MIDSTREAM: "The caller hung up midway; input and delivered output are charged.",
    Outcome.USAGE_MISSING: "The provider reported no usage; our estimate is charged.",
    Outcome.USAGE_ZERO: "The provider reported zero usage.",
    Outcome.CONTENT_FILTERED: "The provider's content filter ended it; charged as the provider bills it.",
    Outcome.JOB_FAILED: "The job failed.",
    Outcome.CRASHED: "The gateway stopped midway; charged up to the last progress mark.",
    Outcome.CRASHED_UNANSWERED: "The gateway stopped before it could answer.",
}

OWN_KEY_NOTE: Final = (
    "Served with your own provider credential: the provider bills you, the charge here is the platform fee."
)


class Explainable(Protocol):
    """What is read of a usage row: `bursar.core.booking.UsageRow`, or any stored form of it."""

    @property
    def asset(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def estimated(self) -> bool: ...
    @property
    def quantities(self) -> Mapping[str, int]: ...
    @property
    def price_ids(self) -> Mapping[str, int]: ...
    @property
    def input_tokens(self) -> int: ...
    @property
    def cost(self) -> int: ...
    @property
    def sale(self) -> int: ...


class ExplainedLine(NamedTuple):
    """One meter. Unit prices are atto for ONE unit; amounts are exact, in atto. None: it has no price."""

    meter: str
    quantity: int
    price: PriceRow | None
    cost_atto: int
    sale_atto: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The sum of one usage row. `cost` and `sale` are what was booked, in units of `asset`.

    `sale_adds_up` is False when the who-pays rule charged other than quantity times price; `notes` say why.
    `fee`: the platform fee that was sold instead, `sale_exact_atto` being what the prices would have come to.
    """

    asset: str
    lines: tuple[ExplainedLine, ...]
    cost: int
    sale: int
    cost_exact_atto: int
    sale_exact_atto: int
    sale_adds_up: bool
    notes: tuple[str, ...]
    fee: Fee | None = None

    def to_json(self, *, with_cost: bool) -> dict[str, Any]:
        """Plain JSON with decimal strings. Customers get `with_cost=False`: our cost is not theirs to see."""
        if self.fee is not None:
            return _fee_json(self, self.fee, with_cost=with_cost)
        shown: dict[str, Any] = {
            "currency": self.asset,
            "sale": format_amount(self.sale, self.asset),
            "sale_exact": format_price(self.sale_exact_atto),
            "rounding": f"once, half to even, to {asset_scale(self.asset)} digits",
            "adds_up": self.sale_adds_up,
            "lines": [_line_json(line, with_cost=with_cost) for line in self.lines],
            "notes": list(self.notes),
        }
        if with_cost:
            shown["cost"] = format_amount(self.cost, self.asset)
            shown["cost_exact"] = format_price(self.cost_exact_atto)
        return shown


def explain(row: Explainable, price_rows: Iterable[PriceRow], fees: Iterable[Fee] = ()) -> Explanation:
    """Explain one usage row; `price_rows` and `fees` are those its `price_ids` name, in any order."""
    prices = {price.price_id: price for price in price_rows}
    lines = tuple(
        _line(meter, quantity, prices.get(row.price_ids.get(meter, 0)))
        for meter, quantity in row.quantities.items()
        if quantity
    )
    cost_atto = sum(line.cost_atto for line in lines)
    sale_atto = sum(line.sale_atto for line in lines)
    per_unit = 10 ** (ATTO_DIGITS - asset_scale(row.asset))
    fee = _fee_of(row, fees)
    due = round_half_even(sale_atto, per_unit) if fee is None else fee.amount(cost_atto)
    adds_up = due == row.sale
    return Explanation(
        asset=row.asset,
        lines=lines,
        cost=row.cost,
        sale=row.sale,
        cost_exact_atto=cost_atto,
        sale_exact_atto=sale_atto,
        sale_adds_up=adds_up,
        notes=tuple(_notes(row, lines, fee, adds_up=adds_up)),
        fee=fee,
    )


def _fee_of(row: Explainable, fees: Iterable[Fee]) -> Fee | None:
    wanted = row.price_ids.get(PLATFORM_FEE)
    return None if wanted is None else next(fee for fee in fees if fee.fee_id == wanted)


def _line(meter: str, quantity: int, price: PriceRow | None) -> ExplainedLine:
    if price is None:
        return ExplainedLine(meter, quantity, None, 0, 0)
    return ExplainedLine(meter, quantity, price, quantity * price.cost_atto, quantity * price.sale_atto)


def _notes(
    row: Explainable, lines: Collection[ExplainedLine], fee: Fee | None, *, adds_up: bool
) -> Iterable[str]:
    if fee is not None:
        yield OWN_KEY_NOTE
    if row.outcome in OUTCOME_NOTES:
        yield OUTCOME_NOTES[row.outcome]
    if not adds_up:
        yield _why_not(row, fee)
    if row.estimated:
        yield "Quantities are our estimate: the provider did not report them."
    sold = {line.meter for line in lines if line.price is not None}
    for line in lines:
        if line.price is None:
            yield _why_free(line.meter, sold)
        elif line.price.meter != line.meter:
            yield f"{line.meter} has no price of its own and takes that of {line.price.meter}."
        if line.price is not None and line.price.tier_from:
            yield (
                f"{line.meter}: the price for requests of more than {line.price.tier_from} input tokens "
                f"applies, as this one had {row.input_tokens}."
            )


def _why_free(meter: str, sold: Collection[str]) -> str:
    """A picture and the tokens it was drawn with are one thing, sold as the one or as the other."""
    if meter == Meter.IMAGE and not OUTPUT_METERS.isdisjoint(sold):
        return "Pictures are sold by the tokens they were drawn with."
    if Meter.IMAGE in sold and meter in INPUT_METERS | OUTPUT_METERS:
        return f"{meter} is part of the price of a picture."
    return f"{meter} had no price and was charged at nothing."


def _why_not(row: Explainable, fee: Fee | None) -> str:
    if not row.sale:
        return "Nothing was charged for it."
    what = "quantity times price" if fee is None else "the fee on these quantities"
    return f"Not {what}: the rule for this outcome, or a revision, says otherwise."


def _line_json(line: ExplainedLine, *, with_cost: bool) -> dict[str, Any]:
    price = line.price
    shown: dict[str, Any] = {
        "meter": line.meter,
        "quantity": line.quantity,
        "price_id": price.price_id if price else None,
        "priced_as": str(price.meter) if price else None,
        "tier_from": price.tier_from if price else None,
        "unit_price": format_price(price.sale_atto) if price else None,
        "amount": format_price(line.sale_atto),
    }
    if price and price.meter not in COUNTER_METERS:
        shown["unit_price_per_million"] = format_price_per_million(price.sale_atto)
    if with_cost:
        shown["unit_cost"] = format_price(price.cost_atto) if price else None
        shown["cost_amount"] = format_price(line.cost_atto)
    return shown


def _fee_json(explained: Explanation, fee: Fee, *, with_cost: bool) -> dict[str, Any]:
    """The list cost is told to customers too: their own provider's prices are what the fee rests on."""
    list_cost_atto = explained.cost_exact_atto
    shown: dict[str, Any] = {
        "currency": explained.asset,
        "own_key": True,
        "sale": format_amount(explained.sale, explained.asset),
        "sale_exact": format_exact(fee.exact(list_cost_atto), FEE_DIGITS),
        "rounding": f"once, half to even, to {asset_scale(explained.asset)} digits",
        "adds_up": explained.sale_adds_up,
        "list_cost": format_price(list_cost_atto),
        "fee": {
            "id": fee.fee_id,
            "percent_of_list_cost": format_exact(fee.millionths, PERCENT_DIGITS),
            "per_request": format_price(fee.fixed_atto),
        },
        "lines": [_listed_json(line) for line in explained.lines],
        "notes": list(explained.notes),
    }
    if with_cost:
        shown["cost"] = format_amount(explained.cost, explained.asset)
    return shown


def _listed_json(line: ExplainedLine) -> dict[str, Any]:
    price = line.price
    shown: dict[str, Any] = {
        "meter": line.meter,
        "quantity": line.quantity,
        "price_id": price.price_id if price else None,
        "priced_as": str(price.meter) if price else None,
        "tier_from": price.tier_from if price else None,
        "unit_list_cost": format_price(price.cost_atto) if price else None,
        "list_cost": format_price(line.cost_atto),
    }
    if price and price.meter not in COUNTER_METERS:
        shown["unit_list_cost_per_million"] = format_price_per_million(price.cost_atto)
    return shown
