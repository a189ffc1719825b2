"""The price book: dated rows, only ever added. A request pays the prices in force when it was admitted."""

from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from bursar.core.money import (
    ATTO_DIGITS,
    AmountInvalid,
    format_price,
    format_price_per_million,
    parse_price,
)
from bursar.db.engine import ReadSession, Transaction
from bursar.features.prices import queries
from bursar.features.prices.plan import OPERATOR_SOURCE
from bursar.features.prices.schemas import Margin, NewPrice, Per, Price, PriceSet
from bursar.rest.control import Policy
from bursar.rest.edge import Edge
from bursar.rest.paging import Page, PageAsked, bigint, cut_page
from bursar.rest.problems import Conflict, Invalid, NotFound

UNITS_OF: Final[dict[Per, int]] = {"unit": 1, "thousand": 1_000, "million": 1_000_000}


class PriceNotFound(NotFound):
    code = "price_not_found"

    def __init__(self) -> None:
        super().__init__("There is no price with this number.")


class PriceInvalid(Invalid):
    code = "price_invalid"


class PriceExists(Conflict):
    code = "price_exists"

    def __init__(self) -> None:
        super().__init__("A price begins at that very moment already; prices are never changed, only added.")


async def set_price(tx: Transaction, wanted: NewPrice, *, edge: Edge) -> PriceSet:
    """Add a dated price by hand; imports leave its meter alone from then on.

    Raises:
        PriceInvalid: an unknown provider, or figures the book cannot hold.
        PriceExists: a row begins at that moment already.
    """
    now = edge.now()
    begins = wanted.effective_from or now
    if not await queries.known_providers(tx, [wanted.provider_id]):
        raise PriceInvalid("body.provider_id: there is no such provider.")
    place = {
        "provider_id": wanted.provider_id,
        "model": wanted.model,
        "meter": wanted.meter.value,
        "currency": wanted.currency,
        "tier_from": wanted.tier_from,
    }
    sale = per_unit(wanted.sale, wanted.per, "sale")
    cost = await _cost(tx, wanted, place, begins)
    row = {
        **place,
        "effective_from": begins,
        "cost": decimal_of(cost),
        "sale": decimal_of(sale),
        "source": OPERATOR_SOURCE,
        "created_at": now,
    }
    number = await queries.insert_price(tx, row)
    if number is None:
        raise PriceExists
    return PriceSet(price=await get_price(tx, number), warnings=warnings_of(cost, sale, begins, now))


async def _cost(tx: Transaction, wanted: NewPrice, place: dict[str, object], begins: datetime) -> int:
    if wanted.cost is not None:
        return per_unit(wanted.cost, wanted.per, "cost")
    known = await queries.in_force(tx, place, begins)
    if known is None:
        raise PriceInvalid("body.cost: nothing is known yet of what this costs; say it.")
    return atto_of(known["cost"])


def warnings_of(cost: int, sale: int, begins: datetime, now: datetime) -> list[str]:
    """What an operator should see at once; all of it is allowed."""
    found = []
    if sale < cost:
        found.append("The sale price is below cost: each unit loses money.")
    if sale == 0:
        found.append("The sale price is zero: this meter is given away.")
    if begins < now:
        found.append("It begins in the past: what was booked already keeps its price.")
    return found


def per_unit(text: str, per: Per, name: str) -> int:
    """Atto for ONE unit. Raises `PriceInvalid` when the book cannot hold it exactly."""
    try:
        atto, rest = divmod(parse_price(text), UNITS_OF[per])
    except AmountInvalid as error:
        raise PriceInvalid(f"body.{name}: {error}") from error
    if rest:
        raise PriceInvalid(f"body.{name}: finer than {ATTO_DIGITS} digits per unit.")
    return atto


async def get_margin(read: ReadSession | Transaction, *, policy: Policy) -> Margin:
    """What the operator set, else the environment's."""
    stored = await queries.margin_setting(read)
    return Margin(margin_percent=policy.margin_percent_default if stored is None else Decimal(str(stored)))


async def set_margin(tx: Transaction, wanted: Margin) -> Margin:
    """Prices follow at the next import; what is in the book stays."""
    await queries.set_margin(tx, str(wanted.margin_percent))
    return wanted


async def get_price(read: ReadSession | Transaction, price_id: int) -> Price:
    """Raises `PriceNotFound`."""
    row = await queries.price_by_id(read, price_id)
    if row is None:
        raise PriceNotFound
    return show(row)


async def list_prices(  # noqa: PLR0913 - each is one filter of the listing
    read: ReadSession,
    asked: PageAsked,
    *,
    edge: Edge,
    provider_id: UUID | None = None,
    model_name: str | None = None,
    meter: str | None = None,
    currency: str | None = None,
    in_force: bool = True,
) -> Page[Price]:
    """Newest first: the rows in force now, or the whole history."""
    wheres = queries.filters(provider_id=provider_id, model_name=model_name, meter=meter, currency=currency)
    if in_force:
        wheres.append(queries.in_force_at(edge.now()))
    rows = await queries.prices_before(read, wheres=wheres, before=asked.after(bigint), limit=asked.limit + 1)
    return cut_page(rows, asked.limit, lambda row: row["id"], show)


def atto_of(price: Decimal) -> int:
    """NUMERIC(38,18) major units → atto, exact."""
    return parse_price(format(price, "f"))


def decimal_of(atto: int) -> Decimal:
    """Atto → NUMERIC(38,18) major units, exact."""
    return Decimal(format_price(atto))


def show(row: sa.RowMapping) -> Price:
    cost, sale = atto_of(row["cost"]), atto_of(row["sale"])
    return Price.model_validate(
        {
            **row,
            "cost": format_price(cost),
            "sale": format_price(sale),
            "cost_per_million": format_price_per_million(cost),
            "sale_per_million": format_price_per_million(sale),
        }
    )
