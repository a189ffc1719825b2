"""Upstream over aiohttp: connection reuse, TLS, an optional proxy, and a close that closes."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from io import BytesIO
from types import SimpleNamespace
from typing import Final

import aiohttp
from yarl import URL

from bursar.adapters.upstream import Answer, Timeouts, UpstreamError, not_interested
from bursar.adapters.upstream.aiohttp_handler import OK_MIN, Connector
from bursar.adapters.upstream.reading import read_within
from bursar.adapters.upstream.watchdog import Watchdog

KEEP_ALIVE_S: Final = 30.0
READ_BUFFER_BYTES: Final = 64 * 1024  # aiohttp pauses the socket at twice this
DNS_CACHE_S: Final = 30
URLS_MAX: Final = 1_000
BODY_BYTES_AT_ONCE: Final = 2**20  # aiohttp wants larger ones as files
HEADER_BYTES_MAX: Final = 64 * 1024  # of one header; aiohttp bounds their number itself
STALE_S: Final = 1.0  # a close that was on its way when the request left arrives sooner than this


class AiohttpAnswer:
    __slots__ = ("_dog", "_idle_s", "_response", "deadline", "headers", "is_done", "status")

    def __init__(self, response: aiohttp.ClientResponse, dog: Watchdog, idle_s: float) -> None:
        self._response = response
        self._dog = dog
        self.deadline = 0.0
        self._idle_s = idle_s
        self.is_done = False
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def read(self, limit_bytes: int) -> bytes:
        return await read_within(self, self._response.content_length, limit_bytes)

    async def chunk(self) -> bytes:
        if self.is_done:
            return b""
        self._dog.start(self, self._idle_s)
        try:
            part = await self._response.content.readany()
        except (aiohttp.ClientError, ConnectionError) as error:
            self.close()
            raise UpstreamError(f"the answer broke off: {type(error).__name__}", sent=True) from error
        except TimeoutError as error:
            self.close()
            raise UpstreamError("the provider went silent", sent=True, timed_out=True) from error
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            self._dog.stop(self)
        self.is_done = self._response.content.at_eof()
        return part

    def close(self) -> None:
        if not self.is_done:
            self.is_done = True
            self._response.close()

    def bark(self) -> None:
        """The watchdog's notice: nothing more came in time."""
        self._response.content.set_exception(TimeoutError("idle"))


class AiohttpUpstream:
    """One session per process; make it inside the running event loop.

    Args:
        connections_max: sockets in use to all providers together; further requests wait.
        proxy: URL of the HTTP proxy every provider is reached through; None for none.
        tls: how to verify providers; the system's certificate authorities by default.
    """

    def __init__(
        self, *, connections_max: int = 2_000, proxy: str | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        connector = Connector(
            limit=connections_max,
            keepalive_timeout=KEEP_ALIVE_S,
            ttl_dns_cache=DNS_CACHE_S,
            ssl=True if tls is None else tls,
        )
        reuse = aiohttp.TraceConfig()
        reuse.on_connection_reuseconn.append(_note_reuse)
        reuse.on_request_headers_sent.append(_note_sent)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None, sock_read=None),
            skip_auto_headers=("user-agent", "accept"),
            headers={"accept-encoding": "identity"},
            auto_decompress=False,
            read_bufsize=READ_BUFFER_BYTES,
            max_line_size=HEADER_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
            trace_configs=[reuse],
            proxy=proxy,
        )
        self._loop = asyncio.get_running_loop()
        self._dog = Watchdog()
        self._timeouts: dict[int, aiohttp.ClientTimeout] = {}
        self._urls: dict[str, URL] = {}

    async def open(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeouts: Timeouts,
        *,
        on_send: Callable[[], object] = not_interested,
    ) -> Answer:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine always runs in a task
        watch = self._dog.watch(task.cancel)
        watch.start(timeouts.first_byte_ms / 1000)
        try:
            seen = SimpleNamespace(is_reused=False, on_send=on_send)
            response = await self._post_twice_if_stale(url, headers, body, timeouts, seen)
        except aiohttp.ConnectionTimeoutError as error:
            raise UpstreamError("connecting took too long", sent=False, timed_out=True) from error
        except (aiohttp.ClientConnectorError, aiohttp.NonHttpUrlClientError, ValueError) as error:
            raise UpstreamError(f"no connection: {type(error).__name__}", sent=False) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise UpstreamError(f"the connection broke: {type(error).__name__}", sent=True) from error
        except asyncio.CancelledError:
            if not watch.expired or task.uncancel() > 0:
                raise
            raise UpstreamError("no answer in time", sent=True, timed_out=True) from None
        finally:
            watch.stop()
        if response.status < OK_MIN:
            response.close()
            raise UpstreamError("the provider switched protocols", sent=True)
        coding = response.headers.get("content-encoding", "identity")
        if coding != "identity":
            response.close()
            raise UpstreamError(f"the answer is compressed ({coding!r}), which was not asked for", sent=True)
        return AiohttpAnswer(response, self._dog, timeouts.idle_ms / 1000)

    async def _post_twice_if_stale(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeouts: Timeouts,
        seen: SimpleNamespace,
    ) -> aiohttp.ClientResponse:
        """Send anew when a kept-alive connection turns out to have been closed before the request."""
        asked_at = self._loop.time()
        try:
            return await self._post(url, headers, body, timeouts, seen)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if not seen.is_reused or self._loop.time() - asked_at > STALE_S:
                raise
        return await self._post(url, headers, body, timeouts, seen)

    async def _post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeouts: Timeouts,
        seen: SimpleNamespace,
    ) -> aiohttp.ClientResponse:
        return await self._session.post(
            self._url(url),
            data=body if len(body) <= BODY_BYTES_AT_ONCE else BytesIO(body),
            headers=headers,
            allow_redirects=False,
            timeout=self._client_timeout(timeouts),
            trace_request_ctx=seen,
        )

    async def close(self) -> None:
        await self._dog.close()
        await self._session.close()

    def _url(self, url: str) -> URL:
        made = self._urls.get(url)
        if made is None:
            made = URL(url)
            if len(self._urls) < URLS_MAX:
                self._urls[url] = made
        return made

    def _client_timeout(self, timeouts: Timeouts) -> aiohttp.ClientTimeout:
        made = self._timeouts.get(timeouts.connect_ms)
        if made is None:
            made = aiohttp.ClientTimeout(total=None, connect=timeouts.connect_ms / 1000, sock_read=None)
            self._timeouts[timeouts.connect_ms] = made
        return made


async def _note_sent(
    _session: aiohttp.ClientSession, context: SimpleNamespace, _params: aiohttp.TraceRequestHeadersSentParams
) -> None:
    context.trace_request_ctx.on_send()


async def _note_reuse(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _params: aiohttp.TraceConnectionReuseconnParams,
) -> None:
    context.trace_request_ctx.is_reused = True
