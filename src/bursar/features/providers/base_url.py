"""Which base URLs a credential may be sent to: pure."""

import ipaddress
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, urlsplit

from bursar.rest.fields import printable
from bursar.rest.problems import Invalid

DEFAULT_BASE_URLS: Final[Mapping[str, str]] = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com/v1",
}
INSIDE_SUFFIXES: Final = (".localhost", ".local", ".internal", ".lan", ".svc", ".test")


class BaseUrlInvalid(Invalid):
    code = "base_url_invalid"


def checked_base_url(given: str | None, kind: str) -> str:
    """The URL to store, without a trailing slash.

    Raises:
        BaseUrlInvalid: it is missing, malformed, carries a password, or would send the credential
            in clear text across the internet.
    """
    if given is None:
        if kind not in DEFAULT_BASE_URLS:
            raise BaseUrlInvalid(f"body.base_url: a provider of kind {kind} needs one.")
        return DEFAULT_BASE_URLS[kind]
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
