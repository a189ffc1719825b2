"""Copies of all data: asked for by REST, made by the worker, and what is in them."""

import csv
import io
import zipfile
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import psycopg
import pytest
import sqlalchemy as sa
from control_client import Client, SettableClock, Use
from forgetting import ANA, mails, worker
from people import make_person, member, sign_in, speaking_as
from sqlalchemy.sql.util import find_tables

from bursar.core.permissions import MemberRole, OperatorRole
from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.db.tables import metadata, session
from bursar.features.data_rights import contents, tasks
from bursar.rest.control import Control
from scratch_database import ScratchDatabase

__all__ = ["worker"]

DAY_MS = 86_400_000


async def make_export(worker: Database, control: Control) -> bool:
    return await tasks.make_export(
        worker, control.edge, life=timedelta(days=7), public_url="https://bursar.example"
    )


async def archive_of(client: Client, path: str) -> zipfile.ZipFile:
    answer = await client.http.get(f"/api/v1{path}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert int(answer.headers["content-length"]) == len(answer.content)
    return zipfile.ZipFile(io.BytesIO(answer.content))


def archives_seen_by(database: ScratchDatabase, organisation_id: str) -> int:
    """By SQL, as the customers' role."""
    with psycopg.connect(database.conninfo(Role.API)) as api:
        api.execute("SELECT set_config('bursar.organisation', %s, true)", [organisation_id])
        found = api.execute("SELECT count(DISTINCT export_id) FROM data_export_piece").fetchone()
    return 0 if found is None else int(found[0])


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
        assert [archives_seen_by(database, one["id"]) for one in (other, organisation)] == [0, 1]
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
