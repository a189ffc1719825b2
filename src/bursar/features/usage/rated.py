"""What usage rows were rated by: the prices and platform fees they name."""

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from bursar.core.explanation import Explainable, Explanation, explain
from bursar.core.fees import OWN_KEY, PERCENT_DIGITS, PLATFORM_FEE, Fee
from bursar.core.money import format_price, parse_price
from bursar.core.pricing import PriceRow
from bursar.core.usage import Meter
from bursar.db.engine import ReadSession
from bursar.features.usage import queries
from bursar.rest.fields import ms_of_moment


class Terms(NamedTuple):
    """The rows of the price book and of the fees that some usage rows name."""

    prices: tuple[PriceRow, ...] = ()
    fees: tuple[Fee, ...] = ()

    def explain(self, row: Explainable) -> Explanation:
        return explain(row, self.prices, self.fees)

    def list_cost(self, row: sa.RowMapping) -> str | None:
        """What the provider's list makes of a request on an own credential, exact; None for all others."""
        if OWN_KEY not in row["flags"]:
            return None
        costs = {price.price_id: price.cost_atto for price in self.prices}
        numbers = row["price_ids"]
        return format_price(
            sum(
                quantity * costs[numbers[meter]]
                for meter, quantity in row["quantities"].items()
                if meter in numbers
            )
        )


async def terms_of(read: ReadSession, rows: Sequence[sa.RowMapping]) -> Terms:
    """Of all these rows."""
    named = [number for row in rows for number in row["price_ids"].items()]
    prices = {number for meter, number in named if meter != PLATFORM_FEE}
    fees = {number for meter, number in named if meter == PLATFORM_FEE}
    return Terms(
        prices=tuple(map(_price, await queries.prices_by_id(read, prices))) if prices else (),
        fees=tuple(map(_fee, await queries.fees_by_id(read, fees))) if fees else (),
    )


def own_rows(rows: Sequence[sa.RowMapping]) -> list[sa.RowMapping]:
    """Those that ran on an own credential: a listing shows prices of no others."""
    return [row for row in rows if OWN_KEY in row["flags"]]


def _price(row: sa.RowMapping) -> PriceRow:
    return PriceRow(
        price_id=row["id"],
        provider_id=row["provider_id"],
        model=row["model"],
        meter=Meter(row["meter"]),
        currency=row["currency"],
        effective_from_ms=ms_of_moment(row["effective_from"]),
        tier_from=row["tier_from"],
        cost_atto=parse_price(format(row["cost"], "f")),
        sale_atto=parse_price(format(row["sale"], "f")),
    )


def _fee(row: sa.RowMapping) -> Fee:
    return Fee(
        fee_id=row["id"],
        organisation_id=row["organisation_id"],
        currency=row["currency"],
        effective_from_ms=ms_of_moment(row["effective_from"]),
        millionths=int(row["percent"] * 10**PERCENT_DIGITS),
        fixed_atto=parse_price(format(row["fixed"], "f")),
    )
