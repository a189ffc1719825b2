"""Sessions of the control plane and the worker: one request, one transaction, nobody commits inside."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NewType
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


class Database:
    """Connections in one role, and the two kinds of session cut from them.

    ``organisation`` limits a session of the api role to that tenant; ``operator`` lets it act as the operator
    instead. With neither, a session of the api role sees no tenant's row.
    """

    def __init__(self, url: str, role: Role, *, pool_size: int = POOL_SIZE) -> None:
        self.url = url
        self.role = role
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
    async def transaction(
        self, *, organisation: UUID | None = None, operator: bool = False
    ) -> AsyncIterator[Transaction]:
        """Commit at the end of the block, roll back when it raises."""
        async with self.engine.begin() as connection:
            await _become(connection, organisation, operator=operator)
            yield Transaction(connection)

    @asynccontextmanager
    async def read(
        self, *, organisation: UUID | None = None, operator: bool = False
    ) -> AsyncIterator[ReadSession]:
        """One consistent snapshot; a write inside is refused by PostgreSQL."""
        async with self.engine.connect() as connection:
            await connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            await _become(connection, organisation, operator=operator)
            yield ReadSession(connection)
            await connection.rollback()

    async def close(self) -> None:
        await self.engine.dispose()


async def _become(connection: AsyncConnection, organisation: UUID | None, *, operator: bool) -> None:
    if operator:
        await connection.execute(sa.text(f"SET LOCAL ROLE {Role.OPERATOR.value}"))
    if organisation is not None:
        await connection.execute(
            sa.text("SELECT set_config('bursar.organisation', :organisation, true)"),
            {"organisation": str(organisation)},
        )
