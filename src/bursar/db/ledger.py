"""Money in, money back, and what may be owed: the operator's writes to the books.

Each runs inside the caller's transaction, in the operator's or the worker's role, and is idempotent: the
same ``key`` on a wallet with the same content answers the same transaction again, with other content it is
refused. Each answers the id of its ledger transaction. Amounts are integers in units of the wallet's
asset.
"""

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Final
from uuid import UUID

import orjson
import psycopg
import sqlalchemy as sa

from bursar.core.lots import PRIORITY_DEFAULT, LotKind
from bursar.db.engine import Transaction

AMOUNT_MAX: Final = 10**18
"""A billion major units of USD. Sums of many such still fit 64 bits."""

PAID_KINDS: Final = frozenset({LotKind.PURCHASE, LotKind.MANUAL})
"""Money received; lots of other kinds are given away."""


class LedgerRefused(Exception):
    """The books turned a write down; nothing was changed."""

    code: ClassVar[str] = "ledger_refused"
    status: ClassVar[int] = 422


class IdempotencyConflict(LedgerRefused):
    """The key was used before on this wallet with other content."""

    code = "idempotency_conflict"
    status = 409


class NotInBooks(LedgerRefused):
    """No such wallet, lot, or usage."""

    code = "not_in_books"
    status = 404


class AmountOutOfRange(LedgerRefused):
    """Not a positive amount, or more than AMOUNT_MAX."""

    code = "amount_out_of_range"


class RefundExceedsSale(LedgerRefused):
    """More than what is left of the sale after earlier refunds. ``free``: what is left."""

    code = "refund_exceeds_sale"
    status = 409

    def __init__(self, message: str, free: int) -> None:
        super().__init__(message)
        self.free = free


class RefundExceedsUnspent(LedgerRefused):
    """More than what of the lot is unspent and uncommitted. ``free``: what could be paid back now."""

    code = "refund_exceeds_unspent"
    status = 409

    def __init__(self, message: str, free: int) -> None:
        super().__init__(message)
        self.free = free


# The functions' own error codes.
REFUSALS: Final = {"BU003": AmountOutOfRange, "BU004": NotInBooks, "BU010": IdempotencyConflict}
REFUSALS_WITH_FREE: Final = {"BU011": RefundExceedsSale, "BU012": RefundExceedsUnspent}


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """What every write names: the wallet, the idempotency key, the moment, and words for people."""

    wallet_id: UUID
    key: str
    now: datetime
    description: str = ""
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLot:
    """Credit that arrives. ``effective_at`` None: from now on; ``expires_at`` None: never."""

    lot_id: UUID
    amount: int
    kind: LotKind = LotKind.PURCHASE
    scope_class: str | None = None
    priority: int = PRIORITY_DEFAULT
    effective_at: datetime | None = None
    expires_at: datetime | None = None


async def top_up(tx: Transaction, booking: Booking, lot: NewLot) -> int:
    """Add credit as a lot, after repaying what is owed; answer the transaction's id.

    Raises:
        IdempotencyConflict: the key was used for other content.
        NotInBooks: no such wallet.
        AmountOutOfRange: not a positive amount, or too much.
    """
    content = {
        "amount": lot.amount,
        "kind": lot.kind.value,
        "scope_class": lot.scope_class,
        "priority": lot.priority,
        "effective_at": lot.effective_at,
        "expires_at": lot.expires_at,
    }
    paid_per_unit = Decimal(1 if lot.kind in PAID_KINDS else 0)
    return await _write(
        tx,
        "SELECT bursar_top_up(:wallet_id, :lot_id, :kind, :amount, :scope_class, :priority, :starts_at,"
        " :expires_at, :cost_basis, :key, :hash, :description, :reference, :now)",
        booking,
        content,
        lot_id=lot.lot_id,
        starts_at=lot.effective_at or booking.now,
        cost_basis=paid_per_unit,
    )


async def refund_usage(
    tx: Transaction, booking: Booking, *, request_id: UUID, amount: int, attempt: int | None = None
) -> int:
    """Give (part of) a request's sale back: debt first, then the lots that paid. Posts the wallet first.

    ``attempt`` None: the last attempt that was sold.

    Raises:
        IdempotencyConflict: the key was used for other content.
        NotInBooks: no such wallet, or no usage of this request on it.
        AmountOutOfRange: not a positive amount, or too much.
        RefundExceedsSale: more than what is left of the sale.
    """
    return await _write(
        tx,
        "SELECT bursar_refund_usage(:wallet_id, :request_id, :attempt, :amount, :key, :hash, :description,"
        " :reference, :now)",
        booking,
        {"request_id": request_id, "attempt": attempt, "amount": amount},
    )


async def refund_top_up(tx: Transaction, booking: Booking, *, lot_id: UUID, amount: int) -> int:
    """Pay unspent money back out of the lot of a purchase. Recall leases first to have more of it free.

    Raises:
        IdempotencyConflict: the key was used for other content.
        NotInBooks: no such wallet, or no paid lot of this id in it.
        AmountOutOfRange: not a positive amount, or too much.
        RefundExceedsUnspent: more than what is unspent and free.
    """
    return await _write(
        tx,
        "SELECT bursar_refund_top_up(:wallet_id, :lot_id, :amount, :key, :hash, :description, :reference,"
        " :now)",
        booking,
        {"lot_id": lot_id, "amount": amount},
    )


async def set_credit_limit(tx: Transaction, booking: Booking, *, credit_limit: int) -> int:
    """Change what may be owed. A fact: never refused for funds; what no longer fits becomes overrun.

    Raises:
        IdempotencyConflict: the key was used for other content.
        NotInBooks: no such wallet.
        AmountOutOfRange: below zero, or too much.
    """
    return await _write(
        tx,
        "SELECT bursar_set_credit_limit(:wallet_id, :credit_limit, :key, :hash, :description, :reference,"
        " :now)",
        booking,
        {"credit_limit": credit_limit},
    )


async def recall(tx: Transaction, wallet_id: UUID) -> None:
    """Ask every process to give back what it can of this wallet, once this transaction commits."""
    await tx.execute(sa.text("SELECT pg_notify('bursar_recall', :wallet_id)"), {"wallet_id": str(wallet_id)})


async def _write(
    tx: Transaction, query: str, booking: Booking, content: Mapping[str, Any], **rest: Any
) -> int:
    """Call one of the functions; the idempotency key is bound to ``content`` and the reference."""
    if abs(content.get("amount", 0)) > AMOUNT_MAX or abs(content.get("credit_limit", 0)) > AMOUNT_MAX:
        raise AmountOutOfRange("more units than can be booked")
    content_hash = hash_of({**content, "reference": booking.reference})
    async with refusals():
        answer = await tx.execute(
            sa.text(query), {**content, **rest, **asdict(booking), "hash": content_hash}
        )
        return int(answer.scalar_one())


def hash_of(content: Mapping[str, Any]) -> str:
    return hashlib.blake2b(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


@asynccontextmanager
async def refusals() -> AsyncIterator[None]:
    """Turn the functions' own error codes (BU…) into the classes above."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        refused = _refusal(error.orig)
        if refused is None:
            raise
        raise refused from error


def _refusal(error: BaseException | None) -> LedgerRefused | None:
    if not isinstance(error, psycopg.Error) or error.sqlstate is None:
        return None
    message = error.diag.message_primary or ""
    if error.sqlstate in REFUSALS_WITH_FREE:
        return REFUSALS_WITH_FREE[error.sqlstate](message, int(error.diag.message_detail or 0))
    kind = REFUSALS.get(error.sqlstate)
    return None if kind is None else kind(message)
