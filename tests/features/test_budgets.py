from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from control_client import Client, SettableClock

from bursar.core.booking import BudgetAsk
from bursar.core.limits import DAY_MS, Period, period_bounds
from bursar.db.books import PgBooks
from scratch_database import ScratchDatabase


@pytest.fixture
def path(organisation: dict[str, Any]) -> str:
    return f"/organisations/{organisation['id']}/budgets"


@pytest.fixture
async def other_organisation(client: Client) -> dict[str, Any]:
    made: dict[str, Any] = await client.post("/organisations", {"name": "Another"})
    return made


@pytest.fixture
async def key(client: Client, organisation: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = await client.post(f"/organisations/{organisation['id']}/keys", {"name": "server"})
    return made


async def use(
    database: ScratchDatabase, clock: SettableClock, budget_id: str, period: Period, used: int
) -> None:
    """As a gateway: take, use, tell."""
    books = PgBooks(database.url, clock)
    process_id = uuid4()
    await books.open_process(process_id, "gateway", "test")
    start_ms = period_bounds(period, clock.now_ms())[0]
    ask = BudgetAsk(UUID(budget_id), start_ms, 0, need=used, want=used)
    assert (await books.take_budgets(1, process_id, [ask])).state == "active"
    await books.give_budgets(2, process_id, [ask._replace(spent=used)])
    await books.close()


class TestABudget:
    async def test_is_made_and_shown(self, client: Client, path: str, key: dict[str, Any]) -> None:
        made = await client.post(path, {"name": "lunch", "amount": "25.5", "key_id": key["id"]})
        assert made == {
            **made,
            "organisation_id": key["organisation_id"],
            "key_id": key["id"],
            "credential_id": None,
            "provider_id": None,
            "model": None,
            "name": "lunch",
            "unit": "money",
            "amount": "25.50",
            "currency": "USD",
            "period": "month",
            "active": True,
            "used": "0.00",
            "left": "25.50",
        }
        now = datetime.now(UTC)
        assert made["starts_at"] == f"{now:%Y-%m}-01T00:00:00Z"
        assert await client.get(f"{path}/{made['id']}") == made
        assert (await client.get(path))["items"] == [made]

    async def test_is_made_once_for_one_idempotency_key(self, client: Client, path: str) -> None:
        body = {"name": "lunch", "amount": "1"}
        assert await client.post(path, body, key="k") == await client.post(path, body, key="k")

    async def test_tells_what_is_used_of_this_period(
        self, client: Client, path: str, database: ScratchDatabase, clock: SettableClock
    ) -> None:
        made = await client.post(
            path, {"name": "calls", "unit": "requests", "amount": "100", "period": "day"}
        )
        await use(database, clock, made["id"], Period.DAY, 42)
        shown = await client.get(f"{path}/{made['id']}")
        assert (shown["used"], shown["left"], shown["currency"]) == ("42", "58", None)
        clock.ahead_ms += DAY_MS
        assert (await client.get(f"{path}/{made['id']}"))["used"] == "0"

    async def test_for_good_has_no_end(self, client: Client, path: str) -> None:
        made = await client.post(path, {"name": "ever", "amount": "5", "period": "once"})
        assert (made["starts_at"], made["resets_at"]) == (None, None)

    async def test_is_changed_and_switched_off(
        self, client: Client, path: str, database: ScratchDatabase
    ) -> None:
        made = await client.post(path, {"name": "lunch", "amount": "5"})
        with psycopg.connect(database.url, autocommit=True) as listening:
            listening.execute("LISTEN bursar_changed")
            listening.execute("LISTEN bursar_recall")
            changed = await client.call(
                "PATCH", f"{path}/{made['id']}", {"amount": "4", "name": "tea", "active": False}
            )
            told = {(one.channel, one.payload) for one in listening.notifies(timeout=5, stop_after=2)}
        assert (changed["amount"], changed["name"], changed["active"]) == ("4.00", "tea", False)
        assert told == {
            ("bursar_changed", f"budget:{made['id']}"),
            ("bursar_recall", f"budget:{made['id']}"),
        }
        assert await client.call("PATCH", f"{path}/{made['id']}", {}) == changed

    @pytest.mark.parametrize(
        "wrong",
        [
            {"amount": "-1"},
            {"amount": "0.0000000001"},
            {"amount": "1.5", "unit": "requests"},
            {"amount": "1e5"},
            {"amount": 5},
            {"amount": "999999999999999"},
            {"amount": "5", "period": "year"},
            {"amount": "5", "unit": "seconds"},
            {"amount": "5", "model": "gpt-*"},
            {"amount": "5", "color": "red"},
        ],
    )
    async def test_refuses_what_cannot_be(self, client: Client, path: str, wrong: dict[str, Any]) -> None:
        assert await client.refused("POST", path, {"name": "x", **wrong}) == "422 invalid_request"

    async def test_refuses_subjects_that_are_not_there(
        self, client: Client, path: str, key: dict[str, Any], other_organisation: dict[str, Any]
    ) -> None:
        body = {"name": "x", "amount": "1"}
        unknown = "422 budget_subject_unknown"
        assert await client.refused("POST", path, {**body, "key_id": str(uuid4())}) == unknown
        with_provider = {**body, "key_id": key["id"], "provider_id": str(uuid4())}
        assert await client.refused("POST", path, with_provider) == unknown
        elsewhere = f"/organisations/{other_organisation['id']}/budgets"
        assert await client.refused("POST", elsewhere, {**body, "key_id": key["id"]}) == unknown
        nobody = f"/organisations/{uuid4()}/budgets"
        assert await client.refused("POST", nobody, body) == "404 organisation_not_found"

    async def test_is_found_by_its_owner_only(
        self, client: Client, path: str, other_organisation: dict[str, Any]
    ) -> None:
        made = await client.post(path, {"name": "x", "amount": "1"})
        strange = f"/organisations/{other_organisation['id']}/budgets/{made['id']}"
        assert await client.refused("GET", strange) == "404 budget_not_found"
        assert await client.refused("PATCH", strange, {"amount": "2"}) == "404 budget_not_found"


class TestABudgetOfACredential:
    async def test_is_the_operators(self, client: Client, path: str) -> None:
        provider = await client.post(
            "/providers",
            {"slug": "acme", "name": "Acme", "kind": "openai", "base_url": "https://api.example.com"},
        )
        credential = await client.post(
            f"/providers/{provider['id']}/credentials", {"secret": "sk-test-1234567890"}
        )
        place = f"/providers/{provider['id']}/credentials/{credential['id']}/budgets"
        made = await client.post(
            place, {"name": "free tier", "unit": "tokens", "amount": "1000", "period": "day"}
        )
        assert (made["credential_id"], made["organisation_id"]) == (credential["id"], None)
        assert (await client.get(place))["items"] == [made]
        changed = await client.call("PATCH", f"{place}/{made['id']}", {"active": False})
        assert changed["active"] is False
        assert await client.refused("GET", f"{path}/{made['id']}") == "404 budget_not_found"
        lost = f"/providers/{provider['id']}/credentials/{uuid4()}/budgets"
        assert await client.refused("GET", lost) == "404 credential_not_found"
