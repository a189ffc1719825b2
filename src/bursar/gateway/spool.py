"""Usage rows on local disk while PostgreSQL is away: fsynced before the answer is released, replayed later.

One file per process, locked while the process lives, so that another one in the same folder never replays it.
One line per row: the blake2b-16 of the row's bytes, a kind (`R` final row, `M` progress mark), and the bytes.
A torn last line was never fsynced, so its answer was never released; it is skipped with a log line.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog

log = structlog.get_logger()

ROW: Final = b"R"
MARK: Final = b"M"
SUFFIX: Final = ".spool"
TAKEN_SUFFIX: Final = ".replaying"
STUCK_SUFFIX: Final = (
    ".stuck"  # refused by the books for another reason than being away: for a person to look at
)
LOCK_SUFFIX: Final = ".lock"


def digest(row: bytes) -> bytes:
    return hashlib.blake2b(row, digest_size=16).hexdigest().encode()


class Spool:
    """The spool file of one process in `folder`. Calls block on the disk: run them off the event loop.

    Raises:
        OSError: the folder cannot be made or locked.
    """

    def __init__(self, folder: Path, name: UUID) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.path = folder / f"{name}{SUFFIX}"
        self._lock_path = folder / f"{name}{LOCK_SUFFIX}"
        self._lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._descriptor: int | None = None
        self._is_torn = False

    def close(self) -> None:
        """Let go of the lock; a spool that still holds rows stays for the next process to replay."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        self._lock_path.unlink(missing_ok=True)
        os.close(self._lock)

    def append(self, rows: Sequence[bytes], marks: Sequence[bytes]) -> None:
        """Write and fsync; returns only when the rows are on disk.

        Raises:
            OSError: the disk is full or gone; the caller must not release the answers.
        """
        lines = lines_of(rows, ROW) + lines_of(marks, MARK)
        if not lines:
            return
        if self._descriptor is None:
            self._descriptor = self._open()
        size = os.fstat(self._descriptor).st_size
        try:
            # What a failed write may have left is no part of the next line.
            write_all(self._descriptor, b"\n" + lines if self._is_torn else lines)
            os.fsync(self._descriptor)
            self._is_torn = False
        except OSError:
            self._is_torn = True
            with suppress(OSError):  # rows whose answers are not released are not to be booked either
                os.ftruncate(self._descriptor, size)
            raise

    def rotate(self) -> Path | None:
        """Close the file and hand it over for replay under another name; None when nothing was spooled."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if not self.path.exists():
            return None
        taken = self.path.with_name(f"{self.path.name}.{os.urandom(4).hex()}{TAKEN_SUFFIX}")
        self.path.rename(taken)
        self._sync_folder()
        return taken

    def _open(self) -> int:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            self._sync_folder()
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _sync_folder(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def read(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """(kind, row) of every whole line, in the order written."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            head, _, row = line.rstrip(b"\n").partition(b" ")
            kind, _, row = row.partition(b" ")
            if not line.endswith(b"\n") or kind not in {ROW, MARK} or digest(row) != head:
                log.error("spool.line_skipped", path=str(path), line=number)
                continue
            yield kind, row


def lines_of(rows: Sequence[bytes], kind: bytes) -> bytes:
    return b"".join([b"%b %b %b\n" % (digest(row), kind, row) for row in rows])


def write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def left_behind(folder: Path) -> list[Path]:
    """Spool files in this folder whose process is gone, oldest first."""
    written_ns = {}
    for path in [*folder.glob(f"*{SUFFIX}"), *folder.glob(f"*{TAKEN_SUFFIX}")]:
        with suppress(FileNotFoundError):  # another process replayed it just now
            written_ns[path] = path.stat().st_mtime_ns
    return sorted(filter(_is_orphan, written_ns), key=written_ns.__getitem__)


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Keep other processes from replaying a spool file that was left behind.

    False when one of them is at it, or has done it. Leaving the block without an exception says that the file
    was dealt with.
    """
    lock_path = _lock_of(path)
    lock = os.open(lock_path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _try_lock(lock):
            yield False
            return
        yield path.exists()
        lock_path.unlink(missing_ok=True)
    finally:
        os.close(lock)


def keep_stuck(path: Path, rows: Sequence[bytes]) -> Path:
    """Write rows that the books refuse beside the spool file they came from, for a person to look at."""
    stuck = path.with_name(path.name + STUCK_SUFFIX)
    descriptor = os.open(stuck, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        write_all(descriptor, lines_of(rows, ROW))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return stuck


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name.partition('.')[0]}{LOCK_SUFFIX}")


def _is_orphan(path: Path) -> bool:
    try:
        lock = os.open(_lock_of(path), os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        return _try_lock(lock)
    finally:
        os.close(lock)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
