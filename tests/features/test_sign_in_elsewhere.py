"""From a button to a session, and all that must not lead to one."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import people
import pyotp
import pytest
from control_client import Client, SettableClock
from elsewhere_story import ACCEPTED, ANA, GOOGLE, Story

from bursar.core.permissions import OperatorRole
from bursar.features.sign_in import attempts
from bursar.features.sign_in.attempts import ATTEMPT_COOKIE, Starter
from bursar.rest.control import Control, SignUpPolicy
from scratch_database import ScratchDatabase

PASSWORD = "a quiet zebra paints the harbour"
TEN_MINUTES_MS = 600_000
DOOR = "https://door.example/"
STARTS = "/api/v1/auth/providers/google/start"


@pytest.fixture
def story(control: Control, database: ScratchDatabase) -> Story:
    return Story.begin(control, database)


def told_of_links(story: Story) -> list[Any]:
    """To whom, of which source, with which address there."""
    return story.asked(
        "SELECT payload ->> 'to', payload -> 'values' ->> 'provider', payload -> 'values' ->> 'identity'"
        " FROM outbox WHERE topic = 'mail' AND payload ->> 'template' = 'identity_linked' ORDER BY id"
    )


class TestSigningUp:
    async def test_opens_account_organisation_and_key(self, story: Story) -> None:
        home = await story.sign_in(**ACCEPTED, organisation="Acme", return_to="/welcome?new=1")
        assert home == "/welcome?new=1"
        me = await story.me()
        assert (me["email"], me["name"]) == ("ana@people.example", "Ana")
        assert [one["role"] for one in me["memberships"]] == ["owner"]
        shown = await story.http.post("/api/v1/auth/starter-key")
        assert shown.json()["key"].startswith("llm_sk_")
        again = await story.http.post("/api/v1/auth/starter-key")
        assert (again.status_code, again.json()["code"]) == (400, "attempt_invalid")

    async def test_is_remembered_by_subject_whatever_the_address_is_later(self, story: Story) -> None:
        assert await story.sign_in(**ACCEPTED) == "/"
        other = story.elsewhere()
        assert await other.sign_in(replace(ANA, email="new@people.example")) == "/"
        assert (await other.me())["id"] == (await story.me())["id"]
        assert (await other.me())["email"] == "ana@people.example"

    async def test_needs_the_terms_of_today(self, story: Story) -> None:
        for accepted in ({}, {"terms_version": "1"}, {"terms_version": "0", "privacy_version": "1"}):
            assert await story.sign_in(**accepted) == "403 sign_up_needed"
        assert story.asked("SELECT count(*) FROM app_user") == [(0,)]

    async def test_keeps_to_the_rules_of_signing_up(
        self, control: Control, database: ScratchDatabase
    ) -> None:
        def ruled(**rules: object) -> Story:
            policy = replace(control.policy, sign_up=replace(SignUpPolicy(), **rules))  # type: ignore[arg-type]  # rules by name
            return Story.begin(replace(control, policy=policy), database)

        assert await ruled(is_open=False).sign_in(**ACCEPTED) == "403 sign_up_needed"
        refused = ruled(refused_domains=frozenset({"people.example"}))
        assert await refused.sign_in(**ACCEPTED) == "422 email_refused"
        disposable = replace(ANA, email="ana@mailinator.com")
        assert await ruled().sign_in(disposable, **ACCEPTED) == "422 email_refused"
        few = ruled(per_hour_per_domain=1)
        assert await few.sign_in(**ACCEPTED) == "/"
        second = replace(ANA, subject="2", email="bea@people.example")
        assert await few.sign_in(second, **ACCEPTED) == "429 too_many_tries"


class TestLinking:
    async def test_by_address_needs_it_verified_on_both_sides(self, story: Story) -> None:
        user_id = await people.make_person(story.control, email="ana@people.example")
        for unproven in (False, None):
            assert await story.sign_in(replace(ANA, email_verified=unproven)) == "403 email_not_verified"
        story.asked("UPDATE app_user SET email_verified_at = NULL")
        assert await story.sign_in() == "403 link_needs_sign_in"
        story.asked("UPDATE app_user SET email_verified_at = now()")
        assert not story.is_signed_in
        assert await story.sign_in(replace(ANA, email="ANA@People.Example")) == "/"
        assert (await story.me())["id"] == str(user_id)

    async def test_never_happens_by_address_to_an_operator(self, story: Story) -> None:
        await people.make_person(
            story.control, email="ana@people.example", operator_role=OperatorRole.SUPERADMIN
        )
        assert await story.sign_in(**ACCEPTED) == "403 link_needs_sign_in"

    async def test_on_purpose_is_for_who_is_signed_in(self, story: Story) -> None:
        assert await story.sign_in(**ACCEPTED) == "/"
        forged = await story.http.post("/api/v1/me/identities", json={"provider": "github"})
        assert forged.json()["code"] == "csrf_refused"
        begun = await story.post("/me/identities", {"provider": "github", "return_to": "/settings"})
        octocat = replace(ANA, subject="583231", email="private@other.example")
        back = await story.come_back(begun.json()["authorization_url"], octocat)
        assert (back.status_code, back.headers["location"]) == (303, "/settings")
        listed = (await story.http.get("/api/v1/me/identities")).json()
        assert [one["provider"] for one in listed] == ["google", "github"]
        other = story.elsewhere()
        assert await other.sign_in(octocat, "/auth/providers/github/start") == "/"
        assert (await other.me())["id"] == (await story.me())["id"]
        gone = await story.post(f"/me/identities/{listed[1]['id']}", method="DELETE")
        assert gone.json()["provider"] == "github"
        assert (
            await story.elsewhere().sign_in(octocat, "/auth/providers/github/start") == "403 sign_up_needed"
        )
        again = await story.post(f"/me/identities/{listed[1]['id']}", method="DELETE")
        assert again.json()["code"] == "identity_not_found"

    async def test_takes_nobody_elses_identity_and_outlives_no_sign_in(self, story: Story) -> None:
        assert await story.sign_in(**ACCEPTED) == "/"
        bea, other = replace(ANA, subject="bea-1", email="bea@people.example"), story.elsewhere()
        assert await other.sign_in(bea, **ACCEPTED) == "/"
        begun = await other.post("/me/identities", {"provider": "google"})
        back = await other.come_back(begun.json()["authorization_url"], ANA)
        assert (back.status_code, back.json()["code"]) == (409, "identity_taken")
        begun = await other.post("/me/identities", {"provider": "github"})
        story.asked("UPDATE session SET revoked_at = now()")
        back = await other.come_back(begun.json()["authorization_url"], bea)
        assert (back.status_code, back.json()["code"]) == (400, "attempt_invalid")
        assert story.asked("SELECT count(*) FROM linked_identity WHERE source = 'github'") == [(0,)]

    async def test_on_purpose_asks_for_the_password(self, story: Story) -> None:
        """Or whoever sits before his open screen for a moment could come back for ever."""
        assert await story.sign_in(**ACCEPTED) == "/"
        story.asked("UPDATE app_user SET password_hash = %s", await story.control.passwords.hash(PASSWORD))
        for proof in ({}, {"current_password": "a guess"}):
            refused = await story.post("/me/identities", {"provider": "github", **proof})
            assert (refused.status_code, refused.json()["code"]) == (403, "password_wrong")
        right = {"provider": "github", "current_password": PASSWORD}
        assert (await story.post("/me/identities", right)).status_code == 200

    async def test_on_purpose_asks_who_has_no_password_for_a_fresh_sign_in(self, story: Story) -> None:
        assert await story.sign_in(**ACCEPTED) == "/"
        story.asked("UPDATE session SET created_at = created_at - interval '16 minutes'")
        refused = await story.post("/me/identities", {"provider": "github"})
        assert (refused.status_code, refused.json()["code"]) == (403, "sign_in_again")

    async def test_is_mailed_to_whose_account_it_opens(self, story: Story) -> None:
        await people.make_person(story.control, email="ana@people.example")
        octocat = replace(ANA, subject="583231", email="private@other.example")
        assert await story.sign_in() == "/"
        assert told_of_links(story) == [("ana@people.example", "Google", "ana@people.example")]
        begun = await story.post("/me/identities", {"provider": "github"})
        await story.come_back(begun.json()["authorization_url"], octocat)
        assert told_of_links(story)[1:] == [("ana@people.example", "GitHub", "private@other.example")]
        assert await story.elsewhere().sign_in() == "/"
        fresh = replace(ANA, subject="new", email="new@people.example")
        assert await story.elsewhere().sign_in(fresh, **ACCEPTED) == "/"
        assert len(told_of_links(story)) == 2


class TestAttempt:
    async def test_is_for_the_browser_that_began_it(self, story: Story) -> None:
        """Sign-in CSRF: an attacker's own answer, put before a victim, signs nobody in."""
        url = await story.leave(**ACCEPTED)
        victim = story.elsewhere()
        answer = await victim.come_back(url, ANA)
        assert (answer.status_code, answer.json()["code"]) == (400, "attempt_invalid")
        await victim.leave()
        answer = await victim.come_back(url, ANA)
        assert (answer.status_code, answer.json()["code"]) == (400, "attempt_invalid")
        assert not victim.is_signed_in

    async def test_is_refused_when_what_comes_back_is_not_what_left(self, story: Story) -> None:
        refusals = (
            ({"state": "another"}, "400 attempt_invalid"),
            ({"state": ""}, "400 attempt_invalid"),
            ({"code": ""}, "403 identity_not_proven"),
            ({"code": "made up"}, "403 identity_not_proven"),
            ({"error": "access_denied"}, "403 identity_not_proven"),
        )
        for changes, refusal in refusals:
            answer = await story.come_back(await story.leave(**ACCEPTED), ANA, **changes)
            assert f"{answer.status_code} {answer.json()['code']}" == refusal
            assert not story.is_signed_in

    async def test_ends_after_ten_minutes_and_after_one_use(self, story: Story, clock: SettableClock) -> None:
        url = await story.leave(**ACCEPTED)
        assert (await story.come_back(url, ANA)).status_code == 303
        assert story.http.cookies.get(ATTEMPT_COOKIE) is None
        back, state = "/api/v1/auth/providers/google/callback", parse_qs(urlsplit(url).query)["state"][0]
        again = await story.http.get(back, params={"state": state, "code": "x"})
        assert again.json()["code"] == "attempt_invalid"
        other = story.elsewhere()
        url = await other.leave()
        begun = other.http.cookies.get(ATTEMPT_COOKIE) or ""
        clock.ahead_ms += TEN_MINUTES_MS
        other.http.cookies.clear()  # a browser would forget it now; a thief does not
        other.http.cookies.set(ATTEMPT_COOKIE, begun)
        assert (await other.come_back(url, ANA)).json()["code"] == "attempt_invalid"

    async def test_is_of_one_source(self, story: Story) -> None:
        """Mix-up: an answer of one source is not taken to another, nor from an issuer that names another."""
        url = await story.leave(**ACCEPTED)
        asked = parse_qs(urlsplit(url).query)
        said = {"state": asked["state"][0], "code": story.door.welcome(url, ANA)}
        answer = await story.http.get("/api/v1/auth/providers/github/callback", params=said)
        assert answer.json()["code"] == "attempt_invalid"
        google = replace(GOOGLE, issuer="https://accounts.google.com")
        story = Story.begin(story.control, story.database, sources=(google,))
        url = await story.leave(**ACCEPTED)
        answer = await story.come_back(url, ANA, iss="https://evil.example")
        assert answer.json()["code"] == "attempt_invalid"
        url = await story.leave(**ACCEPTED)
        assert (await story.come_back(url, ANA, iss="https://accounts.google.com")).status_code == 303

    async def test_shows_the_browser_nothing_it_could_use_or_change(self, story: Story) -> None:
        answer = await story.http.get(STARTS)
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        state = parse_qs(urlsplit(answer.headers["location"]).query)["state"][0]
        value = story.http.cookies.get(ATTEMPT_COOKIE) or ""
        assert state.encode() not in urlsafe_b64decode(value)
        other_kind = Starter(expires_at=attempts.expiry(story.control.edge.now()), key="k")
        sealed = story.control.seal.seal(other_kind.model_dump_json().encode())
        for forged in (value[:-8] + "AAAAAAA=", "AAAA", "%", value[:40], urlsafe_b64encode(sealed).decode()):
            story.http.cookies.clear()
            story.http.cookies.set(ATTEMPT_COOKIE, forged)
            back = await story.http.get(
                "/api/v1/auth/providers/google/callback", params={"state": state, "code": "x"}
            )
            assert (back.status_code, back.json()["code"]) == (400, "attempt_invalid")


class TestReturning:
    async def test_never_leads_to_another_host(self, story: Story) -> None:
        for path in ("https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil"):
            answer = await story.http.get(STARTS, params={"return_to": path})
            assert (answer.status_code, answer.json()["code"]) == (422, "return_path_invalid")
            assert "set-cookie" not in answer.headers

    async def test_tells_people_on_a_page_and_programs_in_json(self, story: Story) -> None:
        html = {"accept": "text/html,*/*"}
        answer = await story.http.get("/api/v1/auth/providers/google/callback", headers=html)
        assert answer.headers["location"] == "/sign-in?error=attempt_invalid"
        story.door.is_away = True
        answer = await story.http.get(STARTS, headers=html)
        assert answer.headers["location"] == "/sign-in?error=identity_source_away"
        assert (await story.http.get(STARTS)).status_code == 424
        answer = await story.http.get("/api/v1/auth/providers/nowhere/start")
        assert (answer.status_code, answer.json()["code"]) == (404, "sign_in_source_not_found")

    async def test_answers_nonsense_without_failing(self, story: Story) -> None:
        hostile = ("%00", "%ED%A0%80", "%27;--", "\u202e", "9" * 40, "x" * 3_000, "%FF", "a%0D%0Ab: c")
        for text in hostile:
            for path in (
                f"/providers/{text[:200]}/start",
                f"/providers/{text[:200]}/callback?code=a&state=b",
                f"/sso/{text[:200]}/start",
                f"/providers/google/start?login_hint={text}&organisation={text}&return_to={text}",
                f"/providers/google/start?terms_version={text[:9]}&privacy_version={text[:9]}",
                f"/providers/google/callback?code={text}&state={text}&error={text}&iss={text}",
            ):
                await story.leave()  # so that there is a cookie to come back with
                answer = await story.http.get(f"/api/v1/auth{path}")
                assert answer.status_code in {303, 400, 403, 404, 422}, (path, answer.text)
                assert answer.headers.get("location", DOOR).startswith(DOOR), path
            for path in ("/discover", "/second-factor"):
                body = {"email": f"{text}@{text}", "code": text}
                assert (await story.http.post(f"/api/v1/auth{path}", json=body)).status_code < 500


class TestSecondFactor:
    async def test_is_asked_for_after_the_source_too(self, story: Story) -> None:
        assert await story.sign_in(**ACCEPTED) == "/"
        secret, seal = pyotp.random_base32(), story.control.seal
        story.asked(
            "UPDATE app_user SET totp_sealed = %s, totp_confirmed_at = now()", seal.seal(secret.encode())
        )
        other = story.elsewhere()
        assert await other.sign_in(return_to="/keys") == "/sign-in?second_factor=1&return_to=%2Fkeys"
        assert not other.is_signed_in
        wrong = await other.post("/auth/second-factor", {"code": "000000"})
        assert (wrong.status_code, wrong.json()["code"]) == (401, "second_factor_refused")
        code = pyotp.TOTP(secret).at(story.control.edge.now())
        assert (await other.post("/auth/second-factor", {"code": code})).status_code == 200
        assert (await other.me())["email"] == "ana@people.example"
        assert story.asked("SELECT count(*) FROM session WHERE two_factor_at IS NOT NULL") == [(1,)]
        nobody = await story.elsewhere().post("/auth/second-factor", {"code": code})
        assert nobody.json()["code"] == "attempt_invalid"

    async def test_helps_nobody_whose_account_is_disabled(self, story: Story) -> None:
        assert await story.sign_in(**ACCEPTED) == "/"
        story.asked("UPDATE app_user SET status = 'disabled'")
        assert await story.elsewhere().sign_in() == "403 account_disabled"


class TestFurtherIssuers:
    async def test_are_the_operators_to_manage(self, client: Client, story: Story) -> None:
        body = {"slug": "acme", "name": "Acme", "issuer": "https://id.acme.example", "client_id": "c"}
        made = await client.post("/identity-providers", {**body, "client_secret": "very-secret"})
        assert "very-secret" not in str(made)
        assert await client.refused("POST", "/identity-providers", {**body, "client_secret": "x"}) == (
            "409 identity_provider_exists"
        )
        reserved = {**body, "slug": "google", "client_secret": "x"}
        assert await client.refused("POST", "/identity-providers", reserved) == "409 identity_provider_exists"
        options = (await story.http.get("/api/v1/auth/providers")).json()
        assert [one["slug"] for one in options] == ["google", "github", "acme"]
        assert await story.sign_in(ANA, options[2]["start"].removeprefix("/api/v1"), **ACCEPTED) == "/"
        assert story.asked("SELECT source FROM linked_identity") == [(f"provider:{made['id']}",)]
        place = f"/identity-providers/{made['id']}"
        assert (await client.call("PATCH", place, {"active": False, "client_secret": "new"}))[
            "active"
        ] is False
        gone = await story.http.get(options[2]["start"])
        assert gone.json()["code"] == "sign_in_source_not_found"
        assert [one["slug"] for one in await client.get("/identity-providers")] == ["acme"]
        await client.call("DELETE", place)
        assert story.asked("SELECT count(*) FROM linked_identity") == [(0,)]
        assert await client.refused("DELETE", place) == "404 identity_provider_not_found"
