"""Suspending an organisation, and lifting it: its keys, and what its people are told."""

from datetime import datetime
from typing import Final, get_args
from uuid import UUID

import sqlalchemy as sa

from bursar.core.messages import Language, Words
from bursar.core.permissions import MemberRole
from bursar.core.webhooks import EventType
from bursar.db.engine import Transaction
from bursar.db.organisations import set_status
from bursar.db.tables import app_user, membership, organisation
from bursar.rest.mails import AbuseSuspended, ask_for_mail
from bursar.rest.webhook_events import ask_for_webhook

LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)


async def suspend(
    tx: Transaction, organisation_id: UUID, *, suspect_id: UUID, why: Words, now: datetime
) -> bool:
    """Have its keys refused within a second, and tell its owner and its programs why.

    False when it was not active: nothing is changed and nobody told.
    """
    if not await set_status(tx, organisation_id, was="active", becomes="suspended"):
        return False
    about = {"status": "suspended", "reason": why.en}
    await ask_for_webhook(
        tx, EventType.ORGANISATION_SUSPENDED, about, organisation_id=organisation_id, now=now
    )
    told = await _whom_to_tell(tx, organisation_id)
    if told is not None:
        name, email, language = told
        await ask_for_mail(
            tx,
            AbuseSuspended(organisation=name, reason=why.in_language(language), at=now),
            to=email,
            locale=language,
            intent=f"abuse_suspended:{suspect_id}:{now.isoformat()}",
            now=now,
            organisation_id=organisation_id,
        )
    return True


async def lift(tx: Transaction, organisation_id: UUID, *, now: datetime) -> bool:
    """Let its keys work again. False when it was not suspended."""
    if not await set_status(tx, organisation_id, was="suspended", becomes="active"):
        return False
    about = {"status": "active"}
    await ask_for_webhook(
        tx, EventType.ORGANISATION_REOPENED, about, organisation_id=organisation_id, now=now
    )
    return True


async def close(tx: Transaction, organisation_id: UUID, *, now: datetime) -> bool:
    """Have its keys refused for good. False when it was closed already."""
    for was in ("active", "suspended"):
        if await set_status(tx, organisation_id, was=was, becomes="closed"):
            about = {"status": "closed"}
            await ask_for_webhook(
                tx, EventType.ORGANISATION_CLOSED, about, organisation_id=organisation_id, now=now
            )
            return True
    return False


async def _whom_to_tell(tx: Transaction, organisation_id: UUID) -> tuple[str, str, Language] | None:
    """Name of the organisation, its owner's address and language; without an owner its billing address."""
    question = (
        sa.select(organisation.c.name, organisation.c.billing_email, app_user.c.email, app_user.c.locale)
        .outerjoin(
            membership,
            sa.and_(membership.c.organisation_id == organisation.c.id, membership.c.role == MemberRole.OWNER),
        )
        .outerjoin(app_user, sa.and_(app_user.c.id == membership.c.user_id, app_user.c.status == "active"))
        .where(organisation.c.id == organisation_id)
    )
    row = (await tx.execute(question)).one()
    email = row.email or row.billing_email
    language: Language = row.locale if row.locale in LANGUAGES else "en"
    return None if email is None else (row.name, email, language)
