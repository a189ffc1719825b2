"""The worker's part: tell people when a budget runs out."""

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from bursar.core.limits import Period, period_bounds
from bursar.core.money import format_amount
from bursar.core.permissions import RIGHTS, Permission
from bursar.core.webhooks import EventType
from bursar.db.engine import Transaction
from bursar.db.outbox import publish
from bursar.features.budgets import queries
from bursar.rest.fields import moment_of_ms, ms_of_moment
from bursar.rest.mails import BudgetAlert, ask_for_mail

PERCENTS: Final = (95, 80)
"""How much is used when people are told; the highest first, so that a leap is one mail."""

ALERT_EVERY_MS: Final = 30_000
TOLD_PER_ROUND: Final = 200


async def tell_of_budgets(tx: Transaction, now: datetime, *, public_url: str) -> int:
    """Announce what ran low in the period that runs; answers how many budgets. Twice tells nothing new."""
    bounds = {kind.value: period_bounds(kind, ms_of_moment(now)) for kind in Period}
    starts = {kind: moment_of_ms(start_ms) for kind, (start_ms, _) in bounds.items()}
    told = 0
    for percent in PERCENTS:
        for row in await queries.budgets_reaching(tx, starts, percent, limit=TOLD_PER_ROUND):
            notice = {
                "budget_id": row["id"],
                "period_start": starts[row["period"]],
                "percent": percent,
                "organisation_id": row["organisation_id"],
                "told_at": now,
            }
            if await queries.insert_notice(tx, notice):
                end_ms = bounds[row["period"]][1]
                await _announce(tx, row, notice, None if end_ms is None else moment_of_ms(end_ms), public_url)
            told += 1
    return told


async def _announce(
    tx: Transaction,
    row: sa.RowMapping,
    notice: dict[str, Any],
    resets_at: datetime | None,
    public_url: str,
) -> None:
    used, limit = int(row["used"]), row["amount"]
    said = BudgetAlert(
        organisation=row["organisation"],
        budget=row["name"],
        percent=used * 100 // limit,
        used=_with_unit(used, row),
        limit=_with_unit(limit, row),
        link=f"{public_url}/budgets",
        resets_at=resets_at,
    )
    roles = [role.value for role in RIGHTS[Permission.BUDGETS_MANAGE].members]
    cause = f"budget:{row['id']}:{ms_of_moment(notice['period_start'])}:{notice['percent']}"
    for person in await queries.people_to_tell(tx, row["organisation_id"], roles, row["member_id"]):
        await ask_for_mail(
            tx,
            said,
            to=person["email"],
            locale=person["locale"],
            intent=f"{cause}:{person['id']}",
            now=notice["told_at"],
            organisation_id=row["organisation_id"],
        )
    event = {
        "type": EventType.BUDGET_ALERT.value,
        "data": {
            "budget_id": str(row["id"]),
            "name": row["name"],
            "percent": said.percent,
            "unit": row["unit"],
            "used": _amount(used, row),
            "limit": _amount(limit, row),
            "currency": row["asset"],
            "resets_at": None if resets_at is None else resets_at.isoformat(),
        },
    }
    await publish(tx, "webhook", event, now=notice["told_at"], organisation_id=row["organisation_id"])


def _amount(amount: int, row: sa.RowMapping) -> str:
    return str(amount) if row["asset"] is None else format_amount(amount, row["asset"])


def _with_unit(amount: int, row: sa.RowMapping) -> str:
    return f"{_amount(amount, row)} {row['asset'] or row['unit']}"
