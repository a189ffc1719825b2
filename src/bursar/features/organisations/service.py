"""Organisations: who buys. Creating one opens its wallet."""

from typing import Final
from uuid import UUID

import sqlalchemy as sa

from bursar.core.money import AmountInvalid, asset_scale, parse_amount
from bursar.db.engine import ReadSession, Transaction
from bursar.features.organisations import queries
from bursar.features.organisations.schemas import NewOrganisation, Organisation, OrganisationChange
from bursar.rest.edge import Edge
from bursar.rest.paging import Page, PageAsked, cut_page, uuid_key
from bursar.rest.problems import Invalid, NotFound

CREDIT_LIMIT_DEFAULT_MAJOR: Final = 500
"""What a postpaid organisation may owe when nobody says otherwise, in major units."""


class OrganisationNotFound(NotFound):
    code = "organisation_not_found"

    def __init__(self) -> None:
        super().__init__("There is no organisation with this id.")


class CreditLimitInvalid(Invalid):
    code = "credit_limit_invalid"


async def create_organisation(tx: Transaction, wanted: NewOrganisation, *, edge: Edge) -> Organisation:
    """Create an organisation and its empty wallet.

    Raises:
        CreditLimitInvalid: a prepaid organisation was given one, or it is no amount.
    """
    organisation_id, wallet_id, now = edge.new_id(), edge.new_id(), edge.now()
    limit = credit_limit_of(wanted)
    row = wanted.model_dump(exclude={"credit_limit"})
    await queries.insert_organisation(tx, {**row, "id": organisation_id, "created_at": now})
    await queries.insert_wallet(
        tx,
        {
            "id": wallet_id,
            "organisation_id": organisation_id,
            "asset": wanted.currency,
            "credit_limit": limit,
            "created_at": now,
        },
    )
    return await get_organisation(tx, organisation_id)


def credit_limit_of(wanted: NewOrganisation) -> int:
    """The wallet's credit limit in units of its asset: 0 for prepaid, 500 major units unless given."""
    if wanted.billing_type == "prepaid":
        if wanted.credit_limit is not None:
            raise CreditLimitInvalid("A prepaid organisation has no credit limit; make it postpaid.")
        return 0
    if wanted.credit_limit is None:
        return int(CREDIT_LIMIT_DEFAULT_MAJOR * 10 ** asset_scale(wanted.currency))
    try:
        limit = parse_amount(wanted.credit_limit, wanted.currency)
    except AmountInvalid as error:
        raise CreditLimitInvalid(f"credit_limit: {error}") from error
    if limit < 0:
        raise CreditLimitInvalid("credit_limit: must not be negative")
    return limit


async def get_organisation(read: ReadSession | Transaction, organisation_id: UUID) -> Organisation:
    """Raises `OrganisationNotFound`."""
    row = await queries.organisation_by_id(read, organisation_id)
    if row is None:
        raise OrganisationNotFound
    return show(row)


async def list_organisations(
    read: ReadSession, asked: PageAsked, *, name_contains: str | None = None
) -> Page[Organisation]:
    rows = await queries.organisations_before(
        read, before=asked.after(uuid_key), name_contains=name_contains, limit=asked.limit + 1
    )
    return cut_page(rows, asked.limit, lambda row: row["id"], show)


async def change_organisation(
    tx: Transaction, organisation_id: UUID, change: OrganisationChange
) -> Organisation:
    """Raises `OrganisationNotFound`."""
    changes = change.model_dump(exclude_unset=True)
    for required in ("name", "status"):
        if required in changes and changes[required] is None:
            raise Invalid(f"body.{required}: must not be null")
    if changes and not await queries.update_organisation(tx, organisation_id, changes):
        raise OrganisationNotFound
    return await get_organisation(tx, organisation_id)


def show(row: sa.RowMapping) -> Organisation:
    return Organisation.model_validate(dict(row))
