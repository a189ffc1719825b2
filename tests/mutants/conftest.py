"""One database for all stories of a worker: emptied between two, which is quicker than making a new one."""

import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from bursar.db.embedded import EmbeddedPostgres
from scratch_database import ScratchDatabase

# The desk and its stories; callers.
sys.path += [str(Path(__file__).parents[1] / name) for name in ("db", "chaos")]


@pytest.fixture(scope="session")
def workshop(postgres: EmbeddedPostgres) -> Iterator[ScratchDatabase]:
    name = f"mutants_{secrets.token_hex(6)}"
    with psycopg.connect(postgres.dsn_for("postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE bursar_template").format(sql.Identifier(name))
        )
        yield ScratchDatabase(name=name, url=postgres.dsn_for(name))
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def emptied(workshop: ScratchDatabase) -> ScratchDatabase:
    """No customers, no usage, no providers; the functions are as the last test left them."""
    with psycopg.connect(workshop.url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # past the triggers that forbid it
        connection.execute(
            "TRUNCATE organisation, process, usage, usage_mark, usage_quarantine, provider, model CASCADE"
        )
    return workshop
