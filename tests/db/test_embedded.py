import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from bursar.db import embedded, embedded_keeper
from bursar.db import embedded_program as program
from bursar.db.embedded import FAST, attach

WAIT_S_MAX = 30
RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE query ~ '^SELECT sum'"
USER_OF_THE_SERVER = """
import pathlib, sys, time
from bursar.db.embedded import DURABLE, FAST, attach
pg = attach(pathlib.Path(sys.argv[1]), tuning={"fast": FAST, "durable": DURABLE}[sys.argv[2]])
print(pg.dsn, flush=True)
sys.stdin.read()
pg.close()
"""


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S_MAX
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def another_process(folder: Path, tuning: str = "fast") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", USER_OF_THE_SERVER, str(folder), tuning],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    """The line with its DSN, after the log's."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("postgresql://"):
            return line.strip()
    raise AssertionError("it ended without a DSN")


def let_go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    assert process.wait(WAIT_S_MAX) == 0
    process.stdout.close()


def ask(dsn: str, question: str) -> object:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(question.encode()).fetchone()
        return row[0] if row else None


def can_ask(dsn: str) -> bool:
    try:
        return ask(dsn, "SELECT 1") == 1
    except psycopg.OperationalError:
        return False


def write(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (42)")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "data"
    if program.postmaster_pid(tmp_path / "data") is not None:
        embedded.stop(tmp_path / "data")


class TestAttach:
    def test_starts_stops_and_finds_its_rows_again(self, folder: Path) -> None:
        with attach(folder, tuning=FAST) as postgres:
            write(postgres.dsn)
        assert program.postmaster_pid(folder) is None
        with attach(folder, tuning=FAST) as postgres:
            assert ask(postgres.dsn, "SELECT n FROM kept") == 42

    def test_is_not_led_astray_by_somebody_elses_settings(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PGPORT", "1")
        monkeypatch.setenv("PGHOST", "elsewhere.invalid")
        monkeypatch.setenv("PGDATABASE", "none")
        with attach(folder, tuning=FAST) as postgres:
            assert ask(postgres.dsn, "SELECT current_database()") == "bursar"

    def test_is_durable_and_off_the_network_unless_told_otherwise(self, folder: Path) -> None:
        with attach(folder) as postgres:
            asked = [
                ask(postgres.dsn, f"SHOW {name}")
                for name in ("fsync", "synchronous_commit", "listen_addresses")
            ]
        assert asked == ["on", "on", ""]

    def test_closing_twice_is_harmless_and_leaves_other_users_alone(self, folder: Path) -> None:
        first, second = attach(folder, tuning=FAST), attach(folder, tuning=FAST)
        first.close()
        first.close()
        assert ask(second.dsn, "SELECT 1") == 1
        second.close()
        assert program.postmaster_pid(folder) is None

    def test_two_starts_at_once_are_one_start(self, folder: Path) -> None:
        processes = [another_process(folder) for _ in range(3)]
        dsns = {said(process) for process in processes}
        assert len(dsns) == 1
        for process in processes[:2]:
            let_go(process)
        assert ask(dsns.pop(), "SELECT 1") == 1
        let_go(processes[2])
        assert program.postmaster_pid(folder) is None

    def test_uses_a_short_socket_path_when_its_own_is_too_long(self, tmp_path: Path) -> None:
        deep = tmp_path / ("deep" * 30)
        with attach(deep, tuning=FAST) as postgres:
            assert ask(postgres.dsn, "SELECT 1") == 1
            assert "deep" not in postgres.dsn

    def test_makes_a_second_database_and_names_a_third(self, folder: Path) -> None:
        with attach(folder, tuning=FAST, database="other") as postgres:
            assert ask(postgres.dsn, "SELECT current_database()") == "other"
            assert ask(postgres.dsn_for("postgres"), "SELECT current_database()") == "postgres"

    def test_makes_the_cluster_anew_when_making_it_was_interrupted(self, folder: Path) -> None:
        (folder / "postgres.new" / "base").mkdir(parents=True)
        with attach(folder, tuning=FAST) as postgres:
            assert ask(postgres.dsn, "SELECT 1") == 1


class TestDeath:
    def test_of_the_last_user_stops_the_server(self, folder: Path) -> None:
        user = another_process(folder)
        said(user)
        user.kill()
        user.communicate()
        until(lambda: program.postmaster_pid(folder) is None)

    def test_of_the_server_is_followed_by_recovery_under_its_users(self, folder: Path) -> None:
        with attach(folder) as postgres:
            write(postgres.dsn)
            killed = program.postmaster_pid(folder)
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            until(lambda: program.postmaster_pid(folder) not in {None, killed})
            until(lambda: program.postmaster_status(folder) == "ready")
            assert ask(postgres.dsn, "SELECT n FROM kept") == 42

    def test_of_the_server_waits_for_a_backend_that_has_not_noticed(self, folder: Path) -> None:
        with attach(folder) as postgres, ThreadPoolExecutor(1) as pool:
            busy = pool.submit(ask, postgres.dsn, "SELECT sum(n) FROM generate_series(1, 20000000) n")
            until(lambda: ask(postgres.dsn, RUNNING) == 1)
            killed = program.postmaster_pid(folder)
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            until(lambda: program.postmaster_status(folder) == "ready" and can_ask(postgres.dsn))
            busy.exception()
            assert "still in use" in program.log_file(folder).read_text()

    def test_of_everything_is_survived_by_the_rows(self, folder: Path) -> None:
        user = another_process(folder, "durable")
        write(said(user))
        killed = program.postmaster_pid(folder)
        assert killed is not None
        for pid in (keeper_of(folder), user.pid, killed):
            os.kill(pid, signal.SIGKILL)
        user.communicate()
        until(lambda: program.postmaster_pid(folder) is None)
        with attach(folder) as postgres:
            assert ask(postgres.dsn, "SELECT n FROM kept") == 42

    def test_leaves_a_number_that_now_belongs_to_another_program(self, folder: Path) -> None:
        attach(folder, tuning=FAST).close()
        bystander = subprocess.Popen(["sleep", "600"], user=(folder / "postgres").stat().st_uid)
        lines = [str(bystander.pid), str(folder / "postgres"), "1", "5432", str(folder), "", "1 1", "ready"]
        (folder / "postgres" / "postmaster.pid").write_text("\n".join(lines) + "\n")
        try:
            with attach(folder, tuning=FAST) as postgres:
                assert ask(postgres.dsn, "SELECT 1") == 1
            assert bystander.poll() is None
        finally:
            bystander.kill()
            bystander.wait()

    def test_leaves_a_pid_file_without_a_number(self, folder: Path) -> None:
        attach(folder, tuning=FAST).close()
        (folder / "postgres" / "postmaster.pid").write_text("\n")
        with attach(folder, tuning=FAST) as postgres:
            assert ask(postgres.dsn, "SELECT 1") == 1


def keeper_of(folder: Path) -> int:
    found = subprocess.run(
        ["pgrep", "-f", f"embedded_keeper {folder} "], capture_output=True, text=True, check=True
    )
    return int(found.stdout.split()[0])


class TestKeeper:
    def test_leaves_a_server_alone_that_was_stopped_on_purpose(self, folder: Path) -> None:
        with attach(folder, tuning=FAST):
            embedded.stop(folder)
            assert not embedded_keeper.was_killed(folder)

    def test_ends_with_its_folder(self, tmp_path: Path) -> None:
        embedded_keeper.keep(tmp_path / "gone", FAST)
        assert not (tmp_path / "gone").exists()

    def test_stops_a_server_that_nobody_uses(self, folder: Path) -> None:
        postgres = attach(folder, tuning=FAST)
        assert postgres._users is not None
        postgres._users.close()  # what the kernel does when a process is killed
        embedded_keeper.keep(folder, FAST)
        assert program.postmaster_pid(folder) is None


class TestFailure:
    def test_says_that_the_folder_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(
            program.EmbeddedPostgresFailed, match=r"cannot keep PostgreSQL in .*BURSAR_DATA_DIR"
        ):
            attach(tmp_path / "file" / "data")

    def test_says_that_the_disk_is_full(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(program, "DISK_FREE_BYTES_MIN", 2**62)
        with pytest.raises(program.EmbeddedPostgresFailed, match="is full"):
            attach(folder)

    def test_gives_the_servers_own_reason(self, folder: Path) -> None:
        with pytest.raises(program.EmbeddedPostgresFailed, match="max_connections"):
            attach(folder, tuning={"max_connections": "none"})
        assert program.postmaster_pid(folder) is None

    def test_recognises_a_full_disk_in_the_servers_words(self, tmp_path: Path) -> None:
        program.log_file(tmp_path).write_text(
            'FATAL:  could not write lock file "postmaster.pid": No space left on device\n'
        )
        assert "is full" in program.why_it_ended(tmp_path)

    def test_says_so_when_the_server_left_no_word(self, tmp_path: Path) -> None:
        assert "it said nothing" in program.why_it_ended(tmp_path)

    def test_refuses_rows_of_a_version_it_does_not_have(self, folder: Path) -> None:
        attach(folder, tuning=FAST).close()
        (folder / "postgres" / "PG_VERSION").write_text("9\n")
        with pytest.raises(program.EmbeddedPostgresFailed, match="made by PostgreSQL 9"):
            attach(folder, tuning=FAST)

    def test_refuses_rows_that_belong_to_root(self, tmp_path: Path) -> None:
        with pytest.raises(program.EmbeddedPostgresFailed, match="belongs to root"):
            program.as_user(0, [tmp_path])

    def test_refuses_a_socket_folder_that_somebody_else_made(self, tmp_path: Path) -> None:
        sockets = tmp_path / "sockets"
        sockets.symlink_to("/etc")
        with pytest.raises(program.EmbeddedPostgresFailed, match="somebody else"):
            program.make_socket_folder(sockets, tmp_path.stat())


class TestRunAsRoot:
    def test_asks_for_a_capability_only_to_pass_a_closed_folder(self, tmp_path: Path) -> None:
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700)
        user = program.unprivileged_user()
        assert not program.may_pass(closed, user)
        assert program.may_pass(Path("/"), user)
