"""Which base URLs a credential may be sent to: pure."""

import ipaddress
from typing import Final
from urllib.parse import SplitResult, urlsplit

from bursar.features.providers.kinds import FOREIGN_HOSTS, PLACES, Kind
from bursar.rest.fields import printable
from bursar.rest.problems import Invalid

INSIDE_SUFFIXES: Final = (".localhost", ".local", ".internal", ".lan", ".svc", ".test")


class BaseUrlInvalid(Invalid):
    code = "base_url_invalid"


def checked_base_url(given: str | None, kind: Kind) -> str:
    """The URL to store, without a trailing slash.

    Raises:
        BaseUrlInvalid: it is missing, malformed, carries a password, would send the credential in clear
            text across the internet, or to another region of the same maker.
    """
    if given is None:
        makers_own = PLACES[kind].base_url
        if makers_own is None:
            raise BaseUrlInvalid(f"body.base_url: a provider of kind {kind} needs one.")
        return makers_own
    url = _split(given)
    if url.username is not None or url.password is not None:
        raise BaseUrlInvalid(
            "body.base_url: must not contain a user or a password; add a credential instead."
        )
    if url.query or url.fragment:
        raise BaseUrlInvalid("body.base_url: must not contain a query or a fragment.")
    if url.scheme == "http" and not is_inside(url.hostname or ""):
        raise BaseUrlInvalid(
            "body.base_url: plain http would show the credential to everyone on the way; use https."
        )
    if (url.hostname or "").lower() in FOREIGN_HOSTS.get(kind, ()):
        raise BaseUrlInvalid(
            f"body.base_url: {url.hostname} is another region, which a key of kind {kind} must not reach; "
            "register a provider of that region's kind."
        )
    return f"{url.scheme}://{url.netloc.lower()}{url.path}".rstrip("/")


def _split(given: str) -> SplitResult:
    try:
        url = urlsplit(printable(given))
        port_fits = url.port is None or url.port > 0
    except ValueError as error:
        raise BaseUrlInvalid(f"body.base_url: {error}") from error
    if url.scheme not in {"http", "https"} or not url.hostname or not port_fits:
        raise BaseUrlInvalid("body.base_url: must be an http or https URL with a host.")
    if any(mark in given for mark in ' \\"<>^`{|}') or not given.isascii():
        raise BaseUrlInvalid("body.base_url: contains a character that no URL may have.")
    return url


def is_inside(host: str) -> bool:
    """Loopback, a private network, or a name that only an inside network knows."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith(INSIDE_SUFFIXES)
    return address.is_loopback or address.is_private or address.is_link_local
