"""A server that knows no HTTP: a test's script reads and writes the bytes of each connection itself."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

PATIENCE_S = 10.0
ESTABLISHED = 1  # TCP_ESTABLISHED in Linux's tcp_states.h
HEAD_BYTES_MAX = 1024 * 1024


class Peer:
    """One accepted connection. `gone_at` is when, by the loop's clock, the client was seen to be gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self._reader = reader
        self._writer = writer
        self.number = number
        self.requests: list[bytes] = []
        self.gone_at: float | None = None

    async def request(self) -> bytes:
        """The next whole request; empty when the client closed instead."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            self._note_gone()
            return b""
        length = next(
            int(line.partition(b":")[2])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        )
        self.requests.append(head + await self._reader.readexactly(length))
        return self.requests[-1]

    async def first_byte(self) -> None:
        """Wait for the beginning of a request, and read no more of it."""
        await self._reader.readexactly(1)

    async def send(self, content: bytes) -> None:
        """Returns when the network took it, or the client is gone."""
        if self._writer.is_closing():
            return
        self._writer.write(content)
        with suppress(ConnectionError):
            await self._writer.drain()

    async def answer(self, body: bytes = b"ok", *, status: str = "200 OK", headers: str = "") -> None:
        await self.send(whole(body, status=status, headers=headers))

    async def answer_one(self) -> None:
        """A whole script: one request, one answer."""
        await self.request()
        await self.answer()

    def finish(self) -> None:
        """Send nothing more, but go on listening."""
        self._writer.write_eof()

    async def look_for_the_end(self) -> None:
        """Notice that the client is gone without waiting for it."""
        await asyncio.sleep(0)
        if self._reader.at_eof() or self._writer.transport.is_closing():
            self._note_gone()

    async def until_gone(self) -> None:
        """Returns when the client has closed or reset the connection; what it sends is dropped."""
        with suppress(ConnectionError):
            while await self._reader.read(65536):
                continue
        self._note_gone()

    async def until_gone_without_reading(self) -> None:
        """The same for a provider that takes nothing in: only the operating system can tell."""
        sock = self._writer.get_extra_info("socket")
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's stubs forget it
        try:
            while connection_state(sock) == ESTABLISHED:
                await asyncio.sleep(0.005)
        finally:
            self._note_gone()

    def close(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        """Close with a TCP reset instead of a farewell."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    @property
    def unsent_bytes(self) -> int:
        return self._writer.transport.get_write_buffer_size()

    def _note_gone(self) -> None:
        if self.gone_at is None:
            self.gone_at = asyncio.get_running_loop().time()


def connection_state(sock: socket.socket) -> int:
    """The first byte of Linux's `struct tcp_info`."""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


Script = Callable[[Peer], Awaitable[None]]


class RawServer:
    """`peers`: every connection so far, in the order accepted."""

    def __init__(self, script: Script, scheme: str) -> None:
        self._script = script
        self._scheme = scheme
        self._tasks: set[asyncio.Task[None]] = set()
        self.peers: list[Peer] = []
        self.failures: list[BaseException] = []
        self.host = "127.0.0.1"
        self.port = 0

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self._scheme}://{host}:{self.port}/v1/chat"

    @property
    def requests(self) -> list[bytes]:
        return [request for peer in self.peers for request in peer.requests]

    async def peer(self, number: int = 0) -> Peer:
        """The connection with that number, as soon as it is there."""
        await until(lambda: len(self.peers) > number)
        return self.peers[number]

    async def gone(self, number: int = 0) -> float:
        """When the client of that connection was gone."""
        peer = await self.peer(number)
        await until(lambda: peer.gone_at is not None)
        assert peer.gone_at is not None
        return peer.gone_at

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer, len(self.peers))
        self.peers.append(peer)
        task = asyncio.get_running_loop().create_task(self._run(peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, peer: Peer) -> None:
        try:
            await self._script(peer)
        except Exception as error:  # noqa: BLE001 - shown by the fixture when the test ends
            self.failures.append(error)
        finally:
            peer.close()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def serving(
    script: Script, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[RawServer]:
    """Run `script` for each connection; an exception in it fails the test."""
    server = RawServer(script, "http" if tls is None else "https")
    listening = await asyncio.start_server(server.serve, host, 0, ssl=tls, limit=HEAD_BYTES_MAX)
    server.host, server.port = listening.sockets[0].getsockname()[:2]
    try:
        yield server
    finally:
        listening.close()
        await server.stop()
    assert server.failures == []


def whole(body: bytes = b"ok", *, status: str = "200 OK", headers: str = "") -> bytes:
    """An answer with its length."""
    return f"HTTP/1.1 {status}\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body


def head(headers: str = "", *, status: str = "200 OK", version: str = "1.1") -> bytes:
    return f"HTTP/{version} {status}\r\n{headers}\r\n".encode()


def chunked(*parts: bytes, end: bool = True) -> bytes:
    framed = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return framed + b"0\r\n\r\n" if end else framed


CHUNKED = "transfer-encoding: chunked\r\n"


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that is going to happen."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)
