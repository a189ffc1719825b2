"""Sessions of the control plane and the worker: one request, one transaction, nobody commits inside."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import NewType, TypedDict, Unpack
from uuid import UUID

import psycopg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bursar.db.connect import Role, conninfo_as

POOL_SIZE = 5
POOL_OVERFLOW = 5
POOL_WAIT_S = 10

ReadSession = NewType("ReadSession", AsyncConnection)
"""Reads only: its transaction is READ ONLY, one snapshot from first to last question (REPEATABLE READ)."""

Transaction = NewType("Transaction", AsyncConnection)
"""Writes; commits when the block that opened it ends, never inside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """As whom a session of the api role acts. The plain one sees no tenant's row.

    Attributes:
        organisation: limits it to this tenant.
        user: lets it see this person's own rows, and the organisations he belongs to.
        operator: it acts as the operator instead, on every tenant.
        accounts: it acts as what signs people up and in: accounts and sessions, no money.
        actor: JSON that the audit log keeps with each change: {"kind", "id", "name", "address"}.
    """

    organisation: UUID | None = None
    user: UUID | None = None
    operator: bool = False
    accounts: bool = False
    actor: str = ""


class AsWhom(TypedDict, total=False):
    """What a session may be told of whom it acts as: `Standing`'s attributes."""

    organisation: UUID | None
    user: UUID | None
    operator: bool
    accounts: bool
    actor: str


class Database:
    """Connections in one role, and the two kinds of session cut from them.

    `actor`: who acts in sessions that name nobody; see `Standing`.
    """

    def __init__(self, url: str, role: Role, *, pool_size: int = POOL_SIZE, actor: str = "") -> None:
        self.url = url
        self.role = role
        self.actor = actor
        conninfo = conninfo_as(url, role)

        async def connect() -> psycopg.AsyncConnection:
            return await psycopg.AsyncConnection.connect(conninfo)

        self.engine: AsyncEngine = create_async_engine(
            "postgresql+psycopg://",
            async_creator=connect,
            pool_size=pool_size,
            max_overflow=POOL_OVERFLOW,
            pool_timeout=POOL_WAIT_S,
            pool_pre_ping=True,
            hide_parameters=True,  # a failed statement is logged; what it was given may be a secret
        )

    @asynccontextmanager
    async def transaction(self, **as_whom: Unpack[AsWhom]) -> AsyncIterator[Transaction]:
        """Commit at the end of the block, roll back when it raises. `as_whom`: see `Standing`."""
        async with self.engine.begin() as connection:
            await _become(connection, self._standing(as_whom))
            yield Transaction(connection)

    @asynccontextmanager
    async def read(self, **as_whom: Unpack[AsWhom]) -> AsyncIterator[ReadSession]:
        """One consistent snapshot; a write inside is refused by PostgreSQL. `as_whom`: see `Standing`."""
        async with self.engine.connect() as connection:
            await connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            await _become(connection, self._standing(as_whom))
            yield ReadSession(connection)
            await connection.rollback()

    async def close(self) -> None:
        await self.engine.dispose()

    def _standing(self, as_whom: AsWhom) -> Standing:
        standing = Standing(**as_whom)
        return standing if standing.actor else replace(standing, actor=self.actor)


async def _become(connection: AsyncConnection, standing: Standing) -> None:
    if standing.operator:
        await connection.execute(sa.text(f"SET LOCAL ROLE {Role.OPERATOR.value}"))
    elif standing.accounts:
        await connection.execute(sa.text(f"SET LOCAL ROLE {Role.ACCOUNTS.value}"))
    told = {"organisation": standing.organisation, "user": standing.user, "actor": standing.actor or None}
    known = {name: str(value) for name, value in told.items() if value is not None}
    if known:
        calls = ", ".join(f"set_config('bursar.{name}', :{name}, true)" for name in known)
        await connection.execute(sa.text(f"SELECT {calls}"), known)
