import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import ProgrammingError

from bursar.db.embedded_program import EmbeddedPostgresFailed
from bursar.entrypoints.cli import in_words
from bursar.entrypoints.listening import PortTaken
from bursar.settings import SettingsInvalid
from scratch_database import ScratchDatabase

WAIT_S_MAX = 120


def bursar(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BURSAR_")}
    return subprocess.run(
        [sys.executable, "-m", "bursar.entrypoints.cli", *words],
        capture_output=True,
        text=True,
        env={**kept, **environment},
        stdin=subprocess.DEVNULL,
        timeout=WAIT_S_MAX,
        check=False,
    )


class TestBursar:
    def test_tells_its_version(self) -> None:
        assert bursar("--version").stdout == f"bursar {metadata.version('bursar')}\n"

    def test_lists_its_commands_when_asked_for_nothing(self) -> None:
        said = bursar()
        for command in ("serve", "gateway", "api", "worker", "simulate", "demo", "books", "db"):
            assert command in said.stdout + said.stderr

    def test_says_in_one_line_which_setting_is_wrong(self) -> None:
        refused = bursar("books", "check", BURSAR_PORT="many")
        assert refused.returncode == 2
        assert refused.stderr.startswith("bursar: BURSAR_PORT: ")
        assert len(refused.stderr.splitlines()) == 1

    def test_says_in_one_line_that_the_folder_cannot_be_used(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        refused = bursar("db", "migrate", BURSAR_DATA_DIR=str(tmp_path / "file" / "data"))
        assert refused.returncode == 1
        assert refused.stderr.startswith("bursar: cannot keep PostgreSQL in ")
        assert len(refused.stderr.splitlines()) == 1

    def test_says_in_words_that_the_database_is_away(self) -> None:
        refused = bursar("db", "migrate", BURSAR_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
        assert refused.returncode == 1
        assert refused.stderr.startswith("bursar: PostgreSQL cannot be used: ")
        assert "Traceback" not in refused.stderr


class TestBooksCheck:
    def test_finds_a_new_database_in_order(self, database: ScratchDatabase) -> None:
        said = bursar("books", "check", "--json", BURSAR_DATABASE_URL=database.url)
        assert said.returncode == 0
        answer = json.loads(said.stdout)
        assert answer["ok"] is True
        assert len(answer["checks"]) >= 14

    def test_names_the_offender(self, database: ScratchDatabase) -> None:
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(BROKEN_WALLET, {"id": WALLET_ID})
        told = bursar("books", "check", BURSAR_DATABASE_URL=database.url)
        as_json = bursar("books", "check", "--json", BURSAR_DATABASE_URL=database.url)
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute("DELETE FROM wallet")
        assert told.returncode == as_json.returncode == 1
        assert "THE BOOKS ARE BROKEN" in told.stdout
        assert WALLET_ID in told.stdout
        broken = [check for check in json.loads(as_json.stdout)["checks"] if check["ok"] is False]
        assert any(WALLET_ID in offender for check in broken for offender in check["offenders"])


WALLET_ID = "00000000-0000-7000-8000-000000000001"
BROKEN_WALLET = b"""
INSERT INTO wallet (id, organisation_id, asset, posted, created_at) VALUES (%(id)s, %(id)s, 'USD', 5, now())
"""


class TestWords:
    @pytest.mark.parametrize("error", [SettingsInvalid("x"), EmbeddedPostgresFailed("x"), PortTaken("x")])
    def test_are_our_own_for_expected_failures(self, error: Exception) -> None:
        assert in_words(error) == "x"

    def test_tell_how_to_prepare_a_database(self) -> None:
        missing = psycopg.errors.UndefinedTable()
        for error in (missing, ProgrammingError("SELECT", {}, missing)):
            assert in_words(error) == "this database has not been prepared; run: bursar db migrate"

    def test_are_missing_for_our_own_mistakes(self) -> None:
        assert in_words(KeyError("x")) is None
