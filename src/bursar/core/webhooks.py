"""Outgoing webhooks as Standard Webhooks has them: secrets, signatures, addresses, and when to try again.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable
from enum import StrEnum
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from bursar.core.addresses import is_public

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - public: it lets scanners recognise a leaked secret
SECRET_BYTES: Final = 32
"""The specification asks for 24 to 64."""

PAYLOAD_VERSION: Final = 1
"""Grows when a consumer written for the one before would misread; a new property is no reason."""

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
PAUSES_MS: Final = (
    5 * SECOND_MS,
    MINUTE_MS,
    5 * MINUTE_MS,
    30 * MINUTE_MS,
    2 * HOUR_MS,
    4 * HOUR_MS,
    7 * HOUR_MS,
    10 * HOUR_MS + 24 * MINUTE_MS,
)
"""Before the second try, the third, …: a day all together, dense at first, for a restart takes a minute."""

TRIES_MAX: Final = len(PAUSES_MS) + 1
JITTER_PERCENT: Final = 10
"""Pauses differ by up to so much either way: those who failed together do not come back together."""

URL_LENGTH_MAX: Final = 2_000
URL_SHAPE: Final = re.compile(r"https?://[!#-;=?-\[\]_a-z~]+", re.IGNORECASE)
"""ASCII without blanks, quotes, angle brackets, backslash, and what else parsers disagree about."""

OK_STATUSES: Final = range(200, 300)
GONE: Final = 410
"""The endpoint says itself that it wants no more."""


class UrlRefused(ValueError):
    """Nothing is sent there; the message says why."""


class EventType(StrEnum):
    """What may happen. Names stay; docs/how-to/webhooks.md says what each one's `data` has."""

    WEBHOOK_TEST = "webhook.test"
    WEBHOOK_DISABLED = "webhook.disabled"
    KEY_CREATED = "key.created"
    KEY_ROTATED = "key.rotated"
    KEY_REVOKED = "key.revoked"
    MEMBER_JOINED = "member.joined"
    MEMBER_CHANGED = "member.changed"
    MEMBER_REMOVED = "member.removed"
    ORGANISATION_SUSPENDED = "organisation.suspended"
    ORGANISATION_REOPENED = "organisation.reopened"
    ORGANISATION_CLOSED = "organisation.closed"
    SUPPORT_VIEWING = "support.viewing"
    BALANCE_LOW = "balance.low"
    BUDGET_ALERT = "budget.alert"


def new_secret(random_bytes: bytes) -> str:
    """A secret as its owner writes it down; `random_bytes`: `SECRET_BYTES` of them."""
    return SECRET_PREFIX + base64.b64encode(random_bytes).decode()


def key_of(secret: str) -> bytes:
    """What signatures are made with. Raises `ValueError` when it is no secret."""
    if not secret.startswith(SECRET_PREFIX):
        raise ValueError("not a webhook secret")
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("not a webhook secret") from error


def signed_headers(
    secrets: Iterable[str], *, message_id: str, timestamp_s: int, body: bytes
) -> dict[str, str]:
    """The three headers of a message. During a rotation it is signed with both secrets, newest first."""
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    signatures = (
        base64.b64encode(hmac.digest(key_of(secret), signed, hashlib.sha256)).decode() for secret in secrets
    )
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def message_name(message_id: UUID) -> str:
    """What a message is called outside: the same at each try, so that receivers know it again."""
    return f"msg_{message_id.hex}"


def pause_ms(tries: int, *, jitter: int, retry_after_s: int | None = None) -> int | None:
    """How long to wait after so many tries; None: it is given up.

    `jitter`: a random number from 0 to 1000. `retry_after_s`: what the endpoint asked for; never shortens a
    pause, and never makes one longer than the longest.
    """
    if tries >= TRIES_MAX:
        return None
    usual = PAUSES_MS[tries - 1]
    spread = usual * JITTER_PERCENT // 100
    asked = min((retry_after_s or 0) * SECOND_MS, max(PAUSES_MS))
    return max(usual - spread + 2 * spread * jitter // 1_000, asked)


def check_url(url: str, *, allows_loopback: bool = False) -> None:
    """Whether an address may be called, as far as it can be told without asking anybody.

    A name is looked up when something is sent, and the address it has then is checked again.
    `allows_loopback`: for development: also this machine, and there http too.

    Raises:
        UrlRefused
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise UrlRefused("must be a URL") from error
    if len(url) > URL_LENGTH_MAX or not URL_SHAPE.fullmatch(url) or not host or port == 0:
        raise UrlRefused("must be a URL")
    if "@" in parts.netloc or parts.fragment:
        raise UrlRefused("must not have a user name, a password or a fragment")
    is_loopback = _is_loopback(host)
    if is_loopback and allows_loopback:
        return
    if parts.scheme.lower() != "https":
        raise UrlRefused("must begin with https://")
    if is_loopback or not _may_be_public(host):
        raise UrlRefused("must be an address of the internet")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _may_be_public(host: str) -> bool:
    try:
        return is_public(ip_address(host))
    except ValueError:
        # A name of one label is this network's own. Numbers that are no address are one to some resolvers.
        last = host.rstrip(".").rpartition(".")
        return bool(last[0]) and not last[2][:1].isdigit()
