"""Keys that are limited together: those of a member, a project or a team."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from uuid import uuid4

import people
import psycopg
import pytest
import sqlalchemy as sa
from control_client import Client, SettableClock
from test_budgets import use
from test_commands import Bursar, bursar
from test_key_limits import NOTHING, RATES

from bursar.core.limits import Period
from bursar.core.permissions import MemberRole
from bursar.db.tables import api_key, membership
from bursar.rest.control import Control
from scratch_database import ScratchDatabase

__all__ = ["bursar"]


def add_member(database: ScratchDatabase, organisation_id: str) -> str:
    """Ana, by SQL: commands are no coroutines."""
    member_id = str(uuid4())
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO app_user (id, email, created_at) VALUES (%s, 'ana@people.example', now())",
            [member_id],
        )
        connection.execute(
            "INSERT INTO membership (organisation_id, user_id, role, created_at)"
            " VALUES (%s, %s, 'owner', now())",
            [organisation_id, member_id],
        )
    return member_id


Using = Callable[[str, Period, int], Awaitable[None]]


@pytest.fixture
def using(database: ScratchDatabase, clock: SettableClock) -> Using:
    """Uses some of a budget, as a gateway."""
    return partial(use, database, clock)


@pytest.fixture
def whose(organisation: dict[str, Any]) -> str:
    return f"/organisations/{organisation['id']}"


class TestAMembersLimits:
    async def test_are_set_by_admins_and_seen_by_all_members(
        self, control: Control, organisation: dict[str, Any], whose: str
    ) -> None:
        member_id = await people.make_person(control, organisation_id=organisation["id"])
        path = f"{whose}/members/{member_id}/limits"
        admin = await people.member(control, organisation["id"], MemberRole.ADMIN)
        viewer = await people.member(control, organisation["id"], MemberRole.VIEWER)
        assert await viewer.get(path) == NOTHING
        assert await viewer.refused("PUT", path, RATES) == "403 permission_denied"
        for rates in (NOTHING, RATES):
            assert await admin.call("PUT", path, rates) == rates
        stand = await viewer.get(f"{whose}/limits/standing?member_id={member_id}")
        told = {(item["subject"], item["subject_id"], item["kind"]) for item in stand["items"]}
        assert told == {
            ("member", str(member_id), "requests_per_min"),
            ("member", str(member_id), "concurrent"),
        }

    async def test_outlive_his_membership_while_his_keys_do(
        self, client: Client, control: Control, organisation: dict[str, Any], whose: str
    ) -> None:
        member_id = await people.make_person(control, organisation_id=organisation["id"])
        path = f"{whose}/members/{member_id}/limits"
        await client.call("PUT", path, RATES)
        await client.post(f"{whose}/keys", {"name": "his"})
        async with control.database.transaction(operator=True) as tx:
            await tx.execute(sa.update(api_key).values(created_by=member_id))
            await tx.execute(sa.delete(membership).where(membership.c.user_id == member_id))
        assert await client.get(path) == RATES
        async with control.database.transaction(operator=True) as tx:
            await tx.execute(sa.update(api_key).values(created_by=None))
        assert await client.refused("GET", path) == "404 member_not_found"

    async def test_are_of_his_own_organisation_only(
        self, client: Client, control: Control, whose: str
    ) -> None:
        other = await client.post("/organisations", {"name": "Another"})
        stranger = await people.make_person(control, organisation_id=other["id"])
        for place in ("members", "projects", "teams"):
            path, code = f"{whose}/{place}/{stranger}/limits", f"404 {place.removesuffix('s')}_not_found"
            assert await client.refused("GET", path) == code
            assert await client.refused("PUT", path, RATES) == code
        budget = {"name": "x", "amount": "1"}
        for name in ("member_id", "project_id", "team_id"):
            body = {**budget, name: str(stranger)}
            assert await client.refused("POST", f"{whose}/budgets", body) == "422 budget_subject_unknown"
        both = f"{whose}/limits/standing?member_id={stranger}&team_id={uuid4()}"
        assert await client.refused("GET", both) == "422 invalid_request"


class TestAMembersBudget:
    async def test_is_made_and_shown_with_what_is_used(
        self, control: Control, organisation: dict[str, Any], whose: str, using: Using
    ) -> None:
        member_id = str(await people.make_person(control, organisation_id=organisation["id"]))
        body = {"name": "his month", "unit": "tokens", "amount": "1000", "member_id": member_id}
        billing = await people.member(control, organisation["id"], MemberRole.BILLING)
        made = await billing.post(f"{whose}/budgets", body)
        assert (made["member_id"], made["key_id"], made["project_id"]) == (member_id, None, None)
        await using(made["id"], Period.MONTH, 42)
        (item,) = (await billing.get(f"{whose}/limits/standing?member_id={member_id}"))["items"]
        assert (item["subject"], item["scope"], item["name"]) == ("member", "member", "his month")
        assert (item["limit"], item["used"]) == ("1000", "42")
        assert (await billing.get(f"{whose}/limits/standing"))["items"] == []
        wrong = {**body, "key_id": str(uuid4())}
        assert await billing.refused("POST", f"{whose}/budgets", wrong) == "422 invalid_request"


class TestTheCommandLine:
    def test_limits_a_member(self, bursar: Bursar, database: ScratchDatabase) -> None:
        made = bursar.json("org", "create", "Acme")
        member_id = add_member(database, made["id"])
        whom = ("Acme", "--member", "ana@people.example")
        bursar.run("limit", "set", *whom, "--tokens-per-minute", "5000")
        budget = bursar.json("budget", "create", "Acme", "hers", "10", "--member", member_id)
        assert budget["member_id"] == member_id
        stand = bursar.json("limit", "show", *whom)
        assert [(item["subject"], item["limit"]) for item in stand["items"]] == [
            ("member", "5000"),
            ("member", "10.00"),
        ]
        assert bursar.refused("limit", "show", "Acme", "--member", "bob@people.example") == "member_not_found"
        both = ("limit", "show", *whom, "--team", "x")
        assert bursar.refused(*both, fails=2) == "invalid_request"
