"""One HTTP/1.1 connection to a provider: bytes out, a parsed answer in, closed when nobody wants it.

Parsing is httptools (the parser of Node.js); this file only moves bytes, keeps what was not read yet, and
stops reading from the socket while too much of it waits.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Final, cast

import httptools

from bursar.adapters.upstream import UpstreamError

BUFFER_BYTES_MAX: Final = 256 * 1024  # unread body before the socket is paused
HEADER_BYTES_MAX: Final = 64 * 1024
INFORMATIONAL_MAX: Final = 199
RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # struct linger: on, 0 s
STALE_S: Final = 1.0  # a close that was on its way when the request left arrives sooner than this


class Connection(asyncio.Protocol):
    """Serves one request at a time; `is_reusable` says whether another may follow.

    Attributes:
        status, headers: of the current answer; names in lower case, repeated ones joined by a comma.
        content_length: as declared, None when the body is chunked or ends with the connection.
        is_complete: the whole body has arrived, though perhaps not been read.
        is_fresh: no answer has come over this connection yet.
        died_idle: the provider closed a kept-alive connection before it saw the request: sending it anew is
            safe.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_close: Callable[["Connection"], object]) -> None:
        self._loop = loop
        self._on_close = on_close
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._parts: list[bytes] = []
        self._buffered = 0
        self._is_paused = False
        self._error: UpstreamError | None = None
        self._header_bytes = 0
        self._head_bytes = 0
        self._has_headers = False
        self._keep_alive = False
        self._got_bytes = False
        self._asked_at = 0.0
        self.is_closed = False
        self.died_idle = False
        self.is_fresh = True
        self.is_complete = False
        self.status = 0
        self.headers: dict[str, str] = {}
        self.content_length: int | None = None
        self.idle_since = 0.0
        self.deadline = 0.0

    # What the owner calls

    async def ask(self, request: bytes) -> None:
        """Send a whole request and wait for the answer's headers; raises `UpstreamError`."""
        self._begin()
        if self._transport is None or self.is_closed:
            self.died_idle = not self.is_fresh
            raise UpstreamError("the connection is closed", sent=False)
        self._asked_at = self._loop.time()
        self._transport.write(request)
        while not self._has_headers and self._error is None:
            await self._wait()
        if self._error is not None and not self._has_headers:
            raise self._error

    async def chunk(self) -> bytes:
        """What has arrived since the last call, waiting when nothing has; empty at the end of the body."""
        while not self._parts:
            if self.is_complete:
                return b""
            if self._error is not None:
                raise self._error
            await self._wait()
        parts, self._parts, self._buffered = self._parts, [], 0
        if self._is_paused and self._transport is not None and not self.is_closed:
            self._is_paused = False
            self._transport.resume_reading()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def fail(self, error: UpstreamError) -> None:
        """Whoever waits gets `error`; the socket is closed now."""
        if self._error is None:
            self._error = error
        self.abort()
        self._wake()

    def bark(self) -> None:
        """The watchdog's notice: neither an answer nor more of it came in time."""
        self.fail(UpstreamError("the provider went silent", sent=True, timed_out=True))

    def abort(self) -> None:
        """Close at once, dropping what is not sent."""
        self.is_closed = True
        if self._transport is not None:
            drop_unsent(self._transport)
            self._transport.abort()

    @property
    def is_reusable(self) -> bool:
        """The answer was read, and neither side has said or still has to say anything beyond it."""
        if not self.is_complete or not self._keep_alive or self.is_closed or self._parts:
            return False
        return self._transport is not None and self._transport.get_write_buffer_size() == 0

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._got_bytes = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.fail(UpstreamError("the provider switched protocols", sent=True))
        except httptools.HttpParserError as error:
            reason = type(error.__context__ or error).__name__
            self.fail(UpstreamError(f"the answer is not HTTP: {reason}", sent=True))
        if not self._has_headers:  # the parser keeps what it has of an unfinished header
            self._head_bytes += len(data)
            if self._head_bytes > HEADER_BYTES_MAX:
                self.fail(UpstreamError("the answer's headers are too large", sent=True))

    def connection_lost(self, exc: Exception | None) -> None:
        ended_by_provider = not self.is_closed and exc is None
        self.is_closed = True
        self._on_close(self)
        if self._has_headers and not self.is_complete and self._ends_with_connection() and ended_by_provider:
            self.is_complete = True
        elif not self.is_complete and self._error is None:
            age_s = self._loop.time() - self._asked_at
            self.died_idle = not self.is_fresh and not self._got_bytes and age_s < STALE_S
            self._error = UpstreamError("the connection broke", sent=True)
        self._wake()

    # What the parser calls

    def on_message_begin(self) -> None:
        if self.is_complete:
            raise UnaskedAnswer

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > HEADER_BYTES_MAX:
            raise HeadersTooLarge
        if self._has_headers:
            return  # a trailer: nothing in it changes how the answer is read
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self.status <= INFORMATIONAL_MAX:
            return
        self._keep_alive = self._parser.should_keep_alive()
        length = self.headers.get("content-length", "")
        self.content_length = int(length) if length.isdigit() else None
        self._has_headers = True
        self.is_fresh = False
        self._wake()

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)
        self._buffered += len(body)
        if self._buffered > BUFFER_BYTES_MAX and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def on_message_complete(self) -> None:
        if not self._has_headers:  # an interim 1xx answer: the real one follows
            self.headers = {}
            return
        self.is_complete = True
        self._wake()

    def _begin(self) -> None:
        self._parts = []
        self._buffered = 0
        self._header_bytes = 0
        self._head_bytes = 0
        self._error = None
        self._has_headers = False
        self._got_bytes = False
        self.is_complete = False
        self.headers = {}

    def _ends_with_connection(self) -> bool:
        coding = self.headers.get("transfer-encoding", "").lower()
        return self.content_length is None and "chunked" not in coding

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def drop_unsent(transport: asyncio.Transport) -> None:
    """Let closing reset a connection that still has bytes to send; else the other end learns of it last."""
    sock = transport.get_extra_info("socket")
    if sock is not None and not transport.is_closing() and transport.get_write_buffer_size() > 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


class HeadersTooLarge(Exception):
    """The answer's headers pass `HEADER_BYTES_MAX`."""


class UnaskedAnswer(Exception):
    """Bytes follow the answer to the only request: whose they are is anybody's guess."""
