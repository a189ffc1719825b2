from typing import Any
from uuid import UUID

import people
import pytest
from control_client import Client, Use

from bursar.core.permissions import MemberRole
from bursar.rest.control import Control


@pytest.fixture
def path(organisation: dict[str, Any]) -> str:
    return f"/organisations/{organisation['id']}/usage"


async def priced(client: Client) -> dict[str, int]:
    """A provider with GPT-4 Turbo's prices: meter → price id."""
    provider = await client.post("/providers", {"slug": "openai", "kind": "openai"})
    numbers = {}
    for meter, cost, sale in (("in_fresh", "10", "12"), ("out_text", "30", "36")):
        body = {
            "provider_id": provider["id"],
            "model": "gpt-4-turbo",
            "meter": meter,
            "cost": cost,
            "sale": sale,
        }
        numbers[meter] = (await client.post("/prices", body))["price"]["id"]
    return {"provider": provider["id"], **numbers}


async def numbers_of(client: Client) -> dict[str, int]:
    return {meter: number for meter, number in (await priced(client)).items() if meter != "provider"}


class TestListUsage:
    async def test_shows_what_a_request_was(self, client: Client, path: str, use: Use) -> None:
        row = await use()
        (shown,) = (await client.get(path))["items"]
        assert shown["request_id"] == str(row.request_id)
        assert (shown["cost"], shown["sale"], shown["margin"]) == ("0.04", "0.048", "0.008")
        assert shown["quantities"] == {"in_fresh": 100, "out_text": 50}
        assert (shown["endpoint"], shown["streamed"], shown["status"]) == ("/v1/chat/completions", True, 200)
        assert (shown["latency_ms"], shown["first_byte_ms"], shown["posted"]) == (250, 80, False)
        assert "raw_usage" not in shown

    async def test_keeps_its_cost_from_customers(
        self, client: Client, path: str, use: Use, control: Control, organisation: dict[str, Any]
    ) -> None:
        row = await use(price_ids=await numbers_of(client))
        customer = await people.member(control, organisation["id"], MemberRole.OWNER)
        (shown,) = (await customer.get(path))["items"]
        assert (shown["cost"], shown["sale"], shown["margin"]) == (None, "0.048", None)
        told = await customer.get(f"{path}/{row.request_id}")
        assert (told["cost"], told["sale"]) == (None, "0.048")
        assert "cost" not in str(told["attempts"][0]["explanation"])
        (summed,) = (await customer.get(f"{path}/summary"))["items"]
        assert (summed["cost"], summed["sale"], summed["margin"]) == (None, "0.048", None)

    async def test_pages_newest_first_without_gaps(self, client: Client, path: str, use: Use) -> None:
        rows = [await use() for _ in range(5)]
        seen: list[str] = []
        cursor = ""
        while True:
            page = await client.get(f"{path}?limit=2{cursor}")
            seen += [one["request_id"] for one in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert seen == sorted((str(row.request_id) for row in rows), reverse=True)

    async def test_narrows(self, client: Client, path: str, use: Use) -> None:
        good = await use()
        bad = await use(
            model="o3", status=502, outcome="provider_error_before_output", streamed=False, sale=0
        )
        keyed = await use(api_key_id=UUID(int=9))
        for query, expected in [
            ("model=o3", [bad]),
            ("status=502", [bad]),
            ("outcome=provider_error_before_output", [bad]),
            ("streamed=false", [bad]),
            (f"api_key_id={UUID(int=9)}", [keyed]),
            ("model=gpt-4o&streamed=true", [good, keyed]),
            ("since=2020-01-01T00:00:00Z&until=2020-02-01T00:00:00Z", []),
            ("model=nothing", []),
        ]:
            found = (await client.get(f"{path}?{query}"))["items"]
            expected_ids = {str(row.request_id) for row in expected}
            assert {one["request_id"] for one in found} == expected_ids, query

    async def test_refuses_what_cannot_be(self, client: Client, path: str) -> None:
        for query, code in [
            ("since=2026-02-01T00:00:00Z&until=2026-01-01T00:00:00Z", "422 span_invalid"),
            ("since=2024-01-01T00:00:00Z&until=2026-01-01T00:00:00Z", "422 span_invalid"),
            ("since=yesterday", "422 invalid_request"),
            ("outcome=fine", "422 invalid_request"),
            ("status=-1", "422 invalid_request"),
            ("streamed=perhaps", "422 invalid_request"),
            ("api_key_id=x", "422 invalid_request"),
            ("model=a%20b", "422 invalid_request"),
            ("cursor=abc", "422 invalid_cursor"),
            ("cursor=MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAxLzAvMA", "422 invalid_cursor"),
        ]:
            assert await client.refused("GET", f"{path}?{query}") == code, query

    async def test_of_another_organisation_is_not_seen(self, client: Client, use: Use) -> None:
        row = await use()
        other = await client.post("/organisations", {"name": "Other"})
        foreign = f"/organisations/{other['id']}/usage"
        assert (await client.get(foreign))["items"] == []
        assert (await client.get(f"{foreign}/summary"))["items"] == []
        assert await client.refused("GET", f"{foreign}/{row.request_id}") == "404 usage_not_found"
        nowhere = "/organisations/00000000-0000-0000-0000-000000000001/usage"
        assert await client.refused("GET", nowhere) == "404 organisation_not_found"
        assert await client.refused("GET", f"{nowhere}/summary") == "404 organisation_not_found"


class TestSummary:
    async def test_adds_up_by_each_way(
        self, client: Client, path: str, use: Use, organisation: dict[str, Any]
    ) -> None:
        key = await client.post(f"/organisations/{organisation['id']}/keys", {"name": "server"})
        numbers = await priced(client)
        mine = {"api_key_id": UUID(key["id"]), "provider_id": UUID(str(numbers["provider"]))}
        await use(**mine)
        await use(**mine, model="o3", cost=10, sale=20, quantities={"out_text": 5})
        await use(**mine, model="o3", cost=0, sale=0, status=502, outcome="provider_error_before_output")
        (by_key,) = (await client.get(f"{path}/summary?by=key"))["items"]
        assert (by_key["bucket"], by_key["label"]) == (key["id"], "server")
        assert (by_key["requests"], by_key["failed"]) == (3, 1)
        assert by_key["quantities"] == {"in_fresh": 200, "out_text": 105}
        assert (by_key["cost"], by_key["sale"], by_key["margin"]) == (
            "0.04000001",
            "0.04800002",
            "0.00800001",
        )
        by_model = (await client.get(f"{path}/summary?by=model"))["items"]
        assert [(one["bucket"], one["requests"], one["sale"]) for one in by_model] == [
            ("gpt-4o", 1, "0.048"),
            ("o3", 2, "0.00000002"),
        ]
        (by_provider,) = (await client.get(f"{path}/summary?by=provider"))["items"]
        assert by_provider["bucket"] == "openai"
        (by_day,) = (await client.get(f"{path}/summary"))["items"]
        assert by_day["bucket"] == (await client.get(path))["items"][0]["started_at"][:10]

    async def test_refuses_an_unknown_way(self, client: Client, path: str) -> None:
        assert await client.refused("GET", f"{path}/summary?by=colour") == "422 invalid_request"


class TestExplainUsage:
    async def test_names_each_class_price_and_amount(self, client: Client, path: str, use: Use) -> None:
        """The document's own sum: a million tokens in and out of GPT-4 Turbo cost 40 and sell for 48."""
        numbers = await priced(client)
        row = await use(
            model="gpt-4-turbo",
            provider_model="gpt-4-turbo",
            provider_id=UUID(str(numbers["provider"])),
            quantities={"in_fresh": 1_000_000, "out_text": 1_000_000},
            price_ids={meter: numbers[meter] for meter in ("in_fresh", "out_text")},
            input_tokens=1_000_000,
            output_tokens=1_000_000,
            cost=40 * 10**9,
            sale=48 * 10**9,
        )
        told = await client.get(f"{path}/{row.request_id}")
        assert (told["cost"], told["sale"]) == ("40.00", "48.00")
        (attempt,) = told["attempts"]
        explained = attempt["explanation"]
        assert explained["adds_up"]
        assert [(line["meter"], line["price_id"], line["amount"]) for line in explained["lines"]] == [
            ("in_fresh", numbers["in_fresh"], "12"),
            ("out_text", numbers["out_text"], "36"),
        ]
        assert attempt["usage"]["provider"] == "openai"

    async def test_tells_attempts_apart(self, client: Client, path: str, use: Use) -> None:
        failed = await use(sale=0, cost=0, status=502, outcome="provider_error_before_output")
        await use(request_id=failed.request_id, attempt=1, sale=5, cost=4)
        told = await client.get(f"{path}/{failed.request_id}")
        assert [one["usage"]["attempt"] for one in told["attempts"]] == [0, 1]
        assert told["sale"] == "0.000000005"

    async def test_of_an_unknown_request_is_not_found(
        self, client: Client, path: str, control: Control
    ) -> None:
        for request_id in (control.edge.new_id(), UUID(int=1), UUID(int=2**128 - 1)):
            assert await client.refused("GET", f"{path}/{request_id}") == "404 usage_not_found"
        far = UUID(int=((2**48 - 1) << 80) | (7 << 76) | (2 << 62))
        assert await client.refused("GET", f"{path}/{far}") == "404 usage_not_found"
        assert await client.refused("GET", f"{path}/one") == "422 invalid_request"
