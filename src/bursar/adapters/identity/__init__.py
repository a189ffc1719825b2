"""Who somebody is elsewhere: Google, GitHub, Discord, and any OpenID Connect issuer.

The port. `authlib_client` asks the real ones, `fake` answers by itself; both pass the same contract tests
(`tests/adapters/identity`). Authorization code with PKCE (RFC 6749, RFC 7636) and OpenID Connect Core 1.0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol


class Kind(StrEnum):
    """How a source is spoken to. Google is an issuer like others; these two have interfaces of their own."""

    OIDC = "oidc"
    GITHUB = "github"
    DISCORD = "discord"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Somewhere to sign in.

    Attributes:
        key: our name of it, stable: `google`, `provider:<uuid>`, `sso:<uuid>`.
        issuer: of the kind `oidc`, its URL exactly as it says it itself.
        is_guarded: a customer named it, so only public addresses are called for it.
    """

    key: str
    kind: Kind
    name: str
    client_id: str
    client_secret: str = field(repr=False)
    issuer: str = ""
    is_guarded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to sign in. The first three are secrets of the browser that makes it, fresh each time."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    redirect_uri: str
    login_hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """Who a source says somebody is.

    Attributes:
        subject: its own, unchanging name for him.
        email_verified: None when it says nothing of that.
        claims: all that was said, for role maps.
    """

    subject: str
    email: str | None
    email_verified: bool | None
    name: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict)


class IdentityUnavailable(Exception):
    """The source is away, slow, not to be called, or answers nonsense. The text is for logs."""


class IdentityRefused(Exception):
    """The answer proves nothing: a code that opens nothing, a token that is not for us. For logs, too."""


class Identities(Protocol):
    """Every method may raise `IdentityUnavailable`."""

    async def begin(self, source: Source, attempt: Attempt, now: datetime) -> str:
        """The URL to send the browser to."""
        ...

    async def finish(self, source: Source, attempt: Attempt, code: str, now: datetime) -> Proven:
        """Exchange what the browser brought back. Raises `IdentityRefused`."""
        ...

    async def check(self, source: Source, now: datetime) -> None:
        """Whether people could be sent there at all."""
        ...

    async def close(self) -> None: ...
