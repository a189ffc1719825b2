import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import people
import pytest
import sqlalchemy as sa
from control_client import Client

from bursar.adapters.ratecounters.redis import RedisCounters
from bursar.core.limits import Kind, rules_of
from bursar.core.permissions import MemberRole
from bursar.db.tables import api_key
from bursar.entrypoints.api import build_api
from bursar.rest.control import Control
from redis_server import RedisServer

NOTHING = {
    "requests_per_minute": None,
    "requests_burst": None,
    "tokens_per_minute": None,
    "tokens_burst": None,
    "concurrent": None,
}
RATES = {**NOTHING, "requests_per_minute": 100, "requests_burst": 20, "concurrent": 4}


@pytest.fixture
def organisation_path(organisation: dict[str, Any]) -> str:
    return f"/organisations/{organisation['id']}"


@pytest.fixture
async def other_organisation(client: Client) -> dict[str, Any]:
    made: dict[str, Any] = await client.post("/organisations", {"name": "Another"})
    return made


@pytest.fixture
async def key(client: Client, organisation_path: str) -> dict[str, Any]:
    made: dict[str, Any] = await client.post(f"{organisation_path}/keys", {"name": "server"})
    return made


@pytest.fixture
def path(organisation_path: str, key: dict[str, Any]) -> str:
    return f"{organisation_path}/keys/{key['id']}/limits"


@pytest.fixture
async def credential_path(client: Client) -> str:
    provider = await client.post(
        "/providers",
        {"slug": "acme", "name": "Acme", "kind": "openai", "base_url": "https://api.example.com"},
    )
    credential = await client.post(
        f"/providers/{provider['id']}/credentials", {"secret": "sk-test-1234567890"}
    )
    return f"/providers/{provider['id']}/credentials/{credential['id']}"


@pytest.fixture
def redis_url() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(folder=Path(folder))
        server.start()
        yield server.url
        server.stop()


@pytest.fixture
async def counting(redis_url: str) -> AsyncIterator[RedisCounters]:
    counters = RedisCounters(redis_url, wait_s=10)
    yield counters
    await counters.close()


class TestKeyLimits:
    async def test_are_what_the_key_was_made_with(self, client: Client, path: str) -> None:
        shown = await client.get(path)
        assert shown == {
            **NOTHING,
            "requests_per_minute": 60,
            "models": {},
            "providers": {},
            "allowed_addresses": None,
        }

    @pytest.mark.usefixtures("credential_path")
    async def test_are_set_as_a_whole(self, client: Client, control: Control, path: str) -> None:
        wanted = {
            **RATES,
            "models": {"gpt-*": {**NOTHING, "tokens_per_minute": 5_000}},
            "providers": {"acme": {**NOTHING, "concurrent": 1}},
            "allowed_addresses": ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7/32"],
        }
        given = {**wanted, "allowed_addresses": ["192.0.2.0/24", "2001:DB8::/32", "198.51.100.7"]}
        assert await client.call("PUT", path, given) == wanted
        assert await client.get(path) == wanted
        async with control.database.read(operator=True) as read:
            row = (await read.execute(sa.select(api_key.c.limits))).scalar_one()
        assert row == {
            "requests_per_min": 100,
            "requests_burst": 20,
            "concurrent": 4,
            "models": {"gpt-*": {"tokens_per_min": 5_000}},
            "providers": {"acme": {"concurrent": 1}},
        }
        shown = await client.get(path.removesuffix("/limits"))
        assert shown["requests_per_minute"] == 100
        await client.call("PUT", path, {})
        assert (await client.get(path))["requests_per_minute"] is None

    async def test_stay_with_a_rotated_key(self, client: Client, path: str) -> None:
        await client.call("PUT", path, {"concurrent": 3, "allowed_addresses": ["192.0.2.0/24"]})
        new = await client.post(path.replace("/limits", "/rotate"), {})
        moved = await client.get(path.rsplit("/", 2)[0] + f"/{new['id']}/limits")
        assert (moved["concurrent"], moved["allowed_addresses"]) == (3, ["192.0.2.0/24"])

    async def test_are_lifted_by_whom_may_set_them_alone(
        self, control: Control, organisation: dict[str, Any], path: str
    ) -> None:
        keys, one = path.rsplit("/", 2)[0], path.removesuffix("/limits")
        developer = await people.member(control, organisation["id"], MemberRole.DEVELOPER)
        admin = await people.member(control, organisation["id"], MemberRole.ADMIN)
        for limit in (61, 1_000_000, None):
            body = {"requests_per_minute": limit}
            assert await developer.refused("PATCH", one, body) == "403 permission_denied", limit
        refused = await developer.call("POST", keys, {"name": "x", "requests_per_minute": 61}, status=403)
        assert refused["permission"] == "limits:manage"
        for limit in (10, 60):
            await developer.call("PATCH", one, {"requests_per_minute": limit})
        await developer.post(keys, {"name": "x"})
        await admin.post(keys, {"name": "x", "requests_per_minute": 61})
        await admin.call("PATCH", one, {"requests_per_minute": 200})
        await developer.call("PATCH", one, {"name": "y", "requests_per_minute": 200})
        new = await developer.post(one + "/rotate", {})
        assert new["requests_per_minute"] == 200
        assert await developer.refused("PATCH", one, {"requests_per_minute": 201}) == "403 permission_denied"
        await developer.call("PATCH", one, {"requests_per_minute": 100})
        assert await developer.refused("PATCH", one, {"requests_per_minute": 200}) == "403 permission_denied"
        await admin.call("PATCH", one, {"requests_per_minute": None})
        await developer.call("PATCH", one, {"requests_per_minute": 1_000})

    @pytest.mark.parametrize(
        "wrong",
        [
            {"requests_per_minute": 0},
            {"requests_per_minute": 1.5},
            {"tokens_per_minute": 10**10},
            {"concurrent": -1},
            {"allowed_addresses": ["192.0.2.1/24"]},
            {"allowed_addresses": ["example.org"]},
            {"allowed_addresses": ["192.0.2.1"] * 201},
            {"models": {"a b": {}}},
            {"models": {"gpt-*": {"requests_per_minute": 0}}},
            {"models": {f"m{n}": {} for n in range(51)}},
            {"requests_per_hour": 5},
        ],
    )
    async def test_refuse_what_cannot_be(self, client: Client, path: str, wrong: dict[str, Any]) -> None:
        assert await client.refused("PUT", path, wrong) == "422 invalid_request"

    async def test_refuse_providers_that_are_not_there(self, client: Client, path: str) -> None:
        wrong = {"providers": {"nobody": {}}}
        assert await client.refused("PUT", path, wrong) == "422 provider_unknown"

    async def test_are_found_by_their_owner_only(
        self, client: Client, other_organisation: dict[str, Any], key: dict[str, Any]
    ) -> None:
        strange = f"/organisations/{other_organisation['id']}/keys/{key['id']}/limits"
        assert await client.refused("GET", strange) == "404 key_not_found"
        assert await client.refused("PUT", strange, {}) == "404 key_not_found"


class TestOtherLimits:
    async def test_of_organisations_are_set_and_shown(self, client: Client, organisation_path: str) -> None:
        assert await client.get(f"{organisation_path}/limits") == NOTHING
        assert await client.call("PUT", f"{organisation_path}/limits", RATES) == RATES
        assert await client.get(f"{organisation_path}/limits") == RATES
        nobody = f"/organisations/{uuid4()}/limits"
        assert await client.refused("PUT", nobody, RATES) == "404 organisation_not_found"

    async def test_of_credentials_are_set_and_shown(self, client: Client, credential_path: str) -> None:
        assert await client.call("PUT", f"{credential_path}/limits", RATES) == RATES
        assert await client.get(f"{credential_path}/limits") == RATES
        elsewhere = f"/providers/{uuid4()}/credentials/{credential_path.rsplit('/', 1)[1]}/limits"
        assert await client.refused("GET", elsewhere) == "404 credential_not_found"


class TestHowTheyStand:
    async def test_is_unknown_where_each_gateway_counts(
        self, client: Client, organisation: dict[str, Any], key: dict[str, Any]
    ) -> None:
        stand = await client.get(f"/limits?organisation_id={organisation['id']}&key_id={key['id']}")
        assert stand["items"] == [
            {
                "subject": "key",
                "subject_id": key["id"],
                "scope": "key",
                "kind": "requests_per_min",
                "name": None,
                "limit": "60",
                "used": None,
                "currency": None,
                "resets_at": None,
                "counted_in": "gateways",
            }
        ]

    async def test_is_asked_of_redis_where_there_is_one(
        self, control: Control, client: Client, counting: RedisCounters, path: str, key: dict[str, Any]
    ) -> None:
        await client.call(
            "PUT", path, {"requests_per_minute": 60, "concurrent": 5, "models": {"gpt-*": {"concurrent": 2}}}
        )
        rules = rules_of({"requests_per_min": 60, "concurrent": 5}, f"key:{key['id']}", "key")
        rules += rules_of({"concurrent": 2}, f"key:{key['id']}:model:gpt-*", "model gpt-*")
        for number in range(2):
            await counting.admit([rule.check for rule in rules], f"r{number}", 0)
        transport = httpx2.ASGITransport(app=build_api(replace(control, counters=counting)))
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://test", headers=client.http.headers
        ) as http:
            where = {"organisation_id": key["organisation_id"], "key_id": key["id"]}
            answer = await http.get("/api/v1/limits", params=where)
        stand = {(item["scope"], item["kind"]): item for item in answer.json()["items"]}
        assert stand["key", Kind.REQUESTS]["used"] in {"1", "2"}  # one may have leaked away meanwhile
        assert stand["key", Kind.REQUESTS]["resets_at"] is not None
        assert stand["key", Kind.CONCURRENT]["used"] == "2"
        assert stand["model gpt-*", Kind.CONCURRENT]["limit"] == "2"
        assert {item["counted_in"] for item in stand.values()} == {"redis"}

    async def test_shows_budgets(self, client: Client, organisation: dict[str, Any]) -> None:
        organisation_id = UUID(organisation["id"])
        await client.post(
            f"/organisations/{organisation_id}/budgets", {"name": "all", "amount": "25", "period": "month"}
        )
        (item,) = (await client.get(f"/limits?organisation_id={organisation_id}"))["items"]
        assert (item["kind"], item["name"], item["limit"], item["used"]) == (
            "money_month",
            "all",
            "25.00",
            "0.00",
        )
        assert item["resets_at"].endswith("-01T00:00:00Z")
        assert item["counted_in"] == "books"

    async def test_shows_budgets_that_a_rotated_key_brought(
        self, client: Client, organisation: dict[str, Any], key: dict[str, Any]
    ) -> None:
        whose = f"/organisations/{organisation['id']}"
        budget = {"name": "old", "amount": "25", "key_id": key["id"]}
        await client.post(f"{whose}/budgets", budget)
        second = await client.post(f"{whose}/keys/{key['id']}/rotate", {})
        third = await client.post(f"{whose}/keys/{second['id']}/rotate", {})
        for key_id in (key["id"], second["id"], third["id"]):
            stand = await client.get(f"/limits?organisation_id={organisation['id']}&key_id={key_id}")
            assert [item["name"] for item in stand["items"]] == [None, "old"]

    async def test_is_asked_of_one_subject(
        self, client: Client, organisation: dict[str, Any], credential_path: str
    ) -> None:
        assert await client.refused("GET", "/limits") == "422 invalid_request"
        mixed = f"/limits?organisation_id={organisation['id']}&credential_id={uuid4()}"
        assert await client.refused("GET", mixed) == "422 invalid_request"
        await client.call("PUT", f"{credential_path}/limits", {"concurrent": 2})
        _, _, provider_id, _, credential_id = credential_path.split("/")
        stand = await client.get(f"/limits?provider_id={provider_id}&credential_id={credential_id}")
        assert [item["kind"] for item in stand["items"]] == ["concurrent"]
