import asyncio
import hashlib
import re
from typing import Any
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from control_client import Client, SettableClock

from bursar.db.tables import api_key
from bursar.features.keys.routes import CHANGES_AT_ONCE
from bursar.features.keys.service import KEYS_MAX
from bursar.rest.control import Control
from scratch_database import ScratchDatabase


@pytest.fixture
def path(organisation: dict[str, Any]) -> str:
    return f"/organisations/{organisation['id']}/keys"


class TestCreateKey:
    async def test_shows_the_secret_once_and_keeps_its_hash(
        self, client: Client, control: Control, path: str
    ) -> None:
        made = await client.post(path, {"name": "server"})
        assert re.fullmatch(r"llm_sk_[A-Za-z0-9]{40}", made["secret"])
        assert made["visible"] == made["secret"][:13]
        assert (made["requests_per_minute"], made["allowed_models"], made["expires_at"]) == (60, None, None)
        shown = await client.get(f"{path}/{made['id']}")
        assert shown == {name: value for name, value in made.items() if name != "secret"}
        async with control.database.read(operator=True) as read:
            row = (await read.execute(sa.select(api_key))).mappings().one()
        assert row["key_hash"] == hashlib.sha256(made["secret"].encode()).digest()
        assert made["secret"] not in str(dict(row))

    async def test_two_keys_never_share_a_secret(self, client: Client, path: str) -> None:
        secrets = {(await client.post(path, {"name": "same"}))["secret"] for _ in range(3)}
        assert len(secrets) == 3

    async def test_a_repeated_request_gets_the_same_secret(
        self, client: Client, control: Control, path: str
    ) -> None:
        first = await client.post(path, {"name": "server"}, key="k")
        again = await client.post(path, {"name": "server"}, key="k")
        assert again == first
        async with control.database.read(operator=True) as read:
            kept = (await read.execute(sa.text("SELECT answer FROM idempotent_answer"))).scalar_one()
        assert first["secret"].encode() not in bytes(kept)

    async def test_ends_where_gateways_would_hold_too_many(
        self, client: Client, path: str, organisation: dict[str, Any], database: ScratchDatabase
    ) -> None:
        first = await client.post(path, {"name": "first"})
        with psycopg.connect(database.url, autocommit=True) as administrator:
            administrator.execute(
                "SET session_replication_role = replica"
            )  # no trigger: it is only about number
            administrator.execute(
                "INSERT INTO api_key (id, organisation_id, name, key_hash, key_prefix, created_at)"
                " SELECT gen_random_uuid(), %s, 'one of many', sha256(n::text::bytea), 'llm_sk_', now()"
                " FROM generate_series(1, %s) AS n",
                [organisation["id"], KEYS_MAX - 1],
            )
        assert await client.refused("POST", path, {"name": "more"}) == "409 too_many_keys"
        assert await client.refused("POST", f"{path}/{first['id']}/rotate", {}) == "409 too_many_keys"
        await client.post(f"{path}/{first['id']}/revoke", status=200)
        await client.post(path, {"name": "more"})

    async def test_restricts_what_it_may_do(self, client: Client, path: str) -> None:
        await client.post("/models", {"id": "gpt-4o", "aliases": ["best"]})
        body = {
            "name": "narrow",
            "allowed_models": ["gpt-4o", "best", "claude-*"],
            "requests_per_minute": 5,
            "expires_at": "2100-01-01T00:00:00+02:00",
        }
        made = await client.post(path, body)
        assert made["allowed_models"] == ["gpt-4o", "best", "claude-*"]
        assert made["requests_per_minute"] == 5
        assert made["expires_at"] == "2099-12-31T22:00:00Z"

    async def test_refuses_what_cannot_be(self, client: Client, path: str) -> None:
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"name": "x", "allowed_models": ["gpt-5o"]}, "422 model_unknown"),
            ({"name": "x", "allowed_models": ["a b"]}, "422 invalid_request"),
            ({"name": "x", "allowed_models": ["m"] * 201}, "422 invalid_request"),
            ({"name": "x", "allowed_models": "gpt-4o"}, "422 invalid_request"),
            ({"name": "x", "requests_per_minute": 0}, "422 invalid_request"),
            ({"name": "x", "requests_per_minute": 10**30}, "422 invalid_request"),
            ({"name": "x", "requests_per_minute": 1.5}, "422 invalid_request"),
            ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "422 expiry_past"),
            ({"name": "x", "expires_at": "2030-01-01"}, "422 invalid_request"),
            ({"name": "x\u0000"}, "422 invalid_request"),
            ({"nome": "x"}, "422 invalid_request"),
        ]
        for body, code in wrong:
            assert await client.refused("POST", path, body) == code, body

    async def test_needs_an_organisation_that_is_open(
        self, client: Client, path: str, organisation: dict[str, Any]
    ) -> None:
        nowhere = "/organisations/00000000-0000-0000-0000-000000000001/keys"
        assert await client.refused("POST", nowhere, {"name": "x"}) == "404 organisation_not_found"
        assert await client.refused("GET", nowhere) == "404 organisation_not_found"
        await client.call("PATCH", f"/organisations/{organisation['id']}", {"status": "closed"})
        assert await client.refused("POST", path, {"name": "x"}) == "409 organisation_closed"


class TestRevokeKey:
    async def test_stops_it_for_good(self, client: Client, path: str) -> None:
        made = await client.post(path, {"name": "server"})
        revoked = await client.post(f"{path}/{made['id']}/revoke", status=200)
        assert not revoked["active"]
        assert revoked["revoked_at"] is not None
        assert await client.post(f"{path}/{made['id']}/revoke", status=200) == revoked
        for method, rest, body in [("PATCH", "", {"name": "y"}), ("POST", "/rotate", {})]:
            assert await client.refused(method, f"{path}/{made['id']}{rest}", body) == "409 key_not_usable"

    async def test_is_told_no_oftener_than_people_and_scripts_need(
        self, client: Client, path: str, clock: SettableClock
    ) -> None:
        made = await client.post(path, {"name": "server"})
        revoke = f"/api/v1{path}/{made['id']}/revoke"
        statuses = [(await client.http.post(revoke)).status_code for _ in range(2 * CHANGES_AT_ONCE)]
        assert statuses[: CHANGES_AT_ONCE - 1] == [200] * (CHANGES_AT_ONCE - 1)
        assert 429 in statuses
        other = (await client.post("/organisations", {"name": "Other"}))["id"]
        await client.post(f"/organisations/{other}/keys", {"name": "server"})
        clock.ahead_ms = 600_000
        await client.post(path, {"name": "server"})

    async def test_of_another_organisation_is_not_found(self, client: Client, path: str) -> None:
        made = await client.post(path, {"name": "server"})
        other = await client.post("/organisations", {"name": "Other"})
        foreign = f"/organisations/{other['id']}/keys/{made['id']}"
        assert await client.refused("POST", f"{foreign}/revoke") == "404 key_not_found"
        assert await client.refused("POST", f"{foreign}/rotate", {}) == "404 key_not_found"
        assert await client.refused("PATCH", foreign, {"name": "mine"}) == "404 key_not_found"
        assert await client.refused("GET", foreign) == "404 key_not_found"
        assert (await client.get(f"/organisations/{other['id']}/keys"))["items"] == []


class TestRotateKey:
    async def test_gives_a_successor_and_a_grace_period(self, client: Client, path: str) -> None:
        await client.post("/models", {"id": "gpt-4o"})
        old = await client.post(
            path, {"name": "server", "allowed_models": ["gpt-4o"], "requests_per_minute": 7}
        )
        new = await client.post(f"{path}/{old['id']}/rotate", {"grace_period_s": 3600})
        assert new["secret"] != old["secret"]
        assert (new["rotated_from"], new["name"]) == (old["id"], "server")
        assert (new["allowed_models"], new["requests_per_minute"]) == (["gpt-4o"], 7)
        assert new["expires_at"] is None
        ending = (await client.get(f"{path}/{old['id']}"))["expires_at"]
        assert old["created_at"] < ending < "2100"

    async def test_never_lengthens_a_life(self, client: Client, path: str, clock: SettableClock) -> None:
        old = await client.post(path, {"name": "short", "expires_at": "2099-01-01T00:00:00Z"})
        clock.ahead_ms = 0
        new = await client.post(f"{path}/{old['id']}/rotate", {"grace_period_s": 60})
        assert new["expires_at"] == old["expires_at"]
        assert (await client.get(f"{path}/{old['id']}"))["expires_at"] < old["expires_at"]

    async def test_happens_once(self, client: Client, path: str) -> None:
        old = await client.post(path, {"name": "server"})
        answers = await asyncio.gather(
            *(client.http.post(f"/api/v1{path}/{old['id']}/rotate", json={}) for _ in range(5))
        )
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
        assert len((await client.get(path))["items"]) == 2

    async def test_an_expired_key_has_no_successor(
        self, client: Client, path: str, clock: SettableClock
    ) -> None:
        old = await client.post(path, {"name": "server", "expires_at": "2100-01-01T00:00:00Z"})
        clock.ahead_ms = 100 * 366 * 86_400_000
        refused = await client.refused("POST", f"{path}/{old['id']}/rotate", {})
        assert refused == "409 key_not_usable"

    async def test_refuses_a_grace_period_that_cannot_be(self, client: Client, path: str) -> None:
        old = await client.post(path, {"name": "server"})
        for grace in (-1, 2_592_001, "soon", None):
            body = {"grace_period_s": grace}
            refused = await client.refused("POST", f"{path}/{old['id']}/rotate", body)
            assert refused == "422 invalid_request", grace


class TestChangeKey:
    async def test_changes_only_what_is_given(self, client: Client, path: str) -> None:
        made = await client.post(path, {"name": "server", "requests_per_minute": 5})
        renamed = await client.call("PATCH", f"{path}/{made['id']}", {"name": "worker"})
        assert (renamed["name"], renamed["requests_per_minute"]) == ("worker", 5)
        lifted = await client.call("PATCH", f"{path}/{made['id']}", {"requests_per_minute": None})
        assert lifted["requests_per_minute"] is None
        assert await client.refused("PATCH", f"{path}/{made['id']}", {"name": None}) == (
            "422 invalid_request"
        )
        assert await client.refused(
            "PATCH", f"{path}/{made['id']}", {"expires_at": "2001-01-01T00:00:00Z"}
        ) == ("422 expiry_past")


class TestListKeys:
    async def test_pages_newest_first_without_secrets(self, client: Client, path: str) -> None:
        for number in range(3):
            await client.post(path, {"name": f"key {number}"})
        first = await client.get(f"{path}?limit=2")
        rest = await client.get(f"{path}?limit=2&cursor={first['next_cursor']}")
        names = [one["name"] for one in first["items"] + rest["items"]]
        assert names == ["key 2", "key 1", "key 0"]
        assert "secret" not in str(first)


class TestRowLevelSecurity:
    async def test_a_session_without_an_organisation_sees_no_key(
        self, client: Client, control: Control, path: str, organisation: dict[str, Any]
    ) -> None:
        await client.post(path, {"name": "server"})
        counting = sa.select(sa.func.count()).select_from(api_key)
        async with control.database.read() as read:
            assert (await read.execute(counting)).scalar_one() == 0
        async with control.database.read(organisation=UUID(organisation["id"])) as read:
            assert (await read.execute(counting)).scalar_one() == 1
