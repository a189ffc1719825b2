"""Organisations: who buys. Creating one opens its wallet."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from bursar.core.money import AmountInvalid, asset_scale, format_amount, parse_amount
from bursar.core.webhooks import EventType
from bursar.db.engine import ReadSession, Transaction
from bursar.db.ledger import AMOUNT_MAX, set_credit_limit
from bursar.features.organisations import queries
from bursar.features.organisations.schemas import (
    Billing,
    BillingType,
    NewOrganisation,
    Organisation,
    OrganisationChange,
    Status,
)
from bursar.rest.edge import Edge, Occasion
from bursar.rest.paging import Page, PageAsked, cut_page, uuid_key
from bursar.rest.problems import Conflict, Invalid, NotFound
from bursar.rest.webhook_events import ask_for_webhook

CREDIT_LIMIT_DEFAULT_MAJOR: Final = 500
"""What a postpaid organisation may owe when nobody says otherwise, in major units."""


TOLD_AS: Final[Mapping[Status, EventType]] = {
    "active": EventType.ORGANISATION_REOPENED,
    "suspended": EventType.ORGANISATION_SUSPENDED,
    "closed": EventType.ORGANISATION_CLOSED,
}


class OrganisationNotFound(NotFound):
    code = "organisation_not_found"

    def __init__(self) -> None:
        super().__init__("There is no organisation with this id.")


class OrganisationAmbiguous(Conflict):
    code = "organisation_ambiguous"

    def __init__(self) -> None:
        super().__init__("Several organisations have this name; use the id.")


class CreditLimitInvalid(Invalid):
    code = "credit_limit_invalid"


async def create_organisation(tx: Transaction, wanted: NewOrganisation, *, edge: Edge) -> Organisation:
    """Create an organisation and its empty wallet.

    Raises:
        CreditLimitInvalid: a prepaid organisation was given one, or it is no amount.
    """
    organisation_id, wallet_id, now = edge.new_id(), edge.new_id(), edge.now()
    limit = credit_limit_of(wanted.billing_type, wanted.credit_limit, wanted.currency)
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


def credit_limit_of(billing_type: BillingType, given: str | None, currency: str) -> int:
    """The wallet's credit limit in units of its asset: 0 for prepaid, 500 major units unless given.

    Raises:
        CreditLimitInvalid: it is no amount above zero, or for prepaid any amount above zero.
    """
    try:
        limit = None if given is None else parse_amount(given, currency)
    except AmountInvalid as error:
        raise CreditLimitInvalid(f"body.credit_limit: {error}") from error
    if billing_type == "prepaid":
        if limit:
            raise CreditLimitInvalid("A prepaid organisation has no credit limit; make it postpaid.")
        return 0
    if limit is None:
        return int(CREDIT_LIMIT_DEFAULT_MAJOR * 10 ** asset_scale(currency))
    if not 0 < limit <= AMOUNT_MAX:
        raise CreditLimitInvalid("body.credit_limit: must be above zero, and below a billion.")
    return limit


async def set_billing(
    tx: Transaction, organisation_id: UUID, wanted: Billing, occasion: Occasion
) -> Organisation:
    """Change how an organisation pays, and what it may owe. What no longer fits blocks new requests.

    Raises:
        OrganisationNotFound, CreditLimitInvalid
    """
    organisation = await get_organisation(tx, organisation_id)
    limit = credit_limit_of(wanted.billing_type, wanted.credit_limit, organisation.currency)
    said = f"{wanted.billing_type}, credit limit {format_amount(limit, organisation.currency)}"
    booking = occasion.booking(organisation.wallet_id, description=said)
    await set_credit_limit(tx, booking, credit_limit=limit)
    await queries.update_organisation(tx, organisation_id, {"billing_type": wanted.billing_type})
    return await get_organisation(tx, organisation_id)


async def get_organisation(read: ReadSession | Transaction, organisation_id: UUID) -> Organisation:
    """Raises `OrganisationNotFound`."""
    row = await queries.organisation_by_id(read, organisation_id)
    if row is None:
        raise OrganisationNotFound
    return show(row)


async def find_organisation(read: ReadSession | Transaction, name: str) -> UUID:
    """The organisation with exactly this name. Raises `OrganisationNotFound`, `OrganisationAmbiguous`."""
    found = await queries.organisations_named(read, name)
    if not found:
        raise OrganisationNotFound
    if len(found) > 1:
        raise OrganisationAmbiguous
    return found[0]


async def list_organisations(
    read: ReadSession, asked: PageAsked, *, name_contains: str | None = None
) -> Page[Organisation]:
    rows = await queries.organisations_before(
        read, before=asked.after(uuid_key), name_contains=name_contains, limit=asked.limit + 1
    )
    return cut_page(rows, asked.limit, lambda row: row["id"], show)


async def change_organisation(
    tx: Transaction, organisation_id: UUID, change: OrganisationChange, *, now: datetime
) -> Organisation:
    """Raises `OrganisationNotFound`."""
    changes = change.model_dump(exclude_unset=True)
    for required in ("name", "status", "store_responses"):
        if required in changes and changes[required] is None:
            raise Invalid(f"body.{required}: must not be null")
    was = await get_organisation(tx, organisation_id)
    if changes:
        await queries.update_organisation(tx, organisation_id, changes)
    if "status" in changes and changes["status"] != was.status:
        await tell_status(tx, organisation_id, changes["status"], now)
    return await get_organisation(tx, organisation_id)


async def tell_status(tx: Transaction, organisation_id: UUID, status: Status, now: datetime) -> None:
    """Announce it to the organisation's own programs."""
    about = {"status": status}
    await ask_for_webhook(tx, TOLD_AS[status], about, organisation_id=organisation_id, now=now)


def show(row: sa.RowMapping) -> Organisation:
    return Organisation.model_validate(dict(row))
