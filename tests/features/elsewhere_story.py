"""Somebody signs in elsewhere, as a browser does it: redirects followed by hand, cookies kept."""

from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import httpx2
import psycopg
from one_api import api_with

from bursar.adapters.dns.fake import FakeTxtRecords
from bursar.adapters.identity import Kind, Proven, Source
from bursar.adapters.identity.fake import FakeIdentities
from bursar.rest.callers import ACCESS_COOKIE, CSRF_COOKIE
from bursar.rest.control import Control
from scratch_database import ScratchDatabase

GOOGLE = Source(key="google", kind=Kind.OIDC, name="Google", client_id="g", client_secret="s")
GITHUB = Source(key="github", kind=Kind.GITHUB, name="GitHub", client_id="h", client_secret="s")
ACCEPTED = {"terms_version": "1", "privacy_version": "1"}
ANA = Proven(subject="ana-1", email="ana@people.example", email_verified=True, name="Ana")


@dataclass
class Story:
    """`http`: one browser. `door`: where it signs in. `dns`: what name servers say."""

    control: Control
    database: ScratchDatabase
    http: httpx2.AsyncClient
    door: FakeIdentities
    dns: FakeTxtRecords

    @classmethod
    def begin(cls, control: Control, database: ScratchDatabase, **changes: Any) -> Self:
        door, dns = FakeIdentities(), FakeTxtRecords()
        given = {"identities": door, "sources": (GOOGLE, GITHUB), "txt_records": dns, **changes}
        whole = replace(control, **given)
        return cls(whole, database, browser(whole), door, dns)

    def elsewhere(self) -> "Story":
        """The same place in another browser."""
        return replace(self, http=browser(self.control))

    async def leave(self, path: str = "/auth/providers/google/start", **asked: str) -> str:
        """Click the button; where the browser is sent."""
        answer = await self.http.get(f"/api/v1{path}", params=asked)
        assert answer.status_code == 303, answer.text
        assert "no-store" in answer.headers["cache-control"]
        return answer.headers["location"]

    async def come_back(self, url: str, person: Proven, **changes: str) -> httpx2.Response:
        """Pass the door that `url` leads to as `person`, and return."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        said = {"state": asked["state"], "code": self.door.welcome(url, person), **changes}
        return await self.http.get(urlsplit(asked["redirect_uri"]).path, params=said)

    async def sign_in(
        self, person: Proven = ANA, path: str = "/auth/providers/google/start", **asked: str
    ) -> str:
        """All of it: where the browser ends, or the status and code of a refusal."""
        answer = await self.come_back(await self.leave(path, **asked), person)
        if answer.status_code == 303:
            return answer.headers["location"]
        return f"{answer.status_code} {answer.json()['code']}"

    async def me(self) -> Any:
        """The account page, by cookie."""
        answer = await self.http.get("/api/v1/me")
        return answer.json() if answer.is_success else answer.status_code

    async def post(self, path: str, body: Any = None, method: str = "POST") -> httpx2.Response:
        """As a page of ours does: with the value of the CSRF cookie."""
        headers = {"x-csrf-token": self.http.cookies.get(CSRF_COOKIE) or ""}
        return await self.http.request(method, f"/api/v1{path}", json=body or {}, headers=headers)

    @property
    def is_signed_in(self) -> bool:
        return self.http.cookies.get(ACCESS_COOKIE) is not None

    def asked(self, question: str, *values: Any) -> list[Any]:
        """What the database says, past every rule."""
        with psycopg.connect(self.database.url, autocommit=True) as connection:
            cursor = connection.execute(question, values)
            return [] if cursor.description is None else cursor.fetchall()


def browser(control: Control) -> httpx2.AsyncClient:
    transport = api_with(control)
    return httpx2.AsyncClient(transport=transport, base_url="http://test", timeout=60)
