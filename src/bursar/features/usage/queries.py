"""SQL of usage. Everything names its organisation and a span of time, so that one index range is read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from bursar.db.engine import ReadSession
from bursar.db.tables import api_key, organisation, platform_fee, price, project, provider, team, usage

_KEY = (usage.c.started_at, usage.c.request_id, usage.c.attempt, usage.c.revision)
HIDDEN = frozenset({"raw_usage", "content_hash", "cost"})


class Place(NamedTuple):
    """Where a row stands in the order of a listing."""

    started_at: datetime
    request_id: UUID
    attempt: int
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows: a span of time, and what else they must match."""

    organisation_id: UUID
    since: datetime
    until: datetime
    model: str | None = None
    api_key_id: UUID | None = None
    project_id: UUID | None = None
    team_id: UUID | None = None
    provider_id: UUID | None = None
    outcome: str | None = None
    status: int | None = None
    streamed: bool | None = None

    def wheres(self) -> list[sa.ColumnElement[bool]]:
        exact: dict[sa.ColumnElement[Any], object] = {
            usage.c.model: self.model,
            usage.c.api_key_id: self.api_key_id,
            usage.c.project_id: self.project_id,
            usage.c.team_id: self.team_id,
            usage.c.provider_id: self.provider_id,
            usage.c.outcome: self.outcome,
            usage.c.status: self.status,
            usage.c.streamed: self.streamed,
        }
        return [
            usage.c.organisation_id == self.organisation_id,
            usage.c.started_at >= self.since,
            usage.c.started_at < self.until,
            *(column == value for column, value in exact.items() if value is not None),
        ]


def _cost(*, with_cost: bool) -> sa.ColumnElement[Any]:
    """What it cost us, which a customer's session may not read."""
    cost: sa.ColumnElement[Any] = usage.c.cost
    return cost if with_cost else sa.null()


def _shown(*, with_cost: bool) -> sa.Select[tuple[Any, ...]]:
    return (
        sa.select(
            *(column for column in usage.c if column.name not in HIDDEN),
            _cost(with_cost=with_cost).label("cost"),
            provider.c.slug.label("provider"),
        )
        .select_from(usage)
        .outerjoin(provider, provider.c.id == usage.c.provider_id)
    )


async def organisation_exists(read: ReadSession, organisation_id: UUID) -> bool:
    question = sa.select(organisation.c.id).where(organisation.c.id == organisation_id)
    return (await read.execute(question)).one_or_none() is not None


async def usage_before(
    read: ReadSession, wanted: Wanted, *, before: Place | None, limit: int, with_cost: bool
) -> Sequence[sa.RowMapping]:
    """Newest first."""
    shown = _shown(with_cost=with_cost).where(*wanted.wheres())
    question = shown.order_by(*(column.desc() for column in _KEY)).limit(limit)
    if before is not None:
        question = question.where(sa.tuple_(*_KEY) < sa.tuple_(*before))
    rows: Sequence[sa.RowMapping] = (await read.execute(question)).mappings().all()
    return rows


async def usage_of_request(
    read: ReadSession, organisation_id: UUID, request_id: UUID, started_at: datetime, *, with_cost: bool
) -> Sequence[sa.RowMapping]:
    """All attempts and revisions, in order. The time is the request id's own."""
    question = (
        _shown(with_cost=with_cost)
        .where(
            usage.c.organisation_id == organisation_id,
            usage.c.started_at == started_at,
            usage.c.request_id == request_id,
        )
        .order_by(usage.c.attempt, usage.c.revision)
    )
    rows: Sequence[sa.RowMapping] = (await read.execute(question)).mappings().all()
    return rows


async def prices_by_id(read: ReadSession, price_ids: Iterable[int]) -> Sequence[sa.RowMapping]:
    question = sa.select(price).where(price.c.id.in_(list(price_ids)))
    return (await read.execute(question)).mappings().all()


async def fees_by_id(read: ReadSession, fee_ids: Iterable[int]) -> Sequence[sa.RowMapping]:
    question = sa.select(platform_fee).where(platform_fee.c.id.in_(list(fee_ids)))
    return (await read.execute(question)).mappings().all()


def _stands() -> sa.ColumnElement[bool]:
    """Rows whose figures hold: a row booked from a mark gives way to the revision that has them in full."""
    later = usage.alias("later")
    replaced = (
        sa.select(later.c.revision)
        .where(
            later.c.organisation_id == usage.c.organisation_id,
            later.c.started_at == usage.c.started_at,
            later.c.request_id == usage.c.request_id,
            later.c.attempt == usage.c.attempt,
            later.c.revision > usage.c.revision,
        )
        .exists()
    )
    return ~sa.and_(usage.c.from_mark, replaced)


def _bucket(by: str) -> sa.ColumnElement[str]:
    match by:
        case "day":
            return sa.func.to_char(sa.func.timezone("UTC", usage.c.started_at), "YYYY-MM-DD")
        case "model":
            return sa.cast(usage.c.model, sa.Text)
        case "key":
            return sa.cast(usage.c.api_key_id, sa.Text)
        case "project" | "team":
            column = usage.c.project_id if by == "project" else usage.c.team_id
            return sa.func.coalesce(sa.cast(column, sa.Text), "")
        case _:
            return sa.func.coalesce(provider.c.slug, "")


def _counted(tokens: sa.Column[int]) -> sa.ColumnElement[int]:
    total = sa.func.coalesce(sa.func.sum(tokens).filter(_stands()), 0)
    return sa.cast(total, sa.BigInteger)


async def totals(
    read: ReadSession, wanted: Wanted, *, by: str, limit: int, with_cost: bool
) -> Sequence[sa.RowMapping]:
    """Sums of what was rated row by row: a sum is never priced. Days newest first, others dearest first."""
    bucket = _bucket(by).label("bucket")
    sale = sa.func.sum(usage.c.sale)
    question = (
        sa.select(
            bucket,
            usage.c.asset,
            sa.func.count(sa.distinct(usage.c.request_id)).label("requests"),
            sa.func.count()
            .filter(usage.c.status >= 400, usage.c.revision == 0)  # noqa: PLR2004 - HTTP: failures
            .label("failed"),
            _counted(usage.c.input_tokens).label("input_tokens"),
            _counted(usage.c.output_tokens).label("output_tokens"),
            sale.label("sale"),
            sa.func.sum(sa.cast(_cost(with_cost=with_cost), sa.BigInteger)).label("cost"),
        )
        .select_from(usage)
        .outerjoin(provider, provider.c.id == usage.c.provider_id)
        .where(*wanted.wheres())
        .group_by(bucket, usage.c.asset)
        .order_by(bucket.desc() if by == "day" else sale.desc(), bucket)
        .limit(limit)
    )
    return (await read.execute(question)).mappings().all()


async def quantities(read: ReadSession, wanted: Wanted, *, by: str) -> Sequence[sa.RowMapping]:
    """Sums of each token class by bucket and asset."""
    bucket = _bucket(by).label("bucket")
    each = sa.func.jsonb_each_text(sa.cast(usage.c.quantities, JSONB)).table_valued(
        sa.column("key", sa.Text), sa.column("value", sa.Text), name="class"
    )
    question = (
        sa.select(
            bucket,
            usage.c.asset,
            each.c.key.label("meter"),
            sa.cast(sa.func.sum(sa.cast(each.c.value, sa.BigInteger)), sa.BigInteger).label("quantity"),
        )
        .select_from(usage)
        .outerjoin(provider, provider.c.id == usage.c.provider_id)
        .join(each, sa.true())
        .where(*wanted.wheres(), _stands())
        .group_by(bucket, usage.c.asset, each.c.key)
    )
    return (await read.execute(question)).mappings().all()


async def names(read: ReadSession, organisation_id: UUID, *, by: str) -> dict[str, str]:
    """Of an organisation's keys, projects or teams, archived ones too; of anything else none."""
    table = {"key": api_key, "project": project, "team": team}.get(by)
    if table is None:
        return {}
    question = sa.select(table.c.id, table.c.name).where(table.c.organisation_id == organisation_id)
    return {str(row["id"]): row["name"] for row in (await read.execute(question)).mappings()}
