"""Usage that ran on an organisation's own credential, as the operator sees it."""

import asyncio
from typing import Any

import pytest
from click.testing import Result
from control_client import Client, Use
from typer.testing import CliRunner

from bursar.core.fees import OWN_KEY, PLATFORM_FEE
from bursar.entrypoints.cli import app
from scratch_database import ScratchDatabase

QUANTITIES = {"in_fresh": 1_000, "out_text": 500}


@pytest.fixture
def path(organisation: dict[str, Any]) -> str:
    return f"/organisations/{organisation['id']}/usage"


@pytest.fixture
async def price_ids(client: Client, organisation: dict[str, Any]) -> dict[str, int]:
    """Prices of two meters and a fee of 2.5 % and 0.001: list cost of `QUANTITIES` 0.025, fee 0.001625."""
    provider = await client.post("/providers", {"slug": "openai", "kind": "openai"})
    named = {}
    for meter, cost in (("in_fresh", "10"), ("out_text", "30")):
        body = {"provider_id": provider["id"], "model": "gpt-4o", "meter": meter, "cost": cost, "sale": "99"}
        named[meter] = (await client.post("/prices", body))["price"]["id"]
    fee = {"organisation_id": organisation["id"], "percent": "2.5", "per_request": "0.001"}
    named[PLATFORM_FEE] = (await client.post("/platform-fees", fee))["id"]
    return named


async def used(use: Use, price_ids: dict[str, int], **changed: Any) -> str:
    own = {"flags": [OWN_KEY], "quantities": QUANTITIES, "price_ids": price_ids, "cost": 0, "sale": 1_625_000}
    return str((await use(**{**own, **changed})).request_id)


class TestUsageOfOwnKeys:
    async def test_shows_the_list_cost_and_no_cost_of_ours(
        self, client: Client, path: str, use: Use, price_ids: dict[str, int]
    ) -> None:
        await used(use, price_ids)
        await use()
        ours, own = (await client.get(path))["items"]
        assert (own["own_key"], own["list_cost"]) == (True, "0.025")
        assert (own["cost"], own["sale"], own["margin"]) == ("0.00", "0.001625", "0.001625")
        assert (ours["own_key"], ours["list_cost"]) == (False, None)

    async def test_explains_the_fee(
        self, client: Client, path: str, use: Use, price_ids: dict[str, int]
    ) -> None:
        request_id = await used(use, price_ids)
        (attempt,) = (await client.get(f"{path}/{request_id}"))["attempts"]
        explained = attempt["explanation"]
        assert (explained["sale"], explained["adds_up"], explained["list_cost"]) == (
            "0.001625",
            True,
            "0.025",
        )
        assert explained["fee"] == {
            "id": price_ids[PLATFORM_FEE],
            "percent_of_list_cost": "2.5",
            "per_request": "0.001",
        }
        assert attempt["usage"]["list_cost"] == "0.025"

    async def test_explains_by_the_fee_of_then(
        self, client: Client, path: str, use: Use, price_ids: dict[str, int], organisation: dict[str, Any]
    ) -> None:
        request_id = await used(use, price_ids)
        dearer = {"organisation_id": organisation["id"], "percent": "90"}
        await client.post("/platform-fees", dearer)
        (attempt,) = (await client.get(f"{path}/{request_id}"))["attempts"]
        assert attempt["explanation"]["fee"]["percent_of_list_cost"] == "2.5"

    async def test_explains_an_attempt_that_came_to_nothing(
        self, client: Client, path: str, use: Use, price_ids: dict[str, int]
    ) -> None:
        request_id = await used(
            use,
            {PLATFORM_FEE: price_ids[PLATFORM_FEE]},
            quantities={},
            sale=0,
            outcome="provider_error_before_output",
            status=424,
            error_code="own_key_refused",
        )
        (attempt,) = (await client.get(f"{path}/{request_id}"))["attempts"]
        assert attempt["explanation"]["sale"] == "0.00"
        assert attempt["explanation"]["lines"] == []
        assert attempt["usage"]["list_cost"] == "0"

    async def test_is_told_on_the_command_line(
        self,
        use: Use,
        price_ids: dict[str, int],
        database: ScratchDatabase,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        request_id = await used(use, price_ids)
        monkeypatch.setenv("BURSAR_DATABASE_URL", database.url)
        told = await _bursar("usage", "explain", "Acme", request_id)
        assert "platform fee" in told.stdout
        assert "2.5 % of 0.025, and 0.001 USD" in told.stdout
        assert "0.001625 USD charged, 0.00 USD cost" in told.stdout


async def _bursar(*words: str) -> Result:
    """In a thread: the command runs an event loop of its own."""
    done = await asyncio.to_thread(CliRunner().invoke, app, words)
    assert done.exit_code == 0, (done.stdout, done.stderr, done.exception)
    return done
