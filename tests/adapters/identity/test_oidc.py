"""ID tokens that are not for us, and issuers that are not what they say."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from bursar.adapters.identity import IdentityRefused, IdentityUnavailable, Kind, Proven, Source
from bursar.adapters.identity.authlib_client import AuthlibIdentities
from bursar.adapters.identity.fetching import (
    CONNECTIONS_PER_HOST_MAX,
    DOCUMENT_BYTES_MAX,
    Fetcher,
    guarded_socket,
)
from bursar.adapters.identity.oidc import KEYS_ANEW_AFTER, KEYS_MAX, usable_key
from oidc_servers import Forger, an_attempt, unsigned

OURS = Source(
    key="sso:1", kind=Kind.OIDC, name="Acme", client_id="our-client", client_secret="s", is_guarded=True
)
OTHER_KEY = RSAKey.generate_key(2048, {"use": "sig"}, auto_kid=True)
DISCOVERY = "/.well-known/openid-configuration"
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@pytest.fixture
async def forger() -> AsyncIterator[Forger]:
    async with Forger() as one:
        yield one


@pytest.fixture
async def client() -> AsyncIterator[AuthlibIdentities]:
    one = AuthlibIdentities(allows_loopback=True)
    yield one
    await one.close()


async def came_back(client: AuthlibIdentities, forger: Forger, *, now: datetime | None = None) -> Proven:
    source, attempt = replace(OURS, issuer=forger.url), an_attempt()
    moment = now or datetime.now(UTC)
    forger.remember(await client.begin(source, attempt, moment))
    return await client.finish(source, attempt, "code", moment)


class TestIdToken:
    async def test_is_believed_when_all_of_it_fits(self, client: AuthlibIdentities, forger: Forger) -> None:
        person = await came_back(client, forger)
        assert (person.subject, person.email, person.email_verified) == ("42", "ana@acme.example", True)

    @pytest.mark.parametrize(
        "claims",
        [
            {"iss": "https://elsewhere.example"},
            {"iss": None},
            {"aud": "another-client"},
            {"aud": ["our-client", "another-client"]},  # and no azp that says which of them asked
            {"aud": ["our-client"], "azp": "another-client"},
            {"aud": ["another-client"], "azp": "our-client"},
            {"aud": None},
            {"exp": int(time.time()) - 3600},
            {"exp": None},
            {"iat": int(time.time()) + 3600},
            {"nonce": "another"},
            {"nonce": None},
            {"sub": None},
            {"sub": ""},
            {"at_hash": "AAAA"},
        ],
    )
    async def test_is_refused_when_it_is_for_another_or_for_another_time(
        self, client: AuthlibIdentities, forger: Forger, claims: dict[str, Any]
    ) -> None:
        forger.claims = claims
        with pytest.raises(IdentityRefused):
            await came_back(client, forger)

    @pytest.mark.parametrize(
        "forged",
        [
            lambda _, claims: unsigned(claims),
            lambda _, claims: jwt.encode({"alg": "HS256"}, claims, OctKey.import_key("s" * 32)),
            # The public key as a shared secret: what `alg` confusion is.
            lambda forger, claims: jwt.encode(
                {"alg": "HS256", "kid": forger.key.kid},
                claims,
                OctKey.import_key(forger.key.as_pem(private=False).replace(b"-", b"")),
            ),
            lambda forger, claims: jwt.encode({"alg": "RS256", "kid": forger.key.kid}, claims, OTHER_KEY),
            lambda _, claims: jwt.encode({"alg": "RS256", "kid": OTHER_KEY.kid}, claims, OTHER_KEY),
            lambda forger, claims: jwt.encode(
                {"alg": "RS512", "kid": forger.key.kid}, claims, forger.key, algorithms=["RS512"]
            ),
            lambda *_: "no token",
            lambda *_: "a." * 40_000,
        ],
        ids=["none", "hmac", "hmac of the public key", "forged", "unknown", "unnamed alg", "garbage", "long"],
    )
    async def test_is_refused_when_the_issuer_did_not_sign_it_as_it_said(
        self, client: AuthlibIdentities, forger: Forger, forged: Callable[[Forger, dict[str, Any]], str]
    ) -> None:
        forger.signs = lambda claims: forged(forger, claims)
        with pytest.raises(IdentityRefused):
            await came_back(client, forger)

    async def test_that_leaves_the_address_out_is_completed(
        self, client: AuthlibIdentities, forger: Forger
    ) -> None:
        forger.claims = {"email": None, "email_verified": None}
        forger.userinfo = {"sub": "42", "email": "ana@acme.example", "email_verified": False}
        person = await came_back(client, forger)
        assert (person.email, person.email_verified) == ("ana@acme.example", False)
        forger.userinfo = {"sub": "43", "email": "eve@acme.example", "email_verified": True}
        with pytest.raises(IdentityRefused, match="somebody else"):
            await came_back(client, forger)


class TestKeys:
    async def test_are_fetched_anew_for_one_nobody_knows_but_not_at_every_try(
        self, client: AuthlibIdentities, forger: Forger
    ) -> None:
        moment = datetime.now(UTC)
        await came_back(client, forger, now=moment)
        forger.key = OTHER_KEY
        with pytest.raises(IdentityRefused):
            await came_back(client, forger, now=moment)
        assert forger.asked.count("/keys") == 1
        person = await came_back(client, forger, now=moment + KEYS_ANEW_AFTER)
        assert person.subject == "42"
        assert (forger.asked.count("/keys"), forger.asked.count(DISCOVERY)) == (2, 1)

    @pytest.mark.parametrize(
        "said",
        [
            None,
            {"kty": "oct", "k": "c2VjcmV0"},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
            {"kty": "new"},
            OTHER_KEY.as_dict(private=False) | {"use": "enc"},
            {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        ],
    )
    def test_that_are_for_something_else_or_weak_are_passed_over(self, said: Any) -> None:
        assert usable_key(said) is None


class TestIssuer:
    @pytest.mark.parametrize(
        "metadata",
        [
            {"issuer": "https://accounts.google.com"},
            {"issuer": None},
            {"token_endpoint": None},
            {"jwks_uri": 7},
            {"token_endpoint": "http://10.0.0.1/token"},
            {"authorization_endpoint": "javascript:alert(1)"},
            {"jwks_uri": "file:///etc/passwd"},
        ],
    )
    async def test_must_say_of_itself_what_can_be(
        self, client: AuthlibIdentities, forger: Forger, metadata: dict[str, Any]
    ) -> None:
        forger.metadata = metadata
        with pytest.raises(IdentityUnavailable):
            await came_back(client, forger)

    @pytest.mark.parametrize(
        ("path", "answer"),
        [
            (DISCOVERY, web.Response(text="no JSON")),
            (DISCOVERY, web.Response(text='"' + "x" * DOCUMENT_BYTES_MAX + '"')),
            (DISCOVERY, web.Response(status=404, text="{}")),
            ("/keys", web.Response(text='{"keys": [' + ",".join(["{}"] * (KEYS_MAX + 1)) + "]}")),
            ("/keys", web.Response(text="[]")),
            ("/token", web.Response(text="[]")),
            ("/token", web.Response(status=500, text="{}")),
        ],
    )
    async def test_that_answers_nonsense_is_away(
        self, client: AuthlibIdentities, forger: Forger, path: str, answer: web.Response
    ) -> None:
        forger.answers = {path: answer}
        with pytest.raises(IdentityUnavailable):
            await came_back(client, forger)

    async def test_is_not_followed_elsewhere(self, client: AuthlibIdentities, forger: Forger) -> None:
        forger.userinfo = {"issuer": forger.url, **dict.fromkeys(ENDPOINTS, forger.url)}
        forger.answers = {DISCOVERY: web.Response(status=302, headers={"location": "/userinfo"}, text="{}")}
        with pytest.raises(IdentityUnavailable):
            await client.check(replace(OURS, issuer=forger.url), datetime.now(UTC))
        assert forger.asked == [DISCOVERY]

    async def test_is_asked_again_after_an_hour(self, client: AuthlibIdentities, forger: Forger) -> None:
        source, moment = replace(OURS, issuer=forger.url), datetime.now(UTC)
        for passed in (timedelta(), timedelta(minutes=59), timedelta(hours=1)):
            await client.check(source, moment + passed)
        assert forger.asked.count(DISCOVERY) == 2


class TestGuard:
    async def test_lets_no_customer_name_the_inside(self) -> None:
        """Not one connection is made, whatever the inside is called; the operator's issuers may be there."""
        callers: list[object] = []

        def met(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            callers.append(writer)
            writer.close()

        server = await asyncio.start_server(met, "127.0.0.1", 0)
        port, strict = server.sockets[0].getsockname()[1], AuthlibIdentities()
        for place in ("127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"):
            for scheme in ("https", "http"):
                source = replace(OURS, issuer=f"{scheme}://{place}:{port}")
                with pytest.raises(IdentityUnavailable):
                    await strict.check(source, datetime.now(UTC))
        assert callers == []
        with pytest.raises(IdentityUnavailable):  # it speaks no TLS
            await strict.check(
                replace(OURS, issuer=f"https://127.0.0.1:{port}", is_guarded=False), datetime.now(UTC)
            )
        assert len(callers) == 1
        await strict.close()
        server.close()

    @pytest.mark.parametrize(
        ("address", "lenient"),
        [("10.0.0.1", True), ("169.254.169.254", True), ("::ffff:10.0.0.1", True), ("127.0.0.1", False)],
    )
    def test_looks_at_the_address_connected_to(self, address: str, lenient: bool) -> None:  # noqa: FBT001 - a table's column
        make = guarded_socket(allows_loopback=lenient)
        with pytest.raises(PermissionError):
            make((socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)))
        make((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 443))).close()

    async def test_knows_plain_http_on_this_machine_in_development_only(self) -> None:
        lenient = AuthlibIdentities(allows_loopback=True)
        for issuer in ("http://10.0.0.1", "http://acme.example", "http://user@127.0.0.1", "https://"):
            with pytest.raises(IdentityUnavailable, match="only https"):
                await lenient.check(replace(OURS, issuer=issuer), datetime.now(UTC))
        await lenient.close()


class TestSlowIssuer:
    async def test_leaves_connections_to_others(self) -> None:
        held, may_go = 0, asyncio.Event()

        async def slow(_: web.Request) -> web.Response:
            nonlocal held
            held += 1
            await may_go.wait()
            return web.json_response({})

        app = web.Application()
        app.router.add_get("/", slow)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        fetcher = Fetcher(allows_loopback=True)
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        asking = [asyncio.create_task(fetcher.get(url, is_guarded=True)) for _ in range(20)]
        await asyncio.sleep(0.5)
        assert held == CONNECTIONS_PER_HOST_MAX
        may_go.set()
        assert {status for status, _ in await asyncio.gather(*asking)} == {200}
        await fetcher.close()
        await runner.cleanup()
