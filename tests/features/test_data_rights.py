"""Copies of all data, and being forgotten: asked for by REST, done by the worker, looked for everywhere."""

import csv
import io
import re
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import psycopg
import pytest
import sqlalchemy as sa
from account_story import EMAIL, story_of
from control_client import Client, SettableClock, Use
from people import make_person, member, sign_in, speaking_as
from psycopg import sql
from sqlalchemy.sql.util import find_tables

from bursar.core.addresses import Networks
from bursar.core.audit_chain import mark_key
from bursar.core.permissions import MemberRole, OperatorRole
from bursar.db.audit import Sealer, verify
from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.db.tables import metadata, session
from bursar.features.data_rights import contents, tasks
from bursar.rest.control import Control
from bursar.rest.sign_ins import open_session
from scratch_database import ScratchDatabase

DAY_MS = 86_400_000
KEY = mark_key(b"s" * 32)
ANA, NAME, PROGRAM, ADDRESS = "ana.unique@person.example", "Ana Q. Unique", "UniqueBrowser/7", "203.0.113.77"


@pytest.fixture
async def worker(database: ScratchDatabase) -> AsyncIterator[Database]:
    opened = Database(database.url, Role.WORKER, actor='{"kind": "system", "name": "worker@here"}')
    yield opened
    await opened.close()


async def make_export(worker: Database, control: Control) -> bool:
    return await tasks.make_export(
        worker, control.edge, life=timedelta(days=7), public_url="https://bursar.example"
    )


def mails(database: ScratchDatabase) -> list[dict[str, Any]]:
    with psycopg.connect(database.url) as connection:
        return [
            row[0]
            for row in connection.execute("SELECT payload FROM outbox WHERE topic = 'mail' ORDER BY id")
        ]


def outbox_of(database: ScratchDatabase, organisation_id: str) -> list[dict[str, Any]]:
    with psycopg.connect(database.url) as connection:
        asked = "SELECT payload FROM outbox WHERE organisation_id = %s ORDER BY id"
        return [row[0] for row in connection.execute(asked, [organisation_id])]


async def archive_of(client: Client, path: str) -> zipfile.ZipFile:
    answer = await client.http.get(f"/api/v1{path}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert int(answer.headers["content-length"]) == len(answer.content)
    return zipfile.ZipFile(io.BytesIO(answer.content))


async def support_viewing(control: Control, organisation_id: str, path: str) -> str:
    """What support is told that sees what the customer sees."""
    person = await make_person(control, operator_role=OperatorRole.SUPPORT)
    signed_in = await sign_in(control, person, two_factor=True)
    async with control.database.transaction(accounts=True) as tx:
        until = control.edge.now() + timedelta(minutes=5)
        looking = {"viewing_organisation_id": UUID(organisation_id), "viewing_until": until}
        await tx.execute(sa.update(session).where(session.c.id == signed_in.session_id).values(looking))
    return await speaking_as(control, signed_in).refused("GET", path)


# Tables of tenants and people that no archive holds, and why.
NOT_EXPORTED = {
    "abuse_hour": "sums of `usage`",
    "abuse_suspect": "telling how fraud is noticed would end noticing it",
    "card_fingerprint": "the payment provider's name of a card, for the same end",
    "balance_notice": "that a mail was sent of a balance",
    "budget_notice": "that a mail was sent of a budget",
    "budget_slice": "what gateways promise each other",
    "data_export": "archives themselves",
    "erasure": "that somebody wants to be forgotten is shown where it is asked for",
    "hold": "what gateways promise each other",
    "ledger_account": "numbers of the accounts that `transactions` move",
    "ledger_entry": "the two sides of what `transactions` tells",
    "lot_consumption": "which lot paid; `credit_lots` tells what remains",
    "mail_refusal": "of people without an account",
    "one_time_token": "hashes of links that mails told",
    "outbox": "a queue",
    "recovery_code": "hashes",
    "stored_response": "sealed; its owner reads it at /v1/responses",
    "usage_month": "sums of `usage`",
    "webhook_attempt": "a log of some days, of what `audit` tells",
    "webhook_delivery": "a log of some days, of what `audit` tells",
    "webhook_message": "a log of some days, of what `audit` tells",
    "webhook_secret": "secrets",
}


def tables_in(files: list[contents.File]) -> set[str]:
    return {
        table.name
        for file in files
        for table in find_tables(file.question, include_joins=True)
        if isinstance(table, sa.Table)
    }


class TestContents:
    def test_hold_every_table_of_tenants_and_people_or_say_why_not(self) -> None:
        held = tables_in(contents.of_organisation(UUID(int=1))) | tables_in(
            contents.of_person(UUID(int=1), "")
        )
        owners = {"organisation_id", "user_id", "email", "recipient"}
        owned = {name for name, table in metadata.tables.items() if owners & set(table.c.keys())}
        assert owned - held == NOT_EXPORTED.keys()


class TestExport:
    async def test_of_an_organisation_is_one_archive_of_all_it_has(  # noqa: PLR0913, PLR0917 - fixtures
        self,
        control: Control,
        client: Client,
        organisation: dict[str, Any],
        worker: Database,
        use: Use,
        database: ScratchDatabase,
        clock: SettableClock,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("bursar.features.data_rights.tasks.PIECE_BYTES", 1000)
        monkeypatch.setattr("bursar.features.data_rights.archive.ROWS_PER_PAGE", 2)
        other = await client.post("/organisations", {"name": "Somebody else"})
        place = f"/organisations/{organisation['id']}"
        owner = await member(control, organisation["id"], MemberRole.OWNER)
        key = await owner.post(f"{place}/keys", {"name": "=HYPERLINK()"})
        for number in range(5):
            await use(end_user=f"reader {number}")

        asked = await owner.call("POST", f"{place}/data-exports", status=202)
        assert asked["state"] == "queued"
        assert await owner.refused("POST", f"{place}/data-exports") == "409 data_export_pending"
        path = f"{place}/data-exports/{asked['id']}/archive"
        assert await owner.refused("GET", path) == "409 data_export_not_ready"
        assert await make_export(worker, control)
        assert not await make_export(worker, control)

        bundle = await archive_of(owner, path)
        rows = orjson.loads(bundle.read("manifest.json"))["rows"]
        assert {name for file in rows for name in (f"{file}.json", f"{file}.csv")} | {"manifest.json"} == set(
            bundle.namelist()
        )
        for name, number in rows.items():
            listed = orjson.loads(bundle.read(f"{name}.json"))
            table = list(csv.DictReader(io.StringIO(bundle.read(f"{name}.csv").decode())))
            assert len(listed) == len(table) == number
        assert (rows["usage"], rows["members"], rows["api_keys"], rows["wallets"]) == (5, 1, 1, 1)
        told = b"".join(bundle.read(name) for name in bundle.namelist())
        assert b"reader 4" in told
        assert b"'=HYPERLINK()" in bundle.read("api_keys.csv")
        assert await support_viewing(control, organisation["id"], path) == "403 permission_denied"
        with psycopg.connect(database.conninfo(Role.API)) as api:
            for seer, seen in ((other["id"], 0), (organisation["id"], 1)):
                api.execute("SELECT set_config('bursar.organisation', %s, true)", [seer])
                found = api.execute("SELECT count(DISTINCT export_id) FROM data_export_piece").fetchone()
                assert found == (seen,)
        for hidden in (key["secret"].encode(), other["id"].encode(), b'"key_hash":', b'"cost"', b"raw_usage"):
            assert hidden not in told
        (mail,) = [one for one in mails(database) if one["template"] == "data_export"]
        assert mail["values"]["link"] == f"https://bursar.example/api/v1{path}"

        clock.ahead_ms = 8 * DAY_MS
        client_later = await member(control, organisation["id"], MemberRole.ADMIN)
        assert await client_later.refused("GET", path) == "403 permission_denied"
        assert await client.refused("GET", path) == "409 data_export_not_ready"
        await tasks.expire_exports(worker, control.edge.now())
        (listed,) = (await client.get(f"{place}/data-exports"))["items"]
        assert listed["state"] == "expired"
        with psycopg.connect(database.url) as connection:
            assert connection.execute("SELECT count(*) FROM data_export_piece").fetchone() == (0,)

    async def test_of_a_person_is_his_alone(
        self, control: Control, organisation: dict[str, Any], worker: Database
    ) -> None:
        ana_id = await make_person(
            control, email=ANA, organisation_id=organisation["id"], role=MemberRole.VIEWER
        )
        ana = speaking_as(control, await sign_in(control, ana_id))
        bo = await member(control, organisation["id"], MemberRole.OWNER)
        asked = await ana.call("POST", "/me/data-exports", status=202)
        assert await make_export(worker, control)
        path = f"/me/data-exports/{asked['id']}/archive"
        bundle = await archive_of(ana, path)
        (profile,) = orjson.loads(bundle.read("profile.json"))
        assert (profile["email"], profile["id"]) == (ANA, str(ana_id))
        assert not {"password_hash", "totp_sealed"} & profile.keys()
        assert orjson.loads(bundle.read("sessions.json"))[0]["address"] == ""
        assert await bo.refused("GET", path) == "404 data_export_not_found"
        other = f"/organisations/{organisation['id']}/data-exports/{asked['id']}/archive"
        assert await bo.refused("GET", other) == "404 data_export_not_found"
        for _ in range(2):
            await ana.call("POST", "/me/data-exports", status=202)
            assert await make_export(worker, control)
        assert await ana.refused("POST", "/me/data-exports") == "429 data_exports_too_many"

    async def test_that_grows_too_large_is_given_up(
        self,
        control: Control,
        organisation: dict[str, Any],
        worker: Database,
        client: Client,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("bursar.features.data_rights.archive.ARCHIVE_BYTES_MAX", 10)
        place = f"/organisations/{organisation['id']}/data-exports"
        await client.call("POST", place, status=202)
        assert await make_export(worker, control)
        assert [one["state"] for one in (await client.get(place))["items"]] == ["failed"]


def everything_said(database: ScratchDatabase) -> dict[str, str]:
    """Every table as text."""
    with psycopg.connect(database.url) as administrator:
        tables = administrator.execute(
            "SELECT c.relname FROM pg_class AS c WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p') AND NOT relispartition"
        ).fetchall()
        return {
            name: str(
                administrator.execute(
                    sql.SQL("SELECT string_agg(t::text, ' ') FROM {} AS t").format(sql.Identifier(name))
                ).fetchone()
            )
            for (name,) in tables
        }


def where_said(database: ScratchDatabase, *words: str) -> set[str]:
    return {
        name
        for name, text in everything_said(database).items()
        for word in words
        if word.lower() in text.lower()
    }


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


async def sealed_and_whole(worker: Database) -> bool:
    sealer = Sealer(worker, KEY)
    while await sealer.run():
        pass
    return (await verify(worker, KEY, {})).fault is None


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
