"""The worker's part: tell people, and programs, that little is left of what was last put in."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from bursar.core.messages import Language
from bursar.core.money import format_amount
from bursar.core.permissions import RIGHTS, Permission
from bursar.core.webhooks import EventType
from bursar.db.engine import Transaction
from bursar.db.tables import app_user, balance_notice, credit_lot, membership, organisation, wallet
from bursar.rest.mails import LowBalance, ask_for_mail
from bursar.rest.webhook_events import ask_for_webhook

LOW_PERCENT: Final = 20
"""Of what was last put in: it grows with how much somebody buys, so nobody needs to set it."""

TELL_EVERY_MS: Final = 30_000
TOLD_PER_ROUND: Final = 200


class Reader(NamedTuple):
    """Who gets a mail. `key`: what tells his copy from the others'."""

    key: str
    email: str
    locale: Language


async def tell_of_low_balances(tx: Transaction, now: datetime, *, public_url: str) -> int:
    """Announce each low balance once until the next top-up; answers how many. Twice tells nothing new."""
    rows = await low_balances(tx, percent=LOW_PERCENT, limit=TOLD_PER_ROUND)
    for row in rows:
        notice = {"lot_id": row["lot_id"], "organisation_id": row["organisation_id"], "told_at": now}
        made = insert(balance_notice).values(notice).on_conflict_do_nothing()
        if (await tx.execute(made.returning(balance_notice.c.lot_id))).first() is not None:
            await _announce(tx, row, now, public_url)
    return len(rows)


async def _announce(tx: Transaction, row: sa.RowMapping, now: datetime, public_url: str) -> None:
    said = {
        "balance": format_amount(row["balance"], row["asset"]),
        "currency": row["asset"],
        "threshold": format_amount(row["threshold"], row["asset"]),
    }
    values = LowBalance(organisation=row["organisation"], link=f"{public_url}/wallet", **said)
    for reader in await _readers(tx, row):
        await ask_for_mail(
            tx,
            values,
            to=reader.email,
            locale=reader.locale,
            intent=f"low_balance:{row['lot_id']}:{reader.key}",
            now=now,
            organisation_id=row["organisation_id"],
        )
    await ask_for_webhook(
        tx,
        EventType.BALANCE_LOW,
        {"wallet_id": str(row["wallet_id"]), **said},
        organisation_id=row["organisation_id"],
        now=now,
    )


async def low_balances(tx: Transaction, *, percent: int, limit: int) -> Sequence[sa.RowMapping]:
    """Prepaid wallets with less than so much left of their last lot, of which nobody was told.

    The balance is what is not spent, whether a gateway holds it or not. One look at an index per wallet.
    """
    last = (
        sa.select(credit_lot.c.id, credit_lot.c.original)
        .where(credit_lot.c.wallet_id == wallet.c.id)
        .order_by(credit_lot.c.seq.desc())
        .limit(1)
        .lateral("last")
    )
    balance = wallet.c.posted - wallet.c.owed + wallet.c.credit_limit
    threshold = sa.cast(sa.func.div(sa.cast(last.c.original, sa.Numeric) * percent, 100), sa.BigInteger)
    was_told = sa.exists(sa.select(balance_notice.c.lot_id).where(balance_notice.c.lot_id == last.c.id))
    question = (
        sa.select(
            wallet.c.id.label("wallet_id"),
            wallet.c.organisation_id,
            wallet.c.asset,
            organisation.c.name.label("organisation"),
            organisation.c.billing_email,
            last.c.id.label("lot_id"),
            balance.label("balance"),
            threshold.label("threshold"),
        )
        .join(organisation, organisation.c.id == wallet.c.organisation_id)
        .join(last, sa.true())
        .where(
            organisation.c.status == "active",
            organisation.c.billing_type == "prepaid",
            balance < threshold,
            ~was_told,
        )
        .order_by(wallet.c.id)
        .limit(limit)
    )
    return (await tx.execute(question)).mappings().all()


async def _readers(tx: Transaction, row: sa.RowMapping) -> list[Reader]:
    """Who may look after budgets; where there is nobody, the billing address."""
    people = await _people(tx, row["organisation_id"])
    if not people and row["billing_email"]:
        return [Reader("billing", row["billing_email"], "en")]
    return [Reader(str(one["id"]), one["email"], one["locale"]) for one in people]


async def _people(tx: Transaction, organisation_id: UUID) -> Sequence[sa.RowMapping]:
    roles = [role.value for role in RIGHTS[Permission.BUDGETS_MANAGE].members]
    question = (
        sa.select(app_user.c.id, app_user.c.email, app_user.c.locale)
        .join(membership, membership.c.user_id == app_user.c.id)
        .where(
            membership.c.organisation_id == organisation_id,
            membership.c.role.in_(roles),
            app_user.c.status == "active",
        )
        .order_by(app_user.c.id)
    )
    return (await tx.execute(question)).mappings().all()
