import asyncio
import re
from collections.abc import Callable
from typing import Any, get_args
from uuid import UUID

import pytest
import sqlalchemy as sa
from control_client import Client, Use

from bursar.features.wallet.schemas import MovementType
from bursar.rest.control import Control


@pytest.fixture
def path(organisation: dict[str, Any]) -> str:
    return f"/organisations/{organisation['id']}"


class TestTopUp:
    async def test_adds_money_and_says_what_is_there_now(self, client: Client, path: str) -> None:
        body = {"amount": "50.00", "description": "bank transfer", "reference": "INV-1"}
        moved = await client.post(f"{path}/wallet/top-ups", body, key="t1")
        assert (moved["type"], moved["amount"], moved["balance_after"]) == ("top_up", "50.00", "50.00")
        assert (moved["description"], moved["reference"]) == ("bank transfer", "INV-1")
        wallet = await client.get(f"{path}/wallet")
        assert (wallet["balance"], wallet["spendable"]) == ("50.00", "50.00")

    async def test_needs_a_key(self, client: Client, path: str) -> None:
        refused = await client.refused("POST", f"{path}/wallet/top-ups", {"amount": "1"})
        assert refused == "422 idempotency_key_required"

    async def test_the_same_key_moves_it_once(self, client: Client, path: str) -> None:
        moved = await asyncio.gather(
            *(client.post(f"{path}/wallet/top-ups", {"amount": "10"}, key="same") for _ in range(6))
        )
        assert len({one["id"] for one in moved}) == 1
        assert (await client.get(f"{path}/wallet"))["balance"] == "10.00"
        refused = await client.refused("POST", f"{path}/wallet/top-ups", {"amount": "11"}, key="same")
        assert refused == "409 idempotency_conflict"

    async def test_the_same_key_at_another_organisation_is_another_key(
        self, client: Client, path: str
    ) -> None:
        other = await client.post("/organisations", {"name": "Other"})
        await client.post(f"{path}/wallet/top-ups", {"amount": "10"}, key="k")
        await client.post(f"/organisations/{other['id']}/wallet/top-ups", {"amount": "20"}, key="k")
        assert (await client.get(f"{path}/wallet"))["balance"] == "10.00"

    async def test_a_promotion_is_a_grant(self, client: Client, path: str) -> None:
        body = {
            "amount": "5",
            "kind": "promo",
            "scope_class": "image",
            "expires_at": "2099-01-01T00:00:00Z",
        }
        moved = await client.post(f"{path}/wallet/top-ups", body, key="p")
        assert moved["type"] == "grant"
        wallet = await client.get(f"{path}/wallet")
        assert (wallet["balance"], wallet["spendable"]) == ("5.00", "0.00")

    async def test_refuses_what_is_no_money(self, client: Client, path: str) -> None:
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"amount": "0"}, "422 amount_invalid"),
            ({"amount": "-5"}, "422 amount_invalid"),
            ({"amount": "0.0000000001"}, "422 amount_invalid"),
            ({"amount": "1000000001"}, "422 amount_invalid"),
            ({"amount": "9" * 40}, "422 amount_invalid"),
            ({"amount": "9" * 41}, "422 invalid_request"),
            ({"amount": "1,50"}, "422 invalid_request"),
            ({"amount": "1e3"}, "422 invalid_request"),
            ({"amount": "NaN"}, "422 invalid_request"),
            ({"amount": "٣"}, "422 invalid_request"),
            ({"amount": 10}, "422 invalid_request"),
            ({"amount": 0.1}, "422 invalid_request"),
            ({"amount": None}, "422 invalid_request"),
            ({}, "422 invalid_request"),
            ({"amount": "1", "kind": "gift"}, "422 invalid_request"),
            ({"amount": "1", "expires_at": "2001-01-01T00:00:00Z"}, "422 expiry_past"),
            ({"amount": "1", "reference": "x" * 501}, "422 invalid_request"),
            ({"amount": "1", "description": "\x00"}, "422 invalid_request"),
        ]
        for number, (body, code) in enumerate(wrong):
            refused = await client.refused("POST", f"{path}/wallet/top-ups", body, key=f"w{number}")
            assert refused == code, body
        assert (await client.get(f"{path}/wallet"))["balance"] == "0.00"

    async def test_of_an_unknown_organisation_is_not_found(self, client: Client) -> None:
        path = "/organisations/00000000-0000-0000-0000-000000000001/wallet"
        assert await client.refused("POST", f"{path}/top-ups", {"amount": "1"}, key="k") == (
            "404 organisation_not_found"
        )
        assert await client.refused("POST", f"{path}/top-ups/1/refund", {}, key="k") == (
            "404 organisation_not_found"
        )
        assert await client.refused("GET", path) == "404 organisation_not_found"
        assert await client.refused("GET", f"{path}/transactions") == "404 organisation_not_found"

    async def test_won_is_counted_in_won(self, client: Client) -> None:
        made = await client.post("/organisations", {"name": "Seoul", "currency": "KRW"})
        path = f"/organisations/{made['id']}/wallet"
        moved = await client.post(f"{path}/top-ups", {"amount": "70000"}, key="k")
        assert (moved["amount"], moved["currency"]) == ("70000", "KRW")


class TestWallet:
    async def test_counts_usage_before_it_is_posted(self, client: Client, path: str, use: Use) -> None:
        """The document's own sum: 50.00 less 0.048 is 49.952."""
        await client.post(f"{path}/wallet/top-ups", {"amount": "50.00"}, key="t")
        await use(cost=40_000_000, sale=48_000_000)
        wallet = await client.get(f"{path}/wallet")
        assert (wallet["balance"], wallet["unposted"], wallet["posted"]) == ("49.952", "0.048", "50.00")

    async def test_lists_what_moved_it_newest_first(self, client: Client, path: str) -> None:
        for number in range(3):
            await client.post(f"{path}/wallet/top-ups", {"amount": str(number + 1)}, key=f"k{number}")
        first = await client.get(f"{path}/wallet/transactions?limit=2")
        rest = await client.get(f"{path}/wallet/transactions?limit=2&cursor={first['next_cursor']}")
        moved = first["items"] + rest["items"]
        assert [(one["amount"], one["balance_after"]) for one in moved] == [
            ("3.00", "6.00"),
            ("2.00", "3.00"),
            ("1.00", "1.00"),
        ]
        assert (await client.get(f"{path}/wallet/transactions?type=usage"))["items"] == []
        assert await client.refused("GET", f"{path}/wallet/transactions?type=gift") == ("422 invalid_request")


class TestRefundTopUp:
    async def test_pays_the_unspent_rest_back(self, client: Client, path: str, use: Use) -> None:
        topped = await client.post(f"{path}/wallet/top-ups", {"amount": "10"}, key="t")
        await use(sale=3_000_000_000, cost=0)
        refund = f"{path}/wallet/top-ups/{topped['id']}/refund"
        back = await client.post(refund, {"description": "left us"}, key="r")
        assert (back["type"], back["amount"], back["balance_after"]) == (
            "top_up_refund",
            "-7.00",
            "0.00",
        )
        assert back["corrects"] == topped["id"]
        assert await client.post(refund, {"description": "left us"}, key="r") == back
        assert await client.refused("POST", refund, {}, key="r2") == "409 nothing_to_refund"
        assert (await client.get(f"{path}/wallet"))["balance"] == "0.00"

    async def test_pays_a_part_and_no_more_than_is_there(self, client: Client, path: str) -> None:
        topped = await client.post(f"{path}/wallet/top-ups", {"amount": "10"}, key="t")
        refund = f"{path}/wallet/top-ups/{topped['id']}/refund"
        back = await client.post(refund, {"amount": "4"}, key="r")
        assert back["balance_after"] == "6.00"
        answer = await client.http.post(
            f"/api/v1{refund}", json={"amount": "6.01"}, headers={"idempotency-key": "r2"}
        )
        assert answer.status_code == 409
        assert (answer.json()["code"], answer.json()["free"]) == ("refund_too_large", "6.00")
        assert await client.refused("POST", refund, {"amount": "5"}, key="r") == "409 idempotency_conflict"

    async def test_at_once_pays_once(self, client: Client, path: str) -> None:
        topped = await client.post(f"{path}/wallet/top-ups", {"amount": "10"}, key="t")
        refund = f"/api/v1{path}/wallet/top-ups/{topped['id']}/refund"
        answers = await asyncio.gather(
            *(
                client.http.post(refund, json={"amount": "6"}, headers={"idempotency-key": f"r{number}"})
                for number in range(4)
            )
        )
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
        assert (await client.get(f"{path}/wallet"))["balance"] == "4.00"

    async def test_takes_only_paid_top_ups_of_this_wallet(self, client: Client, path: str) -> None:
        promo = await client.post(f"{path}/wallet/top-ups", {"amount": "5", "kind": "promo"}, key="p")
        other = await client.post("/organisations", {"name": "Other"})
        for number in (promo["id"], 999_999, 2**63 - 1):
            refund = f"{path}/wallet/top-ups/{number}/refund"
            assert await client.refused("POST", refund, {}, key="r") == "404 transaction_not_found"
        foreign = f"/organisations/{other['id']}/wallet/top-ups/{promo['id']}/refund"
        assert await client.refused("POST", foreign, {}, key="r") == "404 transaction_not_found"
        for number in ("0", "-1", "x", str(2**63)):
            refund = f"{path}/wallet/top-ups/{number}/refund"
            assert await client.refused("POST", refund, {}, key="r") == "422 invalid_request"

    async def test_what_repaid_a_debt_is_gone(
        self, client: Client, path: str, use: Use, post_usage: Callable[[], None]
    ) -> None:
        await client.call("PUT", f"{path}/billing", {"billing_type": "postpaid", "credit_limit": "100"})
        await use(sale=20_000_000_000, cost=0)
        post_usage()
        topped = await client.post(f"{path}/wallet/top-ups", {"amount": "15"}, key="t")
        assert topped["balance_after"] == "-5.00"
        refund = f"{path}/wallet/top-ups/{topped['id']}/refund"
        assert await client.refused("POST", refund, {}, key="r") == "409 nothing_to_refund"


class TestRefundUsage:
    async def test_gives_the_sale_back(self, client: Client, path: str, use: Use) -> None:
        await client.post(f"{path}/wallet/top-ups", {"amount": "50"}, key="t")
        row = await use(sale=48_000_000)
        refund = f"{path}/usage/{row.request_id}/refund"
        back = await client.post(refund, {"amount": "0.028"}, key="r1")
        assert (back["type"], back["amount"], back["balance_after"]) == (
            "usage_refund",
            "0.028",
            "49.98",
        )
        assert back["request_id"] == str(row.request_id)
        rest = await client.post(refund, {}, key="r2")
        assert (rest["amount"], rest["balance_after"]) == ("0.02", "50.00")
        assert await client.post(refund, {}, key="r2") == rest
        assert await client.refused("POST", refund, {}, key="r3") == "409 nothing_to_refund"
        assert await client.refused("POST", refund, {"amount": "0.001"}, key="r4") == ("409 refund_too_large")

    async def test_of_a_request_that_cost_nothing_is_refused(
        self, client: Client, path: str, use: Use
    ) -> None:
        row = await use(sale=0, cost=0, status=502, outcome="provider_error_before_output")
        refund = f"{path}/usage/{row.request_id}/refund"
        assert await client.refused("POST", refund, {}, key="r") == "409 nothing_to_refund"

    async def test_of_an_unknown_request_is_not_found(
        self, client: Client, path: str, use: Use, control: Control
    ) -> None:
        row = await use()
        other = await client.post("/organisations", {"name": "Other"})
        ids = [control.edge.new_id(), UUID(int=0), UUID(int=2**128 - 1)]
        for request_id in ids:
            refund = f"{path}/usage/{request_id}/refund"
            assert await client.refused("POST", refund, {}, key="r") == "404 usage_not_found"
        foreign = f"/organisations/{other['id']}/usage/{row.request_id}/refund"
        assert await client.refused("POST", foreign, {}, key="r") == "404 usage_not_found"
        refund = f"{path}/usage/{row.request_id}/refund"
        assert await client.refused("POST", refund, {"attempt": 3}, key="r") == "404 usage_not_found"
        assert await client.refused("POST", refund, {"attempt": 2**15}, key="r") == "422 invalid_request"
        assert await client.refused("POST", refund, {"amount": "0"}, key="r") == "422 amount_invalid"


class TestMovementType:
    async def test_names_every_kind_the_books_may_write(self, control: Control) -> None:
        """Else listing such a transaction would fail."""
        async with control.database.read(operator=True) as read:
            rule = await read.execute(
                sa.text(
                    "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
                    " WHERE conname = 'ledger_transaction_kind_check'"
                )
            )
            kinds = set(re.findall(r"'([a-z_]+)'::text", rule.scalar_one()))
        assert kinds == set(get_args(MovementType))


class TestManyAtOnce:
    async def test_are_all_answered_and_all_booked(self, client: Client, path: str) -> None:
        """More callers than connections: they wait for each other, none is refused, nothing is lost."""
        await asyncio.gather(
            *(
                client.post(f"{path}/wallet/top-ups", {"amount": "1"}, key=f"m{number}")
                for number in range(40)
            ),
            *(client.get(f"{path}/wallet") for _ in range(20)),
        )
        assert (await client.get(f"{path}/wallet"))["balance"] == "40.00"
        moved = (await client.get(f"{path}/wallet/transactions?limit=200"))["items"]
        assert sorted(int(one["balance_after"].partition(".")[0]) for one in moved) == list(range(1, 41))
