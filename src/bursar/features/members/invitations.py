"""Invitations: given by mail, looked at, accepted once, sent again, withdrawn.

The mail's link is the only place where the token is; its hash is kept. Whoever follows it must be signed in
with the address that was invited, so that a forwarded or stolen mail lets nobody in.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from bursar.core.messages import Language
from bursar.core.permissions import MemberRole, Permission, operator_may
from bursar.core.webhooks import EventType
from bursar.db.engine import ReadSession, Transaction
from bursar.features.members import queries
from bursar.features.members.schemas import (
    Invitation,
    InvitationOffer,
    InvitationStatus,
    Joined,
    NewInvitation,
)
from bursar.features.members.service import tell
from bursar.features.members.standing import Standing, check_place, lock, may_invite, stand
from bursar.rest.callers import Caller, NoSuchOrganisation, NotAuthenticated
from bursar.rest.control import Control
from bursar.rest.mails import Invite, ask_for_mail
from bursar.rest.paging import Page, PageAsked, cut_page, uuid_key
from bursar.rest.problems import Conflict, Forbidden, NotFound, Refusal
from bursar.rest.secret_text import Issued, digest_of, issue
from bursar.rest.throttles import mail_to, throttle

TOKEN_PREFIX: Final = "bursar_inv_"  # noqa: S105 - public: it lets scanners recognise a leaked token
LIFE: Final = timedelta(days=7)
"""Long enough for a holiday, short enough that an old mailbox opens nothing."""

RESENT_AFTER: Final = timedelta(minutes=1)
MAILS_PER_DAY_MAX: Final = 50
"""Of one organisation: strangers are mailed in our name, so nobody is given a way to mail thousands."""


class InvitationNotFound(NotFound):
    code = "invitation_not_found"

    def __init__(self) -> None:
        super().__init__("This organisation has no invitation with this id.")


class InvitationInvalid(NotFound):
    """Which of these it is, only those who gave it need to know."""

    code = "invitation_invalid"

    def __init__(self) -> None:
        super().__init__("This invitation was used, withdrawn or has expired: ask for a new one.")


class InvitationForAnother(Forbidden):
    code = "invitation_for_another"

    def __init__(self) -> None:
        super().__init__("This invitation is for another e-mail address: sign in with that one.")


class EmailUnverified(Forbidden):
    code = "email_unverified"

    def __init__(self) -> None:
        super().__init__("Verify your e-mail address first.")


class InvitationEnded(Conflict):
    code = "invitation_ended"

    def __init__(self) -> None:
        super().__init__("This invitation was accepted or withdrawn before.")


class AlreadyMember(Conflict):
    code = "already_member"

    def __init__(self) -> None:
        super().__init__("Whoever has this address is a member already.")


class InvitedTooOften(Refusal):
    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "invited_too_often"

    def __init__(self, wait: timedelta) -> None:
        super().__init__("This is too soon: invitations are mailed once a minute, and 50 times a day in all.")
        self.headers = {"retry-after": str(int(wait.total_seconds()))}


async def invite(
    tx: Transaction, organisation_id: UUID, wanted: NewInvitation, *, calling: Caller, control: Control
) -> Invitation:
    """Ask somebody to join; he is mailed a link. An open invitation to the same address is replaced.

    Raises:
        RoleNotGiven, OwnerMissing, OrganisationClosed, TooManyMembers, AlreadyMember, InvitedTooOften
        TooManyTries: whoever has this address was mailed too often, by all of us together.
    """
    now = control.edge.now()
    standing = await stand(tx, organisation_id, calling, Permission.MEMBERS_MANAGE)
    if wanted.role is not MemberRole.OWNER or standing.role is not None:
        standing.check_may_give(wanted.role)
    await check_place(tx, standing, wanted.role)
    if await queries.member_with_email(tx, organisation_id, wanted.email) is not None:
        raise AlreadyMember
    before = await queries.open_invitation_to(tx, organisation_id, wanted.email)
    await _check_pace(tx, organisation_id, now, sent_at=None if before is None else before["sent_at"])
    await _check_mailbox(control, wanted.email)
    await queries.revoke_open(tx, organisation_id, now, email=wanted.email)
    issued, invitation_id = issue(TOKEN_PREFIX), control.edge.new_id()
    await queries.insert_invitation(
        tx,
        {
            "id": invitation_id,
            "organisation_id": organisation_id,
            "email": wanted.email,
            "role": wanted.role,
            "token_hash": issued.digest,
            **_giver(standing, calling),
            "created_at": now,
            "sent_at": now,
            "expires_at": now + LIFE,
        },
    )
    await _mail(tx, standing, invitation_id, issued, calling=calling, control=control, locale=wanted.locale)
    return await get_invitation(tx, organisation_id, invitation_id, now=now)


async def resend(
    tx: Transaction, organisation_id: UUID, invitation_id: UUID, *, calling: Caller, control: Control
) -> Invitation:
    """Mail a new link in the caller's name; the old one opens nothing any more.

    Raises:
        InvitationNotFound, InvitationEnded, RoleNotGiven, OwnerMissing, OrganisationClosed, InvitedTooOften
        TooManyTries: as `invite`.
    """
    now = control.edge.now()
    standing = await stand(tx, organisation_id, calling, Permission.MEMBERS_MANAGE)
    row = await _open(tx, organisation_id, invitation_id)
    role = MemberRole(row["role"])
    if role is not MemberRole.OWNER or standing.role is not None:
        standing.check_may_give(role)
    await check_place(tx, standing, role)
    await _check_pace(tx, organisation_id, now, sent_at=row["sent_at"])
    await _check_mailbox(control, row["email"])
    issued = issue(TOKEN_PREFIX)
    changes = {
        "token_hash": issued.digest,
        **_giver(standing, calling),
        "sent_at": now,
        "sent_count": row["sent_count"] + 1,
        "expires_at": now + LIFE,
    }
    await queries.update_invitation(tx, organisation_id, invitation_id, changes)
    await _mail(tx, standing, invitation_id, issued, calling=calling, control=control)
    return await get_invitation(tx, organisation_id, invitation_id, now=now)


async def revoke(
    tx: Transaction, organisation_id: UUID, invitation_id: UUID, *, calling: Caller, now: datetime
) -> Invitation:
    """Withdraw it. Twice is no error. Raises `InvitationNotFound`, `InvitationEnded`: it was accepted."""
    await stand(tx, organisation_id, calling, Permission.MEMBERS_MANAGE)
    row = await queries.invitation_by_id(tx, organisation_id, invitation_id)
    if row is None or row["revoked_at"] is None:
        await _open(tx, organisation_id, invitation_id)
        await queries.update_invitation(tx, organisation_id, invitation_id, {"revoked_at": now})
    return await get_invitation(tx, organisation_id, invitation_id, now=now)


async def look(read: ReadSession, token: str, *, now: datetime) -> InvitationOffer:
    """What an invitation offers. `read` acts as accounts. Raises `InvitationInvalid`."""
    row = await queries.invitation_by_digest(read, digest_of(token))
    if row is None or status_of(row, now) != "open":
        raise InvitationInvalid
    inviter = await queries.person(read, row["invited_by"])
    return InvitationOffer(
        organisation_id=row["organisation_id"],
        organisation_name=await queries.organisation_name(read, row["organisation_id"]),
        email=row["email"],
        role=row["role"],
        inviter=None if inviter is None else inviter["name"] or inviter["email"],
        expires_at=row["expires_at"],
    )


async def accept(tx: Transaction, token: str, *, calling: Caller, now: datetime) -> Joined:
    """Become a member. `tx` acts as accounts, in the name of who is calling.

    Raises:
        InvitationInvalid: also when its giver could not give it today.
        InvitationForAnother, EmailUnverified
        AlreadyMember, OrganisationClosed, OwnerMissing, TooManyMembers
    """
    digest = digest_of(token)
    person = await queries.person(tx, calling.user_id)
    if person is None:
        raise NotAuthenticated
    found = await queries.invitation_by_digest(tx, digest)
    if found is None:
        raise InvitationInvalid
    place = await lock(tx, found["organisation_id"])
    row = await queries.invitation_by_digest(tx, digest)  # it may have ended while we waited
    if row is None or status_of(row, now) != "open":
        raise InvitationInvalid
    if row["email"] != person["email"]:
        raise InvitationForAnother
    if person["email_verified_at"] is None:
        raise EmailUnverified
    return await _join(tx, place, row, person["id"], now)


async def _join(tx: Transaction, place: Standing, row: sa.RowMapping, user_id: UUID, now: datetime) -> Joined:
    organisation_id, role = place.organisation_id, MemberRole(row["role"])
    if not await _still_given(tx, row, role, now):
        raise InvitationInvalid
    if role is MemberRole.OWNER and await queries.owner_of(tx, organisation_id) is not None:
        raise InvitationInvalid
    if await queries.role_of(tx, organisation_id, user_id) is not None:
        raise AlreadyMember
    await check_place(tx, place, role)
    ended = {"accepted_at": now, "accepted_by": user_id}
    if not await queries.claim(tx, organisation_id, row["id"], ended):
        raise InvitationInvalid
    await queries.insert_member(tx, organisation_id, user_id, role, now)
    await tell(tx, EventType.MEMBER_JOINED, organisation_id, now, user_id=str(user_id), role=role.value)
    return Joined(organisation_id=organisation_id, user_id=user_id, role=role, joined_at=now)


def _giver(standing: Standing, calling: Caller) -> Mapping[str, UUID | None]:
    """Who answers for it: a member, an operator or his token; nobody for the command line."""
    is_member = standing.role is not None
    return {
        "invited_by": calling.user_id if is_member else None,
        "operator_id": None if is_member else calling.user_id,
        "operator_token_id": None if is_member else calling.token_id,
    }


async def _still_given(tx: Transaction, row: sa.RowMapping, role: MemberRole, now: datetime) -> bool:
    """Whether its giver could give it today."""
    if row["invited_by"] is not None:
        return may_invite(await queries.role_of(tx, row["organisation_id"], row["invited_by"]), role)
    if row["operator_id"] is not None:
        operator = await queries.operator_role(tx, row["operator_id"])
    elif row["operator_token_id"] is not None:
        operator = await queries.token_role(tx, row["operator_token_id"], now)
    else:
        return True  # whoever was at the command line needed no role
    return operator_may(operator, Permission.MEMBERS_MANAGE)


async def list_invitations(
    read: ReadSession, organisation_id: UUID, asked: PageAsked, *, now: datetime
) -> Page[Invitation]:
    """Newest first, whatever became of them. Raises `NoSuchOrganisation`."""
    if not await queries.organisation_there(read, organisation_id):
        raise NoSuchOrganisation
    rows = await queries.invitations_before(
        read, organisation_id, before=asked.after(uuid_key), limit=asked.limit + 1
    )
    return cut_page(rows, asked.limit, lambda row: row["id"], lambda row: show(row, now))


async def get_invitation(
    read: ReadSession | Transaction, organisation_id: UUID, invitation_id: UUID, *, now: datetime
) -> Invitation:
    """Raises `InvitationNotFound`."""
    row = await queries.invitation_by_id(read, organisation_id, invitation_id)
    if row is None:
        raise InvitationNotFound
    return show(row, now)


async def _open(tx: Transaction, organisation_id: UUID, invitation_id: UUID) -> sa.RowMapping:
    row = await queries.invitation_by_id(tx, organisation_id, invitation_id)
    if row is None:
        raise InvitationNotFound
    if row["accepted_at"] is not None or row["revoked_at"] is not None:
        raise InvitationEnded
    return row


async def _mail(  # noqa: PLR0913 - a mail has so many parts
    tx: Transaction,
    standing: Standing,
    invitation_id: UUID,
    issued: Issued,
    *,
    calling: Caller,
    control: Control,
    locale: Language | None = None,
) -> None:
    """In the language asked for, or the caller's; his name is in it unless he is the operator."""
    row = await queries.invitation_by_id(tx, standing.organisation_id, invitation_id)
    if row is None:
        raise InvitationNotFound
    giver = await queries.person(tx, calling.user_id)
    values = Invite(
        organisation=standing.organisation_name,
        role=row["role"],
        link=f"{control.policy.public_url}/invitation#token={issued.secret}",
        expires_at=row["expires_at"],
        inviter=None if giver is None or standing.role is None else giver["name"] or giver["email"],
    )
    await ask_for_mail(
        tx,
        values,
        to=row["email"],
        locale=locale or (giver["locale"] if giver is not None else "en"),
        intent=f"invite:{invitation_id}:{row['sent_count']}",
        now=control.edge.now(),
        organisation_id=standing.organisation_id,
    )


async def _check_pace(
    tx: Transaction, organisation_id: UUID, now: datetime, *, sent_at: datetime | None
) -> None:
    """Raises `InvitedTooOften`."""
    if sent_at is not None and now < sent_at + RESENT_AFTER:
        raise InvitedTooOften(RESENT_AFTER)
    day = timedelta(days=1)
    if await queries.mails_since(tx, organisation_id, now - day) >= MAILS_PER_DAY_MAX:
        raise InvitedTooOften(day)


async def _check_mailbox(control: Control, email: str) -> None:
    """Asked last, so that only what would be mailed counts.

    Within the transaction, by way of exception: only there it is known whom a repeated mail goes to, and the
    counter answers at once or is left alone after `redis_timeout_ms`.

    Raises `TooManyTries`.
    """
    await throttle(control, [mail_to(email)])


def status_of(row: sa.RowMapping, now: datetime) -> InvitationStatus:
    if row["accepted_at"] is not None:
        return "accepted"
    if row["revoked_at"] is not None:
        return "revoked"
    return "open" if now < row["expires_at"] else "expired"


def show(row: sa.RowMapping, now: datetime) -> Invitation:
    return Invitation.model_validate({**row, "status": status_of(row, now)})
