"""Signing in, going on, signing out; and what somebody does to get into another's account."""

import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx2
import orjson
import people
import pytest
from account_story import EMAIL, PASSWORD, Story, story_of
from control_client import SettableClock
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey

from bursar.entrypoints.api import build_api
from bursar.features.accounts.administration import change_signing_key, set_active
from bursar.features.accounts.queries import change_person
from bursar.rest.access_tokens import _signing_key, rotate
from bursar.rest.callers import ACCESS_COOKIE, CSRF_COOKIE
from bursar.rest.control import Control
from bursar.rest.cookies import REFRESH_COOKIE
from scratch_database import ScratchDatabase

MINUTE_MS = 60_000


@pytest.fixture
def story(control: Control, database: ScratchDatabase, anonymous: httpx2.AsyncClient) -> Story:
    return Story(control, database, anonymous)


@pytest.fixture
async def person(control: Control) -> UUID:
    """Somebody with a password, without the cost of a sign-up."""
    user_id = await people.make_person(control, email=EMAIL)
    async with control.database.transaction(accounts=True) as tx:
        await change_person(tx, user_id, {"password_hash": await control.passwords.hash(PASSWORD)})
    return user_id


class TestBrowsers:
    async def test_keep_tokens_where_scripts_cannot_read(
        self, control: Control, story: Story, person: UUID
    ) -> None:
        secure = replace(control, policy=replace(control.policy, public_url="https://bursar.example"))
        browser = story_of(secure, story.database)
        answer = await browser.send("/auth/log-in", {"email": EMAIL, "password": PASSWORD})
        assert (answer.json()["access_token"], answer.json()["refresh_token"]) == (None, None)
        cookies = {line.partition("=")[0]: line for line in answer.headers.get_list("set-cookie")}
        assert set(cookies) == {ACCESS_COOKIE, REFRESH_COOKIE, CSRF_COOKIE}
        for name, line in cookies.items():
            assert "Secure" in line
            assert "SameSite=lax" in line
            assert ("HttpOnly" in line) == (name != CSRF_COOKIE)
        assert "Path=/api/v1/auth" in cookies[REFRESH_COOKIE]
        assert answer.json()["user_id"] == str(person)

    async def test_refresh_and_leave_only_with_what_our_pages_know(self, story: Story, person: UUID) -> None:
        csrf = (await story.signed_in())["csrf_token"]
        assert await story.said("/auth/refresh") == "403 csrf_refused"
        assert await story.said("/auth/refresh", **{"x-csrf-token": "other"}) == "403 csrf_refused"
        renewed = await story.done("/auth/refresh", **{"x-csrf-token": csrf})
        assert renewed["csrf_token"] == story.http.cookies[CSRF_COOKIE] != csrf
        assert await story.said("/me/sessions/revoke-others") == "403 csrf_refused"
        access = story.http.cookies[ACCESS_COOKIE]
        await story.done("/auth/log-out")
        assert dict(story.http.cookies) == {}
        answer = await story.http.get("/api/v1/me", headers={"authorization": f"Bearer {access}"})
        assert answer.status_code == 401
        assert await story.said("/auth/refresh") == "401 refresh_refused"
        assert await story.said("/auth/log-out") == "401 refresh_refused"
        assert renewed["user_id"] == str(person)

    async def test_are_not_signed_in_by_pages_of_others(self, story: Story, person: UUID) -> None:
        body = {"email": EMAIL, "password": PASSWORD}
        assert await story.said("/auth/log-in", body, origin="https://evil.example") == "403 origin_refused"
        for odd in ("null", "http://[", "test"):
            assert await story.said("/auth/log-in", body, origin=odd) == "403 origin_refused"
        form = await story.http.post(
            "/api/v1/auth/log-in", content=orjson.dumps(body), headers={"content-type": "text/plain"}
        )
        assert form.status_code == 422
        for ours in ("http://test", "http://localhost:8080"):
            assert await story.said("/auth/log-in", body, origin=ours) == "200"
        assert (await story.http.get("/api/v1/me")).json()["id"] == str(person)

    async def test_are_never_led_into_a_session_somebody_else_knows(self, story: Story, person: UUID) -> None:
        """Session fixation: whatever was planted before, the sign-in is new."""
        planted = await people.sign_in(story.control, await people.make_person(story.control))
        story.http.cookies.set(ACCESS_COOKIE, planted.access_token)
        story.http.cookies.set(REFRESH_COOKIE, planted.refresh_token, path="/api/v1/auth")
        story.http.cookies.set(CSRF_COOKIE, planted.csrf_token)
        signed_in = await story.signed_in(tokens_in="body")
        assert signed_in["user_id"] == str(person)
        assert signed_in["session_id"] != str(planted.session_id)
        assert signed_in["refresh_token"] != planted.refresh_token
        assert signed_in["csrf_token"] != planted.csrf_token

    async def test_call_from_the_pages_on_the_list_only(self, control: Control, story: Story) -> None:
        listed = "https://console.example"
        policy = replace(control.policy, origins=(listed,))
        app = build_api(replace(control, policy=policy))
        browser = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test")
        for origin, allowed in ((listed, listed), ("https://evil.example", None), ("null", None)):
            asked = {"origin": origin, "access-control-request-method": "POST"}
            preflight = await browser.options("/api/v1/auth/log-in", headers=asked)
            assert preflight.headers.get("access-control-allow-origin") == allowed
            plain = await browser.get("/api/v1/auth/options", headers={"origin": origin})
            assert plain.headers.get("access-control-allow-origin") == allowed
        assert "access-control-allow-origin" not in (await story.http.get("/api/v1/auth/options")).headers


class TestRefresh:
    async def test_by_a_program_changes_every_secret(self, story: Story, person: UUID) -> None:
        first = await story.signed_in(tokens_in="body")
        second = await story.done("/auth/refresh", {"refresh_token": first["refresh_token"]})
        assert second["session_id"] == first["session_id"]
        assert all(second[name] != first[name] for name in ("refresh_token", "csrf_token"))
        headers = {"authorization": f"Bearer {second['access_token']}"}
        assert (await story.http.get("/api/v1/me", headers=headers)).json()["id"] == str(person)
        assert "set-cookie" not in (await story.send("/auth/refresh", {"refresh_token": "x"})).headers

    async def test_of_a_copied_token_ends_the_sign_in_of_both(
        self, story: Story, person: UUID, clock: SettableClock
    ) -> None:
        mine = await story.signed_in(tokens_in="body")
        thiefs = await story.done("/auth/refresh", {"refresh_token": mine["refresh_token"]})
        assert (
            await story.said("/auth/refresh", {"refresh_token": mine["refresh_token"]}) == "409 refresh_raced"
        )
        clock.ahead_ms += 10_000
        for token in (mine["refresh_token"], thiefs["refresh_token"]):
            assert await story.said("/auth/refresh", {"refresh_token": token}) == "401 refresh_refused"
        headers = {"authorization": f"Bearer {thiefs['access_token']}"}
        assert (await story.http.get("/api/v1/me", headers=headers)).status_code == 401
        assert thiefs["user_id"] == str(person)

    async def test_from_two_tabs_at_once_ends_nothing(self, story: Story, person: UUID) -> None:
        csrf = (await story.signed_in())["csrf_token"]
        said = await asyncio.gather(
            *(story.said("/auth/refresh", **{"x-csrf-token": csrf}) for _ in range(2))
        )
        assert sorted(said) == ["200", "409 refresh_raced"]
        again = {"x-csrf-token": story.http.cookies[CSRF_COOKIE]}
        assert (await story.done("/auth/refresh", **again))["user_id"] == str(person)


class TestGuessing:
    async def test_is_slowed_down_by_address(self, story: Story, person: UUID, clock: SettableClock) -> None:
        wrong = {"email": EMAIL, "password": "not this one either"}
        said = [await story.said("/auth/log-in", wrong) for _ in range(11)]
        assert said == 10 * ["401 sign_in_refused"] + ["429 too_many_tries"]
        answer = await story.send("/auth/log-in", wrong)
        assert 0 < int(answer.headers["retry-after"]) <= 60
        clock.ahead_ms += 2 * MINUTE_MS
        assert (await story.signed_in())["user_id"] == str(person)

    @pytest.mark.usefixtures("person")
    async def test_does_not_tell_that_an_account_is_disabled(self, story: Story) -> None:
        async with story.control.database.transaction(accounts=True) as tx:
            await set_active(tx, story.control, EMAIL, active=False)
        right = await story.send("/auth/log-in", {"email": EMAIL, "password": PASSWORD})
        assert (right.status_code, right.json()["code"]) == (401, "sign_in_refused")

    async def test_is_in_the_callers_language(self, story: Story) -> None:
        body = {"email": EMAIL, "password": "x"}
        answer = await story.send("/auth/log-in", body, **{"accept-language": "ko"})
        assert answer.json()["detail"] == "이메일 주소 또는 비밀번호가 올바르지 않습니다."


class TestNewDevices:
    @pytest.mark.usefixtures("person")
    async def test_are_told_by_mail(self, story: Story) -> None:
        for agent in ("Firefox", "Firefox", "curl"):
            await story.done("/auth/log-in", {"email": EMAIL, "password": PASSWORD}, **{"user-agent": agent})
        (mail,) = await story.mails("new_device")
        assert (mail["to"], mail["values"]["device"]) == (EMAIL, "curl")


class TestAccessTokens:
    """Token confusion: what looks like a token of ours and is none."""

    async def test_of_another_making_open_nothing(self, control: Control, story: Story, person: UUID) -> None:
        true = (await people.sign_in(control, person)).access_token
        jwks = (await story.http.get("/.well-known/jwks.json")).json()
        (public,) = jwks["keys"]
        assert set(public) == {"kty", "crv", "x", "kid", "alg", "use"}
        header, claims = (decoded(part) for part in true.split(".")[:2])
        stranger = OKPKey.generate_key("Ed25519")
        x = OctKey.import_key(urlsafe_b64decode(public["x"] + "=="))
        forged = {
            "alg none": unsigned({**header, "alg": "none"}, claims),
            "alg HS256 with the public key": jwt.encode({**header, "alg": "HS256"}, claims, x),
            "a stranger's key under our kid": jwt.encode(header, claims, stranger, ["Ed25519"]),
            "a stranger's kid": jwt.encode(
                {**header, "kid": stranger.thumbprint()}, claims, stranger, ["Ed25519"]
            ),
            "a kid that is a path": jwt.encode(
                {**header, "kid": "../../etc/passwd"}, claims, stranger, ["Ed25519"]
            ),
            "a key it brought along": jwt.encode(
                {**header, "jwk": stranger.as_dict(private=False)}, claims, stranger, ["Ed25519"]
            ),
            "another's name in it": ".".join(
                (true.split(".")[0], encoded({**claims, "sub": str(UUID(int=1))}), true.split(".")[2])
            ),
            "an ID token's type": await signed(control, {**header, "typ": "JWT"}, claims),
            "another audience": await signed(control, header, {**claims, "aud": "bursar-console"}),
            "another issuer": await signed(control, header, {**claims, "iss": "https://evil.example"}),
            "no expiry": await signed(control, header, {k: v for k, v in claims.items() if k != "exp"}),
            "another's session": await signed(control, header, {**claims, "sub": str(UUID(int=1))}),
            "the refresh token": (await people.sign_in(control, person)).refresh_token,
        }
        for what, token in forged.items():
            headers = {"authorization": f"Bearer {token}"}
            assert (await story.http.get("/api/v1/me", headers=headers)).status_code == 401, what
        headers = {"authorization": f"Bearer {await signed(control, header, claims)}"}
        assert (await story.http.get("/api/v1/me", headers=headers)).json()["id"] == str(person)

    async def test_outlive_their_key_and_no_longer(
        self, control: Control, story: Story, person: UUID, clock: SettableClock
    ) -> None:
        token = (await people.sign_in(control, person)).access_token
        async with control.database.transaction(accounts=True) as tx:
            await rotate(tx, control.seal, control.edge.now())
        keys = (await story.http.get("/.well-known/jwks.json")).json()["keys"]
        assert len({key["kid"] for key in keys}) == 2
        headers = {"authorization": f"Bearer {token}"}
        clock.ahead_ms += 14 * MINUTE_MS
        assert (await story.http.get("/api/v1/me", headers=headers)).status_code == 200
        clock.ahead_ms += 2 * MINUTE_MS
        assert (await story.http.get("/api/v1/me", headers=headers)).status_code == 401
        clock.ahead_ms += 45 * MINUTE_MS
        keys = (await story.http.get("/.well-known/jwks.json")).json()["keys"]
        assert len(keys) == 1

    async def test_open_nothing_a_minute_after_their_key_was_withdrawn(
        self, control: Control, story: Story, person: UUID, clock: SettableClock
    ) -> None:
        headers = {"authorization": f"Bearer {(await people.sign_in(control, person)).access_token}"}
        assert (await story.http.get("/api/v1/me", headers=headers)).status_code == 200
        async with control.database.transaction(accounts=True) as tx:
            made = await change_signing_key(tx, control, at_once=True)
        keys = (await story.http.get("/.well-known/jwks.json")).json()["keys"]
        assert [key["kid"] for key in keys] == [made.id]
        clock.ahead_ms += MINUTE_MS
        assert (await story.http.get("/api/v1/me", headers=headers)).status_code == 401
        headers = {"authorization": f"Bearer {(await people.sign_in(control, person)).access_token}"}
        assert (await story.http.get("/api/v1/me", headers=headers)).status_code == 200


def decoded(part: str) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def encoded(part: dict[str, Any]) -> str:
    return urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=").decode()


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return f"{encoded(header)}.{encoded(claims)}."


async def signed(control: Control, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """With our own key, whatever the claims."""
    async with control.database.transaction(accounts=True) as tx:
        key_id, private = await _signing_key(tx, control.seal, control.edge.now())
    return jwt.encode({**header, "kid": key_id}, claims, private, ["Ed25519"])
