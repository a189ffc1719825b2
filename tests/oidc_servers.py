"""OpenID Connect providers for tests: a real one in a process of its own, and one that forges."""

import base64
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import httpx2
import orjson
from aiohttp import web
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import RSAKey

from bursar.adapters.identity import Attempt

START_TIMEOUT_S = 30
KEY = RSAKey.generate_key(2048, {"use": "sig"}, auto_kid=True)


def an_attempt(**changes: str) -> Attempt:
    values = {
        "state": "state-" + "s" * 40,
        "nonce": "nonce-" + "n" * 40,
        "verifier": "v" * 64,
        "redirect_uri": "http://test/api/v1/auth/callback/x",
    }
    return Attempt(**{**values, **changes})


@contextmanager
def provider_process() -> Iterator[str]:
    """`oidc-provider-mock`, listening somewhere; its issuer URL."""
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", "0"]
    environment = {**os.environ, "NO_COLOR": "1"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield _where(process)
        finally:
            process.terminate()
            process.communicate(timeout=START_TIMEOUT_S)


def _where(process: subprocess.Popen[str]) -> str:
    """The address it says it listens on."""
    assert process.stderr is not None
    until = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < until:
        line = process.stderr.readline()
        if "running on" in line:
            port = line.partition("127.0.0.1:")[2].split(" ")[0]
            return f"http://127.0.0.1:{int(port)}"
    raise TimeoutError("the provider did not start")


async def let_in(url: str, subject: str, claims: dict[str, Any]) -> dict[str, str]:
    """Sign in at the mock as its own page would; what the browser brings back."""
    parts = urlsplit(url)
    async with httpx2.AsyncClient(base_url=f"{parts.scheme}://{parts.netloc}", timeout=30) as browser:
        await browser.put(f"/users/{subject}", json=claims)
        answer = await browser.post(url, data={"sub": subject})
    assert answer.status_code == 302, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def unsigned(claims: dict[str, Any]) -> str:
    """An ID token with `alg: none`."""
    parts = (orjson.dumps({"alg": "none", "typ": "JWT"}), orjson.dumps(claims), b"")
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@dataclass
class Forger:
    """An issuer that keeps to the protocol but for what a test changes.

    `claims`: of the next ID token, over the honest ones. `signs`: how it is signed. `answers`: other bodies
    and statuses for paths.
    """

    claims: dict[str, Any] = field(default_factory=dict)
    signs: Callable[[dict[str, Any]], str] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, web.Response] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    challenge: str = ""
    nonce: str = ""
    key: RSAKey = field(default_factory=lambda: KEY)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._instead])
        app.router.add_get("/.well-known/openid-configuration", self._metadata)
        app.router.add_get("/keys", self._keys)
        app.router.add_post("/token", self._token)
        app.router.add_get("/userinfo", self._userinfo)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def remember(self, authorization_url: str) -> None:
        """Somebody was sent to `authorization_url` and signed in there."""
        asked = parse_qs(urlsplit(authorization_url).query)
        assert asked["code_challenge_method"] == ["S256"]
        self.challenge, self.nonce = asked["code_challenge"][0], asked["nonce"][0]

    def honest(self) -> dict[str, Any]:
        now = int(time.time())
        return {
            "iss": self.url,
            "aud": "our-client",
            "sub": "42",
            "iat": now,
            "exp": now + 300,
            "nonce": self.nonce,
            "email": "ana@acme.example",
            "email_verified": True,
            "name": "Ana",
        }

    def signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)

    @web.middleware
    async def _instead(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append(request.path)
        return self.answers.get(request.path) or await handler(request)

    async def _metadata(self, _request: web.Request) -> web.Response:
        said = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        }
        return web.json_response({**said, **self.metadata})

    async def _keys(self, _request: web.Request) -> web.Response:
        return web.json_response({"keys": [self.key.as_dict(private=False)]})

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if create_s256_code_challenge(str(form["code_verifier"])) != self.challenge:
            return web.json_response({"error": "invalid_grant"}, status=400)
        claims = {
            name: value for name, value in {**self.honest(), **self.claims}.items() if value is not None
        }
        return web.json_response(
            {
                "access_token": "at",
                "token_type": "Bearer",
                "expires_in": 300,
                "id_token": (self.signs or self.signed)(claims),
            }
        )

    async def _userinfo(self, _request: web.Request) -> web.Response:
        return web.json_response(self.userinfo)
