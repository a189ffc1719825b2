"""Access tokens: short-lived JWTs signed with Ed25519, and the rotating keys they are verified with.

A token says who and which sign-in, nothing more: roles are looked up at each request, so that taking one away
takes effect at once. RFC 7519 (JWT), RFC 9068 (`at+jwt`), RFC 9864 (EdDSA on this curve is named
Ed25519), RFC 7638 (thumbprints as key ids).
"""

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import extract_compact

from bursar.db.engine import Database, Transaction
from bursar.db.tables import signing_key
from bursar.rest.secret_text import Seal

ALGORITHM: Final = "Ed25519"
CURVE: Final = "Ed25519"
TYPE: Final = "at+jwt"
AUDIENCE: Final = "bursar-api"
ISSUER: Final = "bursar"
LIFE: Final = timedelta(minutes=15)
LIFE_MAX: Final = timedelta(hours=1)
"""Of a token that has no refresh token beside it."""

SIGNED_WITH_FOR: Final = timedelta(days=30)
"""A key signs for so long; then a new one does, and the old one verifies for `LIFE_MAX` more."""

TOKEN_LENGTH_MAX: Final = 2_000
KNOWN_FOR: Final = timedelta(minutes=1)
"""The ring is read again when it is older, so that a key that was withdrawn is forgotten everywhere."""

REREAD_AFTER: Final = timedelta(seconds=2)
"""An unknown key id makes the ring be read again, but not more often than this."""


class TokenInvalid(Exception):
    """Not one of ours, altered, expired, or made for something else; which of these is not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Who an access token speaks for."""

    user_id: UUID
    session_id: UUID
    expires_at: datetime


class KeyRing:
    """The public keys, read from the database when one is asked for that is not known.

    Memory: one key a month.
    """

    def __init__(self) -> None:
        self._public: dict[str, OKPKey] = {}
        self._read_at: datetime | None = None
        self._reading = asyncio.Lock()

    async def verified(self, database: Database, token: str, now: datetime) -> Claims:
        """Raises `TokenInvalid`."""
        key_id = _key_id(token)
        if key_id not in self._public or self._age(now) >= KNOWN_FOR:
            async with self._reading:  # who comes while another reads waits for what he finds
                await self._reread(database, key_id, now)
        public = self._public.get(key_id)
        if public is None:
            raise TokenInvalid
        return _claims(token, public, now)

    def _age(self, now: datetime) -> timedelta:
        return timedelta.max if self._read_at is None else now - self._read_at

    async def _reread(self, database: Database, key_id: str, now: datetime) -> None:
        enough = KNOWN_FOR if key_id in self._public else REREAD_AFTER
        if self._age(now) < enough:
            return
        self._read_at = now
        self._public = {row["id"]: _public_key(row["public_key"]) for row in await _valid_keys(database, now)}


def _key_id(token: str) -> str:
    """What it says it was signed with, unverified. Raises `TokenInvalid`."""
    if len(token) > TOKEN_LENGTH_MAX or not token.isascii():
        raise TokenInvalid
    try:
        header = extract_compact(token.encode()).headers()
    except (JoseError, ValueError, TypeError) as error:
        raise TokenInvalid from error
    key_id = header.get("kid")
    if header.get("alg") != ALGORITHM or header.get("typ") != TYPE or not isinstance(key_id, str):
        raise TokenInvalid
    return key_id


def _claims(token: str, public: OKPKey, now: datetime) -> Claims:
    """Raises `TokenInvalid`."""
    try:
        found = jwt.decode(token, public, algorithms=[ALGORITHM]).claims
        if found["iss"] != ISSUER or found["aud"] != AUDIENCE:
            raise TokenInvalid
        claims = Claims(
            user_id=UUID(found["sub"]),
            session_id=UUID(found["sid"]),
            expires_at=datetime.fromtimestamp(found["exp"], now.tzinfo),
        )
    except (JoseError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise TokenInvalid from error
    if claims.expires_at <= now:
        raise TokenInvalid
    return claims


async def sign(  # noqa: PLR0913 - a token has so many parts
    tx: Transaction,
    seal: Seal,
    now: datetime,
    *,
    user_id: UUID,
    session_id: UUID,
    life: timedelta = LIFE,
) -> tuple[str, datetime]:
    """A new access token and when it ends. The first call of a month makes the month's key.

    `life`: at most `LIFE_MAX`.
    """
    key_id, private = await _signing_key(tx, seal, now)
    expires_at = (now + min(life, LIFE_MAX)).replace(microsecond=0)
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(user_id),
        "sid": str(session_id),
        "iat": int(now.timestamp()),
        "exp": int(expires_at.timestamp()),
    }
    header = {"alg": ALGORITHM, "kid": key_id, "typ": TYPE}
    return jwt.encode(header, claims, private, algorithms=[ALGORITHM]), expires_at


async def _signing_key(tx: Transaction, seal: Seal, now: datetime) -> tuple[str, OKPKey]:
    newest = (await tx.execute(_NEWEST)).one_or_none()
    if newest is None or newest.created_at + SIGNED_WITH_FOR <= now:
        await tx.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('bursar.signing_key'))"))
        newest = (await tx.execute(_NEWEST)).one_or_none()  # somebody may just have made it
    if newest is None or newest.created_at + SIGNED_WITH_FOR <= now:
        return await rotate(tx, seal, now)
    return newest.id, OKPKey.import_key(seal.open(newest.sealed))


async def rotate(tx: Transaction, seal: Seal, now: datetime) -> tuple[str, OKPKey]:
    """Sign with a new key from now on. The old ones verify what they signed until that has expired."""
    private = OKPKey.generate_key(CURVE)
    key_id = private.thumbprint()
    await tx.execute(sa.update(signing_key).where(signing_key.c.retired_at.is_(None)).values(retired_at=now))
    await tx.execute(
        sa.insert(signing_key).values(
            id=key_id,
            public_key=private.public_key.public_bytes_raw(),
            sealed=seal.seal(private.as_pem(private=True)),
            created_at=now,
        )
    )
    return key_id, private


async def withdraw(tx: Transaction, seal: Seal, now: datetime) -> str:
    """Sign with a new key, and believe no older one any more: somebody may have it. Answers its id."""
    over = now - LIFE_MAX
    still_believed = sa.or_(signing_key.c.retired_at.is_(None), signing_key.c.retired_at > over)
    await tx.execute(sa.update(signing_key).where(still_believed).values(retired_at=over))
    key_id, _ = await rotate(tx, seal, now)
    return key_id


async def key_set(database: Database, now: datetime) -> dict[str, Sequence[dict[str, Any]]]:
    """The public keys as a JSON Web Key Set, newest first (RFC 7517)."""
    rows = await _valid_keys(database, now)
    return {
        "keys": [
            {
                **_public_key(row["public_key"]).as_dict(private=False),
                "kid": row["id"],
                "alg": ALGORITHM,
                "use": "sig",
            }
            for row in sorted(rows, key=lambda row: row["created_at"], reverse=True)
        ]
    }


async def _valid_keys(database: Database, now: datetime) -> Sequence[sa.RowMapping]:
    """Those that sign, and those that signed what may not have expired: a new one a month."""
    async with database.read(accounts=True) as read:
        return (await read.execute(_VALID, {"since": now - LIFE_MAX})).mappings().all()


def _public_key(raw: bytes) -> OKPKey:
    x = urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()
    return OKPKey.import_key({"kty": "OKP", "crv": CURVE, "x": x})


_NEWEST: Final = (
    sa.select(signing_key.c.id, signing_key.c.sealed, signing_key.c.created_at)
    .where(signing_key.c.retired_at.is_(None))
    .order_by(signing_key.c.created_at.desc())
    .limit(1)
)
_VALID: Final = sa.select(signing_key.c.id, signing_key.c.public_key, signing_key.c.created_at).where(
    sa.or_(signing_key.c.retired_at.is_(None), signing_key.c.retired_at > sa.bindparam("since"))
)
