"""Teams, projects and the keys in them."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import people
import pytest
from control_client import Client, Use
from test_commands import Bursar, bursar

from bursar.core.permissions import MemberRole
from bursar.features.projects.schemas import ProjectChange
from bursar.features.projects.service import change_project
from bursar.rest.control import Control

__all__ = ["bursar"]


@pytest.fixture
def whose(organisation: dict[str, Any]) -> str:
    return f"/organisations/{organisation['id']}"


@pytest.fixture
async def elsewhere(client: Client) -> str:
    made = await client.post("/organisations", {"name": "Another"})
    return f"/organisations/{made['id']}"


async def names(client: Client, path: str) -> list[str]:
    return [item["name"] for item in (await client.get(path))["items"]]


class TestTeamsAndProjects:
    async def test_are_made_tagged_moved_and_listed(self, client: Client, whose: str) -> None:
        tags = {"cost-center": "42", "stage": "beta"}
        team = await client.post(f"{whose}/teams", {"name": "Research", "tags": tags})
        assert (team["name"], team["tags"], team["archived_at"]) == ("Research", tags, None)
        made = await client.post(f"{whose}/projects", {"name": "Atlas", "team_id": team["id"]}, key="k")
        assert made == await client.post(
            f"{whose}/projects", {"name": "Atlas", "team_id": team["id"]}, key="k"
        )
        assert await client.get(f"{whose}/projects/{made['id']}") == made
        other = await client.post(f"{whose}/projects", {"name": "Borealis"})
        assert await names(client, f"{whose}/teams") == ["Default", "Research"]
        assert await names(client, f"{whose}/projects") == ["Borealis", "Atlas"]
        assert await names(client, f"{whose}/projects?team_id={team['id']}") == ["Atlas"]
        change = {"team_id": team["id"], "tags": {}, "name": "Aurora"}
        moved = await client.call("PATCH", f"{whose}/projects/{other['id']}", change)
        assert (moved["team_id"], moved["tags"], moved["name"]) == (team["id"], {}, "Aurora")
        assert await client.call("PATCH", f"{whose}/teams/{team['id']}", {}) == team

    async def test_refuse_what_cannot_be(self, client: Client, whose: str, elsewhere: str) -> None:
        team = await client.post(f"{whose}/teams", {"name": "Research"})
        await client.post(f"{whose}/projects", {"name": "Atlas", "team_id": team["id"]})
        strange = await client.post(f"{elsewhere}/teams", {"name": "Research"})
        wrong: list[tuple[str, dict[str, Any], str]] = [
            ("teams", {"name": "Research"}, "409 name_taken"),
            ("projects", {"name": "Atlas"}, "409 name_taken"),
            ("projects", {"name": "x", "team_id": strange["id"]}, "422 team_unknown"),
            ("teams", {"name": "x", "tags": {"a b": "c"}}, "422 invalid_request"),
            ("teams", {"name": "x", "tags": {f"t{n}": "" for n in range(21)}}, "422 invalid_request"),
            ("teams", {"name": "x", "tags": {"t": "x" * 101}}, "422 invalid_request"),
        ]
        for place, body, code in wrong:
            assert await client.refused("POST", f"{whose}/{place}", body) == code, body
        assert await client.refused("GET", f"{elsewhere}/teams/{team['id']}") == "404 team_not_found"
        lost = f"{elsewhere}/projects/{uuid4()}"
        assert await client.refused("PATCH", lost, {"name": "x"}) == "404 project_not_found"
        nobody = f"/organisations/{uuid4()}/projects"
        assert await client.refused("POST", nobody, {"name": "x"}) == "404 organisation_not_found"

    async def test_are_archived_when_nothing_is_in_them(self, client: Client, whose: str) -> None:
        team = await client.post(f"{whose}/teams", {"name": "Research"})
        project = await client.post(f"{whose}/projects", {"name": "Atlas", "team_id": team["id"]})
        key = await client.post(f"{whose}/keys", {"name": "server", "project_id": project["id"]})
        of_team, of_project = f"{whose}/teams/{team['id']}", f"{whose}/projects/{project['id']}"
        away, back = {"archived": True}, {"archived": False}
        assert await client.refused("PATCH", of_team, away) == "409 still_in_use"
        assert await client.refused("PATCH", of_project, away) == "409 still_in_use"
        await client.post(f"{whose}/keys/{key['id']}/revoke", {}, status=200)
        assert (await client.call("PATCH", of_project, away))["archived_at"] is not None
        assert (await client.call("PATCH", of_team, away))["archived_at"] is not None
        assert await names(client, f"{whose}/projects") == []
        assert await names(client, f"{whose}/projects?archived=true") == ["Atlas"]
        new = {"name": "new", "project_id": project["id"]}
        assert await client.refused("POST", f"{whose}/keys", new) == "422 project_unknown"
        assert await client.refused("PATCH", of_project, back) == "422 team_unknown"
        await client.call("PATCH", of_team, back)
        assert (await client.call("PATCH", of_project, back))["archived_at"] is None
        assert (await client.post(f"{whose}/keys", new))["project_id"] == project["id"]

    async def test_of_a_name_in_use_do_not_come_back(self, client: Client, whose: str) -> None:
        old = await client.post(f"{whose}/projects", {"name": "Atlas"})
        await client.call("PATCH", f"{whose}/projects/{old['id']}", {"archived": True})
        await client.post(f"{whose}/projects", {"name": "Atlas"})
        back = {"archived": False}
        assert await client.refused("PATCH", f"{whose}/projects/{old['id']}", back) == "409 name_taken"
        renamed = {**back, "name": "Old Atlas"}
        assert (await client.call("PATCH", f"{whose}/projects/{old['id']}", renamed))["name"] == "Old Atlas"

    async def test_are_managed_by_admins_and_seen_by_members(
        self, control: Control, organisation: dict[str, Any], whose: str
    ) -> None:
        admin = await people.member(control, organisation["id"], MemberRole.ADMIN)
        developer = await people.member(control, organisation["id"], MemberRole.DEVELOPER)
        made = await admin.post(f"{whose}/projects", {"name": "Atlas"})
        assert await developer.get(f"{whose}/projects/{made['id']}") == made
        assert await developer.refused("POST", f"{whose}/teams", {"name": "x"}) == "403 permission_denied"
        key = await developer.post(f"{whose}/keys", {"name": "his", "project_id": made["id"]})
        assert key["project_id"] == made["id"]


class TestAKey:
    async def test_goes_to_the_default_project_made_once(self, client: Client, whose: str) -> None:
        made = await asyncio.gather(*[client.post(f"{whose}/keys", {"name": f"k{n}"}) for n in range(5)])
        (project,) = (await client.get(f"{whose}/projects"))["items"]
        assert {key["project_id"] for key in made} == {project["id"]}
        assert project["name"] == "Default"
        assert await names(client, f"{whose}/teams") == ["Default"]

    async def test_moves_within_its_organisation_only(
        self, client: Client, whose: str, elsewhere: str
    ) -> None:
        key = await client.post(f"{whose}/keys", {"name": "server"})
        path = f"{whose}/keys/{key['id']}"
        project = await client.post(f"{whose}/projects", {"name": "Atlas"})
        strange = await client.post(f"{elsewhere}/projects", {"name": "Atlas"})
        moved = await client.call("PATCH", path, {"project_id": project["id"]})
        assert moved == {**moved, "project_id": project["id"], "name": "server"}
        wrong = {"project_id": strange["id"]}
        assert await client.refused("PATCH", path, wrong) == "422 project_unknown"
        assert await client.refused("PATCH", path, {"project_id": None}) == "422 invalid_request"
        assert (await client.post(f"{path}/rotate", {}))["project_id"] == project["id"]

    async def test_is_never_put_into_a_project_that_is_being_archived(
        self, client: Client, control: Control, organisation: dict[str, Any], whose: str
    ) -> None:
        project = await client.post(f"{whose}/projects", {"name": "Atlas"})
        new = {"name": "late", "project_id": project["id"]}
        async with control.database.transaction(operator=True) as tx:
            change = ProjectChange(archived=True)
            ids = UUID(organisation["id"]), UUID(project["id"])
            await change_project(tx, *ids, change, edge=control.edge)
            late = asyncio.create_task(client.refused("POST", f"{whose}/keys", new))
            await asyncio.wait([late], timeout=0.2)
            assert not late.done()
        assert await late == "422 project_unknown"


class TestUsage:
    async def test_is_added_up_by_project_and_team(self, client: Client, whose: str, use: Use) -> None:
        project = await client.post(f"{whose}/projects", {"name": "Atlas"})
        where = {"project_id": UUID(project["id"]), "team_id": UUID(project["team_id"])}
        await use(**where)
        await use(**where)
        await use()
        for by, name in (("project", "Atlas"), ("team", "Default")):
            items = (await client.get(f"{whose}/usage/summary?by={by}"))["items"]
            told = [(item["bucket"], item["label"], item["requests"], item["sale"]) for item in items]
            assert told == [(str(where[f"{by}_id"]), name, 2, "0.096"), ("", None, 1, "0.048")]
            (one, other) = (await client.get(f"{whose}/usage?{by}_id={where[f'{by}_id']}"))["items"]
            assert one["project_id"] == other["project_id"] == project["id"]


class TestTheCommandLine:
    def test_makes_projects_with_limits_and_keys(self, bursar: Bursar) -> None:
        bursar.run("org", "create", "Acme")
        team = bursar.json("team", "create", "Acme", "Research", "--tag", "cost-center=42")
        assert team["tags"] == {"cost-center": "42"}
        made = bursar.json("project", "create", "Acme", "Atlas", "--team", "Research")
        assert made["team_id"] == team["id"]
        key = bursar.json("key", "create", "Acme", "server", "--project", "Atlas")
        assert key["project_id"] == made["id"]
        bursar.run("project", "create", "Acme", "Borealis")
        moved = bursar.json("key", "change", "Acme", key["id"], "--project", "Borealis")
        assert moved["project_id"] != made["id"]
        bursar.run("limit", "set", "Acme", "--project", "Atlas", "--concurrent", "3")
        bursar.run("budget", "create", "Acme", "all", "10", "--team", "Research")
        assert bursar.json("limit", "show", "Acme", "--project", made["id"])["items"][0]["limit"] == "3"
        assert bursar.json("limit", "show", "Acme", "--team", "Research")["items"][0]["limit"] == "10.00"
        assert bursar.json("project", "change", "Acme", "Atlas", "--archive")["archived_at"] is not None
        assert "Atlas" in bursar.run("project", "list", "Acme", "--archived").stdout
        assert "cost-center" in bursar.run("team", "list", "Acme").stdout
        assert bursar.json("team", "change", "Acme", "Research", "--name", "Science")["name"] == "Science"
        assert bursar.refused("project", "change", "Acme", "Nobody", "--archive") == "project_not_found"
        assert bursar.refused("team", "create", "Acme", "x", "--tag", "y", fails=2) == "invalid_request"
