"""What tests of exports and deletions share: the worker at its work, and where somebody is said."""

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from bursar.core.audit_chain import mark_key
from bursar.db.audit import Sealer, verify
from bursar.db.connect import Role
from bursar.db.engine import Database
from scratch_database import ScratchDatabase

KEY = mark_key(b"s" * 32)
ANA, NAME, PROGRAM, ADDRESS = "ana.unique@person.example", "Ana Q. Unique", "UniqueBrowser/7", "203.0.113.77"


@pytest.fixture
async def worker(database: ScratchDatabase) -> AsyncIterator[Database]:
    opened = Database(database.url, Role.WORKER, actor='{"kind": "system", "name": "worker@here"}')
    yield opened
    await opened.close()


def mails(database: ScratchDatabase) -> list[dict[str, Any]]:
    with psycopg.connect(database.url) as connection:
        return [
            row[0]
            for row in connection.execute("SELECT payload FROM outbox WHERE topic = 'mail' ORDER BY id")
        ]


def outbox_of(database: ScratchDatabase, organisation_id: str) -> list[dict[str, Any]]:
    with psycopg.connect(database.url) as connection:
        asked = "SELECT payload FROM outbox WHERE organisation_id = %s ORDER BY id"
        return [row[0] for row in connection.execute(asked, [organisation_id])]


def everything_said(database: ScratchDatabase) -> dict[str, str]:
    """Every table as text."""
    with psycopg.connect(database.url) as administrator:
        tables = administrator.execute(
            "SELECT c.relname FROM pg_class AS c WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p') AND NOT relispartition"
        ).fetchall()
        return {
            name: str(
                administrator.execute(
                    sql.SQL("SELECT string_agg(t::text, ' ') FROM {} AS t").format(sql.Identifier(name))
                ).fetchone()
            )
            for (name,) in tables
        }


def where_said(database: ScratchDatabase, *words: str) -> set[str]:
    return {
        name
        for name, text in everything_said(database).items()
        for word in words
        if word.lower() in text.lower()
    }


async def sealed_and_whole(worker: Database) -> bool:
    sealer = Sealer(worker, KEY)
    while await sealer.run():
        pass
    return (await verify(worker, KEY, {})).fault is None
