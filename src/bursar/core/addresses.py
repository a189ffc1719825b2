"""Where a caller is: his address, as far as those in between can be trusted, and whether a list has it.

`X-Forwarded-For` is read from its end: every proxy of ours adds who asked it, so the last address that is not
one of our proxies' is the caller's, whatever he wrote in front of it. A peer that is no trusted proxy is the
caller.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address
HOPS_MAX = 32
"""Proxies in a row; a longer list is somebody's joke."""


class Networks:
    """Networks in CIDR notation, IPv4 and IPv6; a single address is a network of one.

    Raises:
        ValueError: one of them is none, or has bits set beyond its prefix.
    """

    __slots__ = ("_networks",)

    def __init__(self, listed: Iterable[str]) -> None:
        self._networks = tuple(ip_network(one.strip()) for one in listed)

    def __contains__(self, address: Address) -> bool:
        return any(address in network for network in self._networks)  # another version is never in it

    def __bool__(self) -> bool:
        return bool(self._networks)


def client_address(peer: str | None, headers: Iterable[Sequence[bytes]], trusted: Networks) -> Address | None:
    """The caller's address; None when it cannot be known.

    `peer`: who opened the connection. `headers`: all of them: `X-Forwarded-For` may come more than once.
    """
    address = _parsed(peer or "")
    if address is None or address not in trusted:
        return address
    said = b",".join(value for name, value in headers if name == b"x-forwarded-for").decode("latin-1")
    hops = [hop.strip() for hop in said.split(",")] if said else []
    for hop in reversed(hops[-HOPS_MAX:]):
        address = _parsed(hop)
        if address is None or address not in trusted:
            return address
    return address


@lru_cache(maxsize=4_096)
def _parsed(text: str) -> Address | None:
    """One address, also as `[v6]:port` or `v4:port`; an IPv4 address inside an IPv6 one is IPv4."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
