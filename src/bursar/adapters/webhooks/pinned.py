"""Messages over HTTP, towards public addresses only, with a limit on everything.

A name is looked up once for each message and the addresses it has then are checked; the connection goes to
one of these very addresses (and is checked again where its socket is made), while TLS and `Host` keep the
name. So a name that resolves to another address a moment later (DNS rebinding) gains nothing. Redirects are
not followed: they would lead anywhere. Connections are not kept: the next message checks anew.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from bursar.adapters.webhooks import Answer, NotSent
from bursar.core.addresses import is_public
from bursar.core.webhooks import UrlRefused, check_url

WHOLE_TIMEOUT_S: Final = 15.0
"""What the specification recommends at least; a receiver is to answer first and to work later."""

CONNECT_TIMEOUT_S: Final = 5
LOOKUPS_MAX: Final = 16
"""Threads of our own: names whose servers are slow hold up each other and nobody else."""

HEADERS: Final = {
    "content-type": "application/json",
    "accept-encoding": "identity",
    "user-agent": "bursar-webhooks",
}
READ_BYTES_MAX: Final = 4_096
EXCERPT_LENGTH_MAX: Final = 500
RETRY_AFTER_DIGITS_MAX: Final = 6
NOT_PUBLIC: Final = "the name leads to no address of the internet"

Lookup = Callable[[str, int], Sequence[Any]]
"""What `socket.getaddrinfo` answers for a host and a port."""


class AddressRefused(OSError):
    """Nobody a stranger may call."""

    def __init__(self) -> None:
        super().__init__(NOT_PUBLIC)


class PinnedSender:
    """`allows_loopback`: for development and tests. `lookup`, `tls`: whom to believe, likewise."""

    def __init__(
        self,
        *,
        allows_loopback: bool = False,
        lookup: Lookup | None = None,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = WHOLE_TIMEOUT_S,
    ) -> None:
        self._allows_loopback = allows_loopback
        self._lookup = lookup or _looked_up
        self._tls = tls
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(LOOKUPS_MAX, thread_name_prefix="webhook lookup")

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Raises `NotSent`."""
        try:
            check_url(url, allows_loopback=self._allows_loopback)
            async with (
                self._session() as session,
                session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                return Answer(
                    status=answer.status,
                    excerpt=await _excerpt(answer),
                    retry_after_s=_retry_after_s(answer.headers.get("retry-after", "")),
                )
        except UrlRefused as error:
            raise NotSent(f"the address {error}") from error
        except TimeoutError as error:
            raise NotSent(f"no answer within {self._timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotSent(_why(error)) from error

    def may_call(self, address: str) -> bool:
        """Whether this very address may be connected to."""
        known = ip_address(address.partition("%")[0])
        return is_public(known) or (self._allows_loopback and known.is_loopback)

    def _session(self) -> aiohttp.ClientSession:
        """For one message: nothing of one is left for the next, no connection and no cookie."""
        connector = aiohttp.TCPConnector(
            resolver=_CheckedResolver(self._lookup, self._threads, self.may_call),
            socket_factory=self._socket,
            use_dns_cache=False,
            force_close=True,
            ssl=self._tls or True,
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=self._timeout_s, sock_connect=CONNECT_TIMEOUT_S),
            headers=HEADERS,
            auto_decompress=False,  # a packed answer of a few bytes may unpack to gigabytes
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    def _socket(self, wanted: aiohttp.AddrInfoType) -> socket.socket:
        """The last look, also at addresses that were never a name. Raises `AddressRefused`."""
        family, kind, protocol, _, place = wanted
        if not self.may_call(str(place[0])):
            raise AddressRefused
        return socket.socket(family, kind, protocol)


class _CheckedResolver(AbstractResolver):
    """Asks once, and answers only with addresses that may be called."""

    def __init__(self, lookup: Lookup, threads: ThreadPoolExecutor, may_call: Callable[[str], bool]) -> None:
        self._lookup = lookup
        self._threads = threads
        self._may_call = may_call

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises `OSError`: no such name; `AddressRefused`: it leads inside."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, self._lookup, host, port)
        places = [
            ResolveResult(
                hostname=host,
                host=place[0],
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, protocol, _, place in found
            if family in {socket.AF_UNSPEC, kind} and self._may_call(place[0])
        ]
        if not places:
            raise AddressRefused
        return places

    async def close(self) -> None:
        """The threads are the sender's."""


def _looked_up(host: str, port: int) -> Sequence[Any]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)


async def _excerpt(answer: aiohttp.ClientResponse) -> str:
    """How the body begins, as text that can be stored and shown; the rest is not waited for."""
    held = bytearray()
    async for piece in answer.content.iter_any():
        held += piece
        if len(held) >= READ_BYTES_MAX:
            answer.close()
            break
    text = bytes(held[:READ_BYTES_MAX]).decode("utf-8", "replace")
    return "".join(char if char.isprintable() else " " for char in text)[:EXCERPT_LENGTH_MAX].strip()


def _retry_after_s(said: str) -> int | None:
    """Seconds; a date is not read."""
    return int(said) if said.isascii() and said.isdigit() and len(said) <= RETRY_AFTER_DIGITS_MAX else None


def _why(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorError(os_error=AddressRefused()):
            return NOT_PUBLIC
        case aiohttp.ClientConnectorDNSError():
            return "the name is not known"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return "no TLS connection: its certificate is not valid for this name"
        case aiohttp.ClientConnectorError():
            return "no connection"
        case _:
            return f"the connection broke ({type(error).__name__})"
