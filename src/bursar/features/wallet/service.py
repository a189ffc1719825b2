"""Wallets: what an organisation has, what moved it, and what an operator may put in or give back."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from bursar.core.ids import IdNotTimed, uuid7_time_ms
from bursar.core.lots import LotKind
from bursar.core.money import AmountInvalid, format_amount, parse_amount
from bursar.db import ledger
from bursar.db.engine import ReadSession, Transaction
from bursar.db.ledger import IdempotencyConflict, NewLot, RefundExceedsSale, RefundExceedsUnspent
from bursar.features.wallet import queries
from bursar.features.wallet.schemas import (
    Movement,
    MovementType,
    TopUp,
    TopUpRefund,
    UsageRefund,
    Wallet,
)
from bursar.rest.control import Control
from bursar.rest.edge import Edge, Occasion
from bursar.rest.fields import moment_of_ms
from bursar.rest.paging import Page, PageAsked, bigint, cut_page
from bursar.rest.problems import Conflict, Invalid, NotFound

RECALL_WAIT_S: Final = 0.2
"""Gateways give unused money back within 100 ms of a recall."""


class WalletNotFound(NotFound):
    code = "organisation_not_found"

    def __init__(self) -> None:
        super().__init__("There is no organisation with this id.")


class MovementNotFound(NotFound):
    code = "transaction_not_found"

    def __init__(self) -> None:
        super().__init__("This wallet has no top-up with this number.")


class UsageNotFound(NotFound):
    code = "usage_not_found"

    def __init__(self) -> None:
        super().__init__("This organisation has no request with this id.")


class AmountRefused(Invalid):
    code = "amount_invalid"


class ExpiryPast(Invalid):
    code = "expiry_past"

    def __init__(self) -> None:
        super().__init__("body.expires_at: must lie in the future.")


class NothingToRefund(Conflict):
    code = "nothing_to_refund"


class RefundTooLarge(Conflict):
    """`free` says how much could be refunded now."""

    code = "refund_too_large"


async def get_wallet(read: ReadSession | Transaction, organisation_id: UUID, *, edge: Edge) -> Wallet:
    """Raises `WalletNotFound`."""
    row = await _wallet(read, organisation_id)
    unposted = await queries.unposted_sale(read, row["id"])
    spendable = await queries.spendable(read, row["id"], edge.now())
    amounts = {name: row[name] for name in ("posted", "held", "owed", "overrun", "credit_limit")}
    amounts |= {
        "balance": row["posted"] - row["owed"] - unposted,
        "unposted": unposted,
        "spendable": spendable,
    }
    return Wallet.model_validate(
        {
            "id": row["id"],
            "organisation_id": organisation_id,
            "currency": row["asset"],
            **{name: format_amount(units, row["asset"]) for name, units in amounts.items()},
        }
    )


async def list_movements(
    read: ReadSession, organisation_id: UUID, asked: PageAsked, *, kind: MovementType | None = None
) -> Page[Movement]:
    """Newest first. Raises `WalletNotFound`."""
    wallet = await _wallet(read, organisation_id)
    rows = await queries.movements_before(
        read, wallet["id"], kind=kind, before=asked.after(bigint), limit=asked.limit + 1
    )
    return cut_page(rows, asked.limit, lambda row: row["id"], show)


async def top_up(tx: Transaction, organisation_id: UUID, wanted: TopUp, occasion: Occasion) -> Movement:
    """Put money or credit in; debts are repaid first. The same key and content do it once.

    Raises:
        WalletNotFound, AmountRefused, ExpiryPast, bursar.db.ledger.IdempotencyConflict
    """
    wallet = await _wallet(tx, organisation_id)
    amount = _amount(wanted.amount, wallet["asset"])
    if wanted.expires_at is not None and wanted.expires_at <= occasion.edge.now():
        raise ExpiryPast
    number = await ledger.top_up(
        tx,
        occasion.booking(wallet["id"], description=wanted.description, reference=wanted.reference),
        NewLot(
            lot_id=occasion.edge.new_id(),
            amount=amount,
            kind=LotKind(wanted.kind),
            scope_class=wanted.scope_class,
            expires_at=wanted.expires_at,
        ),
    )
    return await _movement(tx, wallet["id"], number)


async def recall_leases(control: Control, organisation_id: UUID) -> None:
    """Before a refund: have gateways give back what they lease but do not use. Call it in no transaction.

    Raises:
        WalletNotFound
    """
    async with control.database.transaction(operator=True) as tx:
        wallet = await _wallet(tx, organisation_id)
        if wallet["held"]:
            await ledger.recall(tx, wallet["id"])
    if wallet["held"]:
        await asyncio.sleep(RECALL_WAIT_S)


async def refund_top_up(
    tx: Transaction, organisation_id: UUID, movement_id: int, wanted: TopUpRefund, occasion: Occasion
) -> Movement:
    """Pay back what is unspent of a top-up, or a part of it.

    Raises:
        WalletNotFound, MovementNotFound, AmountRefused, NothingToRefund, RefundTooLarge,
        bursar.db.ledger.IdempotencyConflict
    """
    wallet = await _wallet(tx, organisation_id)
    lot = await _lot(tx, wallet["id"], movement_id)
    done = await queries.movement_by_key(tx, wallet["id"], kind="top_up_refund", key=occasion.key)
    booking = occasion.booking(wallet["id"], description=wanted.description, reference=wanted.reference)
    if done is not None and wanted.amount is None:
        return _repeated(done, done["corrects"] == movement_id)
    return await _refund(
        tx,
        wallet,
        None if wanted.amount is None else _amount(wanted.amount, wallet["asset"]),
        most=lot["remaining"],
        write=lambda amount: ledger.refund_top_up(tx, booking, lot_id=lot["id"], amount=amount),
    )


async def refund_usage(
    tx: Transaction, organisation_id: UUID, request_id: UUID, wanted: UsageRefund, occasion: Occasion
) -> Movement:
    """Give the sale of a request back, or a part of it: debts first, then the credit that paid.

    Raises:
        WalletNotFound, UsageNotFound, AmountRefused, NothingToRefund, RefundTooLarge,
        bursar.db.ledger.IdempotencyConflict
    """
    wallet = await _wallet(tx, organisation_id)
    sold = await _sold(tx, wallet, request_id, wanted.attempt)
    done = await queries.movement_by_key(tx, wallet["id"], kind="usage_refund", key=occasion.key)
    booking = occasion.booking(wallet["id"], description=wanted.description, reference=wanted.reference)
    if done is not None and wanted.amount is None:
        return _repeated(done, done["request_id"] == request_id)
    return await _refund(
        tx,
        wallet,
        None if wanted.amount is None else _amount(wanted.amount, wallet["asset"]),
        most=sold["sale"],
        write=lambda amount: ledger.refund_usage(
            tx, booking, request_id=request_id, amount=amount, attempt=sold["attempt"]
        ),
    )


async def _refund(
    tx: Transaction,
    wallet: sa.RowMapping,
    amount: int | None,
    *,
    most: int,
    write: Callable[[int], Awaitable[int]],
) -> Movement:
    """Write a refund of `amount`, or of all that the books let go: they say how much that is."""
    if amount is None and most < 1:
        raise NothingToRefund("Nothing of it is left to refund.")
    try:
        async with tx.begin_nested():
            number = await write(most if amount is None else amount)
    except (RefundExceedsUnspent, RefundExceedsSale) as error:
        free = format_amount(error.free, wallet["asset"])
        if amount is not None:
            raise RefundTooLarge(
                f"At most {free} {wallet['asset']} can be refunded now.", free=free
            ) from error
        if error.free < 1:
            raise NothingToRefund("Nothing of it is left to refund now.") from error
        number = await write(error.free)
    return await _movement(tx, wallet["id"], number)


def _repeated(done: sa.RowMapping, is_same: bool) -> Movement:  # noqa: FBT001 - said by the only two callers
    if not is_same:
        raise IdempotencyConflict(
            "This Idempotency-Key was used before with other content; nothing was done."
        )
    return show(done)


async def _wallet(read: ReadSession | Transaction, organisation_id: UUID) -> sa.RowMapping:
    row = await queries.wallet_of(read, organisation_id)
    if row is None:
        raise WalletNotFound
    return row


async def _lot(tx: Transaction, wallet_id: UUID, movement_id: int) -> sa.RowMapping:
    movement = await queries.movement_by_id(tx, wallet_id, movement_id)
    if movement is None or movement["type"] != "top_up":
        raise MovementNotFound
    lot = await queries.lot_of_top_up(tx, wallet_id, movement_id)
    if lot is None:
        raise NothingToRefund("All of this top-up repaid a debt.")
    return lot


async def _sold(
    tx: Transaction, wallet: sa.RowMapping, request_id: UUID, attempt: int | None
) -> dict[str, int]:
    try:
        started_at = moment_of_ms(uuid7_time_ms(request_id))
    except (IdNotTimed, ValueError, OverflowError):
        raise UsageNotFound from None
    rows = await queries.sale_of_request(tx, wallet["id"], wallet["organisation_id"], request_id, started_at)
    rows = [row for row in rows if attempt is None or row["attempt"] == attempt]
    if not rows:
        raise UsageNotFound
    sold = next((row for row in rows if row["sale"] > 0), rows[0])
    return {"attempt": sold["attempt"], "sale": int(sold["sale"])}


async def _movement(tx: Transaction, wallet_id: UUID, number: int) -> Movement:
    row = await queries.movement_by_id(tx, wallet_id, number)
    if row is None:
        raise MovementNotFound
    return show(row)


def _amount(text: str, asset: str) -> int:
    """Units above zero. Raises `AmountRefused`."""
    try:
        amount = parse_amount(text, asset)
    except AmountInvalid as error:
        raise AmountRefused(f"body.amount: {error}") from error
    if not 0 < amount <= ledger.AMOUNT_MAX:
        raise AmountRefused("body.amount: must be above zero, and at most what one transaction may move.")
    return amount


def show(row: sa.RowMapping) -> Movement:
    asset = row["asset"]
    shown: dict[str, Any] = {
        **row,
        "currency": asset,
        "amount": format_amount(row["amount"], asset),
        "balance_after": format_amount(row["balance_after"], asset),
    }
    return Movement.model_validate(shown)
