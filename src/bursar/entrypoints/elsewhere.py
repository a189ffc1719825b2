"""Where people sign in elsewhere, by the settings."""

from bursar.adapters.identity import Kind, Source
from bursar.adapters.identity.authlib_client import AuthlibIdentities
from bursar.settings import Settings

GOOGLE_ISSUER = "https://accounts.google.com"


def identities(settings: Settings) -> AuthlibIdentities:
    return AuthlibIdentities(allows_loopback=settings.sso_allow_loopback)


def sources(settings: Settings) -> tuple[Source, ...]:
    """Those whose client is set, in the order of their buttons."""
    every = (
        Source(
            key="google",
            kind=Kind.OIDC,
            name="Google",
            client_id=settings.google_client_id,
            client_secret=settings.google_client_secret.get_secret_value(),
            issuer=GOOGLE_ISSUER,
        ),
        Source(
            key="github",
            kind=Kind.GITHUB,
            name="GitHub",
            client_id=settings.github_client_id,
            client_secret=settings.github_client_secret.get_secret_value(),
        ),
        Source(
            key="discord",
            kind=Kind.DISCORD,
            name="Discord",
            client_id=settings.discord_client_id,
            client_secret=settings.discord_client_secret.get_secret_value(),
        ),
    )
    return tuple(one for one in every if one.client_id)
