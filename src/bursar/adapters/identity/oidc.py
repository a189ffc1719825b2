"""Any OpenID Connect issuer: what it says of itself, its keys, and the ID token it signs.

OpenID Connect Discovery 1.0 (section 4.3: it must name itself exactly as we know it) and Core 1.0 (section
3.1.3.7: how an ID token is validated). What was fetched is kept for an hour; a key id that nobody knows has
the keys fetched anew, but not more often than twice a minute.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import get_well_known_url
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet, RSAKey

from bursar.adapters.identity import Attempt, IdentityRefused, IdentityUnavailable, Proven, Source
from bursar.adapters.identity.exchange import Exchange
from bursar.adapters.identity.fetching import Fetcher

SCOPE: Final = "openid email profile"
ALGORITHMS: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384"})
"""Signatures with a public key. With HMAC whoever knows the client's secret could sign; `none` is none."""

RSA_BITS_MIN: Final = 2048
KEYS_MAX: Final = 50
ISSUERS_MAX: Final = 1_000
"""In memory; a few kilobytes each."""

KEPT_FOR: Final = timedelta(hours=1)
KEYS_ANEW_AFTER: Final = timedelta(seconds=30)
LEEWAY_S: Final = 60
"""Clocks differ."""

TOKEN_LENGTH_MAX: Final = 64 * 1024
OK: Final = 200


@dataclass(slots=True, kw_only=True)
class Issuer:
    """What one issuer said of itself, and when."""

    metadata: Mapping[str, Any]
    read_at: datetime
    keys: KeySet | None = None
    keys_read_at: datetime | None = None


class Oidc:
    """Signs people in at issuers."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._issuers: OrderedDict[tuple[str, bool], Issuer] = OrderedDict()

    async def begin(self, source: Source, attempt: Attempt, now: datetime) -> str:
        metadata = (await self._issuer(source, now)).metadata
        hint = {"login_hint": attempt.login_hint} if attempt.login_hint else {}
        exchange = Exchange(self._fetcher, source, attempt, scope=SCOPE, auth=_auth(metadata))
        return exchange.authorization_url(metadata["authorization_endpoint"], nonce=attempt.nonce, **hint)

    async def finish(self, source: Source, attempt: Attempt, code: str, now: datetime) -> Proven:
        """Raises `IdentityRefused`, `IdentityUnavailable`."""
        issuer = await self._issuer(source, now)
        exchange = Exchange(self._fetcher, source, attempt, scope=SCOPE, auth=_auth(issuer.metadata))
        tokens = await exchange.tokens(issuer.metadata["token_endpoint"], code)
        claims = await self._claims(issuer, source, attempt, tokens, now)
        if "email" not in claims and "userinfo_endpoint" in issuer.metadata:
            claims = {**await self._more(issuer, source, tokens, claims["sub"]), **claims}
        return proven(claims)

    async def check(self, source: Source, now: datetime) -> None:
        await self._issuer(source, now)

    async def _issuer(self, source: Source, now: datetime) -> Issuer:
        place = (source.issuer, source.is_guarded)
        known = self._issuers.get(place)
        if known is None or known.read_at + KEPT_FOR <= now:
            known = Issuer(metadata=await self._discovered(source), read_at=now)
            self._issuers[place] = known
            if len(self._issuers) > ISSUERS_MAX:
                self._issuers.popitem(last=False)
        self._issuers.move_to_end(place)
        return known

    async def _discovered(self, source: Source) -> Mapping[str, Any]:
        url = get_well_known_url(source.issuer, external=True)
        status, said = await self._fetcher.get(url, is_guarded=source.is_guarded)
        if status != OK or not isinstance(said, dict) or said.get("issuer") != source.issuer:
            raise IdentityUnavailable(f"{source.key}: says nothing of itself, or of another")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not isinstance(said.get(name), str):
                raise IdentityUnavailable(f"{source.key}: names no {name}")
            self._fetcher.check(said[name])
        return said

    async def _claims(
        self, issuer: Issuer, source: Source, attempt: Attempt, tokens: Mapping[str, Any], now: datetime
    ) -> dict[str, Any]:
        """What the ID token says, once all of it is checked. Raises `IdentityRefused`."""
        text = tokens.get("id_token")
        if not isinstance(text, str) or len(text) > TOKEN_LENGTH_MAX:
            raise IdentityRefused(f"{source.key}: no ID token")
        allowed = _algorithms(issuer.metadata)
        try:
            try:
                token = jwt.decode(text, await self._keys(issuer, source, now), algorithms=allowed)
            except InvalidKeyIdError:
                token = jwt.decode(text, await self._keys(issuer, source, now, anew=True), algorithms=allowed)
            claims = CodeIDToken(
                token.claims,
                token.header,
                {
                    "iss": {"essential": True, "value": source.issuer},
                    "aud": {"essential": True, "value": source.client_id},
                },
                {
                    "nonce": attempt.nonce,
                    "client_id": source.client_id,
                    "access_token": tokens["access_token"],
                },
            )
            claims.validate(now=int(now.timestamp()), leeway=LEEWAY_S)
        except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise IdentityRefused(f"{source.key}: {type(error).__name__}") from error
        return dict(claims)

    async def _keys(self, issuer: Issuer, source: Source, now: datetime, *, anew: bool = False) -> KeySet:
        since = issuer.keys_read_at
        is_old = since is None or since + KEPT_FOR <= now
        if is_old or (anew and since is not None and since + KEYS_ANEW_AFTER <= now):
            url = issuer.metadata["jwks_uri"]
            status, said = await self._fetcher.get(url, is_guarded=source.is_guarded)
            listed = said.get("keys") if isinstance(said, dict) else None
            if status != OK or not isinstance(listed, list) or len(listed) > KEYS_MAX:
                raise IdentityUnavailable(f"{source.key}: no keys")
            issuer.keys = KeySet([key for one in listed if (key := usable_key(one)) is not None])
            issuer.keys_read_at = now
        assert issuer.keys is not None  # noqa: S101 - read above when there were none
        return issuer.keys

    async def _more(
        self, issuer: Issuer, source: Source, tokens: Mapping[str, Any], subject: str
    ) -> dict[str, Any]:
        """What the ID token left out (Core 1.0, section 5.3.2: it must be of the same subject)."""
        url = issuer.metadata["userinfo_endpoint"]
        headers = {"authorization": f"Bearer {tokens['access_token']}"}
        status, said = await self._fetcher.get(url, is_guarded=source.is_guarded, headers=headers)
        if status != OK or not isinstance(said, dict):
            raise IdentityUnavailable(f"{source.key}: status {status} for who it is")
        if said.get("sub") != subject:
            raise IdentityRefused(f"{source.key}: tells of somebody else")
        return said


def proven(claims: Mapping[str, Any]) -> Proven:
    """Raises `IdentityRefused`."""
    subject, email = claims.get("sub"), claims.get("email")
    if not isinstance(subject, str) or not subject:
        raise IdentityRefused("no subject")
    said = claims.get("email_verified")
    name = claims.get("name")
    return Proven(
        subject=subject,
        email=email if isinstance(email, str) else None,
        email_verified=None if said is None else said is True or said == "true",  # Cognito says it in quotes
        name=name if isinstance(name, str) else "",
        claims=claims,
    )


def usable_key(said: Any) -> Key | None:
    """A public key that may sign; what is meant for something else, weak or broken is passed over."""
    if not isinstance(said, dict) or said.get("use", "sig") != "sig" or said.get("kty") not in {"RSA", "EC"}:
        return None
    try:
        key = JWKRegistry.import_key(said)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None
    is_weak = isinstance(key, RSAKey) and key.public_key.key_size < RSA_BITS_MIN
    return None if is_weak else key


def _algorithms(metadata: Mapping[str, Any]) -> list[str]:
    """Those of the issuer's that we take; RS256 when it names none (Discovery 1.0, section 3)."""
    named = metadata.get("id_token_signing_alg_values_supported")
    said = {one for one in named if isinstance(one, str)} if isinstance(named, list) else {"RS256"}
    return sorted(said & ALGORITHMS)


def _auth(metadata: Mapping[str, Any]) -> str:
    """How it wants our secret; basic when it does not say (Discovery 1.0, section 3)."""
    named = metadata.get("token_endpoint_auth_methods_supported")
    if isinstance(named, list) and "client_secret_basic" not in named and "client_secret_post" in named:
        return "client_secret_post"
    return "client_secret_basic"
