"""Usage: what was used, what it cost, what was paid for it, and why."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from bursar.core.fees import OWN_KEY
from bursar.core.ids import IdNotTimed, uuid7_time_ms
from bursar.core.money import format_amount
from bursar.db.engine import ReadSession
from bursar.features.usage import queries
from bursar.features.usage.queries import Place, Wanted
from bursar.features.usage.rated import Terms, own_rows, terms_of
from bursar.features.usage.schemas import (
    ExplainedAttempt,
    ExplainedRequest,
    Summary,
    SummaryBy,
    SummaryItem,
    UsageRow,
)
from bursar.rest.fields import moment_of_ms
from bursar.rest.paging import Page, PageAsked, cut_page
from bursar.rest.problems import Invalid, NotFound

SPAN_DEFAULT: Final = timedelta(days=31)
# A summary reads every row of its span.
SPAN_MAX: Final = timedelta(days=366)
BUCKETS_MAX: Final = 1_000


class OrganisationNotFound(NotFound):
    code = "organisation_not_found"

    def __init__(self) -> None:
        super().__init__("There is no organisation with this id.")


class UsageNotFound(NotFound):
    code = "usage_not_found"

    def __init__(self) -> None:
        super().__init__("This organisation has no request with this id.")


class SpanInvalid(Invalid):
    code = "span_invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What a caller narrows a listing to; `since` and `until` are completed by `wanted`."""

    since: datetime | None = None
    until: datetime | None = None
    model: str | None = None
    api_key_id: UUID | None = None
    project_id: UUID | None = None
    team_id: UUID | None = None
    provider_id: UUID | None = None
    outcome: str | None = None
    status: int | None = None
    streamed: bool | None = None

    def wanted(self, organisation_id: UUID, now: datetime) -> Wanted:
        """Complete the span: the last 31 days unless said otherwise.

        Raises:
            SpanInvalid: it ends before it begins, or is longer than a year.
        """
        until = self.until or now + timedelta(milliseconds=1)
        since = self.since or until - SPAN_DEFAULT
        if since >= until:
            raise SpanInvalid("query.since: must lie before until.")
        if until - since > SPAN_MAX:
            raise SpanInvalid(f"query.since: a span has at most {SPAN_MAX.days} days.")
        return Wanted(
            organisation_id=organisation_id,
            since=since,
            until=until,
            model=self.model,
            api_key_id=self.api_key_id,
            project_id=self.project_id,
            team_id=self.team_id,
            provider_id=self.provider_id,
            outcome=self.outcome,
            status=self.status,
            streamed=self.streamed,
        )


async def list_usage(
    read: ReadSession, wanted: Wanted, asked: PageAsked, *, with_cost: bool
) -> Page[UsageRow]:
    """Newest first. Raises `OrganisationNotFound`."""
    await _check_organisation(read, wanted.organisation_id)
    rows = await queries.usage_before(
        read, wanted, before=asked.after(read_place), limit=asked.limit + 1, with_cost=with_cost
    )
    terms = await terms_of(read, own_rows(rows))
    return cut_page(rows, asked.limit, write_place, lambda row: show(row, terms))


def write_place(row: sa.RowMapping) -> str:
    return f"{row['request_id']}/{row['attempt']}/{row['revision']}"


def read_place(text: str) -> Place:
    """Raises ValueError when the cursor is not one of this listing."""
    request, attempt, revision = text.split("/")
    request_id = UUID(request)
    moment = moment_of_ms(uuid7_time_ms(request_id))
    numbers = int(attempt), int(revision)
    if not all(0 <= number < 2**15 for number in numbers):
        raise ValueError("not an attempt")
    return Place(moment, request_id, *numbers)


async def explain_usage(
    read: ReadSession, organisation_id: UUID, request_id: UUID, *, with_cost: bool
) -> ExplainedRequest:
    """Why a request cost what it cost, attempt by attempt. Raises `UsageNotFound`."""
    try:
        started_at = moment_of_ms(uuid7_time_ms(request_id))
    except (IdNotTimed, ValueError, OverflowError):
        raise UsageNotFound from None
    rows = await queries.usage_of_request(read, organisation_id, request_id, started_at, with_cost=with_cost)
    if not rows:
        raise UsageNotFound
    terms = await terms_of(read, rows)
    asset = rows[0]["asset"]
    return ExplainedRequest(
        request_id=request_id,
        currency=asset,
        cost=format_amount(sum(row["cost"] for row in rows), asset) if with_cost else None,
        sale=format_amount(sum(row["sale"] for row in rows), asset),
        attempts=[
            _explained(list(revisions), terms, with_cost=with_cost)
            for _, revisions in groupby(rows, key=lambda row: row["attempt"])
        ],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settled:
    """One attempt with the sums of its revisions, as `explain` reads it."""

    asset: str
    outcome: str
    estimated: bool
    quantities: dict[str, int]
    price_ids: dict[str, int]
    input_tokens: int
    cost: int
    sale: int


def _explained(revisions: Sequence[sa.RowMapping], terms: Terms, *, with_cost: bool) -> ExplainedAttempt:
    last = revisions[-1]
    settled = _Settled(
        asset=last["asset"],
        outcome=last["outcome"],
        estimated=last["estimated"],
        quantities=last["quantities"],
        price_ids=last["price_ids"],
        input_tokens=last["input_tokens"],
        cost=sum(row["cost"] or 0 for row in revisions),
        sale=sum(row["sale"] for row in revisions),
    )
    return ExplainedAttempt(
        usage=show(last, terms), explanation=terms.explain(settled).to_json(with_cost=with_cost)
    )


async def summarise(read: ReadSession, wanted: Wanted, *, by: SummaryBy, with_cost: bool) -> Summary:
    """Sums by day, model, key, project, team or provider. Raises `OrganisationNotFound`."""
    await _check_organisation(read, wanted.organisation_id)
    rows = await queries.totals(read, wanted, by=by, limit=BUCKETS_MAX + 1, with_cost=with_cost)
    classes: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for row in await queries.quantities(read, wanted, by=by):
        classes[row["bucket"], row["asset"]][row["meter"]] = row["quantity"]
    names = await queries.names(read, wanted.organisation_id, by=by)
    return Summary(
        by=by,
        since=wanted.since,
        until=wanted.until,
        items=[
            SummaryItem(
                bucket=row["bucket"],
                label=names.get(row["bucket"]),
                requests=row["requests"],
                failed=row["failed"],
                input_tokens=row["input_tokens"],
                output_tokens=row["output_tokens"],
                quantities=classes[row["bucket"], row["asset"]],
                **_money(row),
            )
            for row in rows[:BUCKETS_MAX]
        ],
        truncated=len(rows) > BUCKETS_MAX,
    )


async def _check_organisation(read: ReadSession, organisation_id: UUID) -> None:
    if not await queries.organisation_exists(read, organisation_id):
        raise OrganisationNotFound


def _money(row: sa.RowMapping) -> dict[str, Any]:
    asset, sale = row["asset"], int(row["sale"])
    cost = None if row["cost"] is None else int(row["cost"])
    return {
        "currency": asset,
        "cost": None if cost is None else format_amount(cost, asset),
        "sale": format_amount(sale, asset),
        "margin": None if cost is None else format_amount(sale - cost, asset),
    }


def show(row: sa.RowMapping, terms: Terms) -> UsageRow:
    return UsageRow.model_validate(
        {
            **row,
            **_money(row),
            "own_key": OWN_KEY in row["flags"],
            "list_cost": terms.list_cost(row),
            "posted": row["posting"] is not None,
        }
    )
