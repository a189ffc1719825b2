"""What tests share: one PostgreSQL for the whole run, one fresh migrated database per test that asks."""

import asyncio
import os
import secrets
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from bursar.db.checks import check_books, is_clean
from bursar.db.connect import Role
from bursar.db.embedded import FAST, EmbeddedPostgres, attach, locked
from bursar.db.engine import Database
from bursar.db.migrate import migrate
from scratch_database import ScratchDatabase

TEMPLATE = "bursar_template"
# Besides FAST: deadlocks show themselves soon, dead rows are swept while a test still runs.
TUNING = {**FAST, "deadlock_timeout": "200ms", "autovacuum_naptime": "5s", "log_min_messages": "fatal"}


def make_template(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.dsn_for("postgres"), autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", [TEMPLATE]).rowcount:
            return
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    migrate(server.dsn_for(TEMPLATE))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "broken_books: leaves the books wrong on purpose, to see it found")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One server for all workers of this run; it stops when the last of them is done."""
    shared = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent
    with attach(shared / "postgres", tuning=TUNING) as server:
        with locked(shared / "template.lock"):
            make_template(server)
        yield server


async def assert_books_are_clean(url: str) -> None:
    """Ask every invariant, as `bursar books check` does."""
    database = Database(url, Role.WORKER)
    findings = await check_books(database)
    await database.close()
    assert is_clean(findings), [finding for finding in findings if finding.ok is False]


@pytest.fixture
def database(postgres: EmbeddedPostgres, request: pytest.FixtureRequest) -> Iterator[ScratchDatabase]:
    """A fresh database; its books are checked when the test ends unless marked `broken_books`."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres.dsn_for("postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(TEMPLATE)
            )
        )
    yield ScratchDatabase(name=name, url=postgres.dsn_for(name))
    if request.node.get_closest_marker("broken_books") is None:
        asyncio.run(assert_books_are_clean(postgres.dsn_for(name)))
    with psycopg.connect(postgres.dsn_for("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
