"""SQL of API keys. The organisation is always an argument, and row-level security holds besides."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on

from bursar.core.permissions import MemberRole
from bursar.db.engine import ReadSession, Transaction
from bursar.db.tables import api_key, app_user, mail, membership, model, model_alias, organisation

_SHOWN = sa.select(
    api_key.c.id,
    api_key.c.organisation_id,
    api_key.c.name,
    api_key.c.key_prefix.label("visible"),
    api_key.c.active,
    api_key.c.allowed_models,
    api_key.c.limits,
    api_key.c.allowed_addresses,
    api_key.c.created_at,
    api_key.c.created_by,
    api_key.c.expires_at,
    api_key.c.revoked_at,
    api_key.c.rotated_from,
    api_key.c.project_id,
)


def _one(organisation_id: UUID, key_id: UUID) -> sa.ColumnElement[bool]:
    return sa.and_(api_key.c.organisation_id == organisation_id, api_key.c.id == key_id)


async def organisation_status(read: ReadSession | Transaction, organisation_id: UUID) -> str | None:
    question = sa.select(organisation.c.status).where(organisation.c.id == organisation_id)
    return (await read.execute(question)).scalar_one_or_none()


async def key_by_id(
    read: ReadSession | Transaction, organisation_id: UUID, key_id: UUID
) -> sa.RowMapping | None:
    return (await read.execute(_SHOWN.where(_one(organisation_id, key_id)))).mappings().one_or_none()


async def locked_key(tx: Transaction, organisation_id: UUID, key_id: UUID) -> sa.RowMapping | None:
    """Two rotations of one key come one after the other."""
    question = _SHOWN.where(_one(organisation_id, key_id)).with_for_update()
    return (await tx.execute(question)).mappings().one_or_none()


async def successor_of(tx: Transaction, key_id: UUID) -> UUID | None:
    question = sa.select(api_key.c.id).where(api_key.c.rotated_from == key_id).limit(1)
    return (await tx.execute(question)).scalar_one_or_none()


async def count_usable(tx: Transaction, organisation_id: UUID, now: datetime) -> int:
    question = sa.select(sa.func.count()).where(
        api_key.c.organisation_id == organisation_id,
        api_key.c.active,
        sa.or_(api_key.c.expires_at.is_(None), api_key.c.expires_at > now),
    )
    return int((await tx.execute(question)).scalar_one())


async def keys_before(
    read: ReadSession, organisation_id: UUID, *, before: UUID | None, limit: int
) -> Sequence[sa.RowMapping]:
    question = (
        _SHOWN.where(api_key.c.organisation_id == organisation_id).order_by(api_key.c.id.desc()).limit(limit)
    )
    if before is not None:
        question = question.where(api_key.c.id < before)
    return (await read.execute(question)).mappings().all()


async def known_model_names(read: Transaction, names: Iterable[str]) -> set[str]:
    """Which of these are a model's name or an alias."""
    wanted = list(names)
    question = sa.union(
        sa.select(model.c.id).where(model.c.id.in_(wanted)),
        sa.select(model_alias.c.alias).where(model_alias.c.alias.in_(wanted)),
    )
    return set((await read.execute(question)).scalars())


async def insert_key(tx: Transaction, row: Mapping[str, Any]) -> None:
    await tx.execute(sa.insert(api_key).values(**row))


async def update_key(
    tx: Transaction, organisation_id: UUID, key_id: UUID, changes: Mapping[str, Any]
) -> None:
    await tx.execute(sa.update(api_key).where(_one(organisation_id, key_id)).values(**changes))


async def holder_of_keys(
    tx: Transaction, organisation_id: UUID, created_by: UUID | None
) -> sa.RowMapping | None:
    """Who is told of a key: the member who made it, or else the owner."""
    made_it = membership.c.user_id == created_by
    question = (
        sa.select(
            app_user.c.id,
            app_user.c.name,
            app_user.c.email,
            app_user.c.locale,
            organisation.c.name.label("organisation"),
        )
        .select_from(membership)
        .join(app_user, app_user.c.id == membership.c.user_id)
        .join(organisation, organisation.c.id == membership.c.organisation_id)
        .where(
            membership.c.organisation_id == organisation_id,
            sa.or_(made_it, membership.c.role == MemberRole.OWNER),
        )
        .order_by(sa.func.coalesce(made_it, sa.false()).desc())
        .limit(1)
    )
    return (await tx.execute(question)).mappings().one_or_none()


async def keys_expiring_unwarned(
    tx: Transaction, now: datetime, *, within: timedelta, limit: int
) -> Sequence[sa.RowMapping]:
    """Keys in use that expire soon and have no successor, with who is told and what the mail is about.

    Of all organisations: `tx` is the worker's. Without those of whom a mail was made already.
    """
    made_it = membership.c.user_id == api_key.c.created_by
    successor = api_key.alias("successor")
    expiry_ms = sa.cast(sa.extract("epoch", api_key.c.expires_at) * 1000, sa.BigInteger)
    intent = sa.func.concat("key_expiring:", api_key.c.id, ":", expiry_ms).label("intent")
    question = (
        sa.select(
            api_key.c.organisation_id,
            api_key.c.name,
            api_key.c.key_prefix.label("visible"),
            api_key.c.expires_at,
            app_user.c.email,
            app_user.c.locale,
            organisation.c.name.label("organisation"),
            intent,
        )
        .join(organisation, organisation.c.id == api_key.c.organisation_id)
        .join(
            membership,
            sa.and_(
                membership.c.organisation_id == api_key.c.organisation_id,
                sa.or_(made_it, membership.c.role == MemberRole.OWNER),
            ),
        )
        .join(app_user, app_user.c.id == membership.c.user_id)
        .where(
            api_key.c.active,
            api_key.c.expires_at > now,
            api_key.c.expires_at <= now + within,
            api_key.c.expires_at > api_key.c.created_at + within,
            organisation.c.status == "active",
            ~sa.exists().where(successor.c.rotated_from == api_key.c.id),
            ~sa.exists().where(mail.c.intent == intent.element),
        )
        .ext(distinct_on(api_key.c.id))
        .order_by(api_key.c.id, sa.func.coalesce(made_it, sa.false()).desc())
        .limit(limit)
    )
    return (await tx.execute(question)).mappings().all()
