"""Keys that are limited together at the gateway: a member's, a project's, a team's."""

import hashlib
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from caller import Reply
from proving import Customer
from raw_provider import raw_provider
from test_limits_of_keys import assert_free, budget, spent
from test_marks import Steps

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def add_key(customer: Customer, **columns: Any) -> str:
    """Another key of his organisation; its secret."""
    secret = f"llm_sk_{uuid4().hex}"
    row = {
        "id": uuid4(),
        "organisation_id": customer.organisation_id,
        "name": "another",
        "key_hash": hashlib.sha256(secret.encode()).digest(),
        "key_prefix": secret[:13],
        **columns,
    }
    await customer.change(
        f"INSERT INTO api_key (created_at, {', '.join(row)})"  # noqa: S608 - ours
        f" VALUES (now(), {', '.join(['%s'] * len(row))})",
        list(row.values()),
    )
    return secret


async def ask(customer: Customer, key: str, **parameters: Any) -> Reply:
    headers = {"authorization": f"Bearer {key}"}
    return await customer.send(customer.payload("openai", **parameters), headers=headers)


async def add_member(customer: Customer, limits: dict[str, Any]) -> UUID:
    member_id = uuid4()
    await customer.change(
        "INSERT INTO app_user (id, email, created_at) VALUES (%s, %s, now())",
        [member_id, f"{member_id.hex}@people.example"],
    )
    await customer.change(
        "INSERT INTO member_limit (organisation_id, member_id, limits) VALUES (%s, %s, %s)",
        [customer.organisation_id, member_id, orjson.dumps(limits).decode()],
    )
    return member_id


async def add_group(customer: Customer, table: str, limits: dict[str, Any], **columns: Any) -> UUID:
    """A team, or a project of one."""
    group_id = uuid4()
    row = {"id": group_id, "organisation_id": customer.organisation_id, "name": group_id.hex, **columns}
    await customer.change(
        f"INSERT INTO {table} (created_at, limits, {', '.join(row)})"  # noqa: S608 - ours
        f" VALUES (now(), %s, {', '.join(['%s'] * len(row))})",
        [orjson.dumps(limits).decode(), *row.values()],
    )
    return group_id


class TestAMember:
    async def test_is_limited_over_all_keys_he_made(self, customer: Customer) -> None:
        ana = await add_member(customer, {"requests_per_min": 60, "requests_burst": 2})
        bob = await add_member(customer, {})
        first, second = [await add_key(customer, created_by=ana) for _ in range(2)]
        replies = [await ask(customer, key) for key in (first, second, second)]
        assert [reply.status for reply in replies] == [200, 200, 429]
        assert (replies[2].error["code"], replies[2].error["scope"]) == ("rate_limit_exceeded", "member")
        assert (await ask(customer, await add_key(customer, created_by=bob))).status == 200
        assert (await customer.chat("openai")).status == 200
        await assert_free(customer)

    async def test_has_a_budget_over_all_keys_he_made(self, customer: Customer) -> None:
        ana = await add_member(customer, {})
        keys = [await add_key(customer, created_by=ana) for _ in range(2)]
        await budget(customer, 3, "requests", member_id=ana)
        replies = [await ask(customer, key) for key in keys * 2]
        assert [reply.status for reply in replies] == [200, 200, 200, 429]
        assert (replies[3].error["code"], replies[3].error["scope"]) == ("request_quota_exceeded", "member")
        assert (await customer.chat("openai")).status == 200
        assert await spent(customer) == [3]


class TestAProjectAndItsTeam:
    async def test_are_limited_together(self, customer: Customer) -> None:
        team = await add_group(customer, "team", {"requests_per_min": 60, "requests_burst": 3})
        one, other = [
            await add_group(customer, "project", {"requests_per_min": 60, "requests_burst": 2}, team_id=team)
            for _ in range(2)
        ]
        keys = [await add_key(customer, project_id=project) for project in (one, one, one, other, other)]
        replies = [await ask(customer, key) for key in keys]
        assert [reply.status for reply in replies] == [200, 200, 429, 200, 429]
        assert [reply.error["scope"] for reply in replies if reply.status != 200] == ["project", "team"]
        assert (await customer.chat("openai")).status == 200
        await assert_free(customer)

    async def test_count_what_was_sold_against_their_budgets(self, customer: Customer) -> None:
        team = await add_group(customer, "team", {})
        project = await add_group(customer, "project", {}, team_id=team)
        await budget(customer, 10**9, project_id=project)
        await budget(customer, 2 * 10**9, team_id=team)
        key = await add_key(customer, project_id=project)
        for stream in (False, True):
            assert (await ask(customer, key, max_tokens=50, stream=stream)).status == 200
        sold = sum(row["sale"] for row in await customer.usage())
        assert await spent(customer) == [sold, sold]
        assert sold > 0


class TestUsage:
    async def test_is_of_the_project_and_team_the_key_was_in_when_it_was_admitted(
        self, customer: Customer
    ) -> None:
        teams = [await add_group(customer, "team", {}) for _ in range(2)]
        projects = [await add_group(customer, "project", {}, team_id=team) for team in teams]
        move = "UPDATE api_key SET project_id = %s WHERE id = %s"
        await customer.change(move, [projects[0], customer.api_key_id])
        steps = Steps("openai")
        async with raw_provider(steps.play) as provider, customer.calling() as caller:
            await customer.serve("openai", base_url=provider.base_url("openai"))
            await customer.start(caller, "openai", stream=True)
            steps.open()
            steps.say("hello")
            await caller.head()
            await customer.change(move, [projects[1], customer.api_key_id])
            steps.end(came=1)
            assert (await caller.reply()).status == 200
        await customer.chat("anthropic")
        rows = await customer.usage()
        assert [row["project_id"] for row in rows] == projects
        assert [row["team_id"] for row in rows] == teams
