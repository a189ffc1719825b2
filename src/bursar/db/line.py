"""One connection that comes back: serialised statements, a limit on every wait, one error for 'away'."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Final, LiteralString

import psycopg
from psycopg import sql

KEEPALIVE_S: Final = 15
"""A listening connection that was silent for so long is asked whether it still lives."""

KEEPALIVE_WAIT_S: Final = 5


class BooksUnavailable(Exception):
    """PostgreSQL is away or did not answer in time. What was asked may have happened or not: ask again."""

    code: ClassVar[str] = "books_unavailable"
    status: ClassVar[int] = 503


class Line:
    """A lazily opened connection, one statement at a time, reopened after any doubt.

    Errors that PostgreSQL lays at the statement's door (bad value, broken rule) pass through; everything
    operational (lost, refused, out of room, deadlock, too slow) is `BooksUnavailable`.
    """

    def __init__(self, conninfo: str, wait_s: float) -> None:
        self._conninfo = conninfo
        self._wait_s = wait_s
        self._lock = asyncio.Lock()
        self._connection: psycopg.AsyncConnection | None = None

    async def one(self, query: LiteralString, parameters: Sequence[Any]) -> tuple[Any, ...]:
        """Run one statement that answers exactly one row."""
        async with self.connection() as connection:
            cursor = await connection.execute(query, parameters, prepare=True)
            row = await cursor.fetchone()
        if row is None:
            raise psycopg.ProgrammingError("a statement that answers one row answered none")
        return row

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[psycopg.AsyncConnection]:
        """Hold the connection, waiting for its turn; the limit counts from when it is held."""
        async with self._lock:
            try:
                async with asyncio.timeout(self._wait_s):
                    yield await self._opened()
            except (psycopg.OperationalError, TimeoutError) as error:
                await self._drop()
                raise BooksUnavailable(type(error).__name__ + ": " + str(error)) from error
            except asyncio.CancelledError:
                await self._drop()
                raise

    async def close(self) -> None:
        async with self._lock:
            await self._drop()

    async def _opened(self) -> psycopg.AsyncConnection:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True)
        return self._connection

    async def _drop(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None


async def listen(conninfo: str, channels: Sequence[str]) -> AsyncIterator[tuple[str, str]]:
    """Yield ("listening", "") once, then every notice, until the connection breaks (`BooksUnavailable`)."""
    try:
        async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
            for channel in channels:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            yield "listening", ""
            while True:
                async for notice in connection.notifies(timeout=KEEPALIVE_S):
                    yield notice.channel, notice.payload
                async with asyncio.timeout(KEEPALIVE_WAIT_S):
                    await connection.execute("SELECT 1")
    except (psycopg.OperationalError, TimeoutError) as error:
        raise BooksUnavailable(type(error).__name__ + ": " + str(error)) from error
