import asyncio
from typing import Any

import pytest
from control_client import Client


class TestCreateOrganisation:
    async def test_opens_an_empty_wallet_in_its_currency(self, client: Client) -> None:
        made = await client.post(
            "/organisations", {"name": " Acme ", "billing_email": "Pay@acme.example", "currency": "EUR"}
        )
        assert made["name"] == "Acme"
        wallet = await client.get(f"/organisations/{made['id']}/wallet")
        assert (wallet["currency"], wallet["balance"], wallet["spendable"]) == ("EUR", "0.00", "0.00")
        assert wallet["credit_limit"] == "0.00"

    @pytest.mark.parametrize(
        ("currency", "given", "expected"),
        [("USD", None, "500.00"), ("KRW", None, "500"), ("USD", "12.5", "12.50")],
    )
    async def test_a_postpaid_one_may_owe(
        self, client: Client, currency: str, given: str | None, expected: str
    ) -> None:
        body = {"name": "Later", "billing_type": "postpaid", "currency": currency, "credit_limit": given}
        made = await client.post("/organisations", body)
        wallet = await client.get(f"/organisations/{made['id']}/wallet")
        assert (wallet["credit_limit"], wallet["spendable"]) == (expected, expected)

    async def test_refuses_what_cannot_be(self, client: Client) -> None:
        wrong: list[tuple[Any, str]] = [
            ({"name": "x", "credit_limit": "5"}, "422 credit_limit_invalid"),
            (
                {"name": "x", "billing_type": "postpaid", "credit_limit": "-1"},
                "422 credit_limit_invalid",
            ),
            ({"name": "x", "billing_type": "postpaid", "credit_limit": "0"}, "422 credit_limit_invalid"),
            (
                {"name": "x", "billing_type": "postpaid", "credit_limit": "0.0000000001"},
                "422 credit_limit_invalid",
            ),
            (
                {"name": "x", "billing_type": "postpaid", "credit_limit": "9" * 39},
                "422 credit_limit_invalid",
            ),
            ({"name": "x", "billing_type": "postpaid", "credit_limit": "1e5"}, "422 invalid_request"),
            ({"name": "x", "billing_type": "postpaid", "credit_limit": 5}, "422 invalid_request"),
            ({"name": "x", "currency": "GBP"}, "422 invalid_request"),
            ({"name": "x", "billing_email": "nobody"}, "422 invalid_request"),
            ({"name": ""}, "422 invalid_request"),
            ({}, "422 invalid_request"),
            ([], "422 invalid_request"),
        ]
        for body, code in wrong:
            assert await client.refused("POST", "/organisations", body) == code, body

    async def test_the_same_key_makes_it_once(self, client: Client) -> None:
        first = await client.post("/organisations", {"name": "Once"}, key="k1")
        again = await client.post("/organisations", {"name": "Once"}, key="k1")
        assert again == first
        assert len((await client.get("/organisations?name=Once"))["items"]) == 1

    async def test_the_same_key_with_other_content_is_refused(self, client: Client) -> None:
        await client.post("/organisations", {"name": "Once"}, key="k1")
        assert await client.refused("POST", "/organisations", {"name": "Twice"}, key="k1") == (
            "409 idempotency_conflict"
        )

    async def test_the_same_key_at_once_makes_it_once(self, client: Client) -> None:
        made = await asyncio.gather(
            *(client.post("/organisations", {"name": "Race"}, key="race") for _ in range(6))
        )
        assert len({one["id"] for one in made}) == 1

    async def test_a_refused_request_does_not_use_its_key_up(self, client: Client) -> None:
        bad = {"name": "x", "credit_limit": "5"}
        assert await client.refused("POST", "/organisations", bad, key="k") == "422 credit_limit_invalid"
        await client.post("/organisations", {"name": "x"}, key="k")

    @pytest.mark.parametrize("key", ["", "a b", "x" * 129, "é"])
    async def test_a_key_that_is_none_is_refused(self, client: Client, key: str) -> None:
        answer = await client.http.post(
            "/api/v1/organisations",
            json={"name": "x"},
            headers=[(b"idempotency-key", key.encode("latin-1"))],
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_invalid")

    @pytest.mark.parametrize("depth", [200, 300, 900, 100_000])
    async def test_refuses_what_is_nested_too_deep(self, client: Client, depth: int) -> None:
        answer = await client.http.post(
            "/api/v1/organisations",
            content=b'{"name":' + b"[" * depth + b"]" * depth + b"}",
            headers={"content-type": "application/json"},
        )
        assert answer.status_code in {400, 422}
        assert answer.json()["code"] == "invalid_request"


class TestChangeOrganisation:
    async def test_changes_only_what_is_given(self, client: Client, organisation: dict[str, Any]) -> None:
        changed = await client.call("PATCH", f"/organisations/{organisation['id']}", {"name": "Acme 2"})
        assert changed == {**organisation, "name": "Acme 2"}
        cleared = await client.call(
            "PATCH", f"/organisations/{organisation['id']}", {"billing_email": None, "status": "suspended"}
        )
        assert (cleared["billing_email"], cleared["status"]) == (None, "suspended")

    async def test_answers_are_kept_only_when_it_says_so(
        self, client: Client, organisation: dict[str, Any]
    ) -> None:
        place = f"/organisations/{organisation['id']}"
        assert organisation["store_responses"] is False
        assert (await client.call("PATCH", place, {"store_responses": True}))["store_responses"] is True
        assert (await client.call("PATCH", place, {"name": "Acme"}))["store_responses"] is True
        assert (await client.call("PATCH", place, {"store_responses": False}))["store_responses"] is False

    async def test_an_empty_change_changes_nothing(
        self, client: Client, organisation: dict[str, Any]
    ) -> None:
        assert await client.call("PATCH", f"/organisations/{organisation['id']}", {}) == organisation

    @pytest.mark.parametrize("body", [{"name": None}, {"status": "gone"}, {"currency": "EUR"}, {"id": "x"}])
    async def test_refuses_what_cannot_be(
        self, client: Client, organisation: dict[str, Any], body: dict[str, Any]
    ) -> None:
        refused = await client.refused("PATCH", f"/organisations/{organisation['id']}", body)
        assert refused == "422 invalid_request"

    @pytest.mark.parametrize("method", ["GET", "PATCH"])
    async def test_an_unknown_one_is_not_found(self, client: Client, method: str) -> None:
        path = "/organisations/00000000-0000-0000-0000-000000000001"
        body = {"name": "x"} if method == "PATCH" else None
        assert await client.refused(method, path, body) == "404 organisation_not_found"
        assert await client.refused(method, "/organisations/one", body) == "422 invalid_request"


class TestSetBilling:
    async def test_makes_it_postpaid_and_prepaid_again(
        self, client: Client, organisation: dict[str, Any]
    ) -> None:
        path = f"/organisations/{organisation['id']}"
        changed = await client.call(
            "PUT", f"{path}/billing", {"billing_type": "postpaid", "credit_limit": "7"}
        )
        assert changed["billing_type"] == "postpaid"
        assert (await client.get(f"{path}/wallet"))["spendable"] == "7.00"
        await client.call("PUT", f"{path}/billing", {"billing_type": "prepaid"})
        assert (await client.get(f"{path}/wallet"))["spendable"] == "0.00"
        moved = (await client.get(f"{path}/wallet/transactions?type=credit_limit"))["items"]
        assert [one["description"] for one in moved] == [
            "prepaid, credit limit 0.00",
            "postpaid, credit limit 7.00",
        ]

    async def test_refuses_a_limit_for_prepaid(self, client: Client, organisation: dict[str, Any]) -> None:
        refused = await client.refused(
            "PUT",
            f"/organisations/{organisation['id']}/billing",
            {"billing_type": "prepaid", "credit_limit": "1"},
        )
        assert refused == "422 credit_limit_invalid"

    async def test_of_an_unknown_one_is_not_found(self, client: Client) -> None:
        path = "/organisations/00000000-0000-0000-0000-000000000001/billing"
        assert await client.refused("PUT", path, {"billing_type": "prepaid"}) == "404 organisation_not_found"


class TestListOrganisations:
    async def test_pages_through_all_newest_first(self, client: Client) -> None:
        for number in range(5):
            await client.post("/organisations", {"name": f"Org {number}"})
        seen: list[str] = []
        cursor = ""
        while True:
            page = await client.get(f"/organisations?limit=2{cursor}")
            seen += [one["name"] for one in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert seen == [f"Org {number}" for number in (4, 3, 2, 1, 0)]

    async def test_finds_by_part_of_the_name_literally(self, client: Client) -> None:
        for name in ("100% Inc", "1000 Inc", "O'Hara"):
            await client.post("/organisations", {"name": name})
        assert [one["name"] for one in (await client.get("/organisations?name=0%25"))["items"]] == [
            "100% Inc"
        ]
        assert [one["name"] for one in (await client.get("/organisations?name='ha"))["items"]] == ["O'Hara"]
