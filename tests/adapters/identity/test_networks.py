"""GitHub and Discord, as their documents show their answers."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from bursar.adapters.identity import IdentityRefused, IdentityUnavailable, Kind, Proven, Source
from bursar.adapters.identity.authlib_client import AuthlibIdentities
from bursar.adapters.identity.networks import DISCORD, GITHUB
from oidc_servers import an_attempt

OCTOCAT = {"id": 583231, "login": "octocat", "name": None, "email": "public@page.example"}
ADDRESSES = [
    {"email": "old@people.example", "verified": True, "primary": False, "visibility": None},
    {"email": "octocat@github.example", "verified": True, "primary": True, "visibility": "private"},
]
NELLY = {
    "id": "80351110224678912",
    "username": "nelly",
    "global_name": "Nelly",
    "verified": True,
    "email": "nelly@discord.example",
}


class Networks:
    """Both of them, on this machine."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {"/user": OCTOCAT, "/user/emails": ADDRESSES, "/users/@me": NELLY}
        self.challenge = ""

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert (form["client_id"], form["client_secret"]) == ("our-client", "s")
        if create_s256_code_challenge(str(form["code_verifier"])) != self.challenge:
            return web.json_response({"error": "bad_verification_code"})  # GitHub says so with status 200
        return web.json_response({"access_token": "gho_1", "token_type": "bearer", "scope": "user:email"})

    async def person(self, request: web.Request) -> web.Response:
        assert request.headers["authorization"] == "Bearer gho_1"
        assert request.headers["user-agent"] == "bursar"
        said = self.answers[request.path]
        return web.Response(status=said) if isinstance(said, int) else web.json_response(said)


@pytest.fixture
async def networks() -> AsyncIterator[tuple[Networks, AuthlibIdentities]]:
    there = Networks()
    app = web.Application()
    app.router.add_post("/token", there.token)
    app.router.add_get("/{path:.*}", there.person)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    client = AuthlibIdentities(
        allows_loopback=True,
        github=replace(
            GITHUB, token_url=f"{url}/token", person_url=f"{url}/user", email_url=f"{url}/user/emails"
        ),
        discord=replace(DISCORD, token_url=f"{url}/token", person_url=f"{url}/users/@me"),
    )
    yield there, client
    await client.close()
    await runner.cleanup()


async def came_back(there: Networks, client: AuthlibIdentities, kind: Kind) -> Proven:
    source = Source(key=kind, kind=kind, name=kind, client_id="our-client", client_secret="s")
    attempt, now = an_attempt(), datetime.now(UTC)
    await client.check(source, now)
    asked = parse_qs(urlsplit(await client.begin(source, attempt, now)).query)
    there.challenge = asked["code_challenge"][0]
    return await client.finish(source, attempt, "code", now)


class TestNetworks:
    async def test_tell_who_somebody_is(self, networks: tuple[Networks, AuthlibIdentities]) -> None:
        octocat = await came_back(*networks, Kind.GITHUB)
        assert (octocat.subject, octocat.email, octocat.email_verified, octocat.name) == (
            "583231",
            "octocat@github.example",
            True,
            "octocat",
        )
        nelly = await came_back(*networks, Kind.DISCORD)
        assert (nelly.subject, nelly.email, nelly.email_verified, nelly.name) == (
            "80351110224678912",
            "nelly@discord.example",
            True,
            "Nelly",
        )

    @pytest.mark.parametrize(
        "addresses",
        [
            [],
            [{"email": "octocat@github.example", "verified": False, "primary": True}],
            [{"email": "octocat@github.example", "verified": "true", "primary": True}],
            [{"email": "octocat@github.example", "verified": True, "primary": False}],
            {"message": "Not Found"},
        ],
    )
    async def test_prove_no_address_that_they_did_not_verify(
        self, networks: tuple[Networks, AuthlibIdentities], addresses: Any
    ) -> None:
        networks[0].answers["/user/emails"] = addresses
        assert (await came_back(*networks, Kind.GITHUB)).email_verified is False
        networks[0].answers["/users/@me"] = NELLY | {"verified": False}
        assert (await came_back(*networks, Kind.DISCORD)).email_verified is False

    async def test_are_refused_or_away_as_they_answer(
        self, networks: tuple[Networks, AuthlibIdentities]
    ) -> None:
        there, client = networks
        there.answers["/user"] = {"login": "no number"}
        with pytest.raises(IdentityRefused):
            await came_back(there, client, Kind.GITHUB)
        there.answers["/users/@me"] = 429
        with pytest.raises(IdentityUnavailable):
            await came_back(there, client, Kind.DISCORD)
        there.answers["/users/@me"] = []
        with pytest.raises(IdentityUnavailable):
            await came_back(there, client, Kind.DISCORD)
        source = Source(key="g", kind=Kind.GITHUB, name="g", client_id="our-client", client_secret="s")
        there.challenge = "another"
        with pytest.raises(IdentityRefused):
            await client.finish(source, an_attempt(), "code", datetime.now(UTC))
