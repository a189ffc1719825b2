"""What an operator says about routing, and what he is told of his providers' health."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import psycopg
import pytest
from control_client import Client
from structlog.testing import capture_logs

from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.db.outbox import deliver
from bursar.entrypoints.worker import HANDLERS
from bursar.features.providers.health import DeploymentHealth, RefusedCredential, state_of
from scratch_database import ScratchDatabase

SECRET = "sk-proj-0123456789abcdef"
NOBODY = UUID(int=0)


async def a_provider(client: Client, slug: str = "openai", **told: Any) -> dict[str, Any]:
    made: dict[str, Any] = await client.post("/providers", {"slug": slug, "kind": "openai", **told})
    return made


async def a_credential(client: Client, provider: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = await client.post(f"/providers/{provider['id']}/credentials", {"secret": SECRET})
    return made


class TestAModelsRouting:
    async def test_is_by_priority_without_fallbacks_at_first(self, client: Client) -> None:
        made = await client.post("/models", {"id": "m"})
        assert (made["strategy"], made["fallbacks"], made["lacks"]) == ("priority", [], [])
        assert made["min_margin_percent"] is None

    async def test_is_what_was_said_last(self, client: Client) -> None:
        for name in ("a", "b"):
            await client.post("/models", {"id": name})
        told = {
            "strategy": "cheapest",
            "fallbacks": ["b", "a"],
            "lacks": ["tools", "vision"],
            "min_margin_percent": "12.5",
        }
        made = await client.post("/models", {"id": "m", **told})
        assert {name: made[name] for name in told} == {**told, "min_margin_percent": "12.5000"}
        changed = await client.call(
            "PATCH", "/models/m", {"strategy": "weighted", "fallbacks": [], "lacks": ["stream"]}
        )
        assert (changed["strategy"], changed["fallbacks"], changed["lacks"]) == ("weighted", [], ["stream"])
        assert changed["capabilities"] == {"services": ["chat"], "stream": False}
        cleared = await client.call("PATCH", "/models/m", {"min_margin_percent": None})
        assert cleared["min_margin_percent"] is None

    @pytest.mark.parametrize(
        ("told", "refusal"),
        [
            ({"fallbacks": ["m"]}, "422 fallback_invalid"),
            ({"fallbacks": ["a", "a"]}, "422 fallback_invalid"),
            ({"fallbacks": ["nothing"]}, "422 fallback_invalid"),
            ({"fallbacks": ["a"] * 9}, "422 invalid_request"),
            ({"strategy": "luck"}, "422 invalid_request"),
            ({"lacks": ["manners"]}, "422 invalid_request"),
            ({"min_margin_percent": "-100"}, "422 invalid_request"),
        ],
    )
    async def test_that_makes_no_sense_is_refused(
        self, client: Client, told: dict[str, Any], refusal: str
    ) -> None:
        for name in ("a", "m"):
            await client.post("/models", {"id": name})
        assert await client.refused("PATCH", "/models/m", told) == refusal


class TestADeployment:
    async def test_may_name_credential_region_and_floor(self, client: Client) -> None:
        provider = await a_provider(client, region="us")
        credential = await a_credential(client, provider)
        await client.post("/models", {"id": "m"})
        told = {"model_id": "m", "provider_id": provider["id"]}
        one = await client.post("/routes", told)
        assert (one["credential_id"], one["region"], one["min_margin_percent"]) == (None, None, None)
        wanted = {"credential_id": credential["id"], "region": "eu", "min_margin_percent": "5"}
        other = await client.post("/routes", {**told, **wanted})
        assert (other["credential_id"], other["region"]) == (credential["id"], "eu")
        assert await client.refused("POST", "/routes", {**told, **wanted}) == "409 route_exists"
        assert await client.refused("POST", "/routes", told) == "409 route_exists"
        changed = await client.call("PATCH", f"/routes/{other['id']}", {"min_margin_percent": None})
        assert changed["min_margin_percent"] is None
        assert changed["priority"] == 100

    async def test_takes_no_credential_of_another_provider(self, client: Client) -> None:
        provider, other = await a_provider(client), await a_provider(client, "other")
        credential = await a_credential(client, other)
        await client.post("/models", {"id": "m"})
        told = {"model_id": "m", "provider_id": provider["id"], "credential_id": credential["id"]}
        assert await client.refused("POST", "/routes", told) == "422 credential_unknown"


class TestAProvider:
    async def test_has_a_region_and_a_breaker(self, client: Client) -> None:
        made = await a_provider(client, region="eu", breaker={"failures_percent": 30, "open_ms": 5_000})
        assert (made["region"], made["breaker"]) == ("eu", {"failures_percent": 30, "open_ms": 5_000})
        changed = await client.call(
            "PATCH", f"/providers/{made['id']}", {"region": None, "breaker": {"calls_min": 5}}
        )
        assert (changed["region"], changed["breaker"]) == (None, {"calls_min": 5})

    @pytest.mark.parametrize(
        "breaker", [{"failures_percent": 0}, {"failures_percent": 101}, {"calls_min": 0}, {"mood": 1}]
    )
    async def test_takes_no_breaker_that_makes_no_sense(
        self, client: Client, breaker: dict[str, int]
    ) -> None:
        told = {"slug": "p", "kind": "openai", "breaker": breaker}
        assert await client.refused("POST", "/providers", told) == "422 invalid_request"


class TestTheGeneralFloor:
    async def test_is_none_until_it_is_set_and_cleared_again(self, client: Client) -> None:
        assert await client.get("/routing") == {"min_margin_percent": None}
        for floor in ("7.5", "0", None):
            assert await client.call("PUT", "/routing", {"min_margin_percent": floor}) == {
                "min_margin_percent": floor
            }
            assert await client.get("/routing") == {"min_margin_percent": floor}


def a_report(**changes: Any) -> dict[str, Any]:
    return {
        "route_id": str(uuid4()),
        "credential_id": str(uuid4()),
        "provider_id": str(NOBODY),
        "model": "m",
        "breaker": "closed",
        "calls": 10,
        "failures": 1,
        "latency_ms": 120,
        "cooling_ms": None,
    } | changes


def report(database: ScratchDatabase, *rows: dict[str, Any], ago_s: int = 0) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(
            "SELECT bursar_report_health(%s, %s::text::json, %s)",
            [uuid4(), orjson.dumps(rows).decode(), datetime.now(UTC) - timedelta(seconds=ago_s)],
        )


def refuse(database: ScratchDatabase, credential_id: str, provider_id: str, kind: str = "billing") -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(
            "SELECT bursar_credential_refused(%s, %s, %s, 402, %s)",
            [credential_id, provider_id, kind, datetime.now(UTC)],
        )


class TestHealth:
    async def test_of_a_provider_nobody_asked_is_unknown(self, client: Client) -> None:
        await a_provider(client)
        (shown,) = (await client.get("/providers/health"))["items"]
        assert (shown["slug"], shown["state"], shown["deployments"]) == ("openai", "unknown", [])

    async def test_adds_up_what_the_gateways_say(self, client: Client, database: ScratchDatabase) -> None:
        provider = await a_provider(client)
        same = a_report(provider_id=provider["id"])
        report(database, same, a_report(provider_id=provider["id"], breaker="open", calls=20, failures=20))
        report(database, {**same, "breaker": "half_open", "latency_ms": 300, "cooling_ms": 5_000})
        (shown,) = (await client.get("/providers/health"))["items"]
        assert (shown["state"], shown["calls"], shown["failures"]) == ("down", 40, 22)
        both = next(one for one in shown["deployments"] if one["route_id"] == same["route_id"])
        assert (both["breaker"], both["latency_ms"], both["gateways"]) == ("half_open", 300, 2)
        assert both["cooling_until"] is not None

    async def test_forgets_a_gateway_that_fell_silent(
        self, client: Client, database: ScratchDatabase
    ) -> None:
        provider = await a_provider(client)
        report(database, a_report(provider_id=provider["id"]), ago_s=61)
        (shown,) = (await client.get("/providers/health"))["items"]
        assert shown["state"] == "unknown"

    async def test_names_refused_credentials_until_they_are_touched(
        self, client: Client, database: ScratchDatabase
    ) -> None:
        provider = await a_provider(client)
        credential = await a_credential(client, provider)
        refuse(database, credential["id"], provider["id"])
        (shown,) = (await client.get("/providers/health"))["items"]
        (refused,) = shown["refused"]
        assert (refused["credential_id"], refused["kind"], refused["upstream_status"]) == (
            credential["id"],
            "billing",
            402,
        )
        assert refused["hint"] == "…cdef"
        assert shown["state"] == "down"
        await client.call(
            "PATCH", f"/providers/{provider['id']}/credentials/{credential['id']}", {"active": True}
        )
        (shown,) = (await client.get("/providers/health"))["items"]
        assert (shown["refused"], shown["state"]) == ([], "unknown")

    async def test_forgets_a_refusal_when_the_credential_serves_again(
        self, client: Client, database: ScratchDatabase
    ) -> None:
        provider = await a_provider(client)
        credential = await a_credential(client, provider)
        refuse(database, credential["id"], provider["id"])
        serving = a_report(provider_id=provider["id"], credential_id=credential["id"])
        report(database, serving)
        assert (await client.get("/providers/health"))["items"][0]["refused"] != []  # it may be older news
        with psycopg.connect(database.url) as connection:
            connection.execute("UPDATE credential_refusal SET last_at = last_at - interval '2 minutes'")
        report(database, {**serving, "failures": serving["calls"]})
        assert (await client.get("/providers/health"))["items"][0]["refused"] != []
        report(database, serving)
        assert (await client.get("/providers/health"))["items"][0]["refused"] == []

    async def test_tells_the_operator_once_an_hour(self, client: Client, database: ScratchDatabase) -> None:
        provider = await a_provider(client)
        credential = await a_credential(client, provider)
        for _ in range(3):
            refuse(database, credential["id"], provider["id"])
        with psycopg.connect(database.url) as connection:
            told = connection.execute(
                "SELECT payload FROM outbox WHERE topic = 'credential.refused'"
            ).fetchall()
            assert [row[0]["credential_id"] for row in told] == [credential["id"]]
            connection.execute("UPDATE credential_refusal SET told_at = told_at - interval '2 hours'")
        refuse(database, credential["id"], provider["id"])
        with psycopg.connect(database.url) as connection:
            told = connection.execute("SELECT 1 FROM outbox WHERE topic = 'credential.refused'").fetchall()
        assert len(told) == 2

    async def test_keeps_no_more_than_five_hundred_rows_of_a_process(
        self, client: Client, database: ScratchDatabase
    ) -> None:
        provider = await a_provider(client)
        report(database, *(a_report(provider_id=provider["id"]) for _ in range(600)))
        (shown,) = (await client.get("/providers/health"))["items"]
        assert len(shown["deployments"]) == 500


class TestTheAlarm:
    async def test_names_the_provider_and_the_credential(
        self, client: Client, database: ScratchDatabase
    ) -> None:
        provider = await a_provider(client)
        credential = await a_credential(client, provider)
        refuse(database, credential["id"], provider["id"])
        worker = Database(database.url, Role.WORKER)
        with capture_logs() as logged:
            done = [await deliver(worker, HANDLERS, datetime.now(UTC)) for _ in range(2)]
        await worker.close()
        assert done == [1, 0]
        (alarm,) = [line for line in logged if line["event"] == "provider.refuses_credential"]
        assert (alarm["log_level"], alarm["provider"], alarm["hint"], alarm["kind"]) == (
            "critical",
            "openai",
            "…cdef",
            "billing",
        )

    async def test_sounds_though_all_of_it_is_gone(self, client: Client, database: ScratchDatabase) -> None:
        await a_provider(client)
        refuse(database, str(uuid4()), str(uuid4()))
        worker = Database(database.url, Role.WORKER)
        with capture_logs() as logged:
            assert await deliver(worker, HANDLERS, datetime.now(UTC)) == 1
        await worker.close()
        assert any(line["event"] == "provider.refuses_credential" for line in logged)


class TestTheStateOfAProvider:
    def deployment(self, **changes: Any) -> DeploymentHealth:
        row = a_report(**changes)
        return DeploymentHealth.model_validate({**row, "cooling_until": None, "gateways": 1})

    def refused(self, credential_id: str) -> RefusedCredential:
        now = datetime.now(UTC)
        return RefusedCredential(
            credential_id=UUID(credential_id),
            hint=None,
            kind="auth",
            upstream_status=401,
            first_at=now,
            last_at=now,
        )

    def test_is_healthy_when_all_is_well(self) -> None:
        assert state_of([self.deployment()], []) == "healthy"

    def test_is_degraded_when_something_is_not(self) -> None:
        assert state_of([self.deployment(), self.deployment(breaker="open")], []) == "degraded"
        assert state_of([self.deployment()], [self.refused(str(uuid4()))]) == "degraded"

    def test_is_down_when_nothing_is_well(self) -> None:
        one = self.deployment()
        assert state_of([one], [self.refused(str(one.credential_id))]) == "down"
        assert state_of([], [self.refused(str(uuid4()))]) == "down"
