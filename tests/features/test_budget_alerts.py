"""Who is told when a budget runs out, and when."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import people
import pytest
import sqlalchemy as sa
from control_client import Client, SettableClock
from test_budgets import use

from bursar.core.limits import DAY_MS, Period
from bursar.core.permissions import MemberRole
from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.db.tables import outbox
from bursar.features.budgets.tasks import tell_of_budgets
from bursar.rest.control import Control
from bursar.rest.mails import MailAsked
from scratch_database import ScratchDatabase


@pytest.fixture
async def worker(database: ScratchDatabase) -> AsyncIterator[Database]:
    opened = Database(database.url, Role.WORKER)
    yield opened
    await opened.close()


async def told(worker: Database, now: datetime) -> list[tuple[str, str, int]]:
    """What a round announces: by mail to whom, or by webhook; and the percentage."""
    async with worker.transaction() as tx:
        last = (await tx.execute(sa.select(sa.func.max(outbox.c.id)))).scalar_one() or 0
        await tell_of_budgets(tx, now, public_url="https://bursar.example")
        rows = await tx.execute(sa.select(outbox).where(outbox.c.id > last).order_by(outbox.c.id))
        return sorted(said(row["topic"], row["payload"]) for row in rows.mappings())


def said(topic: str, payload: dict[str, Any]) -> tuple[str, str, int]:
    if topic == "webhook":
        return payload["type"], "", payload["data"]["percent"]
    mail = MailAsked.model_validate(payload)
    mail.checked()
    return mail.template, mail.to, mail.values["percent"]


class TestABudgetThatRunsOut:
    async def test_is_told_to_those_who_manage_budgets_and_whose_it_is(  # noqa: PLR0913, PLR0917 - the world
        self,
        client: Client,
        control: Control,
        organisation: dict[str, Any],
        database: ScratchDatabase,
        clock: SettableClock,
        worker: Database,
    ) -> None:
        whose = organisation["id"]
        await people.make_person(control, organisation_id=whose, email="ana@a.example", role=MemberRole.ADMIN)
        bob = await people.make_person(control, organisation_id=whose, email="bob@a.example")
        await people.make_person(control, organisation_id=whose, email="eve@a.example")
        body = {"name": "his", "unit": "requests", "amount": "100", "period": "day", "member_id": str(bob)}
        made = await client.post(f"/organisations/{whose}/budgets", body)
        known = {("budget_alert", "ana@a.example"), ("budget_alert", "bob@a.example"), ("budget.alert", "")}

        for used, expected in ((79, None), (3, 82), (7, None), (10, 99)):
            await use(database, clock, made["id"], Period.DAY, used)
            announced = await told(worker, control.edge.now())
            assert {percent for *_, percent in announced} == ({expected} if expected else set())
            if expected:
                those = {(kind, to) for kind, to, _ in announced if not to.endswith("@people.example")}
                assert those == known
            assert await told(worker, control.edge.now()) == []

        clock.ahead_ms += DAY_MS
        assert await told(worker, control.edge.now()) == []
        await use(database, clock, made["id"], Period.DAY, 96)
        assert await told(worker, control.edge.now())
