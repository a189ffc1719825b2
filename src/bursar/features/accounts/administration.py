"""What the operator does with people's accounts from the command line."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from pydantic import BaseModel, Field

from bursar.core.messages import Language
from bursar.core.permissions import OperatorRole
from bursar.db.engine import ReadSession, Transaction
from bursar.features.accounts import queries
from bursar.features.accounts.passwords import LINK_PREFIX
from bursar.features.accounts.tasks import reset_token
from bursar.rest.access_tokens import rotate, withdraw
from bursar.rest.account_opening import EmailTaken
from bursar.rest.control import Control
from bursar.rest.fields import Body, Email, Name
from bursar.rest.paging import Page, PageAsked, cut_page, uuid_key
from bursar.rest.problems import NotFound
from bursar.rest.second_factors import forget_second_factor
from bursar.rest.secret_text import issue
from bursar.rest.sign_ins import end_sessions

log = structlog.get_logger(__name__)

LINK_LIFE: Final = timedelta(hours=24)


class PersonNotFound(NotFound):
    code = "person_not_found"

    def __init__(self) -> None:
        super().__init__("There is nobody with this e-mail address.")


class NewPerson(Body):
    email: Email
    name: Name | None = None
    operator_role: OperatorRole | None = None
    locale: Language = "en"


class PasswordLink(BaseModel):
    """Whoever has the link sets the password, once."""

    email: str
    link: str = Field(description="To send to him; it opens once.")
    token: str = Field(description="Its end, for `POST /api/v1/auth/password-reset/confirm`.")
    expires_at: datetime


class PersonListed(BaseModel):
    id: UUID
    email: str
    name: str
    status: str
    operator_role: OperatorRole | None
    two_factor: bool
    created_at: datetime


class SigningKey(BaseModel):
    id: str = Field(description="Its `kid`.")
    created_at: datetime


async def add_person(tx: Transaction, control: Control, wanted: NewPerson) -> PasswordLink:
    """Make somebody who belongs to no organisation yet. Raises `EmailTaken`."""
    email, user_id = wanted.email.lower(), control.edge.new_id()
    if await queries.address_is_taken(tx, email):
        raise EmailTaken
    row = {
        "id": user_id,
        "email": email,
        "name": wanted.name or "",
        "operator_role": None if wanted.operator_role is None else wanted.operator_role.value,
        "locale": wanted.locale,
        "created_at": control.edge.now(),
    }
    await queries.insert_person(tx, row)
    return await _link(tx, control, user_id, email)


async def password_link(tx: Transaction, control: Control, email: str) -> PasswordLink:
    """A link to set the password; those made before open nothing any more. Raises `PersonNotFound`."""
    user_id = await _find(tx, email)
    await queries.void_tokens(tx, user_id, control.edge.now())
    return await _link(tx, control, user_id, email.lower())


async def reset_second_factor(tx: Transaction, control: Control, email: str) -> PersonListed:
    """For who lost his authenticator and his recovery codes; his sign-ins end. Raises `PersonNotFound`."""
    user_id = await _find(tx, email)
    await forget_second_factor(tx, user_id)
    await end_sessions(tx, user_id, control.edge.now())
    log.info("two_factor.reset", user_id=str(user_id))
    return await _show(tx, user_id)


async def set_active(tx: Transaction, control: Control, email: str, *, active: bool) -> PersonListed:
    """Let somebody in, or no longer: his sign-ins end. Raises `PersonNotFound`."""
    user_id = await _find(tx, email)
    await queries.change_person(tx, user_id, {"status": "active" if active else "disabled"})
    if not active:
        await end_sessions(tx, user_id, control.edge.now())
    return await _show(tx, user_id)


async def change_signing_key(tx: Transaction, control: Control, *, at_once: bool) -> SigningKey:
    """Sign access tokens with a new key. `at_once`: those signed before open nothing within a minute."""
    now = control.edge.now()
    if at_once:
        key_id = await withdraw(tx, control.seal, now)
    else:
        key_id, _ = await rotate(tx, control.seal, now)
    return SigningKey(id=key_id, created_at=now)


async def list_people(
    read: ReadSession, asked: PageAsked, *, operators_only: bool = False
) -> Page[PersonListed]:
    """Newest first."""
    rows = await queries.people_before(
        read, before=asked.after(uuid_key), operators_only=operators_only, limit=asked.limit + 1
    )
    return cut_page(
        rows, asked.limit, lambda row: row["id"], lambda row: PersonListed.model_validate(dict(row))
    )


async def _find(tx: Transaction, email: str) -> UUID:
    person = await queries.addressee(tx, email.lower())
    if person is None:
        raise PersonNotFound
    user_id: UUID = person["id"]
    return user_id


async def _show(tx: Transaction, user_id: UUID) -> PersonListed:
    return PersonListed.model_validate(dict(await queries.listed_person(tx, user_id)))


async def _link(tx: Transaction, control: Control, user_id: UUID, email: str) -> PasswordLink:
    now, issued = control.edge.now(), issue(LINK_PREFIX)
    row = reset_token(control.edge.new_id(), user_id, issued.digest, now=now, life=LINK_LIFE)
    await queries.insert_token(tx, row)
    link = f"{control.policy.public_url}/reset-password#token={issued.secret}"
    return PasswordLink(email=email, link=link, token=issued.secret, expires_at=now + LINK_LIFE)
