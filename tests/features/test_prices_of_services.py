"""Imported prices are enough for whatever the shipped catalogue says a model does."""

from decimal import Decimal
from uuid import UUID

import pytest
from genai_prices import data_snapshot

from bursar.core.pricing import PriceBook, PriceRow, Quote, rate
from bursar.core.service import Service
from bursar.core.usage import Meter, Usage
from bursar.features.models.catalogue import shipped_catalogue
from bursar.features.models.schemas import CatalogueEntry
from bursar.features.prices.listed import listed_prices
from bursar.features.prices.plan import plan_import

PROVIDER = UUID(int=7)
NOW_MS = 1_795_000_000_000
LISTS = {entry.id: entry for entry in data_snapshot.get_snapshot().providers}
SERVED = [
    (entry, service)
    for entry in shipped_catalogue().models
    if entry.state == "served" and entry.provider in LISTS
    for service in entry.services
]


def imported(model: str, provider: str, service: Service) -> Quote:
    """The quote after an import into an empty book, at no margin."""
    found = LISTS[provider].find_model(model)
    assert found is not None
    prices, _ = listed_prices(found)
    plan = plan_import([], prices, margin_percent=Decimal(0), now_ms=NOW_MS)
    rows = [
        PriceRow(
            price_id=number,
            provider_id=PROVIDER,
            model=model,
            meter=price.meter,
            currency="USD",
            effective_from_ms=price.effective_from_ms,
            tier_from=price.tier_from,
            cost_atto=price.cost_atto,
            sale_atto=price.sale_atto,
        )
        for number, price in enumerate(plan.additions)
    ]
    return PriceBook(rows).quote(PROVIDER, model, "USD", NOW_MS, service)


class TestImportedPrices:
    @pytest.mark.parametrize(
        ("entry", "service"), SERVED, ids=[f"{entry.id}-{service}" for entry, service in SERVED]
    )
    def test_let_a_model_do_what_the_catalogue_says(self, entry: CatalogueEntry, service: Service) -> None:
        assert imported(entry.provider_model, entry.provider, service).sheets

    # Per million tokens in USD, from the makers' price pages.
    @pytest.mark.parametrize(
        ("model", "usage", "usd"),
        [
            ("text-embedding-3-small", {Meter.IN_FRESH: 10**6}, "0.02"),
            ("text-embedding-3-large", {Meter.IN_FRESH: 10**6}, "0.13"),
            ("text-embedding-ada-002", {Meter.IN_FRESH: 10**6}, "0.10"),
            ("gpt-image-1", {Meter.IN_FRESH: 10**6, Meter.OUT_IMAGE: 10**6, Meter.IMAGE: 9}, "45"),
            ("gpt-image-1", {Meter.IN_IMAGE: 10**6}, "10"),
            ("gpt-image-1.5", {Meter.OUT_TEXT: 10**6, Meter.OUT_IMAGE: 10**6}, "42"),
            ("gpt-image-2", {Meter.IN_FRESH: 10**6, Meter.OUT_IMAGE: 10**6}, "35"),
        ],
    )
    def test_are_the_makers(self, model: str, usage: dict[Meter, int], usd: str) -> None:
        service = Service.IMAGES if "image" in model else Service.EMBEDDINGS
        rated = rate(imported(model, "openai", service), Usage(usage), "USD")
        assert (rated.sale, rated.unpriced) == (int(Decimal(usd) * 10**9), ())
