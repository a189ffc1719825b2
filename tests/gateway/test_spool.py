import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from full_disk import disk_full_after
from structlog.testing import capture_logs

from bursar.gateway.spool import (
    MARK,
    ROW,
    Spool,
    claimed,
    keep_stuck,
    left_behind,
    read,
)

ROWS = [b'{"request_id":"a"}', '{"end_user":"Zoë\\n"}'.encode(), b"{}"]
KILLED = """
import os, signal, sys, uuid
from pathlib import Path
from bursar.gateway.spool import Spool
spool = Spool(Path(sys.argv[1]), uuid.UUID(sys.argv[2]))
spool.append([row.encode() for row in sys.argv[3:]], [b'{"mark":1}'])
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_with(folder: Path, *rows: bytes) -> UUID:
    """A process that spooled these rows and a mark, and was killed."""
    name = uuid4()
    told = [sys.executable, "-c", KILLED, str(folder), str(name), *(row.decode() for row in rows)]
    assert subprocess.run(told, check=False).returncode == -signal.SIGKILL
    return name


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path, uuid4())
    yield spool
    spool.close()


class TestAppending:
    def test_keeps_rows_and_marks_in_order(self, spool: Spool) -> None:
        spool.append(ROWS[:2], [b'{"mark":1}'])
        spool.append(ROWS[2:], [])
        assert list(read(spool.path)) == [
            (ROW, ROWS[0]),
            (ROW, ROWS[1]),
            (MARK, b'{"mark":1}'),
            (ROW, ROWS[2]),
        ]

    def test_syncs_before_it_returns(self, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
        synced: list[int] = []
        sync = os.fsync
        monkeypatch.setattr(os, "fsync", lambda file: (synced.append(os.fstat(file).st_ino), sync(file))[1])
        spool.append(ROWS, [])
        assert synced[-1] == spool.path.stat().st_ino
        assert spool.path.parent.stat().st_ino in synced

    def test_nothing_makes_no_file(self, spool: Spool) -> None:
        spool.append([], [])
        assert not spool.path.exists()
        assert spool.rotate() is None

    def test_is_readable_by_its_owner_alone(self, spool: Spool) -> None:
        spool.append(ROWS, [])
        assert spool.path.stat().st_mode & 0o077 == 0


class TestFullDisk:
    def test_says_so_and_keeps_nothing_of_the_batch(self, spool: Spool) -> None:
        spool.append(ROWS[:1], [])
        with disk_full_after(spool.path.stat().st_size + 60), pytest.raises(OSError, match="large"):
            spool.append(ROWS, [])
        assert list(read(spool.path)) == [(ROW, ROWS[0])]

    def test_spoils_no_row_that_comes_after(self, spool: Spool) -> None:
        with disk_full_after(60), pytest.raises(OSError, match="large"):
            spool.append(ROWS, [])
        spool.append(ROWS[2:], [])
        assert list(read(spool.path)) == [(ROW, ROWS[2])]

    def test_spoils_no_later_row_even_when_its_remains_cannot_be_cut_off(
        self, spool: Spool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_file: int, _size: int) -> None:
            raise OSError("read-only")

        monkeypatch.setattr(os, "ftruncate", refuse)
        with disk_full_after(60), pytest.raises(OSError, match="large"):
            spool.append([b"x" * 100], [])
        monkeypatch.undo()
        spool.append(ROWS[:1], [])
        assert list(read(spool.path)) == [(ROW, ROWS[0])]

    def test_a_folder_that_went_away_is_an_error_each_time(self, tmp_path: Path) -> None:
        folder = tmp_path / "spool"
        spool = Spool(folder, uuid4())
        spool.path.with_suffix(".lock").unlink()
        folder.rmdir()
        for _ in range(2):
            with pytest.raises(FileNotFoundError):
                spool.append(ROWS, [])
        folder.mkdir()
        spool.append(ROWS[:1], [])
        assert list(read(spool.path)) == [(ROW, ROWS[0])]
        spool.close()

    def test_a_folder_that_cannot_be_synced_leaves_no_descriptor_open(
        self, spool: Spool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_file: int) -> None:
            raise OSError("input/output error")

        before = open_files()
        monkeypatch.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="input/output"):
            spool.append(ROWS, [])
        monkeypatch.undo()
        assert open_files() == before


class TestReading:
    def test_skips_a_torn_last_line_and_says_so(self, spool: Spool) -> None:
        spool.append(ROWS, [])
        whole = spool.path.read_bytes()
        for cut in range(1, 36, 5):
            spool.path.write_bytes(whole[:-cut])
            with capture_logs() as logs:
                assert list(read(spool.path))[:2] == [(ROW, ROWS[0]), (ROW, ROWS[1])]
                assert len(list(read(spool.path))) == 2
            assert {entry["event"] for entry in logs} == {"spool.line_skipped"}

    def test_skips_a_line_with_a_changed_byte(self, spool: Spool) -> None:
        spool.append(ROWS, [])
        content = bytearray(spool.path.read_bytes())
        content[content.index(b"request_id")] ^= 1
        spool.path.write_bytes(content)
        assert list(read(spool.path)) == [(ROW, ROWS[1]), (ROW, ROWS[2])]

    def test_skips_garbage(self, spool: Spool) -> None:
        spool.append(ROWS[:1], [])
        spool.path.write_bytes(b"\n\x00\xff garbage\n" + spool.path.read_bytes() + b"X Y Z\n")
        assert list(read(spool.path)) == [(ROW, ROWS[0])]


class TestRotating:
    def test_hands_the_rows_over_and_begins_anew(self, spool: Spool) -> None:
        spool.append(ROWS[:1], [])
        taken = spool.rotate()
        assert taken is not None
        spool.append(ROWS[1:2], [])
        assert list(read(taken)) == [(ROW, ROWS[0])]
        assert list(read(spool.path)) == [(ROW, ROWS[1])]


class TestOtherProcesses:
    def test_do_not_see_the_files_of_a_living_one(self, spool: Spool) -> None:
        spool.append(ROWS, [])
        taken = spool.rotate()
        spool.append(ROWS, [])
        assert taken is not None
        assert left_behind(spool.path.parent) == []
        with claimed(spool.path) as is_ours:
            assert not is_ours

    def test_cannot_take_its_name(self, spool: Spool) -> None:
        with pytest.raises(BlockingIOError):
            Spool(spool.path.parent, UUID(spool.path.stem))

    def test_find_what_a_killed_one_left_oldest_first(self, tmp_path: Path) -> None:
        names = [killed_with(tmp_path, ROWS[0]) for _ in range(3)]
        for age, name in enumerate(reversed(names)):
            os.utime(tmp_path / f"{name}.spool", (age, age))
        assert [path.name for path in left_behind(tmp_path)] == [f"{name}.spool" for name in reversed(names)]

    def test_find_what_one_left_that_ended_in_order(self, tmp_path: Path) -> None:
        spool = Spool(tmp_path, uuid4())
        spool.append(ROWS, [])
        spool.close()
        assert left_behind(tmp_path) == [spool.path]
        assert list(tmp_path.glob("*.lock")) == []

    def test_claim_a_file_one_at_a_time(self, tmp_path: Path) -> None:
        killed_with(tmp_path, ROWS[0])
        (path,) = left_behind(tmp_path)
        with claimed(path) as is_ours:
            assert is_ours
            with claimed(path) as is_ours_too:
                assert not is_ours_too
            assert left_behind(tmp_path) == []
            path.unlink()
        with claimed(path) as is_there:
            assert not is_there
        assert list(tmp_path.iterdir()) == []

    def test_may_claim_again_what_failed(self, tmp_path: Path) -> None:
        killed_with(tmp_path, ROWS[0])
        (path,) = left_behind(tmp_path)
        with pytest.raises(asyncio.CancelledError), claimed(path):
            raise asyncio.CancelledError
        assert left_behind(tmp_path) == [path]

    def test_find_nothing_in_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        assert left_behind(tmp_path / "none") == []


class TestStuckRows:
    def test_are_kept_beside_their_file_and_never_found_again(self, tmp_path: Path) -> None:
        killed_with(tmp_path, *ROWS[:1])
        (path,) = left_behind(tmp_path)
        stuck = keep_stuck(path, ROWS[:2])
        keep_stuck(path, ROWS[2:])
        path.unlink()
        assert list(read(stuck)) == [(ROW, row) for row in ROWS]
        assert left_behind(tmp_path) == []
