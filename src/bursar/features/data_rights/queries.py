"""SQL of exports and erasures. An owner is an organisation, or a person for himself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bursar.db.engine import ReadSession, Transaction
from bursar.db.tables import app_user, data_export, data_export_piece, erasure, membership, organisation


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose data it is: one of the two."""

    organisation_id: UUID | None = None
    user_id: UUID | None = None

    def of(self, table: sa.Table) -> list[sa.ColumnElement[bool]]:
        if self.organisation_id is not None:
            return [table.c.organisation_id == self.organisation_id]
        return [table.c.organisation_id.is_(None), table.c.user_id == self.user_id]


async def insert_export(tx: Transaction, row: Mapping[str, Any]) -> None:
    await tx.execute(sa.insert(data_export).values(**row))


async def exports_since(tx: Transaction, owner: Owner, since: datetime) -> Sequence[str]:
    """Their states."""
    question = sa.select(data_export.c.state).where(
        *owner.of(data_export), data_export.c.requested_at > since
    )
    return (await tx.execute(question)).scalars().all()


async def exports_before(
    read: ReadSession, owner: Owner, *, before: UUID | None, limit: int
) -> Sequence[sa.RowMapping]:
    """Newest first."""
    question = sa.select(data_export).where(*owner.of(data_export))
    if before is not None:
        question = question.where(data_export.c.id < before)
    return (await read.execute(question.order_by(data_export.c.id.desc()).limit(limit))).mappings().all()


async def export_by_id(read: ReadSession, owner: Owner, export_id: UUID) -> sa.RowMapping | None:
    question = sa.select(data_export).where(*owner.of(data_export), data_export.c.id == export_id)
    return (await read.execute(question)).mappings().one_or_none()


async def piece(read: ReadSession, export_id: UUID, number: int) -> bytes | None:
    question = sa.select(data_export_piece.c.content).where(
        data_export_piece.c.export_id == export_id, data_export_piece.c.number == number
    )
    found = (await read.execute(question)).scalar_one_or_none()
    return None if found is None else bytes(found)


async def next_queued(tx: Transaction) -> sa.RowMapping | None:
    """The oldest, locked until the transaction ends; what another worker has is passed over."""
    question = (
        sa.select(data_export)
        .where(data_export.c.state == "queued")
        .order_by(data_export.c.requested_at, data_export.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return (await tx.execute(question)).mappings().one_or_none()


async def insert_piece(tx: Transaction, export_id: UUID, number: int, content: bytes) -> None:
    row = {"export_id": export_id, "number": number, "content": content}
    await tx.execute(sa.insert(data_export_piece).values(row))


async def end_export(tx: Transaction, export_id: UUID, values: Mapping[str, Any]) -> None:
    await tx.execute(sa.update(data_export).where(data_export.c.id == export_id).values(**values))


async def expire_exports(tx: Transaction, now: datetime) -> int:
    """Remove the archives of exports whose time is over."""
    over = sa.select(data_export.c.id).where(data_export.c.state == "ready", data_export.c.expires_at <= now)
    ids = (await tx.execute(over)).scalars().all()
    await tx.execute(sa.delete(data_export_piece).where(data_export_piece.c.export_id.in_(ids)))
    await tx.execute(sa.update(data_export).where(data_export.c.id.in_(ids)).values(state="expired"))
    return len(ids)


async def insert_erasure(tx: Transaction, row: Mapping[str, Any]) -> None:
    await tx.execute(sa.insert(erasure).values(**row))


async def newest_erasure(read: ReadSession | Transaction, owner: Owner) -> sa.RowMapping | None:
    question = sa.select(erasure).where(*owner.of(erasure)).order_by(erasure.c.id.desc()).limit(1)
    return (await read.execute(question)).mappings().one_or_none()


async def cancel_erasure(tx: Transaction, erasure_id: UUID, now: datetime) -> bool:
    change = sa.update(erasure).where(
        erasure.c.id == erasure_id, erasure.c.cancelled_at.is_(None), erasure.c.done_at.is_(None)
    )
    return (await tx.execute(change.values(cancelled_at=now))).rowcount == 1


async def next_due(tx: Transaction, now: datetime, passed_over: Sequence[UUID]) -> sa.RowMapping | None:
    """The erasure that is due longest, locked; organisations before the people who own them."""
    question = (
        sa.select(erasure)
        .where(
            erasure.c.due_at <= now,
            erasure.c.cancelled_at.is_(None),
            erasure.c.done_at.is_(None),
            erasure.c.id.not_in(passed_over),
        )
        .order_by(erasure.c.organisation_id.is_(None), erasure.c.due_at, erasure.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return (await tx.execute(question)).mappings().one_or_none()


async def erase(tx: Transaction, owner: Owner, now: datetime) -> None:
    forgetting = (
        sa.func.bursar_erase_user(owner.user_id, now)
        if owner.organisation_id is None
        else sa.func.bursar_erase_organisation(owner.organisation_id, now)
    )
    await tx.execute(sa.select(forgetting))


async def check_constraints(tx: Transaction) -> None:
    """Now, and not at the end: what would be broken then is told where it can be undone."""
    await tx.execute(sa.text("SET CONSTRAINTS ALL IMMEDIATE"))


async def end_erasure(tx: Transaction, erasure_id: UUID, now: datetime) -> None:
    await tx.execute(sa.update(erasure).where(erasure.c.id == erasure_id).values(done_at=now))


async def keeps_organisations(tx: Transaction, user_id: UUID) -> bool:
    """Whether he owns an organisation that is in use, or has members who would be left without an owner."""
    others = membership.alias("others")
    question = (
        sa.select(membership.c.organisation_id)
        .join(organisation, organisation.c.id == membership.c.organisation_id)
        .where(
            membership.c.user_id == user_id,
            membership.c.role == "owner",
            sa.or_(
                organisation.c.status != "closed",
                sa.exists().where(
                    others.c.organisation_id == membership.c.organisation_id, others.c.user_id != user_id
                ),
            ),
            ~sa.exists().where(
                erasure.c.organisation_id == membership.c.organisation_id,
                erasure.c.cancelled_at.is_(None),
                erasure.c.done_at.is_(None),
            ),
        )
        .limit(1)
    )
    return (await tx.execute(question)).first() is not None


async def person(read: ReadSession | Transaction, user_id: UUID) -> sa.RowMapping | None:
    question = sa.select(app_user.c.email, app_user.c.name, app_user.c.locale, app_user.c.erased_at)
    return (await read.execute(question.where(app_user.c.id == user_id))).mappings().one_or_none()


async def organisation_name(read: ReadSession | Transaction, organisation_id: UUID) -> str | None:
    question = sa.select(organisation.c.name).where(organisation.c.id == organisation_id)
    return (await read.execute(question)).scalar_one_or_none()


async def heads(tx: Transaction, organisation_id: UUID) -> Sequence[sa.RowMapping]:
    """Owner and administrators: who is told that their organisation goes."""
    question = (
        sa.select(app_user.c.id, app_user.c.email, app_user.c.name, app_user.c.locale)
        .join(membership, membership.c.user_id == app_user.c.id)
        .where(
            membership.c.organisation_id == organisation_id,
            membership.c.role.in_(("owner", "admin")),
            app_user.c.status == "active",
        )
        .order_by(app_user.c.id)
    )
    return (await tx.execute(question)).mappings().all()
