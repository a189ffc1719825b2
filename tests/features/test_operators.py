"""Operators: who is made one, as what, from where; and what of it their tokens may."""

from dataclasses import replace
from uuid import UUID

import people
import psycopg
import pytest
from control_client import Client

from bursar.core.addresses import Networks
from bursar.core.permissions import OperatorRole
from bursar.features.operators import service
from bursar.features.operators.schemas import NewToken
from bursar.features.operators.service import RoleAboveOwn
from bursar.rest.control import Control
from scratch_database import ScratchDatabase


@pytest.fixture
async def superadmin(control: Control, database: ScratchDatabase) -> Client:
    user_id = await people.make_person(control, email="root@people.example")
    with_second_factor(database, user_id)
    with psycopg.connect(database.url, autocommit=True) as administrator:
        administrator.execute("UPDATE app_user SET operator_role = 'superadmin' WHERE id = %s", [user_id])
    return people.speaking_as(control, await people.sign_in(control, user_id, two_factor=True))


def with_second_factor(database: ScratchDatabase, user_id: UUID) -> None:
    with psycopg.connect(database.url, autocommit=True) as administrator:
        administrator.execute("UPDATE app_user SET totp_confirmed_at = now() WHERE id = %s", [user_id])


class TestOperators:
    async def test_are_made_of_people_with_a_second_factor(
        self, control: Control, superadmin: Client, database: ScratchDatabase
    ) -> None:
        wanted = {"email": "Ben@people.example", "role": "finance"}
        assert await superadmin.refused("POST", "/operators", wanted) == "404 person_not_found"
        user_id = await people.make_person(control, email="ben@people.example")
        ben = people.speaking_as(control, await people.sign_in(control, user_id, two_factor=True))
        assert await superadmin.refused("POST", "/operators", wanted) == "409 second_factor_missing"
        with_second_factor(database, user_id)
        made = await superadmin.post("/operators", wanted)
        assert (made["id"], made["role"], made["has_second_factor"]) == (str(user_id), "finance", True)
        assert await superadmin.refused("POST", "/operators", wanted) == "409 operator_already"
        await ben.get("/providers")
        assert await ben.refused("GET", "/operators") == "403 permission_denied"
        assert await ben.refused("POST", "/operators", wanted) == "403 permission_denied"
        listed = await superadmin.get("/operators")
        assert [one["email"] for one in listed["items"]] == ["ben@people.example", "root@people.example"]

    async def test_lose_their_powers_at_once_but_never_the_last_superadmin(
        self, control: Control, superadmin: Client, database: ScratchDatabase
    ) -> None:
        (root,) = (await superadmin.get("/operators"))["items"]
        own = f"/operators/{root['id']}"
        assert await superadmin.refused("DELETE", own) == "409 last_superadmin"
        assert await superadmin.refused("PATCH", own, {"role": "support"}) == "409 last_superadmin"
        user_id = await people.make_person(control, operator_role=OperatorRole.SUPPORT)
        with_second_factor(database, user_id)
        other = people.speaking_as(control, await people.sign_in(control, user_id, two_factor=True))
        assert await other.refused("GET", "/operators") == "403 permission_denied"
        await superadmin.call("PATCH", f"/operators/{user_id}", {"role": "superadmin"})
        assert (await superadmin.call("DELETE", own))["role"] == "superadmin"
        assert await superadmin.refused("GET", "/operators") == "403 permission_denied"
        assert len((await other.get("/operators"))["items"]) == 1
        assert await other.refused("DELETE", own) == "404 operator_not_found"


class TestTokens:
    async def test_have_a_role_no_higher_than_their_makers(self, client: Client, control: Control) -> None:
        made = await client.post("/operator-tokens", {"name": "reader", "role": "support"})
        assert made["role"] == "support"
        reader = Client(
            people.speaking_as(control, await people.sign_in(control, await people.make_person(control))).http
        )
        reader.http.headers["authorization"] = f"Bearer {made['secret']}"
        await reader.get("/organisations")
        assert await reader.refused("POST", "/organisations", {"name": "x"}) == "403 permission_denied"
        assert await reader.refused("POST", "/operator-tokens", {"name": "x"}) == "403 permission_denied"

    @pytest.mark.parametrize("giver", [OperatorRole.FINANCE, OperatorRole.SUPPORT])
    async def test_are_never_more_than_their_giver(self, control: Control, giver: OperatorRole) -> None:
        async with control.database.transaction(operator=True) as tx:
            own = await service.create_token(tx, NewToken(name="own"), edge=control.edge, giver=giver)
            assert own.role is giver
            for other in set(OperatorRole) - {giver}:
                with pytest.raises(RoleAboveOwn):
                    await service.create_token(
                        tx, NewToken(name="x", role=other), edge=control.edge, giver=giver
                    )


class TestAddresses:
    async def test_of_an_operator_bind_him_besides_those_of_everybody(
        self, superadmin: Client, client: Client
    ) -> None:
        (root,) = (await superadmin.get("/operators"))["items"]
        bound = {"allowed_addresses": ["127.0.0.0/8", "2001:db8::/32"]}
        changed = await superadmin.call("PATCH", f"/operators/{root['id']}", bound)
        assert changed["allowed_addresses"] == bound["allowed_addresses"]
        await superadmin.get("/providers")
        away = {"allowed_addresses": ["192.0.2.7"]}
        await superadmin.call("PATCH", f"/operators/{root['id']}", away)
        assert await superadmin.refused("GET", "/providers") == "403 operator_address_refused"
        assert (
            await client.refused("PATCH", f"/operators/{root['id']}", {"allowed_addresses": ["x"]})
            == "422 invalid_request"
        )
        token = await client.post("/operator-tokens", {"name": "away", **away})
        client.http.headers["authorization"] = f"Bearer {token['secret']}"
        assert await client.refused("GET", "/providers") == "403 operator_address_refused"

    async def test_of_the_settings_bind_operators_and_nobody_else(
        self, control: Control, organisation: dict[str, str]
    ) -> None:
        policy = replace(control.policy, operator_addresses=Networks(["192.0.2.0/24"]))
        there = replace(control, policy=policy)
        operator = await people.operator(there, OperatorRole.SUPERADMIN)
        own = f"/organisations/{organisation['id']}"
        assert await operator.refused("GET", own) == "403 operator_address_refused"
        assert await operator.refused("GET", "/providers") == "403 operator_address_refused"
        member = await people.member(there, organisation["id"], people.MemberRole.VIEWER)
        await member.get(own)


class TestSupport:
    async def test_gets_masked_what_others_get_whole_or_nothing(
        self, control: Control, client: Client, organisation: dict[str, str]
    ) -> None:
        support = await people.operator(control, OperatorRole.SUPPORT)
        own = f"/organisations/{organisation['id']}"
        assert (await client.get(own))["billing_email"] == "pay@acme.example"
        assert (await support.get(own))["billing_email"] == "p***@a***.example"
        assert (await support.get(own))["name"] == "Acme"
        table = f"/api/v1{own}/audit/export?format=csv"
        assert "pay@acme.example" in (await client.http.get(table)).text
        assert await support.refused("GET", table.removeprefix("/api/v1")) == "403 masked_answer_unavailable"
        assert "@acme.example" not in (await support.http.get(table.replace("csv", "json"))).text
