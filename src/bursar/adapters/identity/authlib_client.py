"""The real sources, with Authlib for the protocol."""

from datetime import datetime

from bursar.adapters.identity import Attempt, Kind, Proven, Source
from bursar.adapters.identity.fetching import Fetcher
from bursar.adapters.identity.networks import DISCORD, GITHUB, Network, SocialNetwork
from bursar.adapters.identity.oidc import Oidc


class AuthlibIdentities:
    """`allows_loopback`: for development and tests, see `fetching`; the networks are tests' to replace."""

    def __init__(
        self, *, allows_loopback: bool = False, github: Network = GITHUB, discord: Network = DISCORD
    ) -> None:
        self._fetcher = Fetcher(allows_loopback=allows_loopback)
        self._vendors: dict[Kind, Oidc | SocialNetwork] = {
            Kind.OIDC: Oidc(self._fetcher),
            Kind.GITHUB: SocialNetwork(Kind.GITHUB, github, self._fetcher),
            Kind.DISCORD: SocialNetwork(Kind.DISCORD, discord, self._fetcher),
        }

    async def begin(self, source: Source, attempt: Attempt, now: datetime) -> str:
        return await self._vendors[source.kind].begin(source, attempt, now)

    async def finish(self, source: Source, attempt: Attempt, code: str, now: datetime) -> Proven:
        """Raises `IdentityRefused`, `IdentityUnavailable`."""
        return await self._vendors[source.kind].finish(source, attempt, code, now)

    async def check(self, source: Source, now: datetime) -> None:
        await self._vendors[source.kind].check(source, now)

    async def close(self) -> None:
        await self._fetcher.close()
