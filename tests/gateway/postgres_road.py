"""The road to PostgreSQL: a TCP relay in front of its socket that a test can cut, block or slow down."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

from psycopg.conninfo import conninfo_to_dict, make_conninfo

Cut = Literal["question", "reply"]
# PostgreSQL manual, "Message Formats": ReadyForQuery, the last of every answer; NotificationResponse.
READY, NOTICE = b"Z", b"A"
PREPARED = b"1\0\0\0\4Z\0\0\0\5I"  # ParseComplete and nothing else
PATIENCE_S = 15.0


class Road:
    """`questions`: statements sent to PostgreSQL so far."""

    def __init__(self, url: str) -> None:
        self._socket = _socket_of(url)
        self._url = url
        self._port = 0
        self._cuts: list[tuple[int, Cut]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_open = True
        self._replies = asyncio.Event()
        self._replies.set()
        self._holds_one = False
        self._held_one = asyncio.Event()
        self.questions = 0
        self.held_replies = 0

    @property
    def url(self) -> str:
        return make_conninfo(
            self._url, host="127.0.0.1", port=str(self._port), sslmode="disable", gssencmode="disable"
        )

    def cut_next(self, what: Cut, *, after: int = 0) -> None:
        """Once, after so many more statements: one is lost on its way there, or its reply on the way back."""
        self._cuts.append((self.questions + 1 + after, what))

    def cut_no_more(self) -> None:
        self._cuts.clear()

    def close(self) -> None:
        """PostgreSQL is away: every connection breaks, no new one is accepted."""
        self._is_open = False
        for task in self._tasks:
            task.cancel()

    def reopen(self) -> None:
        self._is_open = True

    def tasks(self) -> "set[asyncio.Task[None]]":
        return set(self._tasks)

    def hold_replies(self) -> None:
        self._replies.clear()

    def hold_next_reply(self) -> None:
        """Only one; those on other connections pass it."""
        self._holds_one = True

    def let_replies_go(self) -> None:
        self._holds_one = False
        self._replies.set()
        self._held_one.set()

    def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._is_open:
            writer.close()
            return
        task = asyncio.get_running_loop().create_task(self._relay(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: writer.transport.abort())

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(self._socket)
        trip = Trip(self, reader, writer, there, back)
        pumps = [asyncio.ensure_future(trip.questions()), asyncio.ensure_future(trip.replies())]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            back.transport.abort()
            for pump in pumps:
                pump.cancel()

    def take_cut(self, what: Cut) -> bool:
        due = [cut for cut in self._cuts if cut[0] <= self.questions and cut[1] == what]
        if due:
            self._cuts.remove(due[0])
        return bool(due)

    async def may_reply(self) -> None:
        if self._holds_one:
            self._holds_one = False
            self._held_one.clear()
            self.held_replies += 1
            await self._held_one.wait()
        if not self._replies.is_set():
            self.held_replies += 1
            await self._replies.wait()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Road"]:
        server = await asyncio.start_server(self.relay, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.close()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.sleep(0)  # aborted transports close in the next round


class Trip:
    """One connection over the road."""

    def __init__(
        self,
        road: Road,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:
        self._road = road
        self._reader, self._writer = reader, writer
        self._there, self._back = there, back
        self._is_connected = False
        self._loses_reply = False

    async def questions(self) -> None:
        with suppress(ConnectionError):
            while question := await self._reader.read(1 << 20):
                if self._is_connected and not _only_prepares(question):
                    self._road.questions += 1
                    if self._road.take_cut("question"):
                        return
                    self._loses_reply = self._road.take_cut("reply") or self._loses_reply
                self._back.write(question)

    async def replies(self) -> None:
        """PostgreSQL answers a statement outside a transaction after committing it."""
        is_whole = True  # an answer may come in pieces
        with suppress(ConnectionError):
            while reply := await self._there.read(1 << 20):
                if self._loses_reply:
                    return
                if self._is_connected and is_whole and reply != PREPARED:
                    await self._road.may_reply()
                is_whole = reply[-6:-5] == READY or reply[:1] == NOTICE
                self._is_connected = self._is_connected or is_whole
                self._writer.write(reply)


def _only_prepares(question: bytes) -> bool:
    """Parse and Sync, or Terminate: nothing that PostgreSQL would carry out."""
    if question[:1] == b"P":
        end = 1 + int.from_bytes(question[1:5])
        return question[end : end + 1] == b"S"
    return question[:1] == b"X"


def _socket_of(url: str) -> str:
    given = conninfo_to_dict(url)
    return str(Path(str(given["host"]), ".s.PGSQL.5432"))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that is going to happen."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)
