"""SQL of an organisation's own single sign-on, as that organisation: it never reads what is sealed."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from bursar.db.engine import ReadSession, Transaction
from bursar.db.tables import sso_connection, sso_domain

Reading = ReadSession | Transaction
_CONNECTION = sa.select(*(column for column in sso_connection.c if column.name != "sealed"))


async def connections_of(read: Reading, organisation_id: UUID) -> Sequence[sa.RowMapping]:
    question = _CONNECTION.where(sso_connection.c.organisation_id == organisation_id)
    return (await read.execute(question.order_by(sso_connection.c.created_at))).mappings().all()


async def connection_by_id(read: Reading, organisation_id: UUID, connection_id: UUID) -> sa.RowMapping | None:
    question = _CONNECTION.where(*_one(organisation_id, connection_id))
    return (await read.execute(question)).mappings().one_or_none()


async def insert_connection(tx: Transaction, row: Mapping[str, Any]) -> None:
    await tx.execute(sa.insert(sso_connection).values(**row))


async def update_connection(
    tx: Transaction, organisation_id: UUID, connection_id: UUID, changes: Mapping[str, Any]
) -> None:
    change = sa.update(sso_connection).where(*_one(organisation_id, connection_id))
    await tx.execute(change.values(**changes))


async def delete_connection(tx: Transaction, organisation_id: UUID, connection_id: UUID) -> None:
    """Its domains go with it."""
    await tx.execute(sa.delete(sso_connection).where(*_one(organisation_id, connection_id)))


async def domains_of(read: Reading, organisation_id: UUID) -> Sequence[sa.RowMapping]:
    question = sa.select(sso_domain).where(sso_domain.c.organisation_id == organisation_id)
    return (await read.execute(question.order_by(sso_domain.c.domain))).mappings().all()


async def domain_by_id(read: Reading, organisation_id: UUID, domain_id: UUID) -> sa.RowMapping | None:
    question = sa.select(sso_domain).where(*_domain(organisation_id, domain_id))
    return (await read.execute(question)).mappings().one_or_none()


async def insert_domain(tx: Transaction, row: Mapping[str, Any]) -> bool:
    """False when the organisation has it already."""
    made = insert(sso_domain).values(**row).on_conflict_do_nothing().returning(sso_domain.c.id)
    return (await tx.execute(made)).one_or_none() is not None


async def update_domain(
    tx: Transaction, organisation_id: UUID, domain_id: UUID, changes: Mapping[str, Any]
) -> None:
    change = sa.update(sso_domain).where(*_domain(organisation_id, domain_id))
    await tx.execute(change.values(**changes))


async def delete_domain(tx: Transaction, organisation_id: UUID, domain_id: UUID) -> None:
    await tx.execute(sa.delete(sso_domain).where(*_domain(organisation_id, domain_id)))


def _one(organisation_id: UUID, connection_id: UUID) -> tuple[sa.ColumnElement[bool], ...]:
    return sso_connection.c.organisation_id == organisation_id, sso_connection.c.id == connection_id


def _domain(organisation_id: UUID, domain_id: UUID) -> tuple[sa.ColumnElement[bool], ...]:
    return sso_domain.c.organisation_id == organisation_id, sso_domain.c.id == domain_id
