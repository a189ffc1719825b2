"""Every way to sign in elsewhere, against the same expectations; the real client asks real servers."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from bursar.adapters.identity import Identities, IdentityRefused, IdentityUnavailable, Kind, Source
from bursar.adapters.identity.authlib_client import AuthlibIdentities
from bursar.adapters.identity.fake import FakeIdentities
from oidc_servers import Forger, an_attempt


class FakeDoor:
    """The fake, and what a person does at its door."""

    def __init__(self) -> None:
        self.identities = FakeIdentities()
        self.source = Source(key="x", kind=Kind.OIDC, name="X", client_id="our-client", client_secret="s")

    def pass_through(self, url: str) -> str:
        return self.identities.welcome(url, self.identities.person)

    def leave(self) -> None:
        self.identities.is_away = True


class RealDoor:
    def __init__(self, forger: Forger) -> None:
        self.forger = forger
        self.identities = AuthlibIdentities(allows_loopback=True)
        self.source = Source(
            key="x",
            kind=Kind.OIDC,
            name="X",
            client_id="our-client",
            client_secret="s",
            issuer=forger.url,
            is_guarded=True,
        )

    def pass_through(self, url: str) -> str:
        self.forger.remember(url)
        return "code"

    def leave(self) -> None:
        away = web.Response(status=503)
        self.forger.answers = dict.fromkeys(("/.well-known/openid-configuration", "/token"), away)


Door = FakeDoor | RealDoor


@pytest.fixture(params=["fake", "real"])
async def door(request: pytest.FixtureRequest) -> AsyncIterator[Door]:
    if request.param == "fake":
        yield FakeDoor()
        return
    async with Forger() as forger:
        real = RealDoor(forger)
        yield real
        await real.identities.close()


def now() -> datetime:
    return datetime.now(UTC)


class TestIdentities:
    def test_are_one_port(self, door: Door) -> None:
        identities: Identities = door.identities
        assert identities

    async def test_send_the_browser_with_state_and_challenge(self, door: Door) -> None:
        attempt = an_attempt()
        url = await door.identities.begin(door.source, attempt, now())
        asked = parse_qs(urlsplit(url).query)
        assert (asked["state"], asked["redirect_uri"]) == ([attempt.state], [attempt.redirect_uri])
        assert asked["code_challenge_method"] == ["S256"]
        assert attempt.verifier not in url

    async def test_tell_who_came_back(self, door: Door) -> None:
        attempt = an_attempt()
        code = door.pass_through(await door.identities.begin(door.source, attempt, now()))
        person = await door.identities.finish(door.source, attempt, code, now())
        assert person.subject
        assert (person.email is not None, person.email_verified) == (True, True)

    async def test_refuse_a_code_with_another_verifier(self, door: Door) -> None:
        code = door.pass_through(await door.identities.begin(door.source, an_attempt(), now()))
        with pytest.raises(IdentityRefused):
            await door.identities.finish(door.source, an_attempt(verifier="w" * 64), code, now())

    async def test_say_when_nobody_answers(self, door: Door) -> None:
        attempt = an_attempt()
        code = door.pass_through(await door.identities.begin(door.source, attempt, now()))
        door.leave()
        with pytest.raises(IdentityUnavailable):
            await door.identities.finish(door.source, attempt, code, now())
