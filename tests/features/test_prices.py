import asyncio
from typing import Any

import pytest
import sqlalchemy as sa
from control_client import Client, SettableClock

from bursar.db.tables import price as price_table
from bursar.rest.control import Control

DAY_MS = 86_400_000


@pytest.fixture
async def provider(client: Client) -> dict[str, Any]:
    made = await client.post("/providers", {"slug": "openai", "kind": "openai"})
    assert isinstance(made, dict)
    return made


@pytest.fixture
async def routed(client: Client, provider: dict[str, Any]) -> dict[str, Any]:
    """Three models of OpenAI: one with tiers and history, one without, one nobody lists."""
    for name in ("gpt-5.6-sol", "gpt-4o", "made-up-model"):
        await client.post("/models", {"id": name})
        await client.post("/routes", {"model_id": name, "provider_id": provider["id"]})
    return provider


async def in_force(client: Client, model: str, **filters: Any) -> dict[tuple[str, int], tuple[str, str]]:
    """(meter, tier) → cost and sale per million, as in force now."""
    query = "&".join(f"{name}={value}" for name, value in {"model": model, "limit": 200, **filters}.items())
    rows = (await client.get(f"/prices?{query}"))["items"]
    return {
        (row["meter"], row["tier_from"]): (row["cost_per_million"], row["sale_per_million"]) for row in rows
    }


class TestImportPrices:
    @pytest.mark.usefixtures("routed")
    async def test_brings_cost_and_margin_tiers_and_cache_prices(self, client: Client) -> None:
        told = await client.call("POST", "/prices/imports", {})
        assert told["added"] == len(told["prices"]) > 10
        assert told["models"] == 2
        assert told["not_listed"] == ["openai/made-up-model"]
        assert told["source"].startswith("genai-prices ")
        sol = await in_force(client, "gpt-5.6-sol")
        assert sol["in_fresh", 0] == ("4", "4.8")
        assert sol["out_text", 0] == ("20", "24")
        assert sol["cache_read", 0] == ("0.4", "0.48")
        assert sol["cache_write_5m", 0] == ("5", "6")
        assert sol["in_fresh", 272_000] == ("8", "9.6")
        assert sol["web_search", 0] == ("10000", "12000")
        history = (await client.get("/prices?model=gpt-5.6-sol&meter=in_fresh&in_force=false"))["items"]
        assert sorted((row["effective_from"][:10], row["cost_per_million"]) for row in history) == [
            ("1970-01-01", "10"),
            ("1970-01-01", "5"),
            ("2026-08-21", "4"),
            ("2026-08-21", "8"),
        ]

    @pytest.mark.usefixtures("routed")
    async def test_names_what_it_cannot_express(self, client: Client) -> None:
        told = await client.call("POST", "/prices/imports", {})
        unsupported = {one["what"]: one["models"] for one in told["unsupported"]}
        assert "openai/gpt-4o" in unsupported["variant service_tier=priority"]
        assert "openai/gpt-4o" in unsupported["price key storage_searches_kcount"]

    @pytest.mark.usefixtures("routed")
    async def test_a_second_import_adds_nothing(self, client: Client) -> None:
        await client.call("POST", "/prices/imports", {})
        again = await client.call("POST", "/prices/imports", {})
        assert (again["added"], again["prices"], again["models"]) == (0, [], 2)

    @pytest.mark.usefixtures("routed")
    async def test_imports_at_once_add_once(self, client: Client, control: Control) -> None:
        told = await asyncio.gather(*(client.call("POST", "/prices/imports", {}) for _ in range(4)))
        assert sorted(one["added"] > 0 for one in told) == [False, False, False, True]
        async with control.database.read(operator=True) as read:
            counted = (await read.execute(sa.select(sa.func.count()).select_from(price_table))).scalar_one()
        assert counted == sum(one["added"] for one in told)

    @pytest.mark.usefixtures("routed")
    async def test_a_dry_run_adds_nothing(self, client: Client) -> None:
        told = await client.call("POST", "/prices/imports", {"dry_run": True})
        assert told["added"] > 0
        assert (await client.get("/prices"))["items"] == []

    @pytest.mark.usefixtures("routed")
    async def test_margins_of_the_import_and_of_a_model(self, client: Client, clock: SettableClock) -> None:
        await client.call("PATCH", "/models/gpt-4o", {"margin_percent": "50"})
        await client.call("POST", "/prices/imports", {"margin_percent": "10"})
        assert (await in_force(client, "gpt-4o"))["in_fresh", 0] == ("2.5", "3.75")
        assert (await in_force(client, "gpt-5.6-sol"))["in_fresh", 0] == ("4", "4.4")
        clock.ahead_ms = DAY_MS
        await client.call("PATCH", "/models/gpt-4o", {"margin_percent": "100"})
        told = await client.call("POST", "/prices/imports", {"margin_percent": "10"})
        assert {row["model"] for row in told["prices"]} == {"gpt-4o"}
        assert (await in_force(client, "gpt-4o"))["in_fresh", 0] == ("2.5", "5")

    @pytest.mark.usefixtures("routed")
    async def test_the_operators_setting_is_the_margin(self, client: Client) -> None:
        assert await client.get("/prices/margin") == {"margin_percent": "20"}
        for percent in ("5", "7.5"):
            await client.call("PUT", "/prices/margin", {"margin_percent": percent})
        assert await client.get("/prices/margin") == {"margin_percent": "7.5"}
        await client.call("POST", "/prices/imports", {})
        assert (await in_force(client, "gpt-4o"))["in_fresh", 0] == ("2.5", "2.6875")
        assert await client.refused("PUT", "/prices/margin", {"margin_percent": "-100"}) == (
            "422 invalid_request"
        )

    async def test_a_price_set_by_hand_is_left_alone(
        self, client: Client, routed: dict[str, Any], clock: SettableClock
    ) -> None:
        await client.call("POST", "/prices/imports", {})
        clock.ahead_ms = DAY_MS
        body = {"provider_id": routed["id"], "model": "gpt-4o", "meter": "in_fresh", "sale": "9"}
        await client.post("/prices", body)
        clock.ahead_ms = 2 * DAY_MS
        told = await client.call("POST", "/prices/imports", {})
        assert (told["added"], told["pinned"]) == (0, ["openai/gpt-4o in_fresh"])
        overruled = await client.call("POST", "/prices/imports", {"overrule_operator": True})
        assert overruled["added"] == 1
        assert (await in_force(client, "gpt-4o"))["in_fresh", 0] == ("2.5", "3")

    async def test_finds_the_list_by_address(self, client: Client) -> None:
        for slug, base_url, model in (
            ("deepseek", "https://api.deepseek.com/v1", "deepseek-chat"),
            ("own", "http://localhost:11434/v1", "llama"),
        ):
            made = await client.post(
                "/providers", {"slug": slug, "kind": "openai_compatible", "base_url": base_url}
            )
            await client.post("/models", {"id": model})
            await client.post("/routes", {"model_id": model, "provider_id": made["id"]})
        told = await client.call("POST", "/prices/imports", {})
        assert told["no_list"] == ["own"]
        assert {row["provider"] for row in told["prices"]} == {"deepseek"}
        assert any("time-of-day" in one["what"] for one in told["unsupported"])

    async def test_refuses_what_cannot_be(self, client: Client, routed: dict[str, Any]) -> None:
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"source": "nobody"}, "422 price_invalid"),
            ({"source": "../etc"}, "422 invalid_request"),
            ({"provider_ids": ["00000000-0000-0000-0000-000000000001"]}, "422 price_invalid"),
            ({"margin_percent": "-100"}, "422 invalid_request"),
            ({"margin_percent": "1e400"}, "422 invalid_request"),
            ({"margin_percent": "Infinity"}, "422 invalid_request"),
            ({"provider_ids": "all"}, "422 invalid_request"),
        ]
        for body, code in wrong:
            assert await client.refused("POST", "/prices/imports", body) == code, body
        one = await client.call(
            "POST", "/prices/imports", {"provider_ids": [routed["id"]], "source": "openai"}
        )
        assert one["added"] > 0


class TestSetPrice:
    async def test_adds_a_dated_row(self, client: Client, provider: dict[str, Any]) -> None:
        body = {
            "provider_id": provider["id"],
            "model": "gpt-4-turbo",
            "meter": "in_fresh",
            "cost": "10",
            "sale": "12",
        }
        told = await client.post("/prices", body)
        assert told["warnings"] == []
        price = told["price"]
        assert (price["cost"], price["sale"], price["source"]) == ("0.00001", "0.000012", "operator")
        assert await client.get(f"/prices/{price['id']}") == price
        later = await client.post("/prices", {**body, "sale": "11", "effective_from": "2099-01-01T00:00:00Z"})
        assert later["price"]["effective_from"] == "2099-01-01T00:00:00Z"
        assert (await in_force(client, "gpt-4-turbo"))["in_fresh", 0] == ("10", "12")
        refused = await client.refused("POST", "/prices", {**body, "effective_from": "2099-01-01T00:00:00Z"})
        assert refused == "409 price_exists"

    async def test_per_unit_thousand_or_million(self, client: Client, provider: dict[str, Any]) -> None:
        for per, sale in (("unit", "0.01"), ("thousand", "10"), ("million", "10000")):
            body = {
                "provider_id": provider["id"],
                "model": per,
                "meter": "web_search",
                "cost": "0",
                "sale": sale,
                "per": per,
            }
            assert (await client.post("/prices", body))["price"]["sale"] == "0.01"

    async def test_takes_the_cost_in_force_and_warns(
        self, client: Client, provider: dict[str, Any], clock: SettableClock
    ) -> None:
        body = {"provider_id": provider["id"], "model": "m", "meter": "out_text", "sale": "5"}
        assert await client.refused("POST", "/prices", body) == "422 price_invalid"
        await client.post("/prices", {**body, "cost": "4"})
        clock.ahead_ms = 1_000
        below = await client.post("/prices", {**body, "sale": "3"})
        assert below["price"]["cost_per_million"] == "4"
        assert below["warnings"] == ["The sale price is below cost: each unit loses money."]
        clock.ahead_ms = 2_000
        given = await client.post("/prices", {**body, "sale": "0", "cost": "0"})
        assert given["warnings"] == ["The sale price is zero: this meter is given away."]
        past = await client.post("/prices", {**body, "cost": "1", "effective_from": "2020-01-01T00:00:00Z"})
        assert past["warnings"] == ["It begins in the past: what was booked already keeps its price."]

    async def test_keeps_every_digit(self, client: Client, provider: dict[str, Any]) -> None:
        sale = "12345678901234567890.123456789012345678"
        body = {
            "provider_id": provider["id"],
            "model": "m",
            "meter": "request",
            "cost": "0.000000000000000001",
            "sale": sale,
            "per": "unit",
        }
        told = await client.post("/prices", body)
        assert (told["price"]["sale"], told["price"]["cost"]) == (sale, "0.000000000000000001")

    async def test_refuses_what_cannot_be(self, client: Client, provider: dict[str, Any]) -> None:
        good = {
            "provider_id": provider["id"],
            "model": "m",
            "meter": "in_fresh",
            "cost": "1",
            "sale": "1",
        }
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"sale": "0.0000000000001"}, "422 price_invalid"),
            ({"sale": "9" * 40}, "422 price_invalid"),
            ({"sale": "100000000000000000000", "per": "unit"}, "422 price_invalid"),
            ({"sale": "-1"}, "422 invalid_request"),
            ({"sale": "1e-6"}, "422 invalid_request"),
            ({"sale": 1}, "422 invalid_request"),
            ({"meter": "in_thoughts"}, "422 invalid_request"),
            ({"currency": "XXX"}, "422 invalid_request"),
            ({"tier_from": -1}, "422 invalid_request"),
            ({"tier_from": 2**63}, "422 invalid_request"),
            ({"per": "dozen"}, "422 invalid_request"),
            ({"provider_id": "00000000-0000-0000-0000-000000000001"}, "422 price_invalid"),
            ({"effective_from": "9999-12-31T23:59:59Z"}, "422 invalid_request"),
        ]
        for change, code in wrong:
            assert await client.refused("POST", "/prices", {**good, **change}) == code, change
        assert await client.refused("GET", "/prices/1") == "404 price_not_found"
        assert await client.refused("GET", "/prices/0") == "422 invalid_request"
        assert await client.refused("GET", f"/prices/{2**63}") == "422 invalid_request"


class TestListPrices:
    async def test_pages_and_narrows(self, client: Client, provider: dict[str, Any]) -> None:
        for number, meter in enumerate(("in_fresh", "out_text", "request")):
            body = {
                "provider_id": provider["id"],
                "model": "m",
                "meter": meter,
                "cost": "1",
                "sale": str(number),
                "currency": "EUR" if meter == "request" else "USD",
            }
            await client.post("/prices", body)
        first = await client.get("/prices?limit=2")
        rest = await client.get(f"/prices?limit=2&cursor={first['next_cursor']}")
        assert [one["meter"] for one in first["items"] + rest["items"]] == [
            "request",
            "out_text",
            "in_fresh",
        ]
        for query, meters in (
            ("currency=EUR", ["request"]),
            ("meter=out_text", ["out_text"]),
            (f"provider_id={provider['id']}&model=m&currency=USD", ["out_text", "in_fresh"]),
            ("model=other", []),
        ):
            assert [one["meter"] for one in (await client.get(f"/prices?{query}"))["items"]] == meters
