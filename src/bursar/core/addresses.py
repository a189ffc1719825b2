"""Where a caller is: his address, as far as those in between can be trusted, and whether a list has it.

`X-Forwarded-For` is read from its end: every proxy of ours adds who asked it, so the last address that is not
one of our proxies' is the caller's, whatever he wrote in front of it. A peer that is no trusted proxy is the
caller.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
HOPS_MAX = 32
"""Proxies in a row; a longer list is somebody's joke."""

SUBSCRIBER_BITS = 64

INSIDE: Final = tuple(ip_network(one) for one in ("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24"))
"""What `is_global` would let through: Azure's host, protocol assignments (Oracle's host), 6to4 relays."""

UNICAST: Final = ip_network("2000::/3")
"""All of IPv6 that is given to anybody (RFC 4291, section 2.4)."""

CARRIERS: Final = tuple(
    ip_network(one) for one in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::ffff:0:0/96")
)
"""IPv6 with an IPv4 address inside (NAT64, 6to4, Teredo, mapped): who it reaches depends on the network."""


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


def is_public(address: Address) -> bool:
    """Whether what a stranger named may be called: an address of the internet, and of nobody's inside.

    False for loopback, private, shared (RFC 6598), link-local, metadata, multicast, reserved and
    documentation addresses, and for IPv6 that carries an IPv4 address, but for a mapped one that is public.
    Ask it of the very address that is connected to: a name may be resolved to another one a moment later.
    """
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address not in UNICAST or any(address in carrier for carrier in CARRIERS):
            return False
    if any(address in network for network in INSIDE):
        return False
    return address.is_global and not address.is_multicast


def network_of(text: str) -> str:
    """Whom an address counts as: itself, or its /64 for IPv6: one subscriber's (RFC 6177). "" for none."""
    address = _parsed(text)
    if isinstance(address, IPv6Address):
        return str(ip_network((address, SUBSCRIBER_BITS), strict=False))
    return "" if address is None else str(address)


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
