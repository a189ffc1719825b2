"""What operators see of mails, and how anybody turns some off."""

import asyncio
from base64 import urlsafe_b64encode
from typing import Any

import httpx2
import orjson
from control_client import Client
from people import make_person
from post import SECRET_LINK, TO, Post
from test_rendering import LANGUAGES, LOADING, Seen
from typer.testing import CliRunner

from bursar.adapters.mail import MailRefused
from bursar.adapters.mail.fake import FakeMailer
from bursar.db.outbox import deliver
from bursar.entrypoints.cli import app
from bursar.features.accounts import tasks as accounts
from bursar.features.mail.samples import sample
from bursar.rest.control import Control
from bursar.rest.mails import KINDS


class TestDeliveryLog:
    async def test_lists_mails_and_revives_dead_ones(
        self, client: Client, post: Post, servers: list[FakeMailer]
    ) -> None:
        servers[0].failing["bo@shop.example"] = MailRefused(f"550 no: {SECRET_LINK}")
        await post.ask("reset:1", to="Ana@shop.example")
        await post.ask("reset:2", to="bo@shop.example")
        await post.work()
        everything = await client.get("/mail/messages")
        assert "s3cr3t" not in str(everything)
        assert [one["state"] for one in everything["items"]] == ["dead", "sent"]
        assert [
            one["recipient"]
            for one in (await client.get("/mail/messages?recipient=ana@shop.example"))["items"]
        ] == ["Ana@shop.example"]
        assert (await client.get("/mail/messages?template=welcome"))["items"] == []
        page = await client.get("/mail/messages?limit=1")
        rest = await client.get(f"/mail/messages?limit=1&cursor={page['next_cursor']}")
        assert [*page["items"], *rest["items"]] == everything["items"]
        (dead,) = (await client.get("/mail/messages?state=dead"))["items"]
        assert (dead["said"], dead["server"]) == ("550 no: <link>", "primary")
        servers[0].failing.clear()
        revived = await client.post(f"/mail/messages/{dead['id']}/retry", status=200)
        assert (revived["state"], revived["attempts"]) == ("waiting", 0)
        await post.work()
        shown = await client.get(f"/mail/messages/{dead['id']}")
        assert (shown["state"], shown["message_id"]) == ("sent", dead["message_id"])
        assert SECRET_LINK in servers[0].sent[-1].text
        assert await client.refused("POST", f"/mail/messages/{dead['id']}/retry") == "409 mail_not_dead"
        nowhere = "/mail/messages/00000000-0000-7000-8000-000000000000"
        assert await client.refused("GET", nowhere) == "404 mail_not_found"
        assert await client.refused("POST", f"{nowhere}/retry") == "404 mail_not_found"


class TestCommands:
    async def test_list_dead_letters_and_revive_them(self, post: Post, servers: list[FakeMailer]) -> None:
        servers[0].failing[TO] = MailRefused("550 no")
        await post.ask("reset:1")
        await post.work()

        async def bursar(*words: str) -> Any:
            environment = {"BURSAR_DATABASE_URL": post.url, "BURSAR_SECRET_KEY": "ab" * 32}
            done = await asyncio.to_thread(CliRunner().invoke, app, [*words, "--json"], env=environment)
            assert done.exit_code == 0, done.stderr
            return orjson.loads(done.stdout)

        (dead,) = (await bursar("mail", "list", "--state", "dead"))["items"]
        assert (dead["recipient"], dead["said"]) == (TO, "550 no")
        assert (await bursar("mail", "retry", dead["id"]))["state"] == "waiting"
        assert post.row()["ended_at"] is None


class TestPreview:
    async def test_shows_every_template_in_every_language(self, client: Client) -> None:
        listed = await client.get("/mail/templates")
        assert {one["name"] for one in listed["items"]} == set(KINDS)
        assert listed["locales"] == list(LANGUAGES)
        told = await client.get("/mail/templates/key_expiring?locale=ko")
        assert told["subject"] == "API 키 production의 만료가 다가옵니다"
        assert "이런 메일 그만 받기" in told["text"]
        assert await client.refused("GET", "/mail/templates/birthday") == "404 mail_template_not_found"
        page = await client.http.get("/api/v1/mail/templates/key_expiring/page")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert page.text.count("<iframe sandbox ") == len(LANGUAGES)
        assert "API 密钥 production 即将到期" in Seen(page.text).text
        assert LOADING.search(page.text.replace("<iframe sandbox", "")) is None


class TestUnsubscribe:
    async def link(self, post: Post, servers: list[FakeMailer], to: str, intent: str) -> str:
        await post.ask(intent, sample("low_balance"), to=to, locale="ko")
        await post.work()
        link = servers[0].sent[-1].unsubscribe
        assert link is not None
        assert link in servers[0].sent[-1].text
        return link.removeprefix("https://bursar.example")

    async def test_turns_a_kind_off_for_an_address_and_for_nobody_else(
        self, anonymous: httpx2.AsyncClient, control: Control, post: Post, servers: list[FakeMailer]
    ) -> None:
        person = await make_person(control, email="owner@shop.example")
        for to in ("owner@shop.example", TO):
            link = await self.link(post, servers, to, f"low:{to}")
            asked = await anonymous.get(link)
            assert f"{to}(으)로" in Seen(asked.text).text
            assert asked.headers["referrer-policy"] == "no-referrer"
            done = await anonymous.post(link, data={"List-Unsubscribe": "One-Click"})
            assert "처리되었습니다" in done.text
        await post.take_in()
        await deliver(post.worker, accounts.handlers(control.edge), control.edge.now())
        sent_before = len(servers[0].sent)
        for to in ("Owner@shop.example", "Ana@shop.example"):
            await post.ask(f"again:{to}", sample("low_balance"), to=to)
        await post.ask("other", sample("budget_alert"))
        await post.ask("must", sample("invoice"))
        await post.work()
        assert sorted(mail.subject for mail in servers[0].sent[sent_before:]) == [
            "80 % of the budget Research, monthly is used",
            "Invoice 2027-000123",
        ]
        assert [row["state"] for row in post.rows()].count("skipped") == 2
        assert [(row["recipient"], row["choice"]) for row in post.rows("mail_refusal")] == [
            (TO, "low_balance")
        ]
        (profile,) = [row for row in post.rows("app_user") if row["id"] == person]
        assert profile["notifications"] == {"low_balance": False}

    async def test_wants_a_link_of_ours(
        self, anonymous: httpx2.AsyncClient, post: Post, servers: list[FakeMailer]
    ) -> None:
        link = await self.link(post, servers, TO, "low:1")
        sealed = control_sealed(post)
        for wrong in (
            link[:-3],
            link[:-2] + "AA",
            "/api/v1/mail/unsubscribe/ä%F0",
            f"/api/v1/mail/unsubscribe/{sealed}",
        ):
            answer = await anonymous.post(wrong)
            assert (answer.status_code, answer.json()["code"]) == (404, "unsubscribe_link_invalid")
        await post.take_in()
        assert post.rows("mail_refusal") == []


def control_sealed(post: Post) -> str:
    """Something else that was sealed with the same key."""
    return urlsafe_b64encode(post.office.sealed({"recipient": TO, "choice": "low_balance"})).decode()
