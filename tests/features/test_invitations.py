"""Invitations: mailed, accepted once by whom they name, worth nothing to anybody else."""

import asyncio
from collections import Counter
from typing import Any, LiteralString
from uuid import UUID

import httpx2
import people
import psycopg
import pytest
from account_story import EMAIL, story_of
from control_client import Client, SettableClock

from bursar.core.permissions import MemberRole, OperatorRole
from bursar.rest.callers import CSRF_COOKIE, CSRF_HEADER
from bursar.rest.control import Control
from bursar.rest.mails import MailAsked
from scratch_database import ScratchDatabase

OWNER, ADMIN, BILLING, DEVELOPER, VIEWER = MemberRole
MINUTE_MS = 61_000
WEEK_MS = 7 * 24 * 3_600_000


class Post:
    """What invitations were mailed."""

    def __init__(self, database: ScratchDatabase, control: Control) -> None:
        self.database = database
        self.control = control

    def change(self, statement: LiteralString, *values: Any) -> None:
        """By a hand in the database."""
        with psycopg.connect(self.database.url) as connection:
            connection.execute(statement, values)

    def mails(self) -> list[dict[str, Any]]:
        with psycopg.connect(self.database.url) as connection:
            asked = connection.execute(
                "SELECT payload FROM outbox WHERE payload ->> 'template' = 'invite' ORDER BY id"
            )
            mails = [row[0] for row in asked]
        for mail in mails:
            MailAsked.model_validate(mail).checked()
        return mails

    def token(self) -> str:
        """Of the newest mail's link."""
        return str(self.mails()[-1]["values"]["link"].partition("#token=")[2])

    async def reader(self, email: str) -> Client:
        """Somebody with this address, signed in, a member of nothing."""
        user_id = await people.make_person(self.control, email=email)
        return people.speaking_as(self.control, await people.sign_in(self.control, user_id))


@pytest.fixture
def post(database: ScratchDatabase, control: Control) -> Post:
    return Post(database, control)


@pytest.fixture
def place(organisation: dict[str, Any]) -> str:
    return f"/organisations/{organisation['id']}"


@pytest.fixture
async def admin(control: Control, organisation: dict[str, Any]) -> Client:
    return await people.member(control, organisation["id"], ADMIN)


async def accepted(who: Client, token: str) -> str:
    """The role that was got, or the refusal."""
    answer = await who.http.post("/api/v1/invitations/accept", json={"token": token})
    told = answer.json()
    return str(told["role"] if answer.status_code == 200 else f"{answer.status_code} {told['code']}")


class TestInvite:
    async def test_mails_a_link_that_lets_its_reader_in_once(
        self, anonymous: httpx2.AsyncClient, post: Post, admin: Client, place: str
    ) -> None:
        body = {"email": " New@Acme.example", "role": "developer", "locale": "ko"}
        made = await admin.post(f"{place}/invitations", body)
        assert (made["email"], made["status"]) == ("new@acme.example", "open")
        (mail,) = post.mails()
        assert (mail["to"], mail["locale"]) == ("new@acme.example", "ko")
        assert mail["values"]["link"].startswith("http://localhost:8080/invitation#token=bursar_inv_")
        assert mail["values"]["inviter"].startswith("Person ")
        assert post.token() not in str(made)
        seen = await anonymous.post("/api/v1/invitations/look", json={"token": post.token()})
        offer = seen.json()
        assert (offer["organisation_name"], offer["role"], offer["email"]) == (
            "Acme",
            "developer",
            "new@acme.example",
        )
        new = await post.reader("new@acme.example")
        assert await new.refused("GET", place) == "404 organisation_not_found"
        assert await accepted(new, post.token()) == "developer"
        await new.post(f"{place}/keys", {"name": "mine"})
        (shown,) = (await admin.get(f"{place}/invitations"))["items"]
        assert shown["status"] == "accepted"
        assert await admin.refused("POST", f"{place}/invitations", body) == "409 already_member"

    async def test_lets_a_stranger_in_who_signs_up_for_it(
        self, database: ScratchDatabase, control: Control, post: Post, admin: Client, place: str
    ) -> None:
        browser = story_of(control, database)
        await admin.post(f"{place}/invitations", {"email": EMAIL, "role": "developer"})
        assert (await browser.opened(organisation_name=None))["organisation_id"] is None
        await browser.signed_in()
        csrf = {CSRF_HEADER: browser.http.cookies[CSRF_COOKIE]}
        assert await browser.said("/invitations/accept", {"token": post.token()}) == "403 csrf_refused"
        joined = await browser.done("/invitations/accept", {"token": post.token()}, **csrf)
        (mine,) = (await browser.http.get("/api/v1/me")).json()["memberships"]
        assert (mine["organisation_id"], mine["role"]) == (joined["organisation_id"], "developer")

    async def test_gives_no_more_than_the_giver_has(
        self, control: Control, organisation: dict[str, Any], post: Post, admin: Client, place: str
    ) -> None:
        for role in (BILLING, DEVELOPER, VIEWER):
            member = await people.member(control, organisation["id"], role)
            body = {"email": "friend@acme.example", "role": role}
            assert await member.refused("POST", f"{place}/invitations", body) == "403 permission_denied"
        owner = {"email": "friend@acme.example", "role": "owner"}
        assert await admin.refused("POST", f"{place}/invitations", owner) == "403 role_not_given"
        support = await people.operator(control, OperatorRole.SUPPORT)
        viewer = {"email": "friend@acme.example", "role": "viewer"}
        assert await support.refused("POST", f"{place}/invitations", viewer) == "403 permission_denied"
        assert post.mails() == []

    async def test_of_the_owner_comes_first_and_from_the_operator(
        self, client: Client, post: Post, place: str
    ) -> None:
        developer = {"email": "dora@acme.example", "role": "developer"}
        assert await client.refused("POST", f"{place}/invitations", developer) == "409 owner_missing"
        tokens = []
        for name in ("olga", "oscar"):
            body = {"email": f"{name}@acme.example", "role": "owner"}
            made = await client.post(f"{place}/invitations", body)
            assert made["invited_by"] is None
            tokens.append(post.token())
        assert "inviter" not in post.mails()[0]["values"]
        readers = [await post.reader(f"{name}@acme.example") for name in ("olga", "oscar")]
        got = await asyncio.gather(*map(accepted, readers, tokens))
        assert sorted(got) == ["404 invitation_invalid", "owner"]
        await client.post(f"{place}/invitations", developer)

    async def test_is_not_a_way_to_mail_thousands(
        self, clock: SettableClock, post: Post, admin: Client, place: str
    ) -> None:
        body = {"email": "new@acme.example", "role": "viewer"}
        made = await admin.post(f"{place}/invitations", body)
        old = post.token()
        resend = f"{place}/invitations/{made['id']}/resend"
        assert await admin.refused("POST", f"{place}/invitations", body) == "429 invited_too_often"
        assert await admin.refused("POST", resend) == "429 invited_too_often"
        clock.ahead_ms = MINUTE_MS
        again = await admin.call("POST", resend)
        newer = post.token()
        assert (again["id"], again["status"]) == (made["id"], "open")
        clock.ahead_ms = 2 * MINUTE_MS
        replaced = await admin.post(f"{place}/invitations", body)
        assert len({mail["intent"] for mail in post.mails()}) == 3
        new = await post.reader("new@acme.example")
        for dead in (old, newer):
            assert await accepted(new, dead) == "404 invitation_invalid"
        post.change("UPDATE invitation SET sent_count = 50 WHERE id = %s", replaced["id"])
        body = {"email": "other@acme.example", "role": "viewer"}
        assert await admin.refused("POST", f"{place}/invitations", body) == "429 invited_too_often"
        assert await accepted(new, post.token()) == "viewer"

    async def test_nor_for_many_organisations_to_fill_one_mailbox(
        self, clock: SettableClock, client: Client, anonymous: httpx2.AsyncClient
    ) -> None:
        body = {"email": "victim@acme.example", "role": "owner"}
        places = [(await client.post("/organisations", {"name": f"Bomber {n}"}))["id"] for n in range(4)]
        made = [await client.post(f"/organisations/{place}/invitations", body) for place in places[:3]]
        last = f"/organisations/{places[3]}/invitations"
        assert await client.refused("POST", last, body) == "429 too_many_tries"
        asked = await anonymous.post("/api/v1/auth/verify-email/resend", json={"email": body["email"]})
        assert asked.status_code == 429  # all mails to him are counted together
        other = {"email": "other@acme.example", "role": "owner"}
        await client.post(last, other)
        clock.ahead_ms = 11 * MINUTE_MS
        await client.call("POST", f"/organisations/{places[0]}/invitations/{made[0]['id']}/resend")
        again = f"/organisations/{places[1]}/invitations/{made[1]['id']}/resend"
        assert await client.refused("POST", again) == "429 too_many_tries"


class TestAccept:
    async def test_works_once_whoever_tries_again(self, post: Post, admin: Client, place: str) -> None:
        new = await post.reader("new@acme.example")
        for _ in range(3):
            made = await admin.post(f"{place}/invitations", {"email": "new@acme.example", "role": "viewer"})
            token = post.token()
            got = await asyncio.gather(*(accepted(new, token) for _ in range(3)))
            assert Counter(got) == {"viewer": 1, "404 invitation_invalid": 2}
            members = (await admin.get(f"{place}/members"))["items"]
            (his,) = [one for one in members if one["email"] == "new@acme.example"]
            await admin.call("DELETE", f"{place}/members/{his['user_id']}")
            assert await accepted(new, token) == "404 invitation_invalid"
            assert await new.refused("GET", place) == "404 organisation_not_found"
            refused = await admin.refused("POST", f"{place}/invitations/{made['id']}/resend")
            assert refused == "409 invitation_ended"

    async def test_is_for_the_address_invited_and_in_time(
        self,
        anonymous: httpx2.AsyncClient,
        clock: SettableClock,
        post: Post,
        admin: Client,
        place: str,
    ) -> None:
        await admin.post(f"{place}/invitations", {"email": "new@acme.example", "role": "viewer"})
        token = post.token()
        thief, new = await post.reader("thief@acme.example"), await post.reader("new@acme.example")
        assert await accepted(thief, token) == "403 invitation_for_another"
        assert await accepted(thief, token[:-1]) == "404 invitation_invalid"
        unsigned = await anonymous.post("/api/v1/invitations/accept", json={"token": token})
        assert unsigned.json()["code"] == "invalid_token"
        post.change("UPDATE app_user SET email_verified_at = NULL WHERE email = %s", "new@acme.example")
        assert await accepted(new, token) == "403 email_unverified"
        clock.ahead_ms = WEEK_MS
        late = await post.reader("late@acme.example")
        assert await accepted(late, token) == "404 invitation_invalid"
        seen = await anonymous.post("/api/v1/invitations/look", json={"token": token})
        assert seen.json()["code"] == "invitation_invalid"

    async def test_gives_nothing_that_its_giver_could_not_give_today(
        self, control: Control, organisation: dict[str, Any], client: Client, post: Post
    ) -> None:
        """However his role went: by a change here, or by a hand in the database."""
        place = f"/organisations/{organisation['id']}"
        giver_id = await people.make_person(control, organisation_id=organisation["id"], role=ADMIN)
        giver = people.speaking_as(control, await people.sign_in(control, giver_id))
        new = await post.reader("new@acme.example")
        body = {"email": "new@acme.example", "role": "admin"}
        await giver.post(f"{place}/invitations", body)
        await client.call("PATCH", f"{place}/members/{giver_id}", {"role": "viewer"})
        (shown,) = (await client.get(f"{place}/invitations"))["items"]
        assert shown["status"] == "revoked"
        assert await accepted(new, post.token()) == "404 invitation_invalid"
        await client.call("PATCH", f"{place}/members/{giver_id}", {"role": "admin"})
        await giver.post(f"{place}/invitations", body)
        post.change("UPDATE membership SET role = 'viewer' WHERE user_id = %s", giver_id)
        assert await accepted(new, post.token()) == "404 invitation_invalid"

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE operator_token SET revoked_at = now()",
            "UPDATE operator_token SET expires_at = now()",
            "UPDATE operator_token SET role = 'support'",
        ],
    )
    async def test_gives_nothing_of_an_operators_token_that_is_gone(
        self, client: Client, post: Post, place: str, change: LiteralString
    ) -> None:
        await client.post(f"{place}/invitations", {"email": "new@acme.example", "role": "owner"})
        new, token = await post.reader("new@acme.example"), post.token()
        post.change(change)
        assert await accepted(new, token) == "404 invitation_invalid"
        post.change("UPDATE operator_token SET revoked_at = NULL, expires_at = NULL, role = 'superadmin'")
        assert await accepted(new, token) == "owner"

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE app_user SET operator_role = NULL WHERE operator_role IS NOT NULL",
            "UPDATE app_user SET operator_role = 'finance' WHERE operator_role IS NOT NULL",
            "UPDATE app_user SET status = 'disabled' WHERE operator_role IS NOT NULL",
        ],
    )
    async def test_gives_nothing_of_an_operator_who_is_none_any_more(
        self, clock: SettableClock, client: Client, post: Post, place: str, change: LiteralString
    ) -> None:
        operator = await people.operator(post.control, OperatorRole.SUPERADMIN)
        made = await operator.post(f"{place}/invitations", {"email": "new@acme.example", "role": "owner"})
        new = await post.reader("new@acme.example")
        post.change(change)
        assert await accepted(new, post.token()) == "404 invitation_invalid"
        clock.ahead_ms = MINUTE_MS
        await client.call("POST", f"{place}/invitations/{made['id']}/resend")  # now it is the token's
        assert await accepted(new, post.token()) == "owner"

    async def test_joins_no_closed_organisation(
        self, client: Client, admin: Client, post: Post, place: str
    ) -> None:
        await admin.post(f"{place}/invitations", {"email": "new@acme.example", "role": "viewer"})
        await client.call("POST", f"{place}/close")
        new = await post.reader("new@acme.example")
        assert await accepted(new, post.token()) == "409 organisation_closed"
        other = {"email": "other@acme.example", "role": "viewer"}
        assert await admin.refused("POST", f"{place}/invitations", other) == "409 organisation_closed"


class TestRevoke:
    async def test_ends_it_for_good_and_for_no_other_organisation(
        self, control: Control, client: Client, post: Post, admin: Client, place: str
    ) -> None:
        made = await admin.post(f"{place}/invitations", {"email": "new@acme.example", "role": "viewer"})
        other = (await client.post("/organisations", {"name": "Other"}))["id"]
        stranger = await people.member(control, other, OWNER)
        elsewhere = f"/organisations/{other}/invitations"
        for verb in ("revoke", "resend"):
            path = f"{elsewhere}/{made['id']}/{verb}"
            assert await stranger.refused("POST", path) == "404 invitation_not_found"
        assert (await stranger.get(elsewhere))["items"] == []
        assert await client.refused("GET", f"/organisations/{UUID(int=1)}/invitations") == (
            "404 organisation_not_found"
        )
        revoke = f"{place}/invitations/{made['id']}/revoke"
        assert (await admin.call("POST", revoke))["status"] == "revoked"
        assert (await admin.call("POST", revoke))["status"] == "revoked"
        assert await accepted(await post.reader("new@acme.example"), post.token()) == "404 invitation_invalid"
