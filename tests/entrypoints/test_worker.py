import subprocess
import sys

import psycopg

from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.entrypoints.mailing import office_of
from bursar.entrypoints.worker import rounds
from bursar.rest.edge import Edge, SystemClock
from bursar.settings import Settings
from scratch_database import ScratchDatabase

WAIT_S_MAX = 60


class TestRounds:
    async def test_all_do_their_work_on_a_new_database(self, database: ScratchDatabase) -> None:
        worker = Database(database.url, Role.WORKER)
        try:
            for work in rounds(Settings(), worker, office_of(Settings(), Edge(SystemClock()))):
                assert await work.run() is False
        finally:
            await worker.close()
        with psycopg.connect(database.url) as connection:
            months = connection.execute("SELECT count(*) FROM pg_inherits").fetchone()
        assert months is not None
        assert months[0] >= 3

    def test_post_at_least_once_a_second(self, database: ScratchDatabase) -> None:
        posting = next(
            one
            for one in rounds(
                Settings(),
                Database(database.url, Role.WORKER),
                office_of(Settings(), Edge(SystemClock())),
            )
            if one.name == "posting"
        )
        assert posting.every_ms <= 1000


class TestWorker:
    def test_works_until_its_parent_is_gone(self, database: ScratchDatabase) -> None:
        worker = subprocess.Popen(
            [sys.executable, "-m", "bursar.entrypoints.cli", "worker", "--with-parent"],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"BURSAR_DATABASE_URL": database.url, "BURSAR_LOG_FORMAT": "json"},
        )
        assert worker.stderr is not None
        assert worker.stdin is not None
        said = []
        for line in worker.stderr:
            said.append(line)
            if "books.balanced" in line:
                worker.stdin.close()
                break
        said += worker.stderr.readlines()
        worker.stderr.close()
        assert worker.wait(WAIT_S_MAX) == 0
        assert any("worker.started" in line for line in said)
        assert any("worker.stopped" in line for line in said)
        assert not any("round.failed" in line for line in said)
