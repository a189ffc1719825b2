"""SQL of API keys. The organisation is always an argument, and row-level security holds besides."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bursar.db.engine import ReadSession, Transaction
from bursar.db.tables import api_key, model, model_alias, organisation

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
