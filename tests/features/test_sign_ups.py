"""From a stranger's sign-up to a working key, and what keeps others out."""

import asyncio
import hashlib
import hmac
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx2
import psycopg
import pytest
from account_story import EMAIL, PASSWORD, Story, new_account, proof, story_of
from control_client import SettableClock

from bursar.adapters.captcha.fake import FakeCaptcha
from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.features.accounts.tasks import purge
from bursar.rest.control import Control, SignUpPolicy
from scratch_database import ScratchDatabase

DAY_MS = 86_400_000
KEY = bytes(range(32))
THIEFS = "my own cat sleeps under stairs"


@pytest.fixture
def story(control: Control, database: ScratchDatabase, anonymous: httpx2.AsyncClient) -> Story:
    return Story(control, database, anonymous)


def under(control: Control, database: ScratchDatabase, captcha: Any = None, **policy: Any) -> Story:
    """A story under another policy of sign-ups."""
    changed = replace(control.policy, sign_up=SignUpPolicy(**policy))
    return story_of(replace(control, policy=changed, captcha=captcha), database)


class TestSignUp:
    async def test_opens_an_organisation_with_a_key_and_trial_credit(
        self, control: Control, database: ScratchDatabase
    ) -> None:
        story = under(control, database, trial_credit=Decimal("5.00"), terms_version="2026-11")
        options = (await story.http.get("/api/v1/auth/options")).json()
        assert options == {
            "sign_up_open": True,
            "terms_version": "2026-11",
            "privacy_version": "1",
            "captcha": None,
        }
        asked = {"terms_version": "2026-11", "locale": "ko", "time_zone": "Asia/Seoul"}
        opened = await story.opened("Mina@Harbour.example", **asked)
        assert opened["key"]["secret"].startswith("llm_sk_")
        (verify,) = await story.mails("verify_email")
        assert (verify["to"], verify["locale"], verify["values"]["name"]) == (EMAIL, "ko", "Mina")
        assert [mail["values"]["organisation"] for mail in await story.mails("welcome")] == ["Harbour Ltd"]
        await story.signed_in()
        me = (await story.http.get("/api/v1/me")).json()
        assert (me["email"], me["locale"], me["time_zone"]) == (EMAIL, "ko", "Asia/Seoul")
        assert (me["terms_version"], me["terms_current"]) == ("2026-11", True)
        assert me["accepted_at"] is not None
        own = f"/api/v1/organisations/{opened['organisation_id']}"
        assert me["memberships"] == [
            {
                "organisation_id": opened["organisation_id"],
                "organisation_name": "Harbour Ltd",
                "role": "owner",
            }
        ]
        assert (await story.http.get(f"{own}/wallet")).json()["balance"] == "5.00"
        (key,) = (await story.http.get(f"{own}/keys")).json()["items"]
        assert (key["id"], key["name"]) == (opened["key"]["id"], "starter")
        (project,) = (await story.http.get(f"{own}/projects")).json()["items"]
        assert (project["id"], project["name"]) == (key["project_id"], "Default")

    async def test_gives_nothing_before_the_mail_is_answered(self, story: Story) -> None:
        await story.done("/auth/sign-up", new_account())
        await story.mails("verify_email")
        assert (
            await story.said("/auth/log-in", {"email": EMAIL, "password": PASSWORD}) == "401 sign_in_refused"
        )
        with psycopg.connect(story.database.url) as connection:
            counts = connection.execute(
                "SELECT (SELECT count(*) FROM app_user), (SELECT count(*) FROM organisation)"
            ).fetchone()
        assert counts == (0, 0)

    async def test_opens_once_though_the_link_is_followed_ten_times_at_once(self, story: Story) -> None:
        await story.done("/auth/sign-up", new_account())
        token = await story.token("verify_email")
        said = await asyncio.gather(*(story.said("/auth/verify-email", proof(token)) for _ in range(10)))
        assert sorted(said) == ["201"] + 9 * ["404 link_refused"]

    async def test_ends_with_the_day(self, story: Story, clock: SettableClock) -> None:
        await story.done("/auth/sign-up", new_account())
        token = await story.token("verify_email")
        clock.ahead_ms = DAY_MS
        assert await story.said("/auth/verify-email", proof(token)) == "404 link_refused"

    async def test_goes_on_with_the_newest_link_only(self, story: Story) -> None:
        await story.done("/auth/sign-up", new_account(organisation_name=None))
        first = await story.token("verify_email")
        await story.done("/auth/verify-email/resend", {"email": EMAIL})
        second = await story.token("verify_email")
        assert await story.said("/auth/verify-email", proof(first)) == "404 link_refused"
        opened = await story.done("/auth/verify-email", proof(second))
        assert (opened["organisation_id"], opened["key"]) == (None, None)

    async def test_keeps_no_token_and_no_password_to_read(self, story: Story) -> None:
        await story.opened()
        with psycopg.connect(story.database.url) as connection:
            row = connection.execute("SELECT token_hash, password_hash, used_at FROM sign_up").fetchone()
            stored = connection.execute("SELECT password_hash FROM app_user").fetchone()
        assert row is not None
        assert (len(row[0]), row[1]) == (32, None)
        assert stored is not None
        assert stored[0].startswith("$argon2id$v=19$m=8,t=1,p=1$")


async def balance_of(story: Story, opened: Any) -> str:
    await story.work()
    await story.signed_in()
    wallet = await story.http.get(f"/api/v1/organisations/{opened['organisation_id']}/wallet")
    return str(wallet.json()["balance"])


class TestTrialCredit:
    async def test_is_given_once_to_an_address_that_accounts_leave(
        self, control: Control, database: ScratchDatabase
    ) -> None:
        story = under(control, database, trial_credit=Decimal("5.00"))
        assert await balance_of(story, await story.opened()) == "5.00"
        for moved in ("moved@harbour.example", "again@harbour.example"):
            with psycopg.connect(database.url, autocommit=True) as connection:
                connection.execute("UPDATE app_user SET email = %s WHERE email = %s", [moved, EMAIL])
            other = story.elsewhere()
            assert Decimal(await balance_of(other, await other.opened())) == 0

    async def test_keeps_a_keyed_hash_of_the_address_which_outlives_the_person(
        self, control: Control, database: ScratchDatabase
    ) -> None:
        story = under(control, database, trial_credit=Decimal("5.00"))
        opened = await story.opened()
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute("SELECT bursar_erase_user(%s, now())", [opened["user_id"]])
            ((kept,),) = connection.execute("SELECT address_hash FROM trial_given").fetchall()
        assert len(kept) == 32
        unkeyed, plainly_keyed = hashlib.sha256(EMAIL.encode()), hmac.new(KEY, EMAIL.encode(), "sha256")
        assert kept not in {unkeyed.digest(), plainly_keyed.digest()}
        again = story.elsewhere()
        assert Decimal(await balance_of(again, await again.opened())) == 0

    async def test_is_not_used_up_where_none_is_given(
        self, control: Control, database: ScratchDatabase
    ) -> None:
        await under(control, database).opened()
        with psycopg.connect(database.url, autocommit=True) as connection:
            assert connection.execute("SELECT count(*) FROM trial_given").fetchone() == (0,)


class TestTwoSignUpsOfOneAddress:
    """Anybody may type her address: the link proves it is hers, the password which sign-up is."""

    async def test_open_hers_though_a_thiefs_is_the_newest(self, story: Story) -> None:
        await story.done("/auth/sign-up", new_account())
        await story.work()
        await story.elsewhere().done("/auth/sign-up", new_account(password=THIEFS, name="Thief"))
        await story.work()
        await story.done("/auth/verify-email/resend", {"email": EMAIL})
        token = await story.token("verify_email")
        opened = await story.done("/auth/verify-email", proof(token))
        assert opened["key"]["secret"].startswith("llm_sk_")
        stolen = {"email": EMAIL, "password": THIEFS}
        assert await story.elsewhere().said("/auth/log-in", stolen) == "401 sign_in_refused"
        await story.signed_in()
        assert (await story.http.get("/api/v1/me")).json()["name"] == "Mina"
        with psycopg.connect(story.database.url) as connection:
            kept = connection.execute(
                "SELECT password_hash, used_at IS NULL, user_id FROM sign_up"
            ).fetchall()
        assert sorted(kept, key=str) == [(None, False, None), (None, False, UUID(opened["user_id"]))]

    async def test_end_with_the_one_that_was_opened(self, story: Story) -> None:
        await story.done("/auth/sign-up", new_account())
        first = await story.token("verify_email")
        await story.done("/auth/sign-up", new_account(password=THIEFS))
        second = await story.token("verify_email")
        await story.done("/auth/verify-email", proof(first))
        for password in (PASSWORD, THIEFS):
            assert await story.said("/auth/verify-email", proof(second, password)) == "404 link_refused"

    async def test_open_with_a_right_password_only_which_may_be_tried_again(self, story: Story) -> None:
        await story.done("/auth/sign-up", new_account())
        token = await story.token("verify_email")
        for _ in range(3):
            said = await story.said("/auth/verify-email", proof(token, THIEFS))
            assert said == "401 sign_up_password_wrong"
        assert await story.said("/auth/verify-email", {"token": token}) == "422 invalid_request"
        assert await story.said("/auth/verify-email", proof(token)) == "201"

    async def test_are_not_opened_by_the_password_of_one_that_expired(
        self, story: Story, clock: SettableClock
    ) -> None:
        await story.done("/auth/sign-up", new_account(password=THIEFS))
        await story.work()
        clock.ahead_ms = DAY_MS
        await story.done("/auth/sign-up", new_account())
        token = await story.token("verify_email")
        assert await story.said("/auth/verify-email", proof(token, THIEFS)) == "401 sign_up_password_wrong"

    async def test_let_nobody_guess_for_long(self, story: Story) -> None:
        await story.done("/auth/sign-up", new_account())
        token = await story.token("verify_email")
        said = [await story.said("/auth/verify-email", proof(token, THIEFS)) for _ in range(11)]
        assert said == 10 * ["401 sign_up_password_wrong"] + ["429 too_many_tries"]

    async def test_cost_six_passwords_at_most(self, story: Story) -> None:
        """As many as anybody lets wait."""
        with psycopg.connect(story.database.url, autocommit=True) as connection:
            await story.done("/auth/sign-up", new_account())
            token = await story.token("verify_email")
            connection.execute(
                "INSERT INTO sign_up SELECT gen_random_uuid(), email, password_hash, name, organisation_name,"
                " locale, time_zone, terms_version, privacy_version, address, NULL, created_at, expires_at"
                " FROM sign_up, generate_series(1, 20)"
            )
        before = story.control.passwords.verified
        await story.said("/auth/verify-email", proof(token, THIEFS))
        assert story.control.passwords.verified - before == 6


class TestClearingUp:
    async def test_forgets_what_is_over_for_long(self, story: Story, clock: SettableClock) -> None:
        await story.opened(organisation_name=None)
        await story.signed_in()
        await story.done("/auth/password-reset", {"email": EMAIL})
        await story.work()
        worker = Database(story.database.url, Role.WORKER)
        for days, gone in ((0, 0), (121, 3)):
            clock.ahead_ms = days * DAY_MS
            async with worker.transaction() as tx:
                assert await purge(tx, story.control.edge.now()) == gone
        await worker.close()


class TestNobodyLearnsWhoHasAnAccount:
    """By the answer, or by the work done for it."""

    async def test_from_a_sign_up(self, story: Story) -> None:
        await story.opened()
        before = story.control.passwords.hashed
        known = await story.send("/auth/sign-up", new_account())
        unknown = await story.send("/auth/sign-up", new_account("nobody@harbour.example"))
        assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
        assert story.control.passwords.hashed - before == 2
        assert [mail["to"] for mail in await story.mails("reset_password")] == [EMAIL]
        assert [mail["to"] for mail in await story.mails("verify_email")][1:] == ["nobody@harbour.example"]

    async def test_from_a_log_in(self, story: Story) -> None:
        await story.opened()
        with psycopg.connect(story.database.url) as connection:
            connection.execute(
                "INSERT INTO app_user (id, email, created_at)"
                " VALUES (gen_random_uuid(), 'sso@x.example', now())"
            )
        told = set()
        for email in (EMAIL, "nobody@harbour.example", "sso@x.example"):
            before = story.control.passwords.verified
            answer = await story.send("/auth/log-in", {"email": email, "password": "wrong password"})
            told.add((answer.status_code, answer.text, story.control.passwords.verified - before))
        assert len(told) == 1
        assert {(status, work) for status, _, work in told} == {(401, 1)}

    async def test_from_asking_for_a_mail(self, story: Story) -> None:
        await story.opened()
        for path in ("/auth/password-reset", "/auth/verify-email/resend"):
            known = await story.send(path, {"email": EMAIL})
            unknown = await story.send(path, {"email": "nobody@harbour.example"})
            assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
        assert [mail["to"] for mail in await story.mails("reset_password")] == [EMAIL]
        assert len(await story.mails("verify_email")) == 1
        with psycopg.connect(story.database.url) as connection:
            kept = connection.execute("SELECT payload FROM outbox WHERE payload::text LIKE '%nobody%'")
            assert kept.fetchall() == []


class TestRefusals:
    async def test_say_what_is_wrong(self, control: Control, database: ScratchDatabase) -> None:
        story = under(control, database, refused_domains=frozenset({"blocked.example"}))
        for changes, refusal in (
            ({"password": "short1!"}, "422 password_weak"),
            ({"password": "password1234"}, "422 password_weak"),
            ({"password": "MinaHarbour1"}, "422 password_weak"),
            ({"password": "x" * 129}, "422 invalid_request"),
            ({"password": "a quiet zebra\x00 paints"}, "422 invalid_request"),
            ({"email": "x@mailinator.com"}, "422 email_refused"),
            ({"email": "x@eu.mailinator.com"}, "422 email_refused"),
            ({"email": "x@blocked.example"}, "422 email_refused"),
            ({"terms_version": "0"}, "422 terms_not_accepted"),
            ({"time_zone": "Mars/Base"}, "422 invalid_request"),
        ):
            assert await story.said("/auth/sign-up", new_account(**changes)) == refusal, changes
        assert control.passwords.hashed == 0
        closed = under(control, database, is_open=False)
        assert await closed.said("/auth/sign-up", new_account()) == "403 sign_up_closed"

    async def test_count_networks_and_domains(self, control: Control, database: ScratchDatabase) -> None:
        by_network = under(control, database, per_hour_per_network=2)
        for number, wanted in enumerate(("202", "202", "429 too_many_tries")):
            body = new_account(f"a{number}@d{number}.example")
            assert await by_network.said("/auth/sign-up", body) == wanted
        by_domain = under(replace(control, tries=type(control.tries)()), database, per_hour_per_domain=1)
        for email, wanted in (
            ("a@one.example", "202"),
            ("b@one.example", "429 too_many_tries"),
            ("a@gmail.com", "202"),
            ("b@gmail.com", "202"),
        ):
            assert await by_domain.said("/auth/sign-up", new_account(email)) == wanted, email

    async def test_want_a_solved_captcha_where_there_is_one(
        self, control: Control, database: ScratchDatabase
    ) -> None:
        story = under(control, database, FakeCaptcha("solved"), captcha_site_key="site")
        options = (await story.http.get("/api/v1/auth/options")).json()
        assert options["captcha"] == {"site_key": "site"}
        assert await story.said("/auth/sign-up", new_account()) == "422 captcha_refused"
        assert await story.said("/auth/sign-up", new_account(captcha="solved")) == "202"
        away = under(control, database, FakeCaptcha(is_away=True))
        assert await away.said("/auth/sign-up", new_account(captcha="x")) == "503 captcha_unavailable"
