"""What people do with organisations without an operator, and what stays his."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import people
import psycopg
from control_client import Client, SettableClock

from bursar.core.permissions import MemberRole, OperatorRole
from bursar.rest.control import Control
from scratch_database import ScratchDatabase

MONTH_MS = 31 * 24 * 3_600_000


async def somebody(control: Control) -> Client:
    user_id = await people.make_person(control, email="ana@acme.example")
    return people.speaking_as(control, await people.sign_in(control, user_id))


class TestFoundOrganisation:
    async def test_makes_its_founder_the_owner_with_an_empty_wallet(self, control: Control) -> None:
        ana = await somebody(control)
        made = await ana.post("/me/organisations", {"name": " Ana & Co ", "currency": "EUR"}, key="k1")
        assert (made["name"], made["billing_type"], made["billing_email"]) == (
            "Ana & Co",
            "prepaid",
            "ana@acme.example",
        )
        assert (
            await ana.post("/me/organisations", {"name": " Ana & Co ", "currency": "EUR"}, key="k1") == made
        )
        place = f"/organisations/{made['id']}"
        assert (await ana.get(f"{place}/wallet"))["spendable"] == "0.00"
        (owner,) = (await ana.get(f"{place}/members"))["items"]
        assert (owner["email"], owner["role"]) == ("ana@acme.example", "owner")
        assert (await ana.post(f"{place}/keys", {"name": "first"}))["created_by"] == owner["user_id"]
        for body in ({"name": "x", "billing_type": "postpaid"}, {"name": "x", "credit_limit": "5"}, {}):
            assert await ana.refused("POST", "/me/organisations", body) == "422 invalid_request"

    async def test_one_person_belongs_to_several_and_says_which_by_the_path(self, control: Control) -> None:
        ana = await somebody(control)
        made = [await ana.post("/me/organisations", {"name": name}) for name in ("One", "Two")]
        for one in made:
            await ana.post(f"/organisations/{one['id']}/keys", {"name": one["name"]})
        for one in made:
            keys = (await ana.get(f"/organisations/{one['id']}/keys"))["items"]
            assert [key["name"] for key in keys] == [one["name"]]
        mine = (await ana.get("/me"))["memberships"]
        assert {(one["organisation_name"], one["role"]) for one in mine} == {
            ("One", "owner"),
            ("Two", "owner"),
        }

    async def test_has_a_limit_that_closing_does_not_get_around(
        self, control: Control, clock: SettableClock
    ) -> None:
        few = replace(control, policy=replace(control.policy, organisations_per_person_max=3))
        user_id, body = await people.make_person(few), {"name": "Again"}
        ana = people.speaking_as(few, await people.sign_in(few, user_id))
        answers = await asyncio.gather(
            *(ana.http.post("/api/v1/me/organisations", json=body) for _ in range(5))
        )
        assert Counter(answer.status_code for answer in answers) == {201: 3, 409: 2}
        made = next(answer.json() for answer in answers if answer.status_code == 201)
        await ana.call("POST", f"/organisations/{made['id']}/close")
        assert await ana.refused("POST", "/me/organisations", body) == "409 too_many_organisations"
        clock.ahead_ms = MONTH_MS
        later = people.speaking_as(few, await people.sign_in(few, user_id))
        await later.post("/me/organisations", body)

    async def test_is_for_people_with_a_verified_address(
        self, database: ScratchDatabase, control: Control, client: Client
    ) -> None:
        assert await client.refused("POST", "/me/organisations", {"name": "x"}) == "401 invalid_token"
        ana = await somebody(control)
        with psycopg.connect(database.url) as connection:
            connection.execute(
                "UPDATE app_user SET email_verified_at = NULL WHERE email = 'ana@acme.example'"
            )
        assert await ana.refused("POST", "/me/organisations", {"name": "x"}) == "403 email_unverified"


class TestChangeOrganisation:
    async def test_members_change_what_is_theirs(
        self, control: Control, organisation: dict[str, Any]
    ) -> None:
        place = f"/organisations/{organisation['id']}"
        admin = await people.member(control, organisation["id"], MemberRole.ADMIN)
        mine = {"name": "Acme 2", "billing_email": "bills@acme.example", "store_responses": True}
        assert await admin.call("PATCH", place, mine) == {**organisation, **mine}
        for role in (MemberRole.BILLING, MemberRole.DEVELOPER, MemberRole.VIEWER):
            member = await people.member(control, organisation["id"], role)
            assert await member.refused("PATCH", place, {"name": "Mine"}) == "403 permission_denied"
            assert await member.refused("POST", f"{place}/close") == "403 permission_denied"
        assert await admin.refused("POST", f"{place}/close") == "403 permission_denied"

    async def test_members_decide_neither_status_nor_billing(
        self, control: Control, client: Client, organisation: dict[str, Any]
    ) -> None:
        place = f"/organisations/{organisation['id']}"
        owner = await people.member(control, organisation["id"], MemberRole.OWNER)
        await client.call("PATCH", place, {"status": "suspended"})
        for body in ({"status": "active"}, {"name": "Acme 2", "status": "active"}, {"status": None}):
            assert await owner.refused("PATCH", place, body) == "403 permission_denied"
        assert await owner.refused("PATCH", place, {"billing_type": "postpaid"}) == "422 invalid_request"
        postpaid = {"billing_type": "postpaid", "credit_limit": "900"}
        assert await owner.refused("PUT", f"{place}/billing", postpaid) == "403 permission_denied"
        support = await people.operator(control, OperatorRole.SUPPORT)
        assert await support.refused("PATCH", place, {"name": "x"}) == "403 permission_denied"
        shown = await owner.get(place)
        assert (shown["name"], shown["status"], shown["billing_type"]) == ("Acme", "suspended", "prepaid")


class TestCloseOrganisation:
    async def test_is_for_good(self, control: Control, client: Client, organisation: dict[str, Any]) -> None:
        place = f"/organisations/{organisation['id']}"
        owner = await people.member(control, organisation["id"], MemberRole.OWNER)
        assert (await owner.call("POST", f"{place}/close"))["status"] == "closed"
        assert (await owner.call("POST", f"{place}/close"))["status"] == "closed"
        assert await owner.refused("PATCH", place, {"status": "active"}) == "403 permission_denied"
        assert await owner.refused("POST", f"{place}/keys", {"name": "x"}) == "409 organisation_closed"
        assert (await client.call("PATCH", place, {"status": "active"}))["status"] == "active"
        nowhere = "/organisations/00000000-0000-0000-0000-000000000001/close"
        assert await client.refused("POST", nowhere) == "404 organisation_not_found"
