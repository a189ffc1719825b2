"""Budgets: made, shown with what is used of them, changed, switched off.

Gateways hear of a change through the table's triggers: they load it within a second, and give back what a
lower amount no longer covers.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from bursar.core.limits import Period, period_bounds
from bursar.core.money import AmountInvalid, AssetUnknown, format_amount, parse_amount
from bursar.db.engine import ReadSession, Transaction
from bursar.features.budgets import queries
from bursar.features.budgets.schemas import Budget, BudgetChange, NewBudget, NewCredentialBudget
from bursar.rest.edge import Edge
from bursar.rest.fields import moment_of_ms, ms_of_moment
from bursar.rest.paging import BIGINT_MAX, Page, PageAsked, cut_page, uuid_key
from bursar.rest.problems import Conflict, Invalid, NotFound

Read = ReadSession | Transaction

BUDGETS_MAX: Final = 1_000
"""Active ones of one organisation or credential: gateways hold all of them in memory."""


class OrganisationNotFound(NotFound):
    code = "organisation_not_found"

    def __init__(self) -> None:
        super().__init__("There is no organisation with this id.")


class CredentialNotFound(NotFound):
    code = "credential_not_found"

    def __init__(self) -> None:
        super().__init__("This provider has no credential with this id.")


class BudgetNotFound(NotFound):
    code = "budget_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such budget.")


class BudgetSubjectUnknown(Invalid):
    """The key or provider named in the body does not exist."""

    code = "budget_subject_unknown"


class TooManyBudgets(Conflict):
    code = "too_many_budgets"

    def __init__(self) -> None:
        super().__init__(f"At most {BUDGETS_MAX} budgets may be active; switch one off.")


class Owner(NamedTuple):
    """Whose budget: an organisation's or a credential's."""

    organisation_id: UUID | None = None
    credential_id: UUID | None = None


async def create_budget(tx: Transaction, organisation_id: UUID, wanted: NewBudget, *, edge: Edge) -> Budget:
    """Raises `OrganisationNotFound`, `BudgetSubjectUnknown`, `TooManyBudgets`, `Invalid`."""
    currency = await _currency(tx, organisation_id)
    await _check_subject(tx, organisation_id, wanted)
    row = {
        "organisation_id": organisation_id,
        "api_key_id": wanted.key_id,
        "member_id": wanted.member_id,
        "project_id": wanted.project_id,
        "team_id": wanted.team_id,
        "model": wanted.model,
        "provider_id": wanted.provider_id,
    }
    return await _insert(tx, Owner(organisation_id=organisation_id), wanted, currency, row, edge=edge)


async def create_credential_budget(
    tx: Transaction, provider_id: UUID, credential_id: UUID, wanted: NewCredentialBudget, *, edge: Edge
) -> Budget:
    """Raises `CredentialNotFound`, `TooManyBudgets`, `Invalid`."""
    await _check_credential(tx, provider_id, credential_id)
    owner, row = Owner(credential_id=credential_id), {"credential_id": credential_id}
    return await _insert(tx, owner, wanted, wanted.currency or "USD", row, edge=edge)


async def get_budget(read: Read, organisation_id: UUID, budget_id: UUID, *, edge: Edge) -> Budget:
    """Raises `BudgetNotFound`."""
    return await _shown(read, Owner(organisation_id=organisation_id), budget_id, edge)


async def list_budgets(read: Read, organisation_id: UUID, asked: PageAsked, *, edge: Edge) -> Page[Budget]:
    """Newest first. Raises `OrganisationNotFound`."""
    await _currency(read, organisation_id)
    return await _list(read, Owner(organisation_id=organisation_id), asked, edge)


async def list_credential_budgets(
    read: Read, provider_id: UUID, credential_id: UUID, asked: PageAsked, *, edge: Edge
) -> Page[Budget]:
    """Newest first. Raises `CredentialNotFound`."""
    await _check_credential(read, provider_id, credential_id)
    return await _list(read, Owner(credential_id=credential_id), asked, edge)


async def change_budget(
    tx: Transaction, organisation_id: UUID, budget_id: UUID, change: BudgetChange, *, edge: Edge
) -> Budget:
    """Raises `BudgetNotFound`, `TooManyBudgets`, `Invalid`."""
    return await _change(tx, Owner(organisation_id=organisation_id), budget_id, change, edge)


async def change_credential_budget(  # noqa: PLR0913 - where it is, and what is wanted
    tx: Transaction,
    provider_id: UUID,
    credential_id: UUID,
    budget_id: UUID,
    change: BudgetChange,
    *,
    edge: Edge,
) -> Budget:
    """Raises `CredentialNotFound`, `BudgetNotFound`, `TooManyBudgets`, `Invalid`."""
    await _check_credential(tx, provider_id, credential_id)
    return await _change(tx, Owner(credential_id=credential_id), budget_id, change, edge)


async def _insert(  # noqa: PLR0913 - whose, what, and when
    tx: Transaction,
    owner: Owner,
    wanted: NewBudget | NewCredentialBudget,
    currency: str,
    row: dict[str, Any],
    *,
    edge: Edge,
) -> Budget:
    await _check_room(tx, owner)
    budget_id = edge.new_id()
    asset = currency if wanted.unit == "money" else None
    told = {
        "id": budget_id,
        "name": wanted.name,
        "unit": wanted.unit,
        "asset": asset,
        "amount": _amount(wanted.amount, asset),
        "period": wanted.period,
        "created_at": edge.now(),
    }
    await queries.insert_budget(tx, {**told, **row})
    return await _shown(tx, owner, budget_id, edge)


async def _change(tx: Transaction, owner: Owner, budget_id: UUID, change: BudgetChange, edge: Edge) -> Budget:
    row = await queries.budget_by_id(tx, budget_id, **owner._asdict())
    if row is None:
        raise BudgetNotFound
    given = {
        name: value for name, value in change.model_dump(exclude_unset=True).items() if value is not None
    }
    if "amount" in given:
        given["amount"] = _amount(given["amount"], row["asset"])
    if given.get("active") and not row["active"]:
        await _check_room(tx, owner)
    if given:
        await queries.update_budget(tx, budget_id, given)
    return await _shown(tx, owner, budget_id, edge)


async def _list(read: Read, owner: Owner, asked: PageAsked, edge: Edge) -> Page[Budget]:
    rows = await queries.budgets_before(
        read, **owner._asdict(), before=asked.after(uuid_key), limit=asked.limit + 1
    )
    used = await _used(read, rows, edge.now())
    return cut_page(
        rows, asked.limit, lambda row: row["id"], lambda row: _show(row, used.get(row["id"], 0), edge.now())
    )


async def _shown(read: Read, owner: Owner, budget_id: UUID, edge: Edge) -> Budget:
    row = await queries.budget_by_id(read, budget_id, **owner._asdict())
    if row is None:
        raise BudgetNotFound
    used = await _used(read, [row], edge.now())
    return _show(row, used.get(budget_id, 0), edge.now())


async def _used(read: Read, rows: Sequence[sa.RowMapping], now: datetime) -> dict[UUID, int]:
    now_ms = ms_of_moment(now)
    starts = {row["id"]: moment_of_ms(period_bounds(Period(row["period"]), now_ms)[0]) for row in rows}
    return await queries.used_since(read, starts) if starts else {}


def _show(row: sa.RowMapping, used: int, now: datetime) -> Budget:
    start_ms, end_ms = period_bounds(Period(row["period"]), ms_of_moment(now))
    return Budget.model_validate(
        {
            **row,
            "key_id": row["api_key_id"],
            "currency": row["asset"],
            "amount": _said(row["amount"], row["asset"]),
            "used": _said(used, row["asset"]),
            "left": _said(max(row["amount"] - used, 0), row["asset"]),
            "starts_at": None if end_ms is None else moment_of_ms(start_ms),
            "resets_at": None if end_ms is None else moment_of_ms(end_ms),
        }
    )


def _amount(text: str, asset: str | None) -> int:
    """Raises `Invalid` for what cannot be stored."""
    try:
        amount = int(text) if asset is None else parse_amount(text, asset)
    except AssetUnknown as error:
        raise Invalid(f"body.currency: {error}") from error
    except (AmountInvalid, ValueError) as error:
        raise Invalid("body.amount: requests and tokens are whole numbers, money has few decimals") from error
    if not 0 <= amount <= BIGINT_MAX:
        raise Invalid("body.amount: is too large")
    return amount


def _said(amount: int, asset: str | None) -> str:
    return str(amount) if asset is None else format_amount(amount, asset)


async def _currency(read: Read, organisation_id: UUID) -> str:
    currency = await queries.currency_of(read, organisation_id)
    if currency is None:
        raise OrganisationNotFound
    return currency


async def _check_subject(tx: Transaction, organisation_id: UUID, wanted: NewBudget) -> None:
    narrowed = [one for one in (wanted.model, wanted.provider_id) if one is not None]
    if narrowed and wanted.key_id is None:
        raise Invalid("body.key_id: a model or a provider is limited within a key")
    if len(narrowed) > 1:
        raise Invalid("body.model: name a model or a provider, not both")
    named = [name for name in queries.SUBJECTS if getattr(wanted, f"{name}_id") is not None]
    if len(named) > 1:
        raise Invalid("body: a budget is of one key, member, project or team")
    for name in named:
        if not await queries.is_of(tx, organisation_id, name, getattr(wanted, f"{name}_id")):
            raise BudgetSubjectUnknown(f"body.{name}_id: this organisation has no such {name}")
    if wanted.provider_id is not None and not await queries.is_provider(tx, wanted.provider_id):
        raise BudgetSubjectUnknown("body.provider_id: there is no such provider")


async def _check_credential(read: Read, provider_id: UUID, credential_id: UUID) -> None:
    if not await queries.is_credential_of(read, provider_id, credential_id):
        raise CredentialNotFound


async def _check_room(tx: Transaction, owner: Owner) -> None:
    if await queries.count_active(tx, *owner) >= BUDGETS_MAX:
        raise TooManyBudgets
