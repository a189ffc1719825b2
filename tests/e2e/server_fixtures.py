"""What the server's fixtures do to the database behind its back: the first token, and the last check."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg

from bursar.db.checks import check_books, is_clean
from bursar.db.connect import Role
from bursar.db.embedded import EmbeddedPostgres
from bursar.db.engine import Database

OPERATOR_TOKEN = "bursar_op_" + "t" * 40


@contextmanager
def maintenance(postgres: EmbeddedPostgres) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres.dsn_for("postgres"), autocommit=True) as connection:
        yield connection


def add_operator_token(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO operator_token (id, name, token_hash, token_prefix, created_at)"
            " VALUES (%s, %s, %s, %s, %s)",
            [
                uuid4(),
                "test",
                hashlib.sha256(OPERATOR_TOKEN.encode()).digest(),
                OPERATOR_TOKEN[:13],
                datetime.now(UTC),
            ],
        )


async def assert_clean(url: str) -> None:
    database = Database(url, Role.WORKER)
    findings = await check_books(database)
    await database.close()
    assert is_clean(findings), [finding for finding in findings if finding.ok is False]
