"""Who is told that money runs out, and how often."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import people
import pytest
import sqlalchemy as sa
from control_client import Client, Use

from bursar.core.money import parse_amount
from bursar.core.permissions import MemberRole
from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.db.tables import outbox
from bursar.features.wallet.low_balance import tell_of_low_balances
from bursar.rest.control import Control
from bursar.rest.mails import LowBalance, MailAsked
from bursar.rest.webhook_events import WebhookAsked
from scratch_database import ScratchDatabase


@pytest.fixture
async def worker(database: ScratchDatabase) -> AsyncIterator[Database]:
    opened = Database(database.url, Role.WORKER)
    yield opened
    await opened.close()


async def told(worker: Database, control: Control) -> tuple[list[MailAsked], list[dict[str, Any]]]:
    """What the worker's round, run twice, asks for: mails and webhooks."""
    async with worker.read() as read:
        last = (await read.execute(sa.select(sa.func.coalesce(sa.func.max(outbox.c.id), 0)))).scalar_one()
    for _ in range(2):
        async with worker.transaction() as tx:
            await tell_of_low_balances(tx, control.edge.now(), public_url="https://bursar.example")
    async with worker.read() as read:
        rows = (
            await read.execute(sa.select(outbox.c.topic, outbox.c.payload).where(outbox.c.id > last))
        ).all()
    mails = [MailAsked.model_validate(payload) for topic, payload in rows if topic == "mail"]
    hooks = [WebhookAsked.model_validate(payload).data for topic, payload in rows if topic == "webhook"]
    return sorted(mails, key=lambda mail: mail.to), hooks


class TestLowBalance:
    async def test_is_told_once_until_the_next_top_up(  # noqa: PLR0913, PLR0917 - fixtures
        self,
        client: Client,
        control: Control,
        organisation: dict[str, Any],
        use: Use,
        post_usage: Callable[[], None],
        worker: Database,
    ) -> None:
        top_ups = f"/organisations/{organisation['id']}/wallet/top-ups"
        assert await told(worker, control) == ([], [])  # nothing was ever put in
        await client.post(top_ups, {"amount": "10"}, key="t1")
        await use(sale=parse_amount("8", "USD"))
        post_usage()
        assert await told(worker, control) == ([], [])  # exactly a fifth is left
        await use(sale=parse_amount("0.50", "USD"))
        post_usage()
        mails, hooks = await told(worker, control)
        assert [(mail.to, mail.checked()) for mail in mails] == [
            (
                "pay@acme.example",
                LowBalance(
                    organisation="Acme",
                    balance="1.50",
                    currency="USD",
                    threshold="2.00",
                    link="https://bursar.example/wallet",
                ),
            )
        ]
        assert hooks == [
            {
                "wallet_id": organisation["wallet_id"],
                "balance": "1.50",
                "currency": "USD",
                "threshold": "2.00",
            }
        ]
        await client.post(top_ups, {"amount": "1"}, key="t2")
        assert await told(worker, control) == ([], [])
        for name, role in (("bill", MemberRole.BILLING), ("dora", MemberRole.DEVELOPER)):
            await people.make_person(
                control, email=f"{name}@acme.example", organisation_id=organisation["id"], role=role
            )
        await use(sale=parse_amount("2.40", "USD"))
        post_usage()
        mails, _ = await told(worker, control)
        assert "bill@acme.example" in {mail.to for mail in mails}
        assert {"dora@acme.example", "pay@acme.example"}.isdisjoint({mail.to for mail in mails})
        assert {mail.values["balance"] for mail in mails} == {"0.10"}
