"""SQL of mails."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from bursar.db.engine import ReadSession, Transaction
from bursar.db.tables import app_user, mail, mail_refusal, outbox

_SHOWN = sa.select(
    mail.c.id,
    mail.c.intent,
    mail.c.template,
    mail.c.locale,
    mail.c.recipient,
    mail.c.message_id,
    mail.c.state,
    mail.c.attempts,
    mail.c.due_at,
    mail.c.server,
    mail.c.said,
    mail.c.created_at,
    mail.c.ended_at,
)


async def insert_mail(tx: Transaction, row: Mapping[str, Any]) -> bool:
    """False: there is one of this intent already."""
    made = await tx.execute(
        insert(mail).values(**row).on_conflict_do_nothing(index_elements=["intent"]).returning(mail.c.id)
    )
    return made.first() is not None


async def refuse(tx: Transaction, recipient: str, choice: str, now: datetime) -> None:
    """Remember it for an address that no account has; who has one has a profile for it. Twice is once."""
    has_account = sa.exists(sa.select(app_user.c.id).where(app_user.c.email == recipient.lower()))
    values = sa.select(
        sa.literal(recipient.lower()), sa.literal(choice), sa.literal(now, sa.DateTime(timezone=True))
    ).where(~has_account)
    names = ["recipient", "choice", "created_at"]
    await tx.execute(insert(mail_refusal).from_select(names, values).on_conflict_do_nothing())


async def forget_event(tx: Transaction, event_id: int, kept: Mapping[str, Any]) -> None:
    """What an event said of a person is not needed once the mail is a row."""
    await tx.execute(sa.update(outbox).where(outbox.c.id == event_id).values(payload=dict(kept)))


async def does_not_want(tx: Transaction, recipient: str, choice: str) -> bool:
    """By the profile, if the address is an account's; else by what this address asked for."""
    profile = sa.select(app_user.c.notifications[choice].astext).where(app_user.c.email == recipient.lower())
    chosen = (await tx.execute(profile)).first()
    if chosen is not None:
        return bool(chosen[0] == "false")
    refused = sa.select(mail_refusal.c.choice).where(
        mail_refusal.c.recipient == recipient.lower(), mail_refusal.c.choice == choice
    )
    return (await tx.execute(refused)).first() is not None


async def claim_next(tx: Transaction, *, claim: UUID, now: datetime, until: datetime) -> sa.RowMapping | None:
    """Take the next mail that is due and that nobody else is sending; others leave it alone until `until`."""
    is_free = sa.or_(mail.c.claimed_until.is_(None), mail.c.claimed_until < now)
    next_one = (
        sa.select(mail.c.id)
        .where(mail.c.state == "waiting", mail.c.due_at <= now, is_free)
        .order_by(mail.c.due_at, mail.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    change = (
        sa.update(mail)
        .where(mail.c.id == next_one.scalar_subquery())
        .values(claim=claim, claimed_until=until, attempts=mail.c.attempts + 1)
        .returning(
            mail.c.id,
            mail.c.template,
            mail.c.locale,
            mail.c.recipient,
            mail.c.message_id,
            mail.c.sealed,
            mail.c.attempts,
            mail.c.created_at,
        )
    )
    return (await tx.execute(change)).mappings().one_or_none()


async def record(tx: Transaction, mail_id: UUID, claim: UUID, changes: Mapping[str, Any]) -> bool:
    """End a claim with what came of it. False: the claim ran out and is somebody else's."""
    change = sa.update(mail).where(mail.c.id == mail_id, mail.c.claim == claim)
    done = await tx.execute(change.values(claim=None, claimed_until=None, **changes))
    return done.rowcount == 1


async def delete_ended(tx: Transaction, *, before: datetime, dead_before: datetime, limit: int) -> int:
    is_dead = mail.c.state == "dead"
    is_old = mail.c.ended_at < sa.case((is_dead, dead_before), else_=before)
    old = sa.select(mail.c.id).where(mail.c.ended_at.is_not(None), is_old).limit(limit)
    return (await tx.execute(sa.delete(mail).where(mail.c.id.in_(old)))).rowcount


async def mails_before(
    read: ReadSession, wanted: Mapping[str, str], *, before: UUID | None, limit: int
) -> Sequence[sa.RowMapping]:
    """`wanted`: columns and what they must be; addresses are compared without case."""
    question = _SHOWN.order_by(mail.c.id.desc()).limit(limit)
    if before is not None:
        question = question.where(mail.c.id < before)
    for name, value in wanted.items():
        question = question.where(sa.func.lower(mail.c[name]) == value.lower())
    return (await read.execute(question)).mappings().all()


async def mail_by_id(read: ReadSession | Transaction, mail_id: UUID) -> sa.RowMapping | None:
    return (await read.execute(_SHOWN.where(mail.c.id == mail_id))).mappings().one_or_none()


async def revive(tx: Transaction, mail_id: UUID, now: datetime) -> bool:
    """Have a dead mail tried again from the start. False: it is not dead."""
    change = sa.update(mail).where(mail.c.id == mail_id, mail.c.state == "dead")
    done = await tx.execute(change.values(state="waiting", attempts=0, due_at=now, ended_at=None))
    return done.rowcount == 1
