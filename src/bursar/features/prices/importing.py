"""`bursar prices import`: from genai-prices' data, which ships with its package, into the price book."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from importlib.metadata import version
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from genai_prices import data_snapshot
from genai_prices.types import Provider as ListedProvider

from bursar.core.money import format_price_per_million
from bursar.core.usage import Meter
from bursar.db.engine import Transaction
from bursar.features.prices import queries
from bursar.features.prices.listed import listed_prices
from bursar.features.prices.plan import BookedPrice, NewPrice, plan_import
from bursar.features.prices.schemas import AddedPrice, ImportAsked, Imported, NotExpressible
from bursar.features.prices.service import PriceInvalid, atto_of, decimal_of, get_margin
from bursar.rest.control import Control
from bursar.rest.fields import moment_of_ms, ms_of_moment

CURRENCY: Final = "USD"
"""genai-prices lists US dollars only."""

SHOWN_MAX: Final = 1_000
LIST_OF_KIND: Final = {"openai": "openai", "anthropic": "anthropic", "gemini": "google"}

Step = Callable[[int, int], None]


def quietly(_done: int, _total: int) -> None:
    """Nobody is watching the progress."""


async def import_prices(
    tx: Transaction, asked: ImportAsked, *, control: Control, step: Step = quietly
) -> Imported:
    """Compare every routed model with its provider's price list and add what changed.

    `step` is told how many models are done, of how many.

    Raises:
        PriceInvalid: an unknown provider or price list.
    """
    await queries.lock_book(tx)
    await _check(tx, asked)
    margin = await _margin(tx, asked, control)
    run = _Run(tx, asked, now_ms=control.edge.now_ms(), margin=margin)
    routed = await queries.routed_models(tx, asked.provider_ids)
    for done, row in enumerate(routed, start=1):
        await run.compare(row)
        step(done, len(routed))
    if run.rows and not asked.dry_run:
        await queries.insert_prices(tx, run.rows)
    return run.told()


async def _check(tx: Transaction, asked: ImportAsked) -> None:
    wanted = set(asked.provider_ids or ())
    if wanted - await queries.known_providers(tx, wanted):
        raise PriceInvalid("body.provider_ids: there is no such provider.")
    if asked.source is not None and asked.source not in lists_by_id():
        raise PriceInvalid("body.source: genai-prices has no list with this id.")


async def _margin(tx: Transaction, asked: ImportAsked, control: Control) -> Decimal:
    if asked.margin_percent is not None:
        return asked.margin_percent
    return (await get_margin(tx, policy=control.policy)).margin_percent


def lists_by_id() -> dict[str, ListedProvider]:
    return {entry.id: entry for entry in data_snapshot.get_snapshot().providers}


def list_for(*, base_url: str, kind: str, source: str | None) -> ListedProvider | None:
    """Whose price list holds for a provider: the one named, the one of its URL, or of its kind's maker.

    A simulated or proxied OpenAI, Anthropic or Gemini is priced as the real one.
    """
    lists = lists_by_id()
    if source is not None:
        return lists[source]
    for entry in lists.values():
        if re.match(entry.api_pattern, base_url):
            return entry
    return lists.get(LIST_OF_KIND.get(kind, ""))


class _Run:
    """One import: what it knows, has found and will add."""

    def __init__(self, tx: Transaction, asked: ImportAsked, *, now_ms: int, margin: Decimal) -> None:
        self.tx = tx
        self.asked = asked
        self.now_ms = now_ms
        self.margin = margin
        self.source = f"genai-prices {version('genai-prices')}"
        self.books = dict[UUID, defaultdict[str, list[BookedPrice]]]()
        self.rows = list[dict[str, Any]]()
        self.shown = list[AddedPrice]()
        self.pinned = list[str]()
        self.not_listed = list[str]()
        self.no_list = dict[str, None]()
        self.unsupported = defaultdict[str, list[str]](list)
        self.compared = 0

    async def compare(self, row: sa.RowMapping) -> None:
        """Compare one provider's model with its list."""
        listed = list_for(base_url=row["base_url"], kind=row["kind"], source=self.asked.source)
        if listed is None:
            self.no_list[row["slug"]] = None
            return
        name = f"{row['slug']}/{row['provider_model']}"
        found = listed.find_model(row["provider_model"])
        prices, unsupported = listed_prices(found) if found is not None else ([], [])
        for entry in unsupported:
            self.unsupported[entry.what].append(name)
        if not prices:
            self.not_listed.append(name)
            return
        self.compared += 1
        plan = plan_import(
            (await self._book(row["provider_id"]))[row["provider_model"]],
            prices,
            margin_percent=self.margin if row["margin_percent"] is None else row["margin_percent"],
            now_ms=self.now_ms,
            overrule_operator=self.asked.overrule_operator,
        )
        self.pinned += [f"{name} {meter}" for meter in plan.pinned]
        self._add(row, plan.additions)

    async def _book(self, provider_id: UUID) -> defaultdict[str, list[BookedPrice]]:
        if provider_id not in self.books:
            book: defaultdict[str, list[BookedPrice]] = defaultdict(list)
            for row in await queries.booked(self.tx, provider_id, CURRENCY):
                book[row["model"]].append(_booked(row))
            self.books[provider_id] = book
        return self.books[provider_id]

    def _add(self, row: sa.RowMapping, additions: Sequence[NewPrice]) -> None:
        for price in additions:
            begins = moment_of_ms(price.effective_from_ms)
            self.rows.append(
                {
                    "provider_id": row["provider_id"],
                    "model": row["provider_model"],
                    "meter": price.meter.value,
                    "currency": CURRENCY,
                    "tier_from": price.tier_from,
                    "effective_from": begins,
                    "cost": decimal_of(price.cost_atto),
                    "sale": decimal_of(price.sale_atto),
                    "source": self.source,
                    "created_at": moment_of_ms(self.now_ms),
                }
            )
            self.shown.append(
                AddedPrice(
                    provider=row["slug"],
                    model=row["provider_model"],
                    meter=price.meter.value,
                    tier_from=price.tier_from,
                    effective_from=begins,
                    cost_per_million=format_price_per_million(price.cost_atto),
                    sale_per_million=format_price_per_million(price.sale_atto),
                )
            )

    def told(self) -> Imported:
        return Imported(
            source=self.source,
            added=len(self.rows),
            models=self.compared,
            prices=self.shown[:SHOWN_MAX],
            pinned=self.pinned,
            not_listed=self.not_listed,
            no_list=list(self.no_list),
            unsupported=[
                NotExpressible(what=what, models=models) for what, models in sorted(self.unsupported.items())
            ],
        )


def _booked(row: sa.RowMapping) -> BookedPrice:
    return BookedPrice(
        meter=Meter(row["meter"]),
        tier_from=row["tier_from"],
        effective_from_ms=ms_of_moment(row["effective_from"]),
        cost_atto=atto_of(row["cost"]),
        sale_atto=atto_of(row["sale"]),
        source=row["source"],
    )
