"""GitHub and Discord: OAuth 2.0, and an interface of their own that says who somebody is.

Sources: https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps,
https://docs.github.com/en/rest/users/emails and https://discord.com/developers/docs/topics/oauth2.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from bursar.adapters.identity import Attempt, IdentityRefused, IdentityUnavailable, Kind, Proven, Source
from bursar.adapters.identity.exchange import Exchange
from bursar.adapters.identity.fetching import Fetcher

OK: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Where a network's doors are. `email_url`: addresses are told elsewhere than the person."""

    authorization_url: str
    token_url: str
    person_url: str
    scope: str
    email_url: str | None = None


GITHUB: Final = Network(
    authorization_url="https://github.com/login/oauth/authorize",
    token_url="https://github.com/login/oauth/access_token",  # noqa: S106 - an address
    person_url="https://api.github.com/user",
    email_url="https://api.github.com/user/emails",
    scope="read:user user:email",
)
DISCORD: Final = Network(
    authorization_url="https://discord.com/oauth2/authorize",
    token_url="https://discord.com/api/oauth2/token",  # noqa: S106 - an address
    person_url="https://discord.com/api/users/@me",
    scope="identify email",
)


class SocialNetwork:
    """Signs people in at one of them."""

    def __init__(self, kind: Kind, network: Network, fetcher: Fetcher) -> None:
        self._kind = kind
        self._network = network
        self._fetcher = fetcher

    async def begin(self, source: Source, attempt: Attempt, _now: datetime) -> str:
        return self._exchange(source, attempt).authorization_url(self._network.authorization_url)

    async def finish(self, source: Source, attempt: Attempt, code: str, _now: datetime) -> Proven:
        """Raises `IdentityRefused`, `IdentityUnavailable`."""
        tokens = await self._exchange(source, attempt).tokens(self._network.token_url, code)
        headers = {"authorization": f"Bearer {tokens['access_token']}"}
        person = await self._asked(source, self._network.person_url, headers)
        if not isinstance(person, dict):
            raise IdentityUnavailable(f"{source.key}: tells of no person")
        if self._network.email_url is None:
            return discord_person(person)
        return github_person(person, await self._asked(source, self._network.email_url, headers))

    async def check(self, _source: Source, _now: datetime) -> None:
        """Nothing is to be found out: their doors are known."""

    def _exchange(self, source: Source, attempt: Attempt) -> Exchange:
        return Exchange(self._fetcher, source, attempt, scope=self._network.scope, auth="client_secret_post")

    async def _asked(self, source: Source, url: str, headers: Mapping[str, str]) -> Any:
        status, said = await self._fetcher.get(url, is_guarded=source.is_guarded, headers=headers)
        if status != OK:
            raise IdentityUnavailable(f"{source.key}: status {status} for who it is")
        return said


def github_person(person: Mapping[str, Any], addresses: Any) -> Proven:
    """`addresses`: of which one is primary; the address on the public page proves nothing.

    Raises `IdentityRefused`.
    """
    listed = addresses if isinstance(addresses, list) else []
    primary = [one for one in listed if isinstance(one, dict) and one.get("primary") is True]
    email = primary[0].get("email") if primary else None
    return Proven(
        subject=_number(person),
        email=email if isinstance(email, str) else None,
        email_verified=bool(primary) and primary[0].get("verified") is True,
        name=_first_text(person, "name", "login"),
        claims=person,
    )


def discord_person(person: Mapping[str, Any]) -> Proven:
    """Raises `IdentityRefused`."""
    email = person.get("email")
    return Proven(
        subject=_number(person),
        email=email if isinstance(email, str) else None,
        email_verified=person.get("verified") is True,
        name=_first_text(person, "global_name", "username"),
        claims=person,
    )


def _number(person: Mapping[str, Any]) -> str:
    """Names change hands there, numbers do not."""
    number = str(person.get("id", ""))
    if not number.isdigit():
        raise IdentityRefused("no subject")
    return number


def _first_text(person: Mapping[str, Any], *names: str) -> str:
    return next((said for name in names if isinstance(said := person.get(name), str) and said), "")
