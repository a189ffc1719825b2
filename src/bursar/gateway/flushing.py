"""Group commit: a usage row is durable before the answer's last byte leaves.

At once when idle, else as soon as the running commit ends, everything waiting goes to PostgreSQL in one call.
When PostgreSQL is away the rows are fsynced to the spool instead and replayed when it is back; replay is
idempotent, so a commit whose reply was lost is harmless.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, ParamSpec, TypeVar
from uuid import UUID

import orjson
import structlog

from bursar.core.booking import FlushReply, UsageRow
from bursar.gateway import spool as spool_file
from bursar.gateway.life import Process
from bursar.gateway.ports import Books
from bursar.gateway.spool import Spool

log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")

BATCH_ROWS_MAX: Final = 1_000
REPLAY_ROWS: Final = 500
RETRY_MS: Final = 500
REPLAY_WAIT_S: Final = 10.0
"""How long a process that stops waits for its replays; what is left is for the next one."""


class NotDurable(Exception):
    """Neither PostgreSQL nor the local disk took the row; the answer must not be released."""


class _Waiting:
    """The rows of one request, and who waits for them to be durable."""

    __slots__ = ("durable", "rows", "sale", "wallet_id")

    def __init__(
        self, rows: list[bytes], wallet_id: UUID, sale: int, durable: "asyncio.Future[int | None]"
    ) -> None:
        self.rows = rows
        self.wallet_id = wallet_id
        self.sale = sale
        self.durable = durable


class Flusher:
    """Owns the queue of rows to commit. `run` is its one task; nothing else talks to `Books.flush`."""

    def __init__(self, books: Books, process: Process, spool_folder: Path) -> None:
        self._books = books
        self._process = process
        self._folder = spool_folder
        self._spool = Spool(spool_folder, process.process_id)
        # A thread of its own: when the network is gone, look-ups of names fill the shared ones.
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")
        self._queue: deque[_Waiting] = deque()
        self._marks: dict[tuple[UUID, int], bytes] = {}
        self._wake = asyncio.Event()
        self._away = False
        self._is_back = False
        self._closing = False
        self._returning: asyncio.Task[None] | None = None
        self._replaying: set[asyncio.Task[None]] = set()

    @property
    def is_away(self) -> bool:
        """True while rows go to the spool."""
        return self._away

    def submit(self, rows: list[UsageRow]) -> "asyncio.Future[int | None]":
        """Queue one request's rows.

        The future resolves, once they are durable, to the wallet's balance after them (None while PostgreSQL
        is away), or fails with `NotDurable`.
        """
        durable: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        for row in rows:
            self._marks.pop((row.request_id, row.attempt), None)
        sale = sum(row.sale for row in rows)
        self._queue.append(_Waiting([orjson.dumps(row) for row in rows], rows[-1].wallet_id, sale, durable))
        self._wake.set()
        return durable

    def mark(self, row: UsageRow) -> None:
        """Leave a stream's progress mark with the next flush; nobody waits for it."""
        self._marks[row.request_id, row.attempt] = orjson.dumps(row)
        self._wake.set()

    async def run(self) -> None:
        while self._queue or self._marks or not self._closing:
            await self._wait_for_work()
            if self._is_back:
                await self._leave_spool_mode()
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), BATCH_ROWS_MAX))]
            marks = list(self._marks.values())
            self._marks.clear()
            if batch or marks:
                await self._commit(batch, marks)

    async def close(self) -> None:
        """Stop looking for PostgreSQL and let the queue run dry; `run` returns afterwards.

        A replay may end first: once the process is closed, its leases cover no sale that is still spooled.
        """
        self._closing = True
        self._wake.set()
        if self._replaying and not self._away:
            await asyncio.wait(self._replaying, timeout=REPLAY_WAIT_S)
        waiting = [task for task in (self._returning, *self._replaying) if task is not None]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    def let_go(self) -> None:
        """After `run` returned: what is still spooled is for the next process to replay."""
        self._disk.shutdown()
        self._spool.close()

    async def replay_left_behind(self) -> None:
        """Book what earlier processes spooled in this folder. Call once at start, before admitting.

        What PostgreSQL does not take now is tried again beside the requests.
        """
        for path in await self._on_disk(spool_file.left_behind, self._folder):
            if not await self._replay(path, orphaned=True):
                self._keep_replaying(path, orphaned=True)

    async def _wait_for_work(self) -> None:
        if not self._queue and not self._marks and not self._is_back and not self._closing:
            await self._wake.wait()
        self._wake.clear()

    async def _commit(self, batch: list[_Waiting], marks: list[bytes]) -> None:
        rows = [row for waiting in batch for row in waiting.rows]
        if not self._away:
            try:
                reply = await self._flush(rows, marks)
            except self._books.unavailable as error:
                log.warning("flush.books_away", error=str(error), rows=len(rows))
                self._go_away()
            except Exception:
                log.exception("flush.failed", rows=len(rows))
                self._go_away()
            else:
                self._release(batch, reply)
                return
        await self._commit_to_spool(batch, rows, marks)

    async def _commit_to_spool(self, batch: list[_Waiting], rows: list[bytes], marks: list[bytes]) -> None:
        try:
            await self._on_disk(self._spool.append, rows, marks)
        except (OSError, RuntimeError) as error:  # RuntimeError: the system gives no thread
            log.critical("spool.write_failed", error=repr(error), rows=len(rows))
            for waiting in batch:
                if not waiting.durable.done():
                    waiting.durable.set_exception(NotDurable(str(error)))
            return
        for waiting in batch:
            if not waiting.durable.done():
                waiting.durable.set_result(None)

    def _release(self, batch: list[_Waiting], reply: FlushReply) -> None:
        balances = dict(reply.balances)
        for waiting in reversed(batch):
            balance = balances.get(waiting.wallet_id)
            if balance is not None:
                balances[waiting.wallet_id] = balance + waiting.sale
            if not waiting.durable.done():
                waiting.durable.set_result(balance)

    def _go_away(self) -> None:
        """From here on rows go to the spool, while a task of its own asks whether PostgreSQL is back."""
        self._away = True
        if self._returning is None and not self._closing:
            self._returning = asyncio.get_running_loop().create_task(self._await_return())

    async def _await_return(self) -> None:
        while True:
            await asyncio.sleep(RETRY_MS / 1000)
            try:
                await self._flush([], [])
            except self._books.unavailable as error:
                log.debug("flush.books_still_away", error=str(error))
                continue
            except Exception:
                log.exception("flush.probe_failed")
                continue
            self._is_back = True
            self._wake.set()
            return

    async def _leave_spool_mode(self) -> None:
        """New rows go to PostgreSQL again; what was spooled follows beside them, in any order."""
        self._is_back = self._away = False
        self._returning = None
        try:
            path = await self._on_disk(self._spool.rotate)
        except (OSError, RuntimeError) as error:  # the file stays for the next process
            log.critical("spool.rotate_failed", error=repr(error))
            return
        log.info("flush.books_back", spooled=path is not None)
        if path is not None:
            self._keep_replaying(path, orphaned=False)

    def _keep_replaying(self, path: Path, *, orphaned: bool) -> None:
        task = asyncio.get_running_loop().create_task(self._replay_until_done(path, orphaned=orphaned))
        self._replaying.add(task)
        task.add_done_callback(self._replaying.discard)

    async def _replay_until_done(self, path: Path, *, orphaned: bool) -> None:
        while not await self._replay(path, orphaned=orphaned):  # noqa: ASYNC110 - nothing tells when it is back
            await asyncio.sleep(RETRY_MS / 1000)

    async def _replay(self, path: Path, *, orphaned: bool) -> bool:
        """Book one spool file and remove it. False when PostgreSQL went away again (the file stays)."""
        try:
            if not orphaned:
                await self._book_file(path, orphaned=False)
                return True
            with spool_file.claimed(path) as is_ours:
                if is_ours:
                    await self._book_file(path, orphaned=True)
        except self._books.unavailable as error:
            log.warning("spool.replay_interrupted", path=path.name, error=str(error))
            return False
        except Exception:  # the disk, or a file nobody can read: it stays for the next start
            log.critical("spool.replay_failed", path=path.name, exc_info=True)
        return True

    async def _book_file(self, path: Path, *, orphaned: bool) -> None:
        entries = await self._on_disk(lambda: list(spool_file.read(path)))
        rows = [row for kind, row in entries if kind == spool_file.ROW]
        marks = _open_marks(rows, [row for kind, row in entries if kind == spool_file.MARK])
        if orphaned:  # their process is gone: settle from the mark, as the sweeper would
            rows += [orjson.dumps({**mark, "from_mark": True}) for mark in marks]
            marks = []
        refused = await self._book(rows)
        if marks:
            await self._flush([], [orjson.dumps(mark) for mark in marks])
        if refused:
            stuck = await self._on_disk(spool_file.keep_stuck, path, refused)
            log.critical("spool.rows_refused", path=stuck.name, rows=len(refused))
        await self._on_disk(path.unlink)
        log.info("spool.replayed", path=path.name, rows=len(rows) - len(refused))

    async def _book(self, rows: list[bytes]) -> list[bytes]:
        """Flush rows in parts; rows that alone make PostgreSQL fail, though it is there, come back."""
        refused: list[bytes] = []
        parts = deque(rows[start : start + REPLAY_ROWS] for start in range(0, len(rows), REPLAY_ROWS))
        while parts:
            part = parts.popleft()
            try:
                await self._flush(part, [])
            except self._books.unavailable:
                raise
            except Exception:
                log.exception("spool.part_refused", rows=len(part))
                half = len(part) // 2
                if half:
                    parts.extendleft((part[half:], part[:half]))
                else:
                    refused += part
        return refused

    async def _flush(self, rows: list[bytes], marks: list[bytes]) -> FlushReply:
        process_id = self._process.process_id
        reply = await self._books.flush(process_id, rows, marks)
        if reply.late:
            self._process.die(process_id)
        if reply.quarantined:
            log.critical("flush.quarantined", requests=[str(request_id) for request_id in reply.quarantined])
        return reply

    async def _on_disk(self, work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, partial(work, *args, **options))


def _open_marks(rows: list[bytes], marks: list[bytes]) -> list[dict[str, object]]:
    """The newest mark of every attempt that has no final row in the same file."""
    finished = {(row["request_id"], row["attempt"]) for row in map(orjson.loads, rows)}
    newest = {(mark["request_id"], mark["attempt"]): mark for mark in map(orjson.loads, marks)}
    return [mark for key, mark in newest.items() if key not in finished]
