"""Asking to be forgotten, and taking it back while there is time."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from bursar.db.engine import ReadSession, Transaction
from bursar.features.data_rights import queries
from bursar.features.data_rights.queries import Owner
from bursar.features.data_rights.schemas import DeleteAccount, DeleteOrganisation, Deletion, DeletionState
from bursar.rest.callers import Caller
from bursar.rest.control import Control
from bursar.rest.mails import AccountDeletion, ask_for_mail
from bursar.rest.problems import Conflict, Invalid, NotFound

PAGE = "/account/deletion"
"""Where the console shows a deletion and takes it back."""


class DeletionNotFound(NotFound):
    code = "deletion_not_found"

    def __init__(self) -> None:
        super().__init__("No deletion was asked for.")


class DeletionScheduled(Conflict):
    code = "deletion_scheduled"

    def __init__(self) -> None:
        super().__init__("The deletion is scheduled already.")


class NotDeletable(Conflict):
    """He owns what would be left without an owner."""

    code = "owner_cannot_be_deleted"

    def __init__(self) -> None:
        super().__init__("You own an organisation: hand it over or delete it first.")


class NotConfirmed(Invalid):
    code = "deletion_not_confirmed"

    def __init__(self, what: str) -> None:
        super().__init__(f"body.{what}: is not the {what} of what is to be deleted.")


async def delete_account(
    tx: Transaction, control: Control, calling: Caller, confirmed: DeleteAccount
) -> Deletion:
    """Schedule the caller's own deletion, and mail him how to take it back. `tx` acts as accounts.

    Raises:
        NotConfirmed, NotDeletable, DeletionScheduled.
    """
    person = await queries.person(tx, calling.id)
    if person is None or confirmed.email.lower() != person["email"]:
        raise NotConfirmed("email")
    if await queries.keeps_organisations(tx, calling.id):
        raise NotDeletable
    made = await _schedule(tx, control, Owner(user_id=calling.id), calling)
    await _tell(tx, control, made, user_id=calling.id, person=person)
    return made


async def delete_organisation(
    tx: Transaction, control: Control, calling: Caller, organisation_id: UUID, confirmed: DeleteOrganisation
) -> Deletion:
    """Schedule an organisation's deletion, and mail its owner and administrators.

    Raises:
        NotConfirmed, DeletionScheduled.
    """
    if confirmed.name != await queries.organisation_name(tx, organisation_id):
        raise NotConfirmed("name")
    made = await _schedule(tx, control, Owner(organisation_id=organisation_id), calling)
    for person in await queries.heads(tx, organisation_id):
        await _tell(tx, control, made, user_id=person["id"], person=person, organisation_id=organisation_id)
    return made


async def get(read: ReadSession, owner: Owner) -> Deletion:
    """The newest. Raises `DeletionNotFound`."""
    row = await queries.newest_erasure(read, owner)
    if row is None:
        raise DeletionNotFound
    return show(row)


async def cancel(tx: Transaction, owner: Owner, now: datetime) -> Deletion:
    """Take it back; nothing was erased yet. Raises `DeletionNotFound` when none is scheduled."""
    row = await queries.newest_erasure(tx, owner)
    if row is None or not await queries.cancel_erasure(tx, row["id"], now):
        raise DeletionNotFound
    return show({**row, "cancelled_at": now})


async def _schedule(tx: Transaction, control: Control, owner: Owner, calling: Caller) -> Deletion:
    known = await queries.newest_erasure(tx, owner)
    if known is not None and show(known).state == "scheduled":
        raise DeletionScheduled
    now = control.edge.now()
    row = {
        "id": control.edge.new_id(),
        "organisation_id": owner.organisation_id,
        "user_id": owner.user_id,
        "requested_by": calling.id,
        "requested_at": now,
        "due_at": now + control.policy.erasure_grace,
    }
    await queries.insert_erasure(tx, row)
    return show({**row, "cancelled_at": None, "done_at": None})


async def _tell(  # noqa: PLR0913 - whom, of what
    tx: Transaction,
    control: Control,
    made: Deletion,
    *,
    user_id: UUID,
    person: sa.RowMapping,
    organisation_id: UUID | None = None,
) -> None:
    await ask_for_mail(
        tx,
        AccountDeletion(
            delete_at=made.due_at, link=control.policy.public_url + PAGE, name=person["name"] or None
        ),
        to=person["email"],
        locale=person["locale"],
        intent=f"deletion:{made.id}:{user_id}",
        now=made.requested_at,
        organisation_id=organisation_id,
    )


def show(row: sa.RowMapping | dict[str, object]) -> Deletion:
    state: DeletionState = "scheduled"
    if row["done_at"] is not None:
        state = "done"
    elif row["cancelled_at"] is not None:
        state = "cancelled"
    names = set(Deletion.model_fields) - {"state"}
    return Deletion.model_validate({"state": state, **{name: row[name] for name in names}})
