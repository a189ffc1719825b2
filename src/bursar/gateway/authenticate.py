"""Who is calling: the key in the headers, looked up in the snapshot; and how often it may call."""

from collections.abc import Mapping
from types import MappingProxyType
from uuid import UUID

from bursar.core.limits import RequestsPerMinute, Standing
from bursar.gateway.errors import invalid_api_key, rate_limited
from bursar.gateway.snapshot import KeyRecord, Snapshot

BEARER = b"bearer "


NOTHING_ASKED: Mapping[str, str] = MappingProxyType({})


def authenticate(
    headers: Mapping[bytes, bytes], snapshot: Snapshot, now_ms: int, query: Mapping[str, str] = NOTHING_ASKED
) -> KeyRecord:
    """The caller's key, where any dialect's SDK puts it.

    That is `Authorization: Bearer`, `X-API-Key`, `X-Goog-Api-Key` or `?key=`, in this order.

    Raises:
        GatewayError: 401 for a missing, unknown, revoked or expired key; which of these is not told.
    """
    key = snapshot.key(_secret(headers, query))
    if key is None or (key.expires_at_ms is not None and key.expires_at_ms <= now_ms):
        raise invalid_api_key()
    return key


def _secret(headers: Mapping[bytes, bytes], query: Mapping[str, str]) -> bytes:
    authorization = headers.get(b"authorization", b"")
    if authorization[: len(BEARER)].lower() == BEARER:
        return authorization[len(BEARER) :].strip()
    named = headers.get(b"x-api-key") or headers.get(b"x-goog-api-key")
    return named.strip() if named else query.get("key", "").encode()


class KeyRates:
    """Requests per minute of each key, counted in this process.

    Memory: one entry per key that called since start; cleared of keys that are gone with `keep`.
    """

    def __init__(self) -> None:
        self._limits: dict[UUID, tuple[RequestsPerMinute, int]] = {}

    def admit(self, key: KeyRecord, now_ms: int, allowed: int | None = None) -> None:
        """Count one request against `allowed` a minute, by default the key's limit.

        Raises:
            GatewayError: 429 with `retry-after` when the key called too often.
        """
        allowed = allowed or key.requests_per_min
        if allowed is None:
            return
        limit, state = self._limits.get(key.api_key_id) or (
            RequestsPerMinute(allowed),
            RequestsPerMinute.FRESH,
        )
        if limit.limit != allowed:
            limit, state = RequestsPerMinute(allowed), RequestsPerMinute.FRESH
        state, wait_ms = limit.allow(state, now_ms)
        self._limits[key.api_key_id] = (limit, state)
        if wait_ms is not None:
            raise rate_limited(wait_ms)

    def standing(self, key: KeyRecord, now_ms: int) -> Standing | None:
        """How much of its limit a key has left; None: it has no limit, or did not call."""
        found = self._limits.get(key.api_key_id)
        return None if found is None or key.requests_per_min is None else found[0].standing(found[1], now_ms)

    def keep(self, keys: set[UUID]) -> None:
        """Forget keys that no longer exist."""
        for gone in self._limits.keys() - keys:
            del self._limits[gone]
