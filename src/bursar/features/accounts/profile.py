"""Who somebody is, and where he is signed in."""

from uuid import UUID

from bursar.db.engine import ReadSession, Transaction
from bursar.features.accounts import queries
from bursar.features.accounts.schemas import (
    Membership,
    Person,
    PersonChange,
    Session,
    Sessions,
    TermsAccepted,
)
from bursar.features.accounts.sign_ups import check_terms
from bursar.rest.callers import Caller
from bursar.rest.control import Control
from bursar.rest.problems import Invalid, NotFound
from bursar.rest.sign_ins import end_session, end_sessions


class SessionNotFound(NotFound):
    """Also for one that is somebody else's."""

    code = "session_not_found"

    def __init__(self) -> None:
        super().__init__("You have no sign-in with this id.")


async def show(read: ReadSession | Transaction, control: Control, calling: Caller) -> Person:
    row = await queries.profile(read, calling.id)
    wanted = control.policy.sign_up
    accepted = (row["terms_version"], row["privacy_version"])
    return Person.model_validate(
        {
            **row,
            "two_factor": row["totp_confirmed_at"] is not None,
            "recovery_codes_left": await queries.recovery_codes_left(read, calling.id),
            "terms_current": accepted == (wanted.terms_version, wanted.privacy_version),
            "memberships": [
                Membership.model_validate(dict(one)) for one in await queries.memberships(read, calling.id)
            ],
        }
    )


async def change(tx: Transaction, control: Control, calling: Caller, asked: PersonChange) -> Person:
    given = asked.model_dump(exclude_unset=True)
    for name, value in given.items():
        if value is None:
            raise Invalid(f"body.{name}: must not be null")
    if given:
        await queries.change_person(tx, calling.id, given)
    return await show(tx, control, calling)


async def accept_terms(tx: Transaction, control: Control, calling: Caller, asked: TermsAccepted) -> Person:
    """Raises `TermsNotAccepted`: others than those in force."""
    check_terms(control, asked.terms_version, asked.privacy_version)
    changes = {**asked.model_dump(), "accepted_at": control.edge.now()}
    await queries.change_person(tx, calling.id, changes)
    return await show(tx, control, calling)


async def sessions(read: ReadSession, control: Control, calling: Caller) -> Sessions:
    rows = await queries.open_sessions(read, calling.id, control.edge.now())
    return Sessions(
        items=[Session.model_validate({**row, "current": row["id"] == calling.session_id}) for row in rows]
    )


async def revoke_session(tx: Transaction, control: Control, calling: Caller, session_id: UUID) -> None:
    """End one of one's own sign-ins at once. Raises `SessionNotFound`."""
    if await queries.session_began(tx, calling.id, session_id) is None:
        raise SessionNotFound
    await end_session(tx, session_id, control.edge.now())


async def revoke_other_sessions(tx: Transaction, control: Control, calling: Caller) -> None:
    await end_sessions(tx, calling.id, control.edge.now(), but=calling.session_id)
