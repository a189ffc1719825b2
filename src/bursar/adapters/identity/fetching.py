"""Small JSON documents of strangers, with a limit on everything.

What a customer named is called over https only, and only at public addresses. The address is checked where
the socket is made, so it is the very one connected to: a name that resolves to another address a moment
later (DNS rebinding) gains nothing. Redirects are not followed: they would lead anywhere.
"""

import socket
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import orjson

from bursar.adapters.identity import IdentityUnavailable
from bursar.core.addresses import is_public

WHOLE_TIMEOUT_S: Final = 10
"""A person is waiting in front of an empty page."""

CONNECT_TIMEOUT_S: Final = 4
DOCUMENT_BYTES_MAX: Final = 256 * 1024
"""The largest known (a key set, a person with hundreds of groups) are a few dozen kilobytes."""

CONNECTIONS_MAX: Final = 20
CONNECTIONS_PER_HOST_MAX: Final = 4
"""Of who a customer named: one issuer that answers slowly leaves connections to the others'."""

OWN_AGENT: Final = "bursar"
"""GitHub answers nobody without a User-Agent."""


class Fetcher:
    """Gets and posts. `allows_loopback`: for development and tests: http, and this machine itself."""

    def __init__(self, *, allows_loopback: bool = False) -> None:
        self._allows_loopback = allows_loopback
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def get(
        self, url: str, *, is_guarded: bool, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and JSON. Raises `IdentityUnavailable`."""
        return await self._ask("GET", url, is_guarded=is_guarded, headers=headers)

    async def post(
        self, url: str, *, is_guarded: bool, headers: Mapping[str, str], body: str
    ) -> tuple[int, Any]:
        """The same for a form."""
        return await self._ask("POST", url, is_guarded=is_guarded, headers=headers, body=body)

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def _ask(
        self,
        method: str,
        url: str,
        *,
        is_guarded: bool,
        headers: Mapping[str, str] | None,
        body: str | None = None,
    ) -> tuple[int, Any]:
        self.check(url)
        try:
            async with self._session(guarded=is_guarded).request(
                method, url, headers=headers, data=body, allow_redirects=False
            ) as answer:
                return answer.status, await _document(answer)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise IdentityUnavailable(f"{_host(url)}: {type(error).__name__}") from error

    def check(self, url: str) -> None:
        """Raises `IdentityUnavailable` when nobody should call it, or send a browser there."""
        try:
            parts = urlsplit(url)
            plain = parts.scheme == "http" and self._allows_loopback and _is_loopback(parts.hostname or "")
            fits = bool(parts.hostname) and parts.username is None and parts.port != 0
        except ValueError as error:
            raise IdentityUnavailable("an address that is none") from error
        if not fits or not (parts.scheme == "https" or plain):
            raise IdentityUnavailable(f"{_host(url)}: only https is called")

    def _session(self, *, guarded: bool) -> aiohttp.ClientSession:
        if guarded not in self._sessions:
            factory = guarded_socket(allows_loopback=self._allows_loopback) if guarded else None
            connector = aiohttp.TCPConnector(
                limit=CONNECTIONS_MAX,
                limit_per_host=CONNECTIONS_PER_HOST_MAX if guarded else 0,
                socket_factory=factory,
                use_dns_cache=False,
            )
            self._sessions[guarded] = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=WHOLE_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S),
                headers={
                    "accept": "application/json",
                    "accept-encoding": "identity",
                    "user-agent": OWN_AGENT,
                },
                auto_decompress=False,  # a packed document of a few bytes may unpack to gigabytes
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._sessions[guarded]


def guarded_socket(*, allows_loopback: bool) -> Callable[[aiohttp.AddrInfoType], socket.socket]:
    """Makes sockets towards public addresses only."""

    def make(wanted: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, place = wanted
        address = ip_address(str(place[0]).partition("%")[0])
        if not is_public(address) and not (allows_loopback and address.is_loopback):
            raise PermissionError("not a public address")
        return socket.socket(family, kind, protocol)

    return make


async def _document(answer: aiohttp.ClientResponse) -> Any:
    """Raises `ValueError` when it is too long or no JSON."""
    held = bytearray()
    async for piece in answer.content.iter_any():
        held += piece
        if len(held) > DOCUMENT_BYTES_MAX:
            raise ValueError("longer than any honest one")
    return orjson.loads(held)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _host(url: str) -> str:
    """What a log may say of a URL."""
    try:
        return urlsplit(url).hostname or "?"
    except ValueError:
        return "?"
