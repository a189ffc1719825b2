"""SQL of models, aliases and routes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from bursar.db.engine import ReadSession, Transaction
from bursar.db.tables import model, model_alias, provider, provider_credential, route, setting

FLOOR_SETTING = "min_margin_percent"
"""The margin floor of models and routes that set none; `bursar.gateway.snapshot` reads it."""

_ROUTE = sa.select(
    route.c.id,
    route.c.model_id,
    route.c.provider_id,
    provider.c.slug.label("provider"),
    route.c.provider_model,
    route.c.priority,
    route.c.weight,
    route.c.credential_id,
    route.c.region,
    route.c.min_margin_percent,
    route.c.active,
).join(provider, provider.c.id == route.c.provider_id)


async def model_by_id(read: ReadSession | Transaction, model_id: str) -> sa.RowMapping | None:
    return (await read.execute(sa.select(model).where(model.c.id == model_id))).mappings().one_or_none()


async def models_after(
    read: ReadSession | Transaction, *, after: str | None, status: str | None, limit: int
) -> Sequence[sa.RowMapping]:
    question = sa.select(model).order_by(model.c.id).limit(limit)
    if after is not None:
        question = question.where(model.c.id > after)
    if status is not None:
        question = question.where(model.c.status == status)
    return (await read.execute(question)).mappings().all()


async def statuses_of(read: Transaction, model_ids: Iterable[str]) -> dict[str, str]:
    question = sa.select(model.c.id, model.c.status).where(model.c.id.in_(list(model_ids)))
    return {row["id"]: row["status"] for row in (await read.execute(question)).mappings()}


async def aliases_of(read: ReadSession | Transaction, model_ids: Iterable[str]) -> Sequence[sa.RowMapping]:
    question = sa.select(model_alias).where(model_alias.c.model_id.in_(list(model_ids)))
    return (await read.execute(question.order_by(model_alias.c.alias))).mappings().all()


async def routes_of(read: ReadSession | Transaction, model_ids: Iterable[str]) -> Sequence[sa.RowMapping]:
    question = _ROUTE.where(route.c.model_id.in_(list(model_ids)))
    return (await read.execute(question.order_by(route.c.priority, route.c.id))).mappings().all()


async def route_by_id(read: ReadSession | Transaction, route_id: UUID) -> sa.RowMapping | None:
    return (await read.execute(_ROUTE.where(route.c.id == route_id))).mappings().one_or_none()


async def owners_of_names(read: Transaction, names: Iterable[str]) -> dict[str, str]:
    """Which of these names mean a model already: name → the model it means."""
    wanted = list(names)
    question = sa.union_all(
        sa.select(model.c.id.label("name"), model.c.id.label("model_id")).where(model.c.id.in_(wanted)),
        sa.select(model_alias.c.alias, model_alias.c.model_id).where(model_alias.c.alias.in_(wanted)),
    )
    return {row["name"]: row["model_id"] for row in (await read.execute(question)).mappings()}


async def provider_ids_by_slug(read: Transaction) -> dict[str, UUID]:
    question = sa.select(provider.c.slug, provider.c.id)
    return {row["slug"]: row["id"] for row in (await read.execute(question)).mappings()}


async def provider_exists(read: Transaction, provider_id: UUID) -> bool:
    question = sa.select(provider.c.id).where(provider.c.id == provider_id)
    return (await read.execute(question)).one_or_none() is not None


async def credential_exists(read: Transaction, provider_id: UUID, credential_id: UUID) -> bool:
    question = sa.select(provider_credential.c.id).where(
        provider_credential.c.id == credential_id, provider_credential.c.provider_id == provider_id
    )
    return (await read.execute(question)).one_or_none() is not None


async def margin_floor(read: ReadSession | Transaction) -> str | None:
    """Percent, as a decimal string."""
    question = sa.select(setting.c.value).where(setting.c.key == FLOOR_SETTING)
    found = (await read.execute(question)).one_or_none()
    return None if found is None else str(found.value)


async def set_margin_floor(tx: Transaction, percent: str | None) -> None:
    if percent is None:
        await tx.execute(sa.delete(setting).where(setting.c.key == FLOOR_SETTING))
        return
    saying = insert(setting).values(key=FLOOR_SETTING, value=percent)
    await tx.execute(
        saying.on_conflict_do_update(index_elements=[setting.c.key], set_={"value": saying.excluded.value})
    )


async def lock_names(tx: Transaction) -> None:
    """Names of models and aliases live in two tables: whoever gives one out goes alone."""
    await tx.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended('bursar.model_names', 0))"))


async def insert_model(tx: Transaction, row: Mapping[str, Any]) -> bool:
    """False when there is one already."""
    adding = insert(model).values(**row).on_conflict_do_nothing().returning(model.c.id)
    return (await tx.execute(adding)).one_or_none() is not None


async def update_model(tx: Transaction, model_id: str, changes: Mapping[str, Any]) -> None:
    await tx.execute(sa.update(model).where(model.c.id == model_id).values(**changes))


async def insert_alias(tx: Transaction, alias: str, model_id: str) -> None:
    await tx.execute(insert(model_alias).values(alias=alias, model_id=model_id).on_conflict_do_nothing())


async def delete_aliases(tx: Transaction, model_id: str, *, keep: Iterable[str]) -> None:
    gone = sa.delete(model_alias).where(
        model_alias.c.model_id == model_id, model_alias.c.alias.not_in(list(keep))
    )
    await tx.execute(gone)


async def insert_route(tx: Transaction, row: Mapping[str, Any]) -> bool:
    """False when the same route is there already."""
    adding = insert(route).values(**row).on_conflict_do_nothing().returning(route.c.id)
    return (await tx.execute(adding)).one_or_none() is not None


async def update_route(tx: Transaction, route_id: UUID, changes: Mapping[str, Any]) -> None:
    await tx.execute(sa.update(route).where(route.c.id == route_id).values(**changes))


async def delete_route(tx: Transaction, route_id: UUID) -> None:
    await tx.execute(sa.delete(route).where(route.c.id == route_id))
