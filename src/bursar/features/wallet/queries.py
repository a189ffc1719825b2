"""SQL of wallets. Money is written by the functions behind `bursar.db.ledger` only."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from bursar.db.engine import ReadSession, Transaction
from bursar.db.tables import credit_lot, ledger_transaction, organisation, usage, wallet

_MOVEMENT = sa.select(
    ledger_transaction.c.id,
    ledger_transaction.c.kind.label("type"),
    ledger_transaction.c.amount,
    ledger_transaction.c.balance_after,
    ledger_transaction.c.asset,
    ledger_transaction.c.description,
    ledger_transaction.c.reference,
    ledger_transaction.c.request_id,
    ledger_transaction.c.corrects,
    ledger_transaction.c.occurred_at,
)


async def wallet_of(read: ReadSession | Transaction, organisation_id: UUID) -> sa.RowMapping | None:
    """The wallet in the organisation's own currency."""
    question = sa.select(wallet).join(
        organisation,
        sa.and_(organisation.c.id == wallet.c.organisation_id, organisation.c.currency == wallet.c.asset),
    )
    found = await read.execute(question.where(wallet.c.organisation_id == organisation_id))
    return found.mappings().one_or_none()


async def unposted_sale(read: ReadSession | Transaction, wallet_id: UUID) -> int:
    question = sa.select(sa.func.coalesce(sa.func.sum(usage.c.sale), 0)).where(
        usage.c.wallet_id == wallet_id, usage.c.posting.is_(None)
    )
    return int((await read.execute(question)).scalar_one())


async def spendable(read: ReadSession | Transaction, wallet_id: UUID, now: datetime) -> int:
    """What may still be granted to general use."""
    question = sa.select(sa.func.bursar_grantable(wallet_id, sa.cast(None, sa.Text), now, sa.false()))
    return int((await read.execute(question)).scalar_one())


async def movements_before(
    read: ReadSession, wallet_id: UUID, *, kind: str | None, before: int | None, limit: int
) -> Sequence[sa.RowMapping]:
    question = (
        _MOVEMENT.where(ledger_transaction.c.wallet_id == wallet_id)
        .order_by(ledger_transaction.c.id.desc())
        .limit(limit)
    )
    if kind is not None:
        question = question.where(ledger_transaction.c.kind == kind)
    if before is not None:
        question = question.where(ledger_transaction.c.id < before)
    return (await read.execute(question)).mappings().all()


async def movement_by_id(tx: Transaction, wallet_id: UUID, movement_id: int) -> sa.RowMapping | None:
    question = _MOVEMENT.where(
        ledger_transaction.c.wallet_id == wallet_id, ledger_transaction.c.id == movement_id
    )
    return (await tx.execute(question)).mappings().one_or_none()


async def movement_by_key(tx: Transaction, wallet_id: UUID, *, kind: str, key: str) -> sa.RowMapping | None:
    """What this idempotency key did before."""
    question = _MOVEMENT.where(
        ledger_transaction.c.kind == kind, ledger_transaction.c.source == f"{key}:{wallet_id}"
    )
    return (await tx.execute(question)).mappings().one_or_none()


async def lot_of_top_up(tx: Transaction, wallet_id: UUID, movement_id: int) -> sa.RowMapping | None:
    """The paid lot that a top-up made; none when all of it repaid a debt."""
    question = sa.select(credit_lot.c.id, credit_lot.c.remaining).where(
        credit_lot.c.wallet_id == wallet_id,
        credit_lot.c.transaction_id == movement_id,
        credit_lot.c.kind.in_(["purchase", "manual"]),
    )
    return (await tx.execute(question)).mappings().one_or_none()


async def sale_of_request(
    tx: Transaction, wallet_id: UUID, organisation_id: UUID, request_id: UUID, started_at: datetime
) -> Sequence[sa.RowMapping]:
    """What each attempt was sold for, all revisions together, last attempt first."""
    question = (
        sa.select(usage.c.attempt, sa.func.sum(usage.c.sale).label("sale"))
        .where(
            usage.c.organisation_id == organisation_id,
            usage.c.wallet_id == wallet_id,
            usage.c.started_at == started_at,
            usage.c.request_id == request_id,
        )
        .group_by(usage.c.attempt)
        .order_by(usage.c.attempt.desc())
    )
    return (await tx.execute(question)).mappings().all()
