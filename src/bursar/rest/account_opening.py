"""Opening an account: the person, his organisation with its wallet, and the key to begin with.

For everybody who proved a mail address: by answering our mail, or by signing in where his address was proven.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert

from bursar.core.messages import Language
from bursar.core.money import parse_amount
from bursar.core.permissions import MemberRole
from bursar.db.engine import Transaction
from bursar.db.outbox import publish
from bursar.db.projects import default_project
from bursar.db.tables import api_key, app_user, membership, organisation, trial_given, wallet
from bursar.rest.control import Control
from bursar.rest.mails import Welcome, ask_for_mail
from bursar.rest.problems import Conflict
from bursar.rest.secret_text import issue

log = structlog.get_logger(__name__)

TRIAL_CREDIT: Final = "trial_credit"
"""Event: a new organisation gets what the settings give. The worker books it; accounts see no money."""

TRIAL_PURPOSE: Final = b"bursar trial credit"
STARTER_KEY_NAME: Final = "starter"


class EmailTaken(Conflict):
    """Told only to who proved that the address is his."""

    code = "email_taken"

    def __init__(self) -> None:
        super().__init__("There is an account with this e-mail address already: sign in.")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPerson:
    """Somebody whose mail address is proven. `email`: in small letters. `password_hash`: see `passwords`."""

    email: str
    name: str
    locale: Language
    time_zone: str
    terms_version: str
    privacy_version: str
    accepted_at: datetime
    password_hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """`secret`: the key itself, shown once."""

    organisation_id: UUID
    wallet_id: UUID
    key_id: UUID
    secret: str


async def open_account(tx: Transaction, control: Control, person: NewPerson) -> UUID:
    """Make the person; answer his id. `tx` acts as accounts.

    Raises:
        EmailTaken: somebody has this address; nothing was changed.
    """
    user_id, now = control.edge.new_id(), control.edge.now()
    made = (
        insert(app_user)
        .values(
            id=user_id,
            email=person.email,
            name=person.name,
            locale=person.locale,
            time_zone=person.time_zone,
            password_hash=person.password_hash,
            terms_version=person.terms_version,
            privacy_version=person.privacy_version,
            accepted_at=person.accepted_at,
            email_verified_at=now,
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=[app_user.c.email])
        .returning(app_user.c.id)
    )
    if (await tx.execute(made)).one_or_none() is None:
        raise EmailTaken
    return user_id


async def open_organisation(
    tx: Transaction, control: Control, user_id: UUID, person: NewPerson, *, name: str
) -> Opened:
    """Make a person's own organisation: its wallet, his membership as owner, a starter key, trial credit."""
    edge, now, wanted = control.edge, control.edge.now(), control.policy.sign_up
    opened_id, wallet_id, key_id = edge.new_id(), edge.new_id(), edge.new_id()
    issued = issue(control.policy.key_prefix)
    await tx.execute(
        sa.insert(organisation).values(
            id=opened_id, name=name, billing_email=person.email, currency=wanted.currency, created_at=now
        )
    )
    await tx.execute(
        sa.insert(wallet).values(
            id=wallet_id, organisation_id=opened_id, asset=wanted.currency, created_at=now
        )
    )
    await tx.execute(
        sa.insert(membership).values(
            organisation_id=opened_id, user_id=user_id, role=MemberRole.OWNER.value, created_at=now
        )
    )
    await tx.execute(
        sa.insert(api_key).values(
            id=key_id,
            organisation_id=opened_id,
            name=STARTER_KEY_NAME,
            key_hash=issued.digest,
            key_prefix=issued.visible,
            limits={"requests_per_min": control.policy.requests_per_minute_default},
            created_at=now,
            created_by=user_id,
            project_id=await default_project(tx, opened_id, now=now, new_id=edge.new_id),
        )
    )
    opened = Opened(organisation_id=opened_id, wallet_id=wallet_id, key_id=key_id, secret=issued.secret)
    await _give_trial(tx, control, opened, person.email)
    welcome = Welcome(organisation=name, link=control.policy.public_url)
    await ask_for_mail(
        tx,
        welcome,
        to=person.email,
        locale=person.locale,
        intent=f"welcome:{opened_id}",
        now=now,
        organisation_id=opened_id,
    )
    return opened


async def _give_trial(tx: Transaction, control: Control, opened: Opened, email: str) -> None:
    wanted = control.policy.sign_up
    amount = parse_amount(str(wanted.trial_credit), wanted.currency)
    if amount <= 0:
        return  # the operator gives none
    mark = control.seal.mark(TRIAL_PURPOSE, email.encode())
    row = {"address_hash": mark, "given_at": control.edge.now()}
    noted = insert(trial_given).values(row).on_conflict_do_nothing().returning(sa.true())
    if (await tx.execute(noted)).one_or_none() is None:
        log.info("trial_credit.given_before", organisation_id=str(opened.organisation_id))
        return
    payload = {
        "wallet_id": str(opened.wallet_id),
        "lot_id": str(control.edge.new_id()),
        "amount": amount,
        "at": control.edge.now().isoformat(),
    }
    await publish(tx, TRIAL_CREDIT, payload, now=control.edge.now(), organisation_id=opened.organisation_id)
