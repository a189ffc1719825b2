"""Who is mailed of keys that are made, and of those that expire."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import people
import pytest
import sqlalchemy as sa
from control_client import Client, SettableClock

from bursar.core.permissions import MemberRole
from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.db.tables import mail, outbox
from bursar.features.keys.notices import tell_of_expiring_keys
from bursar.rest.control import Control
from bursar.rest.mails import MailAsked
from scratch_database import ScratchDatabase

DAY_MS = 24 * 3_600_000


@pytest.fixture
async def worker(database: ScratchDatabase) -> AsyncIterator[Database]:
    opened = Database(database.url, Role.WORKER)
    yield opened
    await opened.close()


async def asked(worker: Database) -> list[MailAsked]:
    async with worker.read() as read:
        rows = await read.execute(
            sa.select(outbox.c.payload).where(outbox.c.topic == "mail").order_by(outbox.c.id)
        )
        mails = [MailAsked.model_validate(payload) for payload in rows.scalars()]
    for one in mails:
        one.checked()
    return [one for one in mails if one.template.startswith("key_")]


async def dora_and_olga(control: Control, organisation_id: str) -> Client:
    """A developer, who is answered, and an owner."""
    for name, role in (("olga", MemberRole.OWNER), ("dora", MemberRole.DEVELOPER)):
        user_id = await people.make_person(
            control, email=f"{name}@acme.example", organisation_id=organisation_id, role=role
        )
    return people.speaking_as(control, await people.sign_in(control, user_id))


class TestANewKey:
    async def test_is_told_to_who_made_it_or_to_the_owner(
        self, client: Client, control: Control, organisation: dict[str, Any], worker: Database
    ) -> None:
        keys = f"/organisations/{organisation['id']}/keys"
        await client.post(keys, {"name": "before anybody"})
        dora = await dora_and_olga(control, organisation["id"])
        mine = await dora.post(keys, {"name": "mine"})
        given = await client.post(keys, {"name": "given"})
        turned = await client.post(f"{keys}/{mine['id']}/rotate")
        told = [(one.to, one.values["key_name"], "created_by" in one.values) for one in await asked(worker)]
        assert told == [
            ("dora@acme.example", "mine", True),
            ("olga@acme.example", "given", False),
            ("dora@acme.example", "mine", True),
        ]
        secrets = {key["secret"] for key in (mine, given, turned)}
        assert not [secret for secret in secrets if secret in str(await asked(worker))]


class TestAKeyThatExpires:
    async def test_is_told_once_a_week_before_to_who_made_it(
        self,
        control: Control,
        organisation: dict[str, Any],
        clock: SettableClock,
        worker: Database,
    ) -> None:
        keys = f"/organisations/{organisation['id']}/keys"
        dora = await dora_and_olga(control, organisation["id"])
        lives = {"long": 30, "soon": 10, "replaced": 10, "revoked": 10, "short": 6}
        made = {}
        for name, days in lives.items():
            expires_at = (control.edge.now() + timedelta(days=days)).isoformat()
            made[name] = await dora.post(keys, {"name": name, "expires_at": expires_at})
        await dora.call("POST", f"{keys}/{made['revoked']['id']}/revoke")
        await dora.post(f"{keys}/{made['replaced']['id']}/rotate", {"grace_period_s": 9 * 86_400})
        clock.ahead_ms = 4 * DAY_MS

        async def round_of_warnings() -> int:
            async with worker.transaction() as tx:
                return await tell_of_expiring_keys(tx, control.edge.now(), public_url="https://b.example")

        assert await round_of_warnings() == 2
        warned = [one for one in await asked(worker) if one.template == "key_expiring"]
        assert [(one.to, one.values["key_name"]) for one in warned] == [
            ("dora@acme.example", "soon"),
            ("dora@acme.example", "replaced"),  # its successor, which expires when it would have
        ]
        async with worker.transaction() as tx:
            for one in warned:
                await tx.execute(
                    sa.insert(mail).values(
                        id=control.edge.new_id(),
                        intent=one.intent,
                        template=one.template,
                        locale=one.locale,
                        recipient=one.to,
                        message_id=one.intent,
                        state="sent",
                        due_at=control.edge.now(),
                        created_at=control.edge.now(),
                        ended_at=control.edge.now(),
                    )
                )
        assert await round_of_warnings() == 0
