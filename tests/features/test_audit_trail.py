"""The audit log to read: who sees what of it, by REST and on the command line."""

import asyncio
import csv
import getpass
import io
import socket
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from control_client import Client
from people import make_person, member, operator, sign_in, speaking_as
from test_commands import Bursar, bursar

from bursar.core.audit_chain import mark_key
from bursar.core.permissions import MemberRole, OperatorRole
from bursar.db.audit import Sealer
from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.rest.control import Control
from bursar.rest.csv_cells import cell
from scratch_database import ScratchDatabase

__all__ = ["bursar"]


async def newest(client: Client, path: str) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(path))["items"][0]
    return found


class TestTrail:
    async def test_tells_members_what_was_done_and_not_which_operator_did_it(
        self, client: Client, control: Control, organisation: dict[str, Any]
    ) -> None:
        place = f"/organisations/{organisation['id']}"
        owner_id = await make_person(
            control, email="ana@acme.example", organisation_id=organisation["id"], role=MemberRole.OWNER
        )
        owner = speaking_as(control, await sign_in(control, owner_id))
        made = await owner.post(f"{place}/keys", {"name": "Ana's key"})
        await client.call("PATCH", place, {"status": "suspended"})

        by_operator, by_member = (
            (await owner.get(f"{place}/audit?action=update"))["items"][0],
            await newest(owner, f"{place}/audit?subject=api_key"),
        )
        assert by_member["actor"] == {
            "kind": "member",
            "id": str(owner_id),
            "name": "ana@acme.example",
            "address": "127.0.0.1",
        }
        assert (by_member["action"], by_member["subject_id"]) == ("insert", made["id"])
        assert (by_member["after"]["name"], by_member["after"]["key_hash"]) == ("Ana's key", "***")
        assert made["secret"] not in orjson.dumps(by_member).decode()
        assert by_operator["actor"] == {"kind": "operator", "id": None, "name": None, "address": None}
        assert (by_operator["before"], by_operator["after"]) == (
            {"status": "active"},
            {"status": "suspended"},
        )

        platform = await newest(client, "/audit?subject=organisation&action=update")
        assert (platform["actor"]["kind"], platform["actor"]["name"]) == ("token", "Ana")
        assert platform["id"] == by_operator["id"]
        found = await client.get("/audit?text=ANA%40ACME")
        assert {one["subject"] for one in found["items"]} >= {"api_key", "app_user"}
        assert (await owner.get(f"{place}/audit?text=Ana%40acme"))["items"] == []

        support = await operator(control, OperatorRole.SUPPORT)
        masked = await newest(support, f"{place}/audit?subject=organisation&action=insert")
        assert masked["actor"]["name"] is None
        assert not {"name", "billing_email"} & masked["after"].keys()

    async def test_names_who_gave_money_back(self, client: Client, organisation: dict[str, Any]) -> None:
        place = f"/organisations/{organisation['id']}"
        made = await client.post(f"{place}/wallet/top-ups", {"amount": "10.00"}, key="in")
        await client.post(f"{place}/wallet/top-ups/{made['id']}/refund", {"amount": "4.00"}, key="out")
        entries = (await client.get(f"{place}/audit"))["items"]
        assert {entry["actor"]["kind"] for entry in entries} == {"token"}, entries
        assert len(entries) >= 2

    async def test_is_for_who_may_read_it(
        self, client: Client, control: Control, organisation: dict[str, Any]
    ) -> None:
        other = await client.post("/organisations", {"name": "Other"})
        admin = await member(control, organisation["id"], MemberRole.ADMIN)
        viewer = await member(control, organisation["id"], MemberRole.VIEWER)
        for path in ("", "/export"):
            mine, others = (f"/organisations/{one['id']}/audit{path}" for one in (organisation, other))
            assert await viewer.refused("GET", mine) == "403 permission_denied"
            assert await admin.refused("GET", others) == "404 organisation_not_found"
            assert await admin.refused("GET", f"/audit{path}") == "403 permission_denied"
        seen = (await admin.get(f"/organisations/{organisation['id']}/audit"))["items"]
        assert {one["organisation_id"] for one in seen} == {organisation["id"]}

    async def test_is_searched_within_a_span_and_page_by_page(
        self, client: Client, organisation: dict[str, Any]
    ) -> None:
        for number in range(3):
            await client.call("PATCH", f"/organisations/{organisation['id']}", {"name": f"Acme {number}"})
        path = f"/audit?organisation_id={organisation['id']}&action=update&limit=2"
        first = await client.get(path)
        rest = await client.get(f"{path}&cursor={first['next_cursor']}")
        assert [one["after"]["name"] for one in first["items"] + rest["items"]] == [
            "Acme 2",
            "Acme 1",
            "Acme 0",
        ]
        assert rest["next_cursor"] is None
        past = "since=2020-01-01T00:00:00Z&until=2020-02-01T00:00:00Z"
        assert (await client.get(f"/audit?{past}"))["items"] == []
        for wrong in ("since=2020-01-01T00:00:00Z", "since=2020-02-01T00:00:00Z&until=2020-01-01T00:00:00Z"):
            assert await client.refused("GET", f"/audit?{wrong}") == "422 audit_span_invalid"

    async def test_is_downloaded_whole_in_both_forms(
        self, client: Client, organisation: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bursar.features.audit.service.EXPORTED_PER_PAGE", 2)
        for name in ("=1+1", "B", "C"):
            await client.call("PATCH", f"/organisations/{organisation['id']}", {"name": name})
        place = f"/api/v1/organisations/{organisation['id']}/audit"
        listed = (await client.http.get(place)).json()["items"]
        as_json = await client.http.get(f"{place}/export")
        assert as_json.headers["content-type"] == "application/json"
        assert as_json.json() == listed
        as_csv = await client.http.get(f"{place}/export?format=csv")
        assert as_csv.headers["content-disposition"] == 'attachment; filename="audit.csv"'
        rows = list(csv.DictReader(io.StringIO(as_csv.text)))
        assert [int(row["id"]) for row in rows] == [one["id"] for one in listed]
        assert orjson.loads(rows[0]["after"]) == listed[0]["after"]
        none = await client.http.get(f"{place}/export?text=nothing+says+this")
        assert none.json() == []

    def test_a_cell_is_no_formula(self) -> None:
        assert [cell(one) for one in ("=1+1", "-2", "a=b", None, 7)] == ["'=1+1", "'-2", "a=b", "", "7"]


class TestCommands:
    def test_search_export_and_verify(
        self, bursar: Bursar, database: ScratchDatabase, tmp_path: Path
    ) -> None:
        bursar.run("org", "create", "Acme", "--email", "pay@acme.example")
        told = bursar.json("audit", "search", "--organisation", "Acme", "--subject", "organisation")
        (made,) = told["items"]
        assert made["actor"]["kind"] == "cli"
        assert made["actor"]["name"] == f"{getpass.getuser()}@{socket.gethostname()}"
        assert made["after"]["billing_email"] == "pay@acme.example"
        assert "organisation" in bursar.run("audit", "search").stdout

        bursar.run("audit", "export", str(tmp_path / "log.csv"))
        bursar.run("audit", "export", str(tmp_path / "log.json"), "--organisation", "Acme")
        with (tmp_path / "log.csv").open() as file:
            assert {row["actor_kind"] for row in csv.DictReader(file)} == {"cli"}
        assert orjson.loads((tmp_path / "log.json").read_bytes())[-1] == made

        waiting = bursar.json("audit", "verify")
        assert (waiting["ok"], waiting["seq"]) == (True, 0)
        assert waiting["unsealed"] >= 2
        asyncio.run(seal_all(database))
        whole = bursar.json("audit", "verify")
        assert (whole["ok"], whole["unsealed"], whole["seq"]) == (True, 0, waiting["unsealed"])
        anchor = f"{whole['seq']}:{whole['hash']}"
        assert "whole" in bursar.run("audit", "verify", "--anchor", anchor).stdout
        assert bursar.refused("audit", "verify", "--anchor", "7", fails=2) == "invalid_request"
        with psycopg.connect(database.conninfo(Role.OWNER), autocommit=True) as owner:
            owner.execute("ALTER TABLE audit_entry DISABLE TRIGGER ALL")
            owner.execute("DELETE FROM audit_entry WHERE seq = 1")
        broken = bursar.json("audit", "verify", fails=1)
        assert (broken["ok"], broken["broken"]["seq"]) == (False, 1)
        assert "BROKEN at entry 1" in bursar.run("audit", "verify", fails=1).stdout


async def seal_all(database: ScratchDatabase) -> None:
    """As the worker does, with the secret that the fixture `bursar` gives."""
    worker = Database(database.url, Role.WORKER)
    await Sealer(worker, mark_key(bytes.fromhex("ab" * 32))).run()
    await worker.close()
