"""Being forgotten: asked for by REST, done by the worker, looked for in every column of every table."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import psycopg
import pytest
from account_story import EMAIL, story_of
from control_client import Client, Use
from forgetting import ADDRESS, ANA, NAME, PROGRAM, mails, outbox_of, sealed_and_whole, where_said, worker
from people import make_person, member, sign_in, speaking_as

from bursar.core.addresses import Networks
from bursar.core.permissions import MemberRole
from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.db.tables import metadata
from bursar.features.data_rights import tasks
from bursar.rest.control import Control
from bursar.rest.sign_ins import open_session
from scratch_database import ScratchDatabase

__all__ = ["worker"]


def leave_traces(database: ScratchDatabase, user_id: UUID, organisation_id: str) -> None:
    """What other features keep of a person."""
    with psycopg.connect(database.url, autocommit=True) as administrator:
        administrator.execute(
            "INSERT INTO linked_identity (id, user_id, source, subject, email, created_at, used_at)"
            " VALUES (gen_random_uuid(), %s, 'provider:x', %s, %s, now(), now())",
            [user_id, f"sub-{ANA}", ANA],
        )
        administrator.execute(
            "INSERT INTO mail (id, intent, template, locale, recipient, message_id, state, created_at,"
            " due_at, ended_at) VALUES (gen_random_uuid(), 'i', 'welcome', 'en', %s, 'm', 'sent', now(),"
            " now(), now())",
            [ANA],
        )
        administrator.execute(
            "INSERT INTO webhook_message (id, organisation_id, type, body, created_at)"
            " VALUES (gen_random_uuid(), %s, 'member.joined', %s, now())",
            [organisation_id, orjson.dumps({"email": ANA, "name": NAME}).decode()],
        )


# Columns named like an address. The two functions of erasure.sql see to these …
FORGOTTEN = {
    "app_user.email",
    "app_user.operator_addresses",
    "api_key.allowed_addresses",
    "invitation.email",
    "linked_identity.email",
    "mail.recipient",
    "mail_refusal.recipient",
    "one_time_token.email",
    "organisation.billing_email",
    "session.address",
    "session.user_agent",
    "sign_up.address",
    "sign_up.email",
}
# … and these are nobody's.
NOBODYS = {"operator_token.allowed_addresses", "sso_connection.vouches_for_email"}
ADDRESS_SHAPE = re.compile(r"(^|_)(email|recipient|user_agent|address|addresses|phone|ip)$")


class TestDeletion:
    def test_is_thought_of_wherever_an_address_is_kept(self) -> None:
        """A new column belongs into erasure.sql's functions first, then into the list."""
        kept = {
            f"{table.name}.{column.name}"
            for table in metadata.tables.values()
            for column in table.c
            if ADDRESS_SHAPE.search(column.name)
        }
        assert kept == FORGOTTEN | NOBODYS

    async def test_of_a_person_leaves_no_trace_of_him_anywhere(
        self,
        control: Control,
        client: Client,
        organisation: dict[str, Any],
        worker: Database,
        database: ScratchDatabase,
    ) -> None:
        place = f"/organisations/{organisation['id']}"
        ana_id = await make_person(
            control, email=ANA, organisation_id=organisation["id"], role=MemberRole.OWNER
        )
        with psycopg.connect(database.conninfo(Role.OWNER), autocommit=True) as owner:
            owner.execute("UPDATE app_user SET name = %s WHERE id = %s", [NAME, ana_id])
        async with control.database.transaction(accounts=True) as tx:
            signed_in = await open_session(tx, control, ana_id, user_agent=PROGRAM, address=ADDRESS)
        ana = speaking_as(control, signed_in)
        key = await ana.post(f"{place}/keys", {"name": "server"}, key="once")
        await ana.call("PATCH", place, {"billing_email": ANA})
        await ana.post(f"{place}/invitations", {"email": "bo@person.example", "role": "viewer"})
        elsewhere = await client.post("/organisations", {"name": "Elsewhere"})
        await make_person(control, organisation_id=elsewhere["id"], role=MemberRole.OWNER)
        await client.post(f"/organisations/{elsewhere['id']}/invitations", {"email": ANA, "role": "viewer"})
        leave_traces(database, ana_id, organisation["id"])
        assert await sealed_and_whole(worker)
        told_before = where_said(database, ANA, NAME, PROGRAM, ADDRESS)
        assert {"app_user", "session", "audit_entry", "organisation", "invitation", "outbox"} <= told_before

        assert await ana.refused("POST", "/me/deletion", {"email": "bo@person.example"}) == (
            "422 deletion_not_confirmed"
        )
        assert await ana.refused("POST", "/me/deletion", {"email": ANA}) == "409 owner_cannot_be_deleted"
        with psycopg.connect(database.url, autocommit=True) as administrator:
            bo = await make_person(control, organisation_id=organisation["id"], role=MemberRole.ADMIN)
            with administrator.transaction():
                administrator.execute("UPDATE membership SET role = 'admin' WHERE user_id = %s", [ana_id])
                administrator.execute("UPDATE membership SET role = 'owner' WHERE user_id = %s", [bo])
        scheduled = await ana.call("POST", "/me/deletion", {"email": ANA}, status=202)
        assert scheduled["state"] == "scheduled"
        assert await ana.refused("POST", "/me/deletion", {"email": ANA}) == "409 deletion_scheduled"
        assert [one["to"] for one in mails(database) if one["template"] == "account_deletion"] == [ANA]

        assert await tasks.erase_due(worker, control.edge.now() + timedelta(days=13)) == 0
        assert await tasks.erase_due(worker, control.edge.now() + timedelta(days=15)) == 1
        assert where_said(database, ANA, NAME, PROGRAM, ADDRESS) == set()
        assert await sealed_and_whole(worker)
        assert (await ana.http.get("/api/v1/me")).status_code == 401
        (by_nobody,) = [
            one
            for one in (await client.get("/audit?subject=api_key"))["items"]
            if one["subject_id"] == key["id"]
        ]
        assert by_nobody["actor"] == {"kind": "member", "id": str(ana_id), "name": None, "address": None}
        assert by_nobody["erased"] is True
        (told,) = (await client.get("/audit?action=erase"))["items"]
        assert (told["subject_id"], told["actor"]["name"]) == (str(ana_id), "worker@here")
        assert told["after"]["parts"] > 5
        assert await tasks.erase_due(worker, control.edge.now() + timedelta(days=15)) == 0

    async def test_forgets_also_the_stranger_he_was_before_he_signed_in(
        self, control: Control, worker: Database, database: ScratchDatabase
    ) -> None:
        behind = replace(control.policy, trusted_proxies=Networks(("127.0.0.1",)))
        story = story_of(replace(control, policy=behind), database)
        story.http.headers.update({"x-forwarded-for": ADDRESS, "user-agent": PROGRAM})
        assert (
            await story.said("/auth/log-in", {"email": EMAIL, "password": "wrong"}) == "401 sign_in_refused"
        )
        organisation_id = (await story.opened(name=NAME))["organisation_id"]
        tokens = await story.signed_in(tokens_in="body")
        story.http.headers["authorization"] = f"Bearer {tokens['access_token']}"
        mina, place = Client(story.http), f"/organisations/{organisation_id}"
        assert {"audit_entry", "session", "app_user", "sign_up"} <= where_said(database, EMAIL, ADDRESS)
        await mina.call("POST", f"{place}/deletion", {"name": "Harbour Ltd"}, status=202)
        await mina.call("POST", "/me/deletion", {"email": EMAIL}, status=202)
        assert await tasks.erase_due(worker, control.edge.now() + timedelta(days=15)) == 2
        assert where_said(database, EMAIL, NAME, ADDRESS, PROGRAM, "Harbour Ltd") == set()
        assert await sealed_and_whole(worker)

    @pytest.mark.parametrize("name", ["type", ",", ": {", "msg"])
    async def test_of_a_person_leaves_alone_what_is_said_of_others(
        self,
        control: Control,
        organisation: dict[str, Any],
        worker: Database,
        database: ScratchDatabase,
        name: str,
    ) -> None:
        others = speaking_as(
            control,
            await sign_in(
                control,
                await make_person(
                    control,
                    email="joann@person.example",
                    organisation_id=organisation["id"],
                    role=MemberRole.OWNER,
                ),
            ),
        )
        await others.post(f"/organisations/{organisation['id']}/keys", {"name": "msg"})
        body = '{"id":"1","type":"key.created","data":{"name":"msg"}}'
        with psycopg.connect(database.url, autocommit=True) as administrator:
            administrator.execute(
                "INSERT INTO webhook_message (id, organisation_id, type, body, created_at)"
                " VALUES (gen_random_uuid(), %s, 'key.created', %s, now())",
                [organisation["id"], body],
            )
        ann_id = await make_person(control, email="ann@person.example")
        ann = speaking_as(control, await sign_in(control, ann_id))
        await ann.call("PATCH", "/me", {"name": name})
        before = outbox_of(database, organisation["id"])
        assert any(said.get("to") == "joann@person.example" for said in before)
        await ann.call("POST", "/me/deletion", {"email": "ann@person.example"}, status=202)
        assert await tasks.erase_due(worker, control.edge.now() + timedelta(days=15)) == 1
        assert outbox_of(database, organisation["id"]) == before
        with psycopg.connect(database.url) as administrator:
            assert administrator.execute("SELECT body FROM webhook_message").fetchall() == [(body,)]
            kept = administrator.execute(
                "SELECT count(*) FROM audit_entry WHERE row_part LIKE '%joann@person.example%'"
            ).fetchone()
        assert kept is not None
        assert kept[0] > 0

    async def test_that_fails_keeps_no_other_waiting(
        self, control: Control, worker: Database, database: ScratchDatabase
    ) -> None:
        for email in (ANA, "bo@person.example"):
            person = speaking_as(control, await sign_in(control, await make_person(control, email=email)))
            await person.call("POST", "/me/deletion", {"email": email}, status=202)
        stuck = (
            "CREATE FUNCTION stuck() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE 'stuck'; END $$; CREATE TRIGGER stuck BEFORE UPDATE ON app_user FOR EACH ROW"
            f" WHEN (old.email = '{ANA}') EXECUTE FUNCTION stuck()"
        )
        with psycopg.connect(database.url, autocommit=True) as administrator:
            administrator.execute(stuck.encode())
            later = control.edge.now() + timedelta(days=15)
            assert await tasks.erase_due(worker, later) == 1
            assert where_said(database, "bo@person.example") == set()
            administrator.execute("DROP TRIGGER stuck ON app_user")
        assert await tasks.erase_due(worker, later) == 1
        assert where_said(database, ANA) == set()

    async def test_can_be_taken_back_in_time(self, control: Control, worker: Database) -> None:
        ana_id = await make_person(control, email=ANA)
        ana = speaking_as(control, await sign_in(control, ana_id))
        assert await ana.refused("GET", "/me/deletion") == "404 deletion_not_found"
        await ana.call("POST", "/me/deletion", {"email": ANA.upper()}, status=202)
        assert (await ana.call("DELETE", "/me/deletion"))["state"] == "cancelled"
        assert (await ana.get("/me/deletion"))["state"] == "cancelled"
        assert await ana.refused("DELETE", "/me/deletion") == "404 deletion_not_found"
        assert await tasks.erase_due(worker, control.edge.now() + timedelta(days=99)) == 0
        assert (await ana.get("/me"))["email"] == ANA

    async def test_of_an_organisation_keeps_its_ledger_under_no_name(  # noqa: PLR0913, PLR0917 - fixtures
        self,
        control: Control,
        client: Client,
        worker: Database,
        database: ScratchDatabase,
        organisation: dict[str, Any],
        use: Use,
    ) -> None:
        name = "Unique Widgets Ltd"
        place = f"/organisations/{organisation['id']}"
        await client.call("PATCH", place, {"name": name, "billing_email": "books@widgets.example"})
        owner_id = await make_person(
            control, email=ANA, organisation_id=organisation["id"], role=MemberRole.OWNER
        )
        owner = speaking_as(control, await sign_in(control, owner_id))
        await owner.post(f"{place}/keys", {"name": name})
        await owner.post(f"{place}/teams", {"name": name})
        await owner.post(f"{place}/invitations", {"email": "bo@widgets.example", "role": "viewer"})
        await client.post(f"{place}/wallet/top-ups", {"amount": "10"}, key="k")
        await use(end_user="reader@widgets.example")
        admin = await member(control, organisation["id"], MemberRole.ADMIN)
        assert await admin.refused("POST", f"{place}/deletion", {"name": name}) == "403 permission_denied"
        assert await owner.refused("POST", f"{place}/deletion", {"name": "?"}) == "422 deletion_not_confirmed"
        await owner.call("POST", f"{place}/deletion", {"name": name}, status=202)
        await owner.call("DELETE", f"{place}/deletion")
        await owner.call("POST", f"{place}/deletion", {"name": name}, status=202)
        assert (await owner.get(f"{place}/deletion"))["state"] == "scheduled"
        await owner.call("POST", "/me/deletion", {"email": ANA}, status=202)

        assert await tasks.erase_due(worker, control.edge.now() + timedelta(days=15)) == 2
        assert where_said(database, name, "widgets.example", ANA) == set()
        assert await sealed_and_whole(worker)
        with psycopg.connect(database.url) as administrator:
            kept = administrator.execute(
                "SELECT (SELECT count(*) FROM usage WHERE organisation_id = %(id)s),"
                " (SELECT count(*) FROM ledger_transaction WHERE organisation_id = %(id)s),"
                " (SELECT bool_or(active) FROM api_key WHERE organisation_id = %(id)s),"
                " (SELECT status FROM organisation WHERE id = %(id)s)",
                {"id": UUID(organisation["id"])},
            ).fetchone()
        assert kept == (1, 1, False, "closed")
