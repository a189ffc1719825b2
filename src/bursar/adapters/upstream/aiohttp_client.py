"""Upstream over aiohttp: connection reuse, TLS, an optional proxy, and a close that closes."""

import asyncio
from collections.abc import Mapping
from typing import Final

import aiohttp
from yarl import URL

from bursar.adapters.upstream import Answer, Timeouts, UpstreamError, UpstreamTooLarge
from bursar.adapters.upstream.watchdog import Watchdog

KEEP_ALIVE_S: Final = 30.0
READ_BUFFER_BYTES: Final = 64 * 1024  # aiohttp pauses the socket at twice this
DNS_CACHE_S: Final = 30
URLS_MAX: Final = 1_000


class AiohttpAnswer:
    __slots__ = ("_idle_s", "_response", "_watch", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse, dog: Watchdog, idle_s: float) -> None:
        self._response = response
        self._watch = dog.watch(self._go_silent)
        self._idle_s = idle_s
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def read(self, limit_bytes: int) -> bytes:
        length = self._response.content_length
        if length is not None and length > limit_bytes:
            self.close()
            raise UpstreamTooLarge(f"answer of {length} bytes", sent=True)
        first = await self.chunk()
        if length is not None and len(first) == length:
            return first
        parts = [first]
        size = len(first)
        while parts[-1]:
            parts.append(await self.chunk())
            size += len(parts[-1])
            if size > limit_bytes:
                self.close()
                raise UpstreamTooLarge(f"answer of more than {limit_bytes} bytes", sent=True)
        return b"".join(parts)

    async def chunk(self) -> bytes:
        watch = self._watch
        watch.start(self._idle_s)
        try:
            return await self._response.content.readany()
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
            watch.stop()

    def close(self) -> None:
        self._response.close()

    def _go_silent(self) -> None:
        self._response.content.set_exception(TimeoutError("idle"))


class AiohttpUpstream:
    """One session per process; make it inside the running event loop.

    Args:
        connections_max: sockets open to all providers together; further requests wait.
        proxy: URL of the HTTP proxy every provider is reached through; None for none.
    """

    def __init__(self, *, connections_max: int = 2_000, proxy: str | None = None) -> None:
        connector = aiohttp.TCPConnector(
            limit=connections_max, keepalive_timeout=KEEP_ALIVE_S, ttl_dns_cache=DNS_CACHE_S
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None, sock_read=None),
            skip_auto_headers=("user-agent", "accept", "accept-encoding"),
            read_bufsize=READ_BUFFER_BYTES,
            proxy=proxy,
        )
        self._dog = Watchdog()
        self._timeouts: dict[int, aiohttp.ClientTimeout] = {}
        self._urls: dict[str, URL] = {}

    async def open(self, url: str, headers: Mapping[str, str], body: bytes, timeouts: Timeouts) -> Answer:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine always runs in a task
        watch = self._dog.watch(task.cancel)
        watch.start(timeouts.first_byte_ms / 1000)
        try:
            response = await self._session.post(
                self._url(url),
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=self._client_timeout(timeouts),
            )
        except aiohttp.ConnectionTimeoutError as error:
            raise UpstreamError("connecting took too long", sent=False, timed_out=True) from error
        except aiohttp.ClientConnectorError as error:
            raise UpstreamError(f"no connection: {type(error).__name__}", sent=False) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise UpstreamError(f"the connection broke: {type(error).__name__}", sent=True) from error
        except asyncio.CancelledError:
            if not watch.expired or task.uncancel() > 0:
                raise
            raise UpstreamError("no answer in time", sent=True, timed_out=True) from None
        finally:
            watch.stop()
        return AiohttpAnswer(response, self._dog, timeouts.idle_ms / 1000)

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
            made = aiohttp.ClientTimeout(total=None, sock_connect=timeouts.connect_ms / 1000, sock_read=None)
            self._timeouts[timeouts.connect_ms] = made
        return made
