"""A PostgreSQL that tests may stop and kill, because nobody else uses it."""

import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from bursar.db.embedded import FAST, EmbeddedPostgres, attach, locked, start, stop
from bursar.db.embedded_program import postmaster_pid
from bursar.db.migrate import migrate
from scratch_database import ScratchDatabase

TUNING: Final = {**FAST, "synchronous_commit": "on"}
"""What was committed outlives the server's processes; only the machine's death would lose it."""


class Server:
    """A PostgreSQL of this module's own."""

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self._postgres = postgres

    def stop(self) -> None:
        with locked(self._postgres.folder / "start.lock"):
            stop(self._postgres.folder)

    def start(self) -> None:
        with locked(self._postgres.folder / "start.lock"):
            start(self._postgres.folder, TUNING)

    def kill(self) -> int:
        """`kill -9`; its keeper starts it again."""
        pid = postmaster_pid(self._postgres.folder)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        return pid

    def new_database(self) -> ScratchDatabase:
        name = f"away_{secrets.token_hex(4)}"
        with psycopg.connect(self._postgres.dsn_for("postgres"), autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE bursar STRATEGY FILE_COPY").format(sql.Identifier(name))
            )
        return ScratchDatabase(name=name, url=self._postgres.dsn_for(name))


@contextmanager
def private_server(folder: Path) -> Iterator[Server]:
    with attach(folder, tuning=TUNING) as postgres:
        migrate(postgres.dsn)
        yield Server(postgres)
