"""One connection: HTTP/1.1 in, exact bytes out.

A raw protocol, because a simulator of faulty providers must decide about each byte, each FIN and each RST,
and be cheap enough not to be the bottleneck of a benchmark.
"""

import asyncio
import os
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, cast

import httptools

from bursar.simulator.record import Exchange, Link, Log
from bursar.simulator.settings import SimulatorSettings

PIPELINE_MAX = 32
HEADERS_MAX = 200
HEADER_BYTES_MAX = 64 * 1024
WRITE_BUFFER_BYTES = 64 * 1024
_LINGER_RESET = struct.pack("ii", 1, 0)
_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Request:
    """A complete request; header names are lower case."""

    __slots__ = ("body", "headers", "keep_alive", "method", "target")

    def __init__(
        self, method: str, target: bytes, headers: dict[bytes, bytes], body: bytes, *, keep_alive: bool
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.keep_alive = keep_alive


class Connection(asyncio.Protocol):
    """Reads requests one after the other and hands each to `handle`.

    `handle` answers at once through `send_whole`, or starts a coroutine with `run` that uses `write`,
    `drain`,
    `close`, `reset` and finally `finish`.
    """

    def __init__(
        self,
        settings: SimulatorSettings,
        log: Log,
        handle: Callable[["Connection", Request], None],
        members: set["Connection"],
    ) -> None:
        self._settings = settings
        self._log = log
        self._handle = handle
        self._members = members
        self._parser: Any = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()
        self._request: Request | None = None
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self.closed = asyncio.Event()
        self._restart()
        self.idle_since = time.monotonic()
        self.exchange: Exchange | None = None

    def _restart(self) -> None:
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._header_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0

    # connection events

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._log.connections_total += 1
        self.link = Link(serial=self._log.connections_total, opened_ns=time.monotonic_ns())
        self._log.links.append(self.link)
        self._log.connections_open += 1
        self._members.add(self)
        if len(self._members) > self._settings.connections_max:
            self._log.connections_refused += 1
            self.reset()
            return
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)

    def eof_received(self) -> bool:
        self.link.peer_closed_ns = time.monotonic_ns()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        now = time.monotonic_ns()
        self._members.discard(self)
        self._log.connections_open -= 1
        self.link.closed_ns = now
        if not self.link.closed_by:
            self.link.closed_by = "peer"
            self.link.reset = exc is not None
            self.link.peer_closed_ns = self.link.peer_closed_ns or now
        self._writable.set()
        if self._task is not None:
            self._task.cancel()
        self._end("peer_closed")
        self.closed.set()

    def pause_writing(self) -> None:
        self._writable.clear()
        if self.exchange is not None:
            self.exchange.paused += 1

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse(_BAD_REQUEST)

    # parser events

    def on_message_begin(self) -> None:
        self._restart()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > HEADER_BYTES_MAX or len(self._headers) >= HEADERS_MAX:
            self._refuse(_BAD_REQUEST)
            return
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        if b"expect" in self._headers:
            self.transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._settings.body_bytes_max:
            self._body.clear()
            self._refuse(_TOO_LARGE)
            return
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self.transport.is_closing():
            return
        parser = self._parser
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        method = parser.get_method().decode("latin-1")
        request = Request(method, self._target, self._headers, body, keep_alive=parser.should_keep_alive())
        self._body = []
        if self._request is None:
            self._begin(request)
        elif len(self._waiting) < PIPELINE_MAX:
            self._waiting.append(request)
        else:
            self._refuse(_BAD_REQUEST)

    def _refuse(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.close()

    # one request

    def _begin(self, request: Request) -> None:
        self._request = request
        log, settings = self._log, self._settings
        log.requests_total += 1
        log.requests_open += 1
        log.requests_open_max = max(log.requests_open_max, log.requests_open)
        self.link.requests += 1
        self.exchange = exchange = Exchange(
            serial=log.requests_total,
            connection=self.link.serial,
            method=request.method,
            path=request.target.decode("latin-1"),
            headers=request.headers,
            body=request.body[: settings.recorded_body_bytes_max],
            body_bytes=len(request.body),
            received_ns=time.monotonic_ns(),
        )
        log.exchanges.append(exchange)
        self._handle(self, request)

    def _end(self, how: str) -> None:
        if self.exchange is not None:
            self._log.requests_open -= 1
            self.exchange.end(how)
            self.exchange = None

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Answer by a coroutine; it is cancelled when the connection ends."""
        self._task = asyncio.get_running_loop().create_task(work)
        self._task.add_done_callback(self._ran)

    def _ran(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled() and (failure := task.exception()):
            self.reset()
            raise failure

    def send_whole(self, answer: bytes, *, status: int, events: int) -> None:
        """Send a finished answer and go on to the next request."""
        exchange = self.exchange
        if exchange is not None:
            exchange.status = status
            exchange.events_sent = events
        self.write(answer)
        self.finish()

    def write(self, content: bytes) -> None:
        self.transport.write(content)
        exchange = self.exchange
        if exchange is not None:
            exchange.bytes_sent += len(content)
            if not exchange.first_byte_ns:
                exchange.first_byte_ns = time.monotonic_ns()

    async def drain(self) -> None:
        """Wait until the socket takes more."""
        await self._writable.wait()

    def finish(self) -> None:
        """The answer is complete."""
        request, self._request = self._request, None
        self._end("complete")
        if request is not None and not request.keep_alive:
            self.close()
            return
        self.idle_since = time.monotonic()
        if self._waiting and not self.transport.is_closing():
            self._begin(self._waiting.popleft())

    @property
    def idle(self) -> bool:
        return self._request is None

    def close(self) -> None:
        """Send what is buffered, then FIN."""
        self.link.closed_by = self.link.closed_by or "us"
        self._end("cut")
        self.transport.close()

    def reset(self) -> None:
        """RST: the peer sees the connection break."""
        self.link.closed_by = self.link.closed_by or "us"
        self._end("cut")
        raw = self.transport.get_extra_info("socket")
        if raw is not None and raw.fileno() >= 0:
            with socket.socket(fileno=os.dup(raw.fileno())) as same:
                same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        self.transport.abort()

    def stop(self) -> asyncio.Task[None] | None:
        """The server stops: drop the connection and say which task has to be awaited."""
        self.link.closed_by = self.link.closed_by or "us"
        self._end("stopped")
        self.transport.abort()
        return self._task
