"""People with sessions call the same routes as operators' tokens: as much as their roles let them."""

import asyncio
from typing import Any

import people
from control_client import Client, SettableClock

from bursar.core.permissions import MemberRole, OperatorRole
from bursar.rest.callers import ACCESS_COOKIE, CSRF_HEADER
from bursar.rest.control import Control
from bursar.rest.sign_ins import RefreshRaced, SignIn, end_session, refresh_session


async def refreshed(control: Control, refresh_token: str) -> SignIn | None:
    async with control.database.transaction(accounts=True) as tx:
        return await refresh_session(tx, control, refresh_token)


class TestMembers:
    async def test_use_their_own_organisation_and_no_other(
        self, control: Control, client: Client, organisation: dict[str, Any]
    ) -> None:
        other = await client.post("/organisations", {"name": "Other"})
        own = f"/organisations/{organisation['id']}"
        developer = await people.member(control, organisation["id"], MemberRole.DEVELOPER)
        assert (await developer.get(own))["name"] == "Acme"
        assert (await developer.post(f"{own}/keys", {"name": "mine"}))["secret"]
        foreign = f"/organisations/{other['id']}"
        assert await developer.refused("GET", foreign) == "404 organisation_not_found"
        assert (
            await developer.refused("POST", f"{foreign}/keys", {"name": "x"}) == "404 organisation_not_found"
        )
        assert await developer.refused("GET", "/organisations/nonsense") == "404 organisation_not_found"

    async def test_may_what_their_role_may(self, control: Control, organisation: dict[str, Any]) -> None:
        own = f"/organisations/{organisation['id']}"
        viewer = await people.member(control, organisation["id"], MemberRole.VIEWER)
        assert await viewer.refused("POST", f"{own}/keys", {"name": "x"}) == "403 permission_denied"
        assert await viewer.refused("GET", "/providers") == "403 permission_denied"
        assert await viewer.refused("GET", "/organisations") == "403 permission_denied"
        top_up = {"amount": "10.00"}
        assert (
            await viewer.refused("POST", f"{own}/wallet/top-ups", top_up, key="1") == "403 permission_denied"
        )


class TestOperatorsWhoSignIn:
    async def test_may_what_their_role_may(self, control: Control, organisation: dict[str, Any]) -> None:
        own = f"/organisations/{organisation['id']}"
        finance = await people.operator(control, OperatorRole.FINANCE)
        await finance.post(f"{own}/wallet/top-ups", {"amount": "10.00"}, key="1")
        support = await people.operator(control, OperatorRole.SUPPORT)
        assert (await support.get(f"{own}/wallet"))["balance"]
        refused = await support.refused("POST", f"{own}/wallet/top-ups", {"amount": "10.00"}, key="2")
        assert refused == "403 permission_denied"

    async def test_need_a_second_factor(self, control: Control, organisation: dict[str, Any]) -> None:
        user_id = await people.make_person(control, operator_role=OperatorRole.SUPERADMIN)
        client = people.speaking_as(control, await people.sign_in(control, user_id))
        assert await client.refused("GET", "/providers") == "403 two_factor_required"
        own = f"/organisations/{organisation['id']}"
        assert await client.refused("GET", own) == "403 two_factor_required"


class TestSessions:
    async def test_end_at_once(self, control: Control, organisation: dict[str, Any]) -> None:
        user_id = await people.make_person(control, organisation_id=organisation["id"])
        signed_in = await people.sign_in(control, user_id)
        client = people.speaking_as(control, signed_in)
        await client.get(f"/organisations/{organisation['id']}")
        async with control.database.transaction(accounts=True) as tx:
            await end_session(tx, signed_in.session_id, control.edge.now())
        assert await client.refused("GET", f"/organisations/{organisation['id']}") == "401 invalid_token"

    async def test_access_tokens_last_a_quarter_of_an_hour(
        self, control: Control, clock: SettableClock, organisation: dict[str, Any]
    ) -> None:
        client = await people.member(control, organisation["id"], MemberRole.VIEWER)
        clock.ahead_ms = 14 * 60_000
        await client.get(f"/organisations/{organisation['id']}")
        clock.ahead_ms = 15 * 60_000
        assert await client.refused("GET", f"/organisations/{organisation['id']}") == "401 invalid_token"

    async def test_that_come_at_once_to_a_fresh_process_are_all_believed(
        self, control: Control, organisation: dict[str, Any]
    ) -> None:
        client = await people.member(control, organisation["id"], MemberRole.VIEWER)
        await asyncio.gather(*(client.get(f"/organisations/{organisation['id']}") for _ in range(4)))

    async def test_end_when_an_exchanged_refresh_token_comes_back(
        self, control: Control, clock: SettableClock
    ) -> None:
        first = await people.sign_in(control, await people.make_person(control))
        second = await refreshed(control, first.refresh_token)
        assert second is not None
        clock.ahead_ms += 10_000
        assert await refreshed(control, first.refresh_token) is None
        assert await refreshed(control, second.refresh_token) is None

    async def test_end_for_any_earlier_token_at_once(self, control: Control) -> None:
        first = await people.sign_in(control, await people.make_person(control))
        second = await refreshed(control, first.refresh_token)
        assert second is not None
        third = await refreshed(control, second.refresh_token)
        assert third is not None
        assert await refreshed(control, first.refresh_token) is None
        assert await refreshed(control, third.refresh_token) is None

    async def test_survive_two_tabs_that_refresh_at_once(self, control: Control) -> None:
        first = await people.sign_in(control, await people.make_person(control))
        answers = await asyncio.gather(
            *(refreshed(control, first.refresh_token) for _ in range(3)), return_exceptions=True
        )
        winner = next(one for one in answers if isinstance(one, SignIn))
        assert sum(isinstance(one, RefreshRaced) for one in answers) == 2
        assert await refreshed(control, winner.refresh_token) is not None

    async def test_do_not_end_for_a_guess(self, control: Control) -> None:
        first = await people.sign_in(control, await people.make_person(control))
        assert await refreshed(control, "bursar_rt_" + "a" * 80) is None
        assert await refreshed(control, f"{first.session_id}") is None
        assert await refreshed(control, first.refresh_token) is not None


class TestBrowsers:
    async def test_change_nothing_without_what_only_our_pages_know(
        self, control: Control, organisation: dict[str, Any]
    ) -> None:
        user_id = await people.make_person(control, organisation_id=organisation["id"])
        signed_in = await people.sign_in(control, user_id)
        client = people.speaking_as(control, signed_in)
        del client.http.headers["authorization"]
        client.http.cookies.set(ACCESS_COOKIE, signed_in.access_token)
        keys = f"/organisations/{organisation['id']}/keys"
        assert (await client.get(keys))["items"] == []
        assert await client.refused("POST", keys, {"name": "x"}) == "403 csrf_refused"
        client.http.headers[CSRF_HEADER] = "bursar_csrf_wrong"
        assert await client.refused("POST", keys, {"name": "x"}) == "403 csrf_refused"
        client.http.headers[CSRF_HEADER] = signed_in.csrf_token
        await client.post(keys, {"name": "x"})
