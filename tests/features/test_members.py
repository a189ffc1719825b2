"""Members: their roles, their leaving, whose the organisation is; over HTTP as each of them."""

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

import people
import pytest
from control_client import Client

from bursar.core.permissions import MemberRole, OperatorRole
from bursar.rest.control import Control

OWNER, ADMIN, BILLING, DEVELOPER, VIEWER = MemberRole


class Team:
    """The people of one organisation, by name."""

    def __init__(self, control: Control, organisation_id: str) -> None:
        self.control = control
        self.place = f"/organisations/{organisation_id}"
        self.organisation_id = organisation_id
        self.ids: dict[str, str] = {}
        self.clients: dict[str, Client] = {}

    async def add(self, name: str, role: MemberRole) -> Client:
        user_id = await people.make_person(
            self.control, email=f"{name}@acme.example", organisation_id=self.organisation_id, role=role
        )
        self.ids[name] = str(user_id)
        self.clients[name] = people.speaking_as(self.control, await people.sign_in(self.control, user_id))
        return self.clients[name]

    def at(self, name: str) -> str:
        return f"{self.place}/members/{self.ids[name]}"

    async def roles(self, who: Client) -> dict[str, str]:
        members = (await who.get(f"{self.place}/members?limit=200"))["items"]
        return {one["email"].partition("@")[0]: one["role"] for one in members}


@pytest.fixture
async def team(control: Control, organisation: dict[str, Any]) -> Team:
    team = Team(control, organisation["id"])
    await team.add("olga", OWNER)
    return team


class TestMembers:
    async def test_see_each_other_and_nobody_else(self, control: Control, client: Client, team: Team) -> None:
        await team.add("vic", VIEWER)
        other = await client.post("/organisations", {"name": "Other"})
        stranger = await people.member(control, other["id"], OWNER)
        assert await team.roles(team.clients["vic"]) == {"olga": "owner", "vic": "viewer"}
        assert (await team.clients["vic"].get(team.at("olga")))["two_factor"] is False
        page = await team.clients["vic"].get(f"{team.place}/members?limit=1")
        rest = await team.clients["vic"].get(f"{team.place}/members?cursor={page['next_cursor']}")
        assert [one["email"] for one in page["items"] + rest["items"]] == [
            "olga@acme.example",
            "vic@acme.example",
        ]
        assert await stranger.refused("GET", f"{team.place}/members") == "404 organisation_not_found"
        elsewhere = f"/organisations/{other['id']}/members/{team.ids['vic']}"
        assert await stranger.refused("GET", elsewhere) == "404 member_not_found"
        assert await stranger.refused("DELETE", elsewhere) == "404 member_not_found"
        assert await stranger.refused("PATCH", elsewhere, {"role": "viewer"}) == "404 member_not_found"
        nowhere = f"/organisations/{UUID(int=1)}/members"
        assert await client.refused("GET", nowhere) == "404 organisation_not_found"


class TestChangeRole:
    async def test_counts_at_once(self, team: Team) -> None:
        olga, dora = team.clients["olga"], await team.add("dora", DEVELOPER)
        await dora.post(f"{team.place}/keys", {"name": "mine"})
        changed = await olga.call("PATCH", team.at("dora"), {"role": "billing"})
        assert changed["role"] == "billing"
        assert await dora.refused("POST", f"{team.place}/keys", {"name": "x"}) == "403 permission_denied"

    async def test_gives_nobody_more_than_the_giver_has(self, client: Client, team: Team) -> None:
        """Nobody climbs: not by his own hand, and not with the help of one who may not."""
        olga = team.clients["olga"]
        for name, role in (("adam", ADMIN), ("bill", BILLING), ("dora", DEVELOPER), ("vic", VIEWER)):
            await team.add(name, role)
        for name in ("bill", "dora", "vic"):
            for body in ({"role": "owner"}, {"role": "admin"}, {"role": "viewer"}):
                refused = await team.clients[name].refused("PATCH", team.at(name), body)
                assert refused == "403 permission_denied"
            assert await team.clients[name].refused("DELETE", team.at("vic")) == "403 permission_denied"
            mine = {"user_id": team.ids[name]}
            refused = await team.clients[name].refused("POST", f"{team.place}/ownership", mine)
            assert refused == "403 permission_denied"
        adam = team.clients["adam"]
        for who in (adam, olga, client):
            assert await who.refused("PATCH", team.at("adam"), {"role": "owner"}) == "403 role_not_given"
            assert await who.refused("PATCH", team.at("olga"), {"role": "viewer"}) == "409 owner_stays"
            assert await who.refused("DELETE", team.at("olga")) == "409 owner_stays"
        taken = {"user_id": team.ids["adam"]}
        assert await adam.refused("POST", f"{team.place}/ownership", taken) == "403 permission_denied"
        assert await adam.refused("PATCH", team.at("vic"), {"role": "operator"}) == "422 invalid_request"
        expected = {"olga": "owner", "adam": "admin", "bill": "billing", "dora": "developer", "vic": "viewer"}
        assert await team.roles(olga) == expected

    async def test_is_not_done_by_one_whose_own_role_was_just_taken(self, team: Team) -> None:
        """His policy was checked before the other change; what he may is looked at again behind it."""
        olga, adam = team.clients["olga"], await team.add("adam", ADMIN)
        await team.add("dora", DEVELOPER)
        for _ in range(5):
            await olga.call("PATCH", team.at("adam"), {"role": "admin"})
            await olga.call("PATCH", team.at("dora"), {"role": "developer"})
            demoted, raised = await asyncio.gather(
                olga.call("PATCH", team.at("adam"), {"role": "viewer"}),
                adam.http.patch(f"/api/v1{team.at('dora')}", json={"role": "admin"}),
            )
            assert demoted["role"] == "viewer"
            assert raised.status_code in {200, 403}
            told = "admin" if raised.status_code == 200 else "developer"
            assert (await team.roles(olga))["dora"] == told


class TestRemoveMember:
    async def test_takes_effect_at_once_and_leaves_his_keys_to_the_organisation(self, team: Team) -> None:
        olga, dora, dan = (
            team.clients["olga"],
            await team.add("dora", DEVELOPER),
            await team.add("dan", DEVELOPER),
        )
        keys = f"{team.place}/keys"
        hers = await dora.post(keys, {"name": "hers"})
        his = [await dan.post(keys, {"name": name}) for name in ("one", "two")]
        turned = await olga.post(f"{keys}/{hers['id']}/rotate")
        assert (hers["created_by"], turned["created_by"]) == (team.ids["dora"], team.ids["olga"])
        assert await olga.call("DELETE", team.at("dora")) == {"user_id": team.ids["dora"], "keys_revoked": 0}
        assert await dora.refused("GET", team.place) == "404 organisation_not_found"
        assert await dora.refused("POST", keys, {"name": "x"}) == "404 organisation_not_found"
        assert (await olga.get(f"{keys}/{hers['id']}"))["active"] is True
        gone = await olga.call("DELETE", f"{team.at('dan')}?revoke_keys=true")
        assert gone["keys_revoked"] == 2
        assert [(await olga.get(f"{keys}/{one['id']}"))["active"] for one in his] == [False, False]
        assert (await olga.get(f"{keys}/{turned['id']}"))["active"] is True
        assert await olga.refused("DELETE", team.at("dan")) == "404 member_not_found"
        assert await team.roles(olga) == {"olga": "owner"}


class TestLeave:
    async def test_is_for_everybody_but_the_owner(self, client: Client, team: Team) -> None:
        vic = await team.add("vic", VIEWER)
        assert await team.clients["olga"].refused("POST", f"{team.place}/leave") == "409 owner_stays"
        assert await client.refused("POST", f"{team.place}/leave") == "401 invalid_token"
        assert await vic.call("POST", f"{team.place}/leave") == {
            "user_id": team.ids["vic"],
            "keys_revoked": 0,
        }
        assert await vic.refused("POST", f"{team.place}/leave") == "404 organisation_not_found"

    async def test_of_an_operator_who_is_no_member_leaves_nothing(self, control: Control, team: Team) -> None:
        finance = await people.operator(control, OperatorRole.FINANCE)
        assert await finance.refused("POST", f"{team.place}/leave") == "404 member_not_found"


class TestTransferOwnership:
    async def test_makes_the_owner_before_an_administrator(self, client: Client, team: Team) -> None:
        olga, vic = team.clients["olga"], await team.add("vic", VIEWER)
        to_vic, to_olga = {"user_id": team.ids["vic"]}, {"user_id": team.ids["olga"]}
        assert (await olga.call("POST", f"{team.place}/ownership", to_vic))["role"] == "owner"
        assert await team.roles(olga) == {"olga": "admin", "vic": "owner"}
        assert await olga.refused("POST", f"{team.place}/ownership", to_olga) == "403 permission_denied"
        await vic.call("POST", f"{team.place}/ownership", to_vic)  # to himself: nothing to do
        await client.call("POST", f"{team.place}/ownership", to_olga)  # an operator may
        assert await team.roles(olga) == {"olga": "owner", "vic": "admin"}
        nobody = {"user_id": str(UUID(int=1))}
        assert await olga.refused("POST", f"{team.place}/ownership", nobody) == "404 member_not_found"

    async def test_twice_at_once_leaves_one_owner(self, team: Team) -> None:
        await team.add("ann", ADMIN)
        await team.add("bob", ADMIN)
        owner = "olga"
        for _ in range(4):
            others = sorted({"olga", "ann", "bob"} - {owner})
            answers = await asyncio.gather(
                *(
                    team.clients[owner].http.post(
                        f"/api/v1{team.place}/ownership", json={"user_id": team.ids[name]}
                    )
                    for name in others
                )
            )
            assert Counter(answer.status_code for answer in answers) == {200: 1, 403: 1}
            roles = await team.roles(team.clients[owner])
            assert Counter(roles.values()) == {"owner": 1, "admin": 2}
            owner = next(name for name, role in roles.items() if role == "owner")

    async def test_while_the_owner_leaves_leaves_one_owner(self, team: Team) -> None:
        ann, spare = await team.add("ann", ADMIN), await team.add("spare", VIEWER)
        transfer, left = await asyncio.gather(
            team.clients["olga"].http.post(
                f"/api/v1{team.place}/ownership", json={"user_id": team.ids["ann"]}
            ),
            team.clients["olga"].http.post(f"/api/v1{team.place}/leave"),
        )
        assert transfer.status_code == 200 or left.status_code == 409
        roles = await team.roles(spare)
        assert Counter(roles.values())["owner"] == 1
        assert ("olga" in roles) is (left.status_code == 409)
        assert (await ann.get(team.place))["status"] == "active"
