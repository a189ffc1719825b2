"""`bursar.db.ledger`: the operator's writes, as Python calls them."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from desk import Desk
from samples import START, Customer, new_id
from stories import sold

from bursar.core.lots import LotKind
from bursar.db import ledger
from bursar.db.engine import Database, Transaction
from bursar.db.ledger import (
    AMOUNT_MAX,
    AmountOutOfRange,
    Booking,
    IdempotencyConflict,
    NewLot,
    NotInBooks,
    RefundExceedsSale,
    RefundExceedsUnspent,
)
from bursar.db.tables import credit_lot, ledger_transaction

Write = Callable[[Transaction], Awaitable[int]]


def booking(customer: Customer, key: str = "k", **changes: Any) -> Booking:
    return Booking(wallet_id=customer.wallet_id, key=key, now=START, **changes)


async def done(api: Database, write: Write) -> int:
    async with api.transaction(operator=True) as tx:
        return await write(tx)


class TestTopUp:
    async def test_becomes_a_lot_and_says_so_in_words(self, desk: Desk, api: Database) -> None:
        customer, lot_id = desk.customer(), new_id()
        lot = NewLot(lot_id=lot_id, amount=500, scope_class="image", expires_at=START + timedelta(days=30))
        booked = booking(customer, description="Welcome", reference="INV-1")
        transaction_id = await done(api, lambda tx: ledger.top_up(tx, booked, lot))
        async with api.read(operator=True) as read:
            row = (await read.execute(sa.select(ledger_transaction))).mappings().one()
            made = (await read.execute(sa.select(credit_lot))).mappings().one()
        assert (row["id"], row["kind"], row["amount"], row["balance_after"]) == (
            transaction_id, "top_up", 500, 500,
        )  # fmt: skip
        assert (row["description"], row["reference"]) == ("Welcome", "INV-1")
        assert (made["id"], made["scope_class"], made["remaining"], made["cost_basis"]) == (
            lot_id, "image", 500, 1,
        )  # fmt: skip
        assert made["expires_at"] == START + timedelta(days=30)

    async def test_that_is_a_gift_is_booked_against_promo(self, desk: Desk, api: Database) -> None:
        customer = desk.customer()
        lot = NewLot(lot_id=new_id(), amount=500, kind=LotKind.PROMO)
        await done(api, lambda tx: ledger.top_up(tx, booking(customer), lot))
        assert desk.entries(customer) == {"promo": -500, "wallet": 500}

    async def test_repeated_answers_the_same_transaction(self, desk: Desk, api: Database) -> None:
        customer = desk.customer()
        first = await done(
            api, lambda tx: ledger.top_up(tx, booking(customer), NewLot(lot_id=new_id(), amount=500))
        )
        again = await done(
            api, lambda tx: ledger.top_up(tx, booking(customer), NewLot(lot_id=new_id(), amount=500))
        )
        assert first == again
        assert desk.wallet(customer).posted == 500

    @pytest.mark.parametrize(
        "other",
        [
            {"amount": 501},
            {"amount": 500, "kind": LotKind.PROMO},
            {"amount": 500, "scope_class": "image"},
            {"amount": 500, "expires_at": START + timedelta(days=1)},
        ],
    )
    async def test_with_a_used_key_and_other_content_is_a_conflict(
        self, desk: Desk, api: Database, other: dict[str, Any]
    ) -> None:
        customer = desk.customer()
        await done(api, lambda tx: ledger.top_up(tx, booking(customer), NewLot(lot_id=new_id(), amount=500)))
        lot = NewLot(lot_id=new_id(), **other)
        with pytest.raises(IdempotencyConflict):
            await done(api, lambda tx: ledger.top_up(tx, booking(customer), lot))
        assert desk.wallet(customer).posted == 500

    async def test_with_the_same_key_on_another_wallet_is_another_top_up(
        self, desk: Desk, api: Database
    ) -> None:
        for customer in (desk.customer(), desk.customer()):
            lot = NewLot(lot_id=new_id(), amount=500)
            await done(api, lambda tx, lot=lot, c=customer: ledger.top_up(tx, booking(c), lot))
            assert desk.wallet(customer).posted == 500

    @pytest.mark.parametrize("amount", [0, -1, AMOUNT_MAX + 1, 2**70])
    async def test_of_no_amount_is_refused(self, desk: Desk, api: Database, amount: int) -> None:
        lot = NewLot(lot_id=new_id(), amount=amount)
        customer = desk.customer()
        with pytest.raises(AmountOutOfRange):
            await done(api, lambda tx: ledger.top_up(tx, booking(customer), lot))

    async def test_of_no_wallet_is_refused(self, desk: Desk, api: Database) -> None:
        stranger = Customer(organisation_id=new_id(), wallet_id=new_id(), api_key_id=new_id())
        with pytest.raises(NotInBooks):
            await done(
                api, lambda tx: ledger.top_up(tx, booking(stranger), NewLot(lot_id=new_id(), amount=1))
            )
        assert desk.quarantine() == []


class TestRefunds:
    async def test_of_usage_give_the_sale_back(self, desk: Desk, api: Database) -> None:
        customer, process = desk.customer(100), desk.open_process()
        row = sold(customer, desk.take(process, customer, 50).lease_id, 50)
        desk.flush(process, [row])
        for _ in range(2):
            await done(
                api,
                lambda tx: ledger.refund_usage(tx, booking(customer), request_id=row.request_id, amount=20),
            )
        assert desk.wallet(customer).posted == 70
        with pytest.raises(RefundExceedsSale) as refusal:
            await done(
                api,
                lambda tx: ledger.refund_usage(
                    tx, booking(customer, "other"), request_id=row.request_id, amount=31
                ),
            )
        assert refusal.value.free == 30

    async def test_of_unknown_usage_are_refused(self, desk: Desk, api: Database) -> None:
        customer = desk.customer(100)
        with pytest.raises(NotInBooks):
            await done(
                api, lambda tx: ledger.refund_usage(tx, booking(customer), request_id=new_id(), amount=1)
            )

    async def test_of_a_top_up_pay_back_what_is_free(self, desk: Desk, api: Database) -> None:
        customer, process = desk.customer(), desk.open_process()
        lot_id = desk.top_up(customer, 100)
        desk.take(process, customer, 30)
        with pytest.raises(RefundExceedsUnspent) as refusal:
            await done(api, lambda tx: ledger.refund_top_up(tx, booking(customer), lot_id=lot_id, amount=71))
        assert refusal.value.free == 70
        await done(api, lambda tx: ledger.refund_top_up(tx, booking(customer), lot_id=lot_id, amount=70))
        assert desk.wallet(customer).posted == 30

    async def test_of_a_gift_are_refused(self, desk: Desk, api: Database) -> None:
        customer = desk.customer()
        lot_id = desk.top_up(customer, 100, kind="promo")
        with pytest.raises(NotInBooks):
            await done(api, lambda tx: ledger.refund_top_up(tx, booking(customer), lot_id=lot_id, amount=1))


class TestCreditLimit:
    async def test_is_changed_and_remembered(self, desk: Desk, api: Database) -> None:
        customer = desk.customer()
        await done(api, lambda tx: ledger.set_credit_limit(tx, booking(customer), credit_limit=700))
        assert desk.wallet(customer).credit_limit == 700
        assert desk.entries(customer) == {}

    async def test_below_zero_is_refused(self, desk: Desk, api: Database) -> None:
        customer = desk.customer()
        with pytest.raises(AmountOutOfRange):
            await done(api, lambda tx: ledger.set_credit_limit(tx, booking(customer), credit_limit=-1))


class TestOtherErrors:
    async def test_are_not_dressed_up(self, desk: Desk, api: Database) -> None:
        customer = desk.customer()
        lot = NewLot(lot_id=new_id(), amount=5, expires_at=START - timedelta(days=1))
        with pytest.raises(sa.exc.IntegrityError):
            await done(api, lambda tx: ledger.top_up(tx, booking(customer), lot))

    async def test_customers_themselves_may_not_write(self, desk: Desk, api: Database) -> None:
        customer = desk.customer()
        lot = NewLot(lot_id=new_id(), amount=5)
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            async with api.transaction(organisation=customer.organisation_id) as tx:
                await ledger.top_up(tx, booking(customer), lot)


class TestRecall:
    async def test_is_heard_when_the_transaction_commits(self, desk: Desk, worker: Database) -> None:
        customer = desk.customer()
        with desk.listening("bursar_recall") as heard:
            async with worker.transaction() as tx:
                await ledger.recall(tx, customer.wallet_id)
        assert heard == [str(customer.wallet_id)]
