"""Viewing as a customer: one organisation, reading only, announced, and over by itself."""

from typing import Any

import people
import psycopg
from control_client import Client, SettableClock

from bursar.core.permissions import MemberRole, OperatorRole
from bursar.rest.control import Control
from scratch_database import ScratchDatabase

ASKED = {"reason": "Ticket 4711: usage is missing", "minutes": 45}


async def viewer_of(control: Control, support: Client, organisation_id: str) -> tuple[dict[str, Any], Client]:
    started = await support.post(f"/organisations/{organisation_id}/view-as", ASKED)
    viewer = people.speaking_as(control, await people.sign_in(control, await people.make_person(control)))
    viewer.http.headers["authorization"] = f"Bearer {started['access_token']}"
    return started, viewer


class TestViewing:
    async def test_reads_one_organisation_and_changes_nothing(
        self, control: Control, client: Client, organisation: dict[str, Any]
    ) -> None:
        other = await client.post("/organisations", {"name": "Other"})
        support = await people.operator(control, OperatorRole.SUPPORT)
        own = f"/organisations/{organisation['id']}"
        _, viewer = await viewer_of(control, support, organisation["id"])
        assert (await viewer.get(own))["billing_email"] == "p***@a***.example"
        await viewer.get(f"{own}/keys")
        assert await viewer.refused("GET", f"{own}/data-exports") == "403 permission_denied"
        assert await viewer.refused("POST", f"{own}/keys", {"name": "x"}) == "403 view_only"
        assert await viewer.refused("PATCH", own, {"name": "x"}) == "403 view_only"
        foreign = f"/organisations/{other['id']}"
        assert await viewer.refused("GET", foreign) == "404 organisation_not_found"
        assert await viewer.refused("GET", "/organisations") == "403 permission_denied"
        assert await viewer.refused("GET", "/providers") == "403 permission_denied"
        assert await viewer.refused("GET", "/me") == "403 view_only"
        assert await viewer.refused("POST", f"{foreign}/view-as", ASKED) == "404 organisation_not_found"

    async def test_is_over_by_itself(
        self, control: Control, clock: SettableClock, organisation: dict[str, Any]
    ) -> None:
        support = await people.operator(control, OperatorRole.SUPPORT)
        started, viewer = await viewer_of(control, support, organisation["id"])
        own = f"/organisations/{organisation['id']}"
        clock.ahead_ms = 44 * 60_000
        await viewer.get(own)
        clock.ahead_ms = 45 * 60_000
        assert await viewer.refused("GET", own) == "401 invalid_token"
        again = {"reason": "too long", "minutes": 61}
        assert started["ended_at"] is None
        clock.ahead_ms = 0
        assert await support.refused("POST", f"{own}/view-as", again) == "422 invalid_request"

    async def test_ends_when_told_or_with_its_viewers_role(
        self, control: Control, client: Client, organisation: dict[str, Any], database: ScratchDatabase
    ) -> None:
        own = f"/organisations/{organisation['id']}"
        support = await people.operator(control, OperatorRole.SUPPORT)
        started, viewer = await viewer_of(control, support, organisation["id"])
        ended = await support.post(f"{own}/view-as/{started['id']}/end", status=200)
        assert ended["ended_at"] is not None
        assert await viewer.refused("GET", own) == "401 invalid_token"
        _, viewer = await viewer_of(control, support, organisation["id"])
        await viewer.get(own)
        with psycopg.connect(database.url, autocommit=True) as administrator:
            administrator.execute(
                "UPDATE app_user SET operator_role = 'finance' WHERE operator_role IS NOT NULL"
            )
        assert await viewer.refused("GET", own) == "401 invalid_token"
        assert await support.refused("POST", f"{own}/view-as", ASKED) == "403 permission_denied"
        assert await client.refused("POST", f"{own}/view-as", ASKED) == "403 viewer_unknown"

    async def test_is_told_to_the_customer(
        self, control: Control, organisation: dict[str, Any], database: ScratchDatabase
    ) -> None:
        own = f"/organisations/{organisation['id']}"
        owner = await people.member(control, organisation["id"], MemberRole.OWNER)
        await people.member(control, organisation["id"], MemberRole.VIEWER)
        support = await people.operator(control, OperatorRole.SUPPORT)
        started, _ = await viewer_of(control, support, organisation["id"])
        (seen,) = (await owner.get(f"{own}/view-as"))["items"]
        assert (seen["id"], seen["reason"]) == (started["id"], ASKED["reason"])
        assert "access_token" not in seen
        assert await owner.refused("POST", f"{own}/view-as", ASKED) == "403 permission_denied"
        with psycopg.connect(database.url) as administrator:
            events = administrator.execute(
                "SELECT topic, payload FROM outbox WHERE organisation_id = %s ORDER BY id",
                [organisation["id"]],
            ).fetchall()
        (mail,) = [payload for topic, payload in events if topic == "mail"]
        assert mail["template"] == "view_as"
        assert mail["values"]["reason"] == ASKED["reason"]
        (event,) = [payload for topic, payload in events if topic == "webhook"]
        assert (event["type"], event["data"]["viewing_id"]) == ("support.viewing", started["id"])
