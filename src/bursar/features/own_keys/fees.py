"""Platform fees: dated rows, only ever added. A request pays the one in force when it was admitted."""

from decimal import Decimal
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from bursar.core.money import AmountInvalid, format_price, parse_price
from bursar.db.engine import ReadSession, Transaction
from bursar.features.own_keys import queries
from bursar.features.own_keys.schemas import NewPlatformFee, PlatformFee
from bursar.features.own_keys.service import OrganisationNotFound
from bursar.rest.edge import Edge
from bursar.rest.paging import Page, PageAsked, bigint, cut_page
from bursar.rest.problems import Conflict, Invalid, NotFound

# Larger than any honest charge for passing one request on, in every currency there is.
PER_REQUEST_MAX: Final = 1_000_000


class PlatformFeeInvalid(Invalid):
    code = "fee_invalid"


class PlatformFeeNotFound(NotFound):
    code = "fee_not_found"

    def __init__(self) -> None:
        super().__init__("No platform fee is in force for this organisation.")


class PlatformFeeExists(Conflict):
    code = "fee_exists"

    def __init__(self) -> None:
        super().__init__("A fee begins at that very moment already; fees are never changed, only added.")


async def set_fee(tx: Transaction, wanted: NewPlatformFee, *, edge: Edge) -> PlatformFee:
    """Add a dated fee; what is booked keeps its own.

    Raises:
        OrganisationNotFound, PlatformFeeInvalid
        PlatformFeeExists: one begins at that moment already.
    """
    owner, now = wanted.organisation_id, edge.now()
    if owner is not None and await queries.organisation_by_id(tx, owner) is None:
        raise OrganisationNotFound
    row = {
        "organisation_id": owner,
        "currency": wanted.currency,
        "percent": wanted.percent,
        "fixed": _exact(wanted.per_request),
        "effective_from": wanted.effective_from or now,
        "created_at": now,
    }
    number = await queries.insert_fee(tx, row)
    if number is None:
        raise PlatformFeeExists
    return show(await queries.fee_by_id(tx, number))


def _exact(text: str) -> Decimal:
    try:
        fixed = Decimal(format_price(parse_price(text)))
    except AmountInvalid as error:
        raise PlatformFeeInvalid(f"body.per_request: {error}") from error
    if fixed > PER_REQUEST_MAX:
        raise PlatformFeeInvalid(f"body.per_request: must not be above {PER_REQUEST_MAX}.")
    return fixed


async def list_fees(
    read: ReadSession, asked: PageAsked, *, organisation_id: UUID | None = None
) -> Page[PlatformFee]:
    """Newest first, the whole history."""
    rows = await queries.fees_before(
        read, organisation_id=organisation_id, before=asked.after(bigint), limit=asked.limit + 1
    )
    return cut_page(rows, asked.limit, lambda row: row["id"], show)


async def fee_of(read: ReadSession, organisation_id: UUID, *, edge: Edge) -> PlatformFee:
    """What the organisation's requests on its own credentials are sold for now.

    Raises:
        OrganisationNotFound
        PlatformFeeNotFound: none is in force in its currency; such requests are refused then.
    """
    organisation = await queries.organisation_by_id(read, organisation_id)
    if organisation is None:
        raise OrganisationNotFound
    row = await queries.fee_in_force(read, organisation_id, organisation["currency"], edge.now())
    if row is None:
        raise PlatformFeeNotFound
    return show(row)


def show(row: sa.RowMapping) -> PlatformFee:
    percent = format_price(parse_price(format(row["percent"], "f")))
    per_request = format_price(parse_price(format(row["fixed"], "f")))
    return PlatformFee.model_validate({**row, "percent": percent, "per_request": per_request})
