import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import people
import psycopg
import pytest
import sqlalchemy as sa
import structlog
from control_client import Client, SettableClock, Use
from typer.testing import CliRunner

from bursar.core.abuse import Thresholds
from bursar.core.permissions import MemberRole, OperatorRole
from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.db.tables import abuse_hour, outbox
from bursar.entrypoints.cli import app as cli
from bursar.features.abuse.observing import SETTLED_AFTER
from bursar.features.abuse.watching import CLEARED_FOR, Watch
from bursar.features.organisations import service as organisations
from bursar.features.organisations.schemas import NewOrganisation
from bursar.rest.control import Control
from bursar.rest.sign_ins import open_session
from scratch_database import ScratchDatabase

QUEUE = "/abuse/suspects"
HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS
DOLLAR = 10**9


@dataclass(frozen=True, kw_only=True)
class Town:
    """Where people open accounts, and the worker watches."""

    client: Client
    control: Control
    clock: SettableClock
    worker: Database
    url: str

    async def open_account(
        self, *, address: str = "", agent: str = "", domain: str = "gmail.com", name: str = "Acme"
    ) -> str:
        """Somebody with an organisation of his own, seen at an address with a program; answers its id."""
        email = f"{self.control.edge.new_id().hex}@{domain}"
        async with self.control.database.transaction(operator=True) as tx:
            made = await organisations.create_organisation(
                tx, NewOrganisation(name=name), edge=self.control.edge
            )
        person = await people.make_person(
            self.control, email=email, organisation_id=made.id, role=MemberRole.OWNER
        )
        async with self.control.database.transaction(accounts=True) as tx:
            await open_session(tx, self.control, person, user_agent=agent, address=address)
        return str(made.id)

    async def look(self) -> None:
        """Until all usage so far is added up."""
        self.clock.ahead_ms += int(SETTLED_AFTER.total_seconds() * 1000) + 1
        while await Watch(self.worker, self.control.edge, Thresholds()).run():
            """There is more."""

    async def suspects(self, status: str | None = None) -> dict[str, Any]:
        page = await self.client.get(QUEUE + (f"?status={status}" if status else ""))
        return {one["organisation_id"]: one for one in page["items"]}

    async def status_of(self, organisation_id: str) -> str:
        shown: str = (await self.client.get(f"/organisations/{organisation_id}"))["status"]
        return shown

    async def told(self, topic: str) -> list[Any]:
        async with self.control.database.read(operator=True) as read:
            question = sa.select(outbox.c.payload).where(outbox.c.topic == topic).order_by(outbox.c.id)
            return list((await read.execute(question)).scalars())

    def pays_with(self, organisation_id: str, fingerprint: str) -> None:
        """As payments will write it."""
        with psycopg.connect(self.url, autocommit=True) as administrator:
            administrator.execute(
                "INSERT INTO card_fingerprint VALUES (%s, %s, now())", [organisation_id, fingerprint]
            )


@pytest.fixture
async def town(
    client: Client, control: Control, clock: SettableClock, database: ScratchDatabase
) -> AsyncIterator[Town]:
    worker = Database(database.url, Role.WORKER)
    yield Town(client=client, control=control, clock=clock, worker=worker, url=database.url)
    await worker.close()


@pytest.fixture
def own_log() -> Iterator[None]:
    """Commands set the program's log up: not this one's."""
    handlers = logging.getLogger().handlers[:]
    yield
    logging.getLogger().handlers = handlers
    structlog.reset_defaults()


class TestAccounts:
    async def test_of_one_network_and_device_are_queued_together(self, town: Town) -> None:
        """A /64 of IPv6 is one network; other networks, and accounts of yesterday, are not of it."""
        town.clock.ahead_ms = -2 * DAY_MS
        await town.open_account(address="2001:4860:1:2::9", agent="curl/8")
        town.clock.ahead_ms = 0
        crowd = [await town.open_account(address=f"2001:4860:1:2::{n}", agent="curl/8") for n in range(4)]
        for neighbour in ("2001:4860:1:3::1", "198.51.100.7", ""):
            await town.open_account(address=neighbour, agent="curl/8")
        await town.look()
        found = await town.suspects("open")
        assert found.keys() == set(crowd)
        one = found[crowd[0]]
        assert {(part["rule"], part["value"], part["points"]) for part in one["findings"]} == {
            ("accounts_per_network", 4, 20),
            ("accounts_per_device", 4, 10),
        }
        assert one["score"] == 30
        assert set(one["findings"][0]["organisations"]) == set(crowd) - {crowd[0]}
        assert "2001:4860" not in str(found)  # whom they belong to is said, not where they are
        await town.look()
        assert (await town.suspects()).keys() == found.keys()  # the same case, not another

    async def test_of_one_company_or_card_add_up_until_they_are_suspended(self, town: Town) -> None:
        mine = [await town.open_account(domain="spam.example") for _ in range(6)]
        away = [await town.open_account() for _ in range(2)]
        await town.look()
        assert await town.suspects() == {}  # 10 points: odd, and not written down
        for one in [*mine[:2], *away]:
            town.pays_with(one, "card_fingerprint_1")
        await town.look()
        found = await town.suspects("suspended")
        assert found.keys() == {*mine[:2], *away}
        assert {one: found[one]["score"] for one in found} == {
            **dict.fromkeys(mine[:2], 90),
            **dict.fromkeys(away, 80),
        }
        assert [await town.status_of(one) for one in (mine[0], mine[2])] == ["suspended", "active"]
        webhooks, mails = await town.told("webhook"), await town.told("mail")
        assert {one["type"] for one in webhooks} == {"organisation.suspended"}
        assert webhooks[0]["data"]["reason"] == "one card used by several accounts"
        assert {one["template"] for one in mails} == {"abuse_suspended"}
        assert len(webhooks) == len(mails) == 4
        await town.look()
        assert len(await town.told("mail")) == 4  # told once


class TestUse:
    async def test_that_leaps_is_seen_and_counted_once(
        self, town: Town, organisation: dict[str, Any], use: Use
    ) -> None:
        for hours in (6, 5, 4):
            town.clock.ahead_ms = -hours * HOUR_MS
            await use(sale=24 * DOLLAR)
            await town.look()
        assert await town.suspects() == {}
        town.clock.ahead_ms = 0
        await use(sale=30 * DOLLAR)
        await town.look()
        assert await town.suspects() == {}  # much more than usual, and still little money
        await use(sale=30 * DOLLAR)
        await town.look()
        async with town.worker.read() as read:
            sums = sa.select(sa.func.sum(abuse_hour.c.sale), sa.func.sum(abuse_hour.c.requests))
            assert (await read.execute(sums)).one() == (132 * DOLLAR, 5)
        (suspect,) = (await town.suspects()).values()
        assert [(one["rule"], one["points"]) for one in suspect["findings"]] == [("spend_spike", 40)]
        assert (suspect["status"], suspect["organisation_id"]) == ("open", organisation["id"])
        await town.look()
        async with town.worker.read() as read:
            assert (await read.execute(sums)).one() == (132 * DOLLAR, 5)

    async def test_that_only_fails_is_a_storm(
        self, town: Town, organisation: dict[str, Any], use: Use
    ) -> None:
        await use(sale=0, cost=0, status=400)
        await town.look()
        # A thousand and more of them, without booking each: the sum is what the rule reads.
        async with town.worker.transaction() as tx:
            await tx.execute(sa.update(abuse_hour).values(requests=3_000, failures=2_999))
        await use(sale=0, cost=0, status=200)
        await town.look()
        (suspect,) = (await town.suspects()).values()
        (storm,) = suspect["findings"]
        assert (storm["rule"], storm["value"], storm["points"]) == ("error_storm", 2_999, 30)
        assert suspect["organisation_id"] == organisation["id"]


class TestDecisions:
    async def test_lift_a_suspension_and_hold_for_the_rules_they_saw(self, town: Town) -> None:
        crowd = [await town.open_account(address="198.51.100.7", agent="x") for _ in range(9)]
        for one in crowd[:2]:
            town.pays_with(one, "card_fingerprint_1")
        await town.look()
        worst = (await town.suspects("suspended"))[crowd[0]]
        assert await town.status_of(crowd[0]) == "suspended"
        decide = f"{QUEUE}/{worst['id']}/decide"
        said = {"decision": "clear", "reason": "A school", "note": "ticket 4711"}
        cleared = await town.client.post(decide, said, status=200)
        assert (cleared["status"], cleared["organisation_status"]) == ("cleared", "active")
        assert cleared["reason"] == "A school (ticket 4711)"
        assert (await town.told("webhook"))[-1]["type"] == "organisation.reopened"
        assert await town.client.refused("POST", decide, said) == "409 suspect_decided"
        await town.look()
        assert crowd[0] not in await town.suspects("open")
        for number in range(3):  # another rule is another matter
            town.pays_with(crowd[0], f"card_fingerprint_2{number}")
        for one in crowd[2:5]:
            town.pays_with(one, "card_fingerprint_20")
        await town.look()
        assert await town.status_of(crowd[0]) == "active"  # the card's rule was cleared as well
        town.clock.ahead_ms += int((CLEARED_FOR + timedelta(hours=1)).total_seconds() * 1000)
        assert crowd[0] not in await town.suspects("suspended")

    async def test_suspend_and_close_and_are_audited(self, town: Town) -> None:
        crowd = [await town.open_account(address="198.51.100.7") for _ in range(5)]
        await town.look()
        queue = await town.suspects("open")
        first, second = (f"{QUEUE}/{queue[one]['id']}/decide" for one in crowd[:2])
        reason = {"reason": "Reselling free credits"}
        await town.client.post(first, {"decision": "suspend", **reason}, status=200)
        assert await town.status_of(crowd[0]) == "suspended"
        assert (await town.told("mail"))[-1]["values"]["reason"] == reason["reason"]
        await town.client.post(second, {"decision": "close", **reason}, status=200)
        assert await town.status_of(crowd[1]) == "closed"
        await town.look()
        assert set(await town.suspects("open")) == set(crowd[2:])
        with psycopg.connect(town.url) as administrator:
            logged = administrator.execute(
                "SELECT internal, changes::jsonb -> 'after' ->> 'status' FROM audit_entry"
                " WHERE subject = 'abuse_suspect' AND action = 'update' ORDER BY id"
            ).fetchall()
        assert logged == [(True, "suspended"), (True, "closed")]

    @pytest.mark.usefixtures("own_log")
    async def test_are_taken_on_the_command_line_too(self, town: Town) -> None:
        crowd = [await town.open_account(address="198.51.100.7", name=f"Crowd {n}") for n in range(5)]
        await town.look()

        def bursar(*words: str, fails: int = 0) -> Any:
            environment = {"BURSAR_DATABASE_URL": town.url, "BURSAR_SECRET_KEY": "ab" * 32}
            done = CliRunner().invoke(cli, ["abuse", *words, "--json"], env=environment)
            assert done.exit_code == fails, done.stderr
            return orjson.loads(done.stdout or done.stderr.splitlines()[-1])

        listed = await asyncio.to_thread(bursar, "list", "--status", "open")
        (one,) = [row["id"] for row in listed["items"] if row["organisation_id"] == crowd[0]]
        await asyncio.to_thread(bursar, "decide", one, "suspend", "Reselling", "--note", "ticket 4711")
        shown = await asyncio.to_thread(bursar, "show", one)
        assert (shown["organisation_status"], shown["reason"]) == ("suspended", "Reselling (ticket 4711)")
        assert (await town.told("mail"))[-1]["values"]["reason"] == "Reselling"
        refused = await asyncio.to_thread(bursar, "show", str(UUID(int=1)), fails=1)
        assert refused["code"] == "suspect_not_found"

    async def test_are_a_superadmins_and_seen_by_no_customer(self, town: Town) -> None:
        crowd = [await town.open_account(address="198.51.100.7") for _ in range(5)]
        await town.look()
        one = f"{QUEUE}/{(await town.suspects())[crowd[0]]['id']}"
        said = {"decision": "clear", "reason": "Fine"}
        for role in (OperatorRole.FINANCE, OperatorRole.SUPPORT):
            watching = await people.operator(town.control, role)
            assert (await watching.get(one))["score"] == 30
            assert await watching.refused("POST", f"{one}/decide", said) == "403 permission_denied"
        owner = await people.member(town.control, crowd[0], MemberRole.ADMIN)
        assert await owner.refused("GET", one) == "403 permission_denied"
        assert await owner.refused("GET", QUEUE) == "403 permission_denied"
        nowhere = f"{QUEUE}/{UUID(int=1)}"
        assert await town.client.refused("GET", nowhere) == "404 suspect_not_found"
        assert await town.client.refused("POST", f"{nowhere}/decide", said) == "404 suspect_not_found"
