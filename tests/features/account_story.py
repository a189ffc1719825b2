"""Somebody signs up and in as a browser or a program does; what was mailed is read from the outbox."""

import re
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import psycopg
from one_api import api_with

from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.db.outbox import deliver
from bursar.features.accounts.tasks import handlers
from bursar.rest.control import Control
from scratch_database import ScratchDatabase

PASSWORD = "a quiet zebra paints the harbour"
EMAIL = "mina@harbour.example"
TOKEN = re.compile(r"#token=(\w+)$")


@dataclass
class Story:
    """`http`: a stranger's browser, which keeps its cookies."""

    control: Control
    database: ScratchDatabase
    http: httpx2.AsyncClient

    async def send(self, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        return await self.http.post(f"/api/v1{path}", json=body or {}, headers=headers)

    async def said(self, path: str, body: Any = None, **headers: str) -> str:
        """Status and code, such as `401 sign_in_refused`; of a success the status alone."""
        answer = await self.send(path, body, **headers)
        return f"{answer.status_code} {answer.json().get('code', '')}".strip()

    async def done(self, path: str, body: Any = None, **headers: str) -> Any:
        answer = await self.send(path, body, **headers)
        assert answer.is_success, answer.text
        return answer.json()

    async def work(self) -> None:
        """The worker carries out what waits."""
        worker = Database(self.database.url, Role.WORKER)
        try:
            await deliver(worker, handlers(self.control.edge), self.control.edge.now())
        finally:
            await worker.close()

    async def mails(self, template: str) -> list[dict[str, Any]]:
        """What was asked to be mailed so far, oldest first."""
        await self.work()
        with psycopg.connect(self.database.url) as connection:
            rows = connection.execute(
                "SELECT payload FROM outbox WHERE topic = 'mail' ORDER BY id"
            ).fetchall()
        return [payload for (payload,) in rows if payload.get("template") == template]

    async def token(self, template: str) -> str:
        """The end of the link in the newest mail of a kind."""
        found = TOKEN.search((await self.mails(template))[-1]["values"]["link"])
        assert found is not None
        return found[1]

    async def opened(self, email: str = EMAIL, **more: Any) -> Any:
        """Sign up and answer the mail."""
        await self.done("/auth/sign-up", new_account(email, **more))
        return await self.done("/auth/verify-email", proof(await self.token("verify_email")))

    async def signed_in(self, email: str = EMAIL, **more: Any) -> Any:
        """By cookies, unless `tokens_in` says otherwise."""
        return await self.done("/auth/log-in", {"email": email, "password": PASSWORD, **more})

    def elsewhere(self) -> "Story":
        """Another browser, without a cookie."""
        return replace(self, http=httpx2.AsyncClient(transport=self.http._transport, base_url="http://test"))


def story_of(control: Control, database: ScratchDatabase) -> Story:
    http = httpx2.AsyncClient(transport=api_with(control), base_url="http://test", timeout=60)
    return Story(control, database, http)


def proof(token: str, password: str = PASSWORD) -> dict[str, Any]:
    """What opens an account: the end of the link, and the password of the sign-up."""
    return {"token": token, "password": password}


def new_account(email: str = EMAIL, **more: Any) -> dict[str, Any]:
    return {
        "email": email,
        "password": PASSWORD,
        "name": "Mina",
        "organisation_name": "Harbour Ltd",
        "terms_version": "1",
        "privacy_version": "1",
        **more,
    }
