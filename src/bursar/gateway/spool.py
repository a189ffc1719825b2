"""Usage rows on local disk while PostgreSQL is away: fsynced before the answer is released, replayed later.

One file per process, locked while the process lives, so that another one in the same folder never replays it.
One line per row: the blake2b-16 of the row's bytes, a kind (`R` final row, `M` progress mark), and the bytes.
A torn last line was never fsynced, so its answer was never released; it is skipped with a log line.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
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
        lines = [
            digest(b) + b" " + kind + b" " + b for kind, group in ((ROW, rows), (MARK, marks)) for b in group
        ]
        if not lines:
            return
        if self._descriptor is None:
            self._open()
        payload = memoryview(b"\n".join(lines) + b"\n")
        while payload:
            payload = payload[os.write(self._descriptor, payload) :]  # type: ignore[arg-type]  # opened above
        os.fsync(self._descriptor)  # type: ignore[arg-type]  # opened above

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

    def _open(self) -> None:
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._sync_folder()

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


def left_behind(folder: Path) -> list[Path]:
    """Spool files in this folder whose process is gone, oldest first."""
    if not folder.exists():
        return []
    found = [*folder.glob(f"*{SUFFIX}"), *folder.glob(f"*{TAKEN_SUFFIX}")]
    orphans = [path for path in found if _is_orphan(folder / f"{path.name.partition('.')[0]}{LOCK_SUFFIX}")]
    return sorted(orphans, key=lambda path: path.stat().st_mtime)


def _is_orphan(lock_path: Path) -> bool:
    try:
        lock = os.open(lock_path, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True
