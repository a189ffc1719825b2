"""SQL of the price book. It is only ever added to: a trigger refuses anything else."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, distinct_on, insert

from bursar.db.engine import ReadSession, Transaction
from bursar.db.tables import model, price, provider, route, setting

MARGIN_SETTING = "default_margin_percent"

_IMPORTED: Final = (
    "provider_id",
    "model",
    "meter",
    "currency",
    "tier_from",
    "effective_from",
    "cost",
    "sale",
    "source",
    "created_at",
)


async def lock_book(tx: Transaction) -> None:
    """Two imports at once would each add what the other adds."""
    await tx.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended('bursar.price_book', 0))"))


async def price_by_id(read: ReadSession | Transaction, price_id: int) -> sa.RowMapping | None:
    return (await read.execute(sa.select(price).where(price.c.id == price_id))).mappings().one_or_none()


async def prices_before(
    read: ReadSession, *, wheres: Sequence[sa.ColumnElement[bool]], before: int | None, limit: int
) -> Sequence[sa.RowMapping]:
    question = sa.select(price).where(*wheres).order_by(price.c.id.desc()).limit(limit)
    if before is not None:
        question = question.where(price.c.id < before)
    return (await read.execute(question)).mappings().all()


def in_force_at(now: datetime) -> sa.ColumnElement[bool]:
    """Only the newest row not after `now` of each place of the book."""
    newest = (
        sa.select(price.c.id)
        .ext(
            distinct_on(
                price.c.provider_id, price.c.model, price.c.meter, price.c.currency, price.c.tier_from
            )
        )
        .where(price.c.effective_from <= now)
        .order_by(
            price.c.provider_id,
            price.c.model,
            price.c.meter,
            price.c.currency,
            price.c.tier_from,
            price.c.effective_from.desc(),
        )
    )
    return price.c.id.in_(newest)


def filters(
    *, provider_id: UUID | None, model_name: str | None, meter: str | None, currency: str | None
) -> list[sa.ColumnElement[bool]]:
    wanted = {
        price.c.provider_id: provider_id,
        price.c.model: model_name,
        price.c.meter: meter,
        price.c.currency: currency,
    }
    return [column == value for column, value in wanted.items() if value is not None]


async def in_force(read: Transaction, place: Mapping[str, Any], now: datetime) -> sa.RowMapping | None:
    """The row in force at one place: provider_id, model, meter, currency, tier_from."""
    question = (
        sa.select(price)
        .where(*(price.c[name] == value for name, value in place.items()), price.c.effective_from <= now)
        .order_by(price.c.effective_from.desc())
        .limit(1)
    )
    return (await read.execute(question)).mappings().one_or_none()


async def insert_price(tx: Transaction, row: Mapping[str, Any]) -> int | None:
    """Its number, or None when a row begins at that very moment already."""
    adding = insert(price).values(**row).on_conflict_do_nothing().returning(price.c.id)
    number: int | None = (await tx.execute(adding)).scalar_one_or_none()
    return number


async def insert_prices(tx: Transaction, rows: Sequence[Mapping[str, Any]]) -> None:
    """In one statement, so that the audit log tells of all of them in one entry."""
    columns = [price.c[name] for name in _IMPORTED]
    given = sa.func.jsonb_to_recordset(sa.bindparam("rows", type_=JSONB)).table_valued(
        *(sa.column(column.name, column.type) for column in columns), name="given"
    )
    listed = sa.select(*given.render_derived(with_types=True).c)
    await tx.execute(insert(price).from_select(columns, listed), {"rows": [_as_json(row) for row in rows]})


def _as_json(row: Mapping[str, Any]) -> dict[str, str | int]:
    """Exact: decimals, times and ids travel as text."""
    return {name: row[name] if isinstance(row[name], int) else str(row[name]) for name in _IMPORTED}


async def routed_models(read: Transaction, provider_ids: Iterable[UUID] | None) -> Sequence[sa.RowMapping]:
    """What is served where: provider, its name for the model, and the dearest margin asked for it."""
    question = (
        sa.select(
            provider.c.id.label("provider_id"),
            provider.c.slug,
            provider.c.kind,
            provider.c.base_url,
            route.c.provider_model,
            sa.func.max(model.c.margin_percent).label("margin_percent"),
        )
        .join(route, route.c.provider_id == provider.c.id)
        .join(model, model.c.id == route.c.model_id)
        .group_by(provider.c.id, route.c.provider_model)
        .order_by(provider.c.slug, route.c.provider_model)
    )
    if provider_ids is None:
        question = question.where(provider.c.active)
    else:
        question = question.where(provider.c.id.in_(list(provider_ids)))
    return (await read.execute(question)).mappings().all()


async def known_providers(read: Transaction, provider_ids: Iterable[UUID]) -> set[UUID]:
    question = sa.select(provider.c.id).where(provider.c.id.in_(list(provider_ids)))
    return set((await read.execute(question)).scalars())


async def booked(read: Transaction, provider_id: UUID, currency: str) -> Sequence[sa.RowMapping]:
    question = sa.select(price).where(price.c.provider_id == provider_id, price.c.currency == currency)
    return (await read.execute(question)).mappings().all()


async def margin_setting(read: ReadSession | Transaction) -> object:
    """What the operator set for all models, or None."""
    question = sa.select(setting.c.value).where(setting.c.key == MARGIN_SETTING)
    return (await read.execute(question)).scalar_one_or_none()


async def set_margin(tx: Transaction, margin_percent: str) -> None:
    saying = insert(setting).values(key=MARGIN_SETTING, value=margin_percent)
    await tx.execute(
        saying.on_conflict_do_update(index_elements=[setting.c.key], set_={"value": margin_percent})
    )
