"""Organisations that people make and close themselves, without an operator."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from bursar.db.engine import Transaction
from bursar.features.organisations import queries, service
from bursar.features.organisations.schemas import FoundedOrganisation, NewOrganisation, Organisation
from bursar.rest.callers import Caller, NotAuthenticated
from bursar.rest.control import Control
from bursar.rest.problems import Conflict, Forbidden

CLOSED_COUNTS_FOR: Final = timedelta(days=30)
"""A closed organisation counts as owned for so long after it was made, so that none are made to be closed."""


class EmailUnverified(Forbidden):
    code = "email_unverified"

    def __init__(self) -> None:
        super().__init__("Verify your e-mail address first.")


class TooManyOrganisations(Conflict):
    code = "too_many_organisations"

    def __init__(self, limit: int) -> None:
        super().__init__(f"A person owns at most {limit} organisations.")
        self.members = {"limit": limit}


async def found_organisation(
    tx: Transaction, wanted: FoundedOrganisation, *, calling: Caller, control: Control
) -> Organisation:
    """Make an organisation with an empty prepaid wallet, owned by who is calling. `tx` acts as accounts.

    Raises:
        EmailUnverified
        TooManyOrganisations: as many as the settings let one person own.
    """
    user_id, now = calling.user_id, control.edge.now()
    person = None if user_id is None else await queries.locked_person(tx, user_id)
    if person is None:
        raise NotAuthenticated
    if person["email_verified_at"] is None:
        raise EmailUnverified
    limit = control.policy.organisations_per_person_max
    if await queries.owned_by(tx, person["id"], or_made_since=now - CLOSED_COUNTS_FOR) >= limit:
        raise TooManyOrganisations(limit)
    made = await service.create_organisation(
        tx,
        NewOrganisation(
            name=wanted.name,
            billing_email=wanted.billing_email or person["email"],
            currency=wanted.currency,
        ),
        edge=control.edge,
    )
    await queries.insert_owner(tx, made.id, person["id"], now)
    return made


async def close_organisation(tx: Transaction, organisation_id: UUID, *, now: datetime) -> Organisation:
    """Close it for good: its keys are refused within a second. Twice is no error. `tx` acts as accounts.

    Raises:
        OrganisationNotFound
    """
    was = await service.get_organisation(tx, organisation_id)
    if was.status != "closed":
        await queries.update_organisation(tx, organisation_id, {"status": "closed"})
        await service.tell_status(tx, organisation_id, "closed", now)
    return await service.get_organisation(tx, organisation_id)
