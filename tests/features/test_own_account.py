"""What a person does with his own account: password, address, second factor, sign-ins, profile."""

import asyncio
from typing import Any
from uuid import UUID

import httpx2
import people
import pyotp
import pytest
from account_story import EMAIL, PASSWORD, Story
from argon2 import PasswordHasher
from control_client import SettableClock

from bursar.core.permissions import OperatorRole
from bursar.features.accounts.queries import change_person
from bursar.rest import second_factors
from bursar.rest.callers import ACCESS_COOKIE, CSRF_COOKIE
from bursar.rest.control import Control
from bursar.rest.sign_ins import end_sessions, refresh_session
from scratch_database import ScratchDatabase

STEP_MS = 30_000
NEW_PASSWORD = "seven lanterns over a frozen lake"


@pytest.fixture
def story(control: Control, database: ScratchDatabase, anonymous: httpx2.AsyncClient) -> Story:
    return Story(control, database, anonymous)


async def with_password(control: Control, user_id: UUID) -> UUID:
    async with control.database.transaction(accounts=True) as tx:
        await change_person(tx, user_id, {"password_hash": await control.passwords.hash(PASSWORD)})
    return user_id


@pytest.fixture
async def person(control: Control) -> UUID:
    return await with_password(control, await people.make_person(control, email=EMAIL))


def browser(story: Story) -> dict[str, str]:
    """What our pages send along."""
    return {"x-csrf-token": story.http.cookies[CSRF_COOKIE]}


def code_of(secret: str, story: Story, steps: int = 0) -> str:
    """What the authenticator shows, some steps from now."""
    return pyotp.TOTP(secret).generate_otp(story.control.edge.now_ms() // STEP_MS + steps)


async def with_factor(story: Story) -> tuple[str, list[str]]:
    """Signed in with a second factor: its secret, and the recovery codes."""
    await story.signed_in()
    begun = await story.done("/me/two-factor", {"current_password": PASSWORD}, **browser(story))
    code = {"code": code_of(begun["secret"], story)}
    on = await story.done("/me/two-factor/confirm", code, **browser(story))
    return begun["secret"], on["recovery_codes"]


async def me(story: Story) -> Any:
    return (await story.http.get("/api/v1/me")).json()


class TestPasswords:
    async def test_are_reset_by_a_link_that_opens_once(self, story: Story, person: UUID) -> None:
        await story.signed_in()
        await story.done("/auth/password-reset", {"email": EMAIL.upper()})
        token = await story.token("reset_password")
        weak = {"token": token, "password": "password123"}
        assert await story.said("/auth/password-reset/confirm", weak) == "422 password_weak"
        body = {"token": token, "password": NEW_PASSWORD}
        said = await asyncio.gather(*(story.said("/auth/password-reset/confirm", body) for _ in range(5)))
        assert sorted(said) == ["200"] + 4 * ["404 link_refused"]
        assert (await story.http.get("/api/v1/me")).status_code == 401
        assert (
            await story.said("/auth/log-in", {"email": EMAIL, "password": PASSWORD}) == "401 sign_in_refused"
        )
        signed_in = await story.signed_in(password=NEW_PASSWORD)
        assert signed_in["user_id"] == str(person)
        assert [mail["to"] for mail in await story.mails("password_changed")] == [EMAIL]

    @pytest.mark.usefixtures("person")
    async def test_are_not_reset_by_an_old_link(self, story: Story, clock: SettableClock) -> None:
        await story.done("/auth/password-reset", {"email": EMAIL})
        first = await story.token("reset_password")
        clock.ahead_ms += 3_600_000
        body = {"token": first, "password": NEW_PASSWORD}
        assert await story.said("/auth/password-reset/confirm", body) == "404 link_refused"
        await story.done("/auth/password-reset", {"email": EMAIL})
        change = {"token": await story.token("reset_password")}
        assert await story.said("/auth/email-change/confirm", change) == "404 link_refused"

    async def test_change_for_who_knows_the_old_one(self, story: Story, person: UUID) -> None:
        other = story.elsewhere()
        await other.signed_in()
        await story.signed_in()
        await story.done("/auth/password-reset", {"email": EMAIL})
        link = await story.token("reset_password")
        wrong = {"current_password": "no", "password": NEW_PASSWORD}
        assert await story.said("/me/password", wrong, **browser(story)) == "403 password_wrong"
        none = {"password": NEW_PASSWORD}
        assert await story.said("/me/password", none, **browser(story)) == "403 password_wrong"
        right = {"current_password": PASSWORD, "password": NEW_PASSWORD}
        await story.done("/me/password", right, **browser(story))
        assert (await me(story))["id"] == str(person)
        assert (await other.http.get("/api/v1/me")).status_code == 401
        assert [mail["to"] for mail in await story.mails("password_changed")] == [EMAIL]
        assert await story.said("/auth/password-reset/confirm", {**none, "token": link}) == "404 link_refused"

    async def test_are_hashed_anew_when_more_work_is_asked(self, story: Story, person: UUID) -> None:
        stored = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash(PASSWORD)
        async with story.control.database.transaction(accounts=True) as tx:
            await change_person(tx, person, {"password_hash": stored})
        await story.signed_in()
        assert (story.control.passwords.hashed, story.control.passwords.verified) == (2, 1)
        await story.signed_in()
        assert (story.control.passwords.hashed, story.control.passwords.verified) == (2, 2)

    @pytest.mark.parametrize("is_old", [False, True], ids=["as it is", "to be hashed anew"])
    async def test_that_are_changed_open_nothing_to_who_was_just_signing_in(
        self, story: Story, person: UUID, *, is_old: bool
    ) -> None:
        if is_old:
            stored = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash(PASSWORD)
            async with story.control.database.transaction(accounts=True) as tx:
                await change_person(tx, person, {"password_hash": stored})
        new = await story.control.passwords.hash(NEW_PASSWORD)
        async with story.control.database.transaction(accounts=True) as tx:
            await change_person(tx, person, {"password_hash": new})
            await end_sessions(tx, person, story.control.edge.now())
            thief = asyncio.create_task(
                story.send("/auth/log-in", {"email": EMAIL, "password": PASSWORD, "tokens_in": "body"})
            )
            await asyncio.wait({thief}, timeout=1)  # he has seen the old password, and waits for this
        assert (await thief).json()["code"] == "sign_in_refused"
        await story.signed_in(password=NEW_PASSWORD)


class TestAddresses:
    async def test_change_once_the_new_one_is_proven(self, story: Story, person: UUID) -> None:
        await story.signed_in()
        new = "mina@lighthouse.example"
        asked = {"email": new.upper()}
        assert await story.said("/me/email", asked, **browser(story)) == "403 password_wrong"
        await story.done("/me/email", {**asked, "current_password": PASSWORD}, **browser(story))
        assert (await me(story))["email"] == EMAIL
        token = await story.token("change_email")
        (mail,) = await story.mails("change_email")
        assert (mail["to"], mail["values"]["new_email"]) == (new, new)
        said = await asyncio.gather(
            *(story.said("/auth/email-change/confirm", {"token": token}) for _ in range(3))
        )
        assert sorted(said) == ["200", "404 link_refused", "404 link_refused"]
        assert (await me(story))["email"] == new
        assert (await story.signed_in(new))["user_id"] == str(person)
        (told,) = await story.mails("email_changed")
        assert (told["to"], told["values"]["new_email"]) == (EMAIL, new)

    async def test_do_not_change_to_one_that_has_an_account(self, story: Story, person: UUID) -> None:
        taken = "other@lighthouse.example"
        await people.make_person(story.control, email=taken)
        await story.signed_in()
        body = {"email": taken, "current_password": PASSWORD}
        assert (await story.done("/me/email", body, **browser(story)))["status"] == "mail_on_its_way"
        assert await story.mails("change_email") == []
        late = {"email": "late@lighthouse.example", "current_password": PASSWORD}
        await story.done("/me/email", late, **browser(story))
        token = await story.token("change_email")
        await people.make_person(story.control, email=late["email"])
        assert await story.said("/auth/email-change/confirm", {"token": token}) == "409 email_taken"
        assert (await me(story))["id"] == str(person)

    @pytest.mark.usefixtures("person")
    @pytest.mark.parametrize("way", ["changed", "reset"])
    async def test_do_not_change_when_the_password_did_before_the_link_was_mailed(
        self, story: Story, way: str
    ) -> None:
        """A thief asked for it, and the owner was quicker than the worker."""
        await story.signed_in()
        await story.done("/auth/password-reset", {"email": EMAIL})
        link = await story.token("reset_password")
        thiefs = {"email": "thief@lighthouse.example", "current_password": PASSWORD}
        await story.done("/me/email", thiefs, **browser(story))
        if way == "changed":
            new = {"current_password": PASSWORD, "password": NEW_PASSWORD}
            await story.done("/me/password", new, **browser(story))
        else:
            await story.done("/auth/password-reset/confirm", {"token": link, "password": NEW_PASSWORD})
        assert await story.mails("change_email") == []


class TestSecondFactor:
    async def test_is_set_up_by_a_code_of_the_authenticator(self, story: Story, person: UUID) -> None:
        await story.signed_in()
        stolen = story.http.cookies[ACCESS_COOKIE]
        early = await story.said("/me/two-factor/confirm", {"code": "123456"}, **browser(story))
        assert early == "409 two_factor_off"
        assert await story.said("/me/two-factor", **browser(story)) == "403 password_wrong"
        begun = await story.done("/me/two-factor", {"current_password": PASSWORD}, **browser(story))
        assert begun["qr_svg"].startswith("<svg")
        assert begun["uri"].startswith("otpauth://totp/Bursar:mina%40harbour.example?secret=")
        assert (await me(story))["two_factor"] is False
        right = code_of(begun["secret"], story)
        wrong = {"code": "000000" if right != "000000" else "111111"}
        refused = await story.said("/me/two-factor/confirm", wrong, **browser(story))
        assert refused == "401 second_factor_refused"
        on = await story.done("/me/two-factor/confirm", {"code": right}, **browser(story))
        assert len(set(on["recovery_codes"])) == 10
        told = await me(story)
        assert (told["id"], told["two_factor"], told["recovery_codes_left"]) == (str(person), True, 10)
        headers = {"authorization": f"Bearer {stolen}"}
        assert (await story.elsewhere().http.get("/api/v1/me", headers=headers)).status_code == 401
        again = {"current_password": PASSWORD}
        assert await story.said("/me/two-factor", again, **browser(story)) == "409 two_factor_on"

    @pytest.mark.usefixtures("person")
    async def test_takes_each_code_once(self, story: Story, clock: SettableClock) -> None:
        secret, recovery_codes = await with_factor(story)
        body = {"email": EMAIL, "password": PASSWORD}
        assert await story.said("/auth/log-in", body) == "401 second_factor_needed"
        used = {**body, "code": code_of(secret, story)}
        assert await story.said("/auth/log-in", used) == "401 second_factor_refused"
        clock.ahead_ms += 5 * STEP_MS
        for fresh in (code_of(secret, story, -1), recovery_codes[0].lower()):
            asked = {**body, "code": fresh}
            said = await asyncio.gather(*(story.said("/auth/log-in", asked) for _ in range(3)))
            assert sorted(said) == ["200", "401 second_factor_refused", "401 second_factor_refused"]
        assert (await story.http.get("/api/v1/me/sessions")).json()["items"][0]["two_factor"] is True
        assert (await me(story))["recovery_codes_left"] == 9

    @pytest.mark.usefixtures("person")
    async def test_goes_again_with_password_and_code(self, story: Story) -> None:
        _, recovery_codes = await with_factor(story)
        both = {"current_password": PASSWORD, "code": recovery_codes[1]}
        renewed = await story.done("/me/two-factor/recovery-codes", both, **browser(story))
        old = await story.said(
            "/me/two-factor/turn-off", {**both, "code": recovery_codes[2]}, **browser(story)
        )
        assert old == "401 second_factor_refused"
        new = {**both, "code": renewed["recovery_codes"][0]}
        await story.done("/me/two-factor/turn-off", new, **browser(story))
        told = await me(story)
        assert (told["two_factor"], told["recovery_codes_left"]) == (False, 0)
        assert await story.said("/me/two-factor/turn-off", new, **browser(story)) == "409 two_factor_off"
        assert await story.said("/auth/log-in", {"email": EMAIL, "password": PASSWORD}) == "200"

    @pytest.mark.usefixtures("person")
    async def test_slows_guessers_of_codes_down(self, story: Story) -> None:
        await story.signed_in()
        await story.done("/me/two-factor", {"current_password": PASSWORD}, **browser(story))
        said = [
            await story.said("/me/two-factor/confirm", {"code": f"{number:06}"}, **browser(story))
            for number in range(11)
        ]
        assert said.count("401 second_factor_refused") >= 9
        assert said[-1] == "429 too_many_tries" or "200" in said

    def test_keeps_guessers_busy_for_two_years(self) -> None:
        tries = second_factors.TRIES_PER_HOUR * 24 * 365 * 2
        assert (1 - second_factors.CODES_GOOD / second_factors.CODES) ** tries > 1 / 2

    async def test_opens_the_place_to_an_operator_and_stays(self, story: Story, control: Control) -> None:
        user_id = await people.make_person(
            control, email="ops@harbour.example", operator_role=OperatorRole.SUPERADMIN
        )
        await with_password(control, user_id)
        await story.signed_in("ops@harbour.example")
        assert (await story.http.get("/api/v1/providers")).json()["code"] == "two_factor_required"
        begun = await story.done("/me/two-factor", {"current_password": PASSWORD}, **browser(story))
        code = pyotp.TOTP(begun["secret"]).generate_otp(control.edge.now_ms() // STEP_MS)
        on = await story.done("/me/two-factor/confirm", {"code": code}, **browser(story))
        assert (await story.http.get("/api/v1/providers")).status_code == 200
        off = {"current_password": PASSWORD, "code": on["recovery_codes"][0]}
        assert await story.said("/me/two-factor/turn-off", off, **browser(story)) == "409 two_factor_kept"

    async def test_is_set_up_without_a_password_soon_after_signing_in(
        self, story: Story, control: Control, clock: SettableClock
    ) -> None:
        signed_in = await people.sign_in(control, await people.make_person(control))
        headers = {"authorization": f"Bearer {signed_in.access_token}"}
        assert await story.said("/me/two-factor", **headers) == "201"
        clock.ahead_ms += 14 * 60_000
        assert await story.said("/me/two-factor", **headers) == "201"
        async with control.database.transaction(accounts=True) as tx:
            renewed = await refresh_session(tx, control, signed_in.refresh_token)
        assert renewed is not None
        clock.ahead_ms += 2 * 60_000
        headers = {"authorization": f"Bearer {renewed.access_token}"}
        assert await story.said("/me/two-factor", **headers) == "403 sign_in_again"


class TestSessions:
    async def test_are_listed_and_ended(self, story: Story, person: UUID) -> None:
        phone, laptop = story.elsewhere(), story.elsewhere()
        for one, agent in ((phone, "Phone"), (laptop, "Laptop"), (story, "Desk")):
            await one.done("/auth/log-in", {"email": EMAIL, "password": PASSWORD}, **{"user-agent": agent})
        listed = (await story.http.get("/api/v1/me/sessions")).json()["items"]
        assert [(one["user_agent"], one["current"]) for one in listed] == [
            ("Desk", True),
            ("Laptop", False),
            ("Phone", False),
        ]
        await story.done(f"/me/sessions/{listed[1]['id']}/revoke", **browser(story))
        assert (await laptop.http.get("/api/v1/me")).status_code == 401
        assert (await phone.http.get("/api/v1/me")).status_code == 200
        await story.done("/me/sessions/revoke-others", **browser(story))
        assert (await phone.http.get("/api/v1/me")).status_code == 401
        assert (await me(story))["id"] == str(person)

    @pytest.mark.usefixtures("person")
    async def test_of_others_are_not_there(self, story: Story, control: Control) -> None:
        other = await people.sign_in(control, await people.make_person(control))
        await story.signed_in()
        path = f"/me/sessions/{other.session_id}/revoke"
        assert await story.said(path, **browser(story)) == "404 session_not_found"
        assert len((await story.http.get("/api/v1/me/sessions")).json()["items"]) == 1


class TestProfile:
    @pytest.mark.usefixtures("person")
    async def test_is_changed_in_part(self, story: Story) -> None:
        await story.signed_in()
        changed = await story.http.patch(
            "/api/v1/me",
            json={"locale": "zh", "time_zone": "Asia/Shanghai", "notifications": {"low_balance": False}},
            headers=browser(story),
        )
        told = changed.json()
        assert (told["locale"], told["time_zone"]) == ("zh", "Asia/Shanghai")
        assert told["notifications"] == {"low_balance": False}
        assert told["name"].startswith("Person")
        null = await story.http.patch("/api/v1/me", json={"name": None}, headers=browser(story))
        assert null.json()["code"] == "invalid_request"

    async def test_keeps_which_terms_were_accepted(self, story: Story, person: UUID) -> None:
        await story.signed_in()
        assert (await me(story))["terms_current"] is False
        other = {"terms_version": "0", "privacy_version": "1"}
        assert await story.said("/me/terms", other, **browser(story)) == "422 terms_not_accepted"
        now = {"terms_version": "1", "privacy_version": "1"}
        told = await story.done("/me/terms", now, **browser(story))
        assert (told["terms_current"], told["id"]) == (True, str(person))

    async def test_is_nothing_for_an_operators_token(self, story: Story, token: str) -> None:
        answer = await story.http.get("/api/v1/me", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 401
