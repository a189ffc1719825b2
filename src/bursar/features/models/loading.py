"""Load the shipped catalogue: adds what is missing, changes nothing an operator may have decided."""

from collections.abc import Callable
from uuid import UUID

from bursar.db.engine import Transaction
from bursar.features.models import queries
from bursar.features.models.catalogue import is_retired, shipped_catalogue
from bursar.features.models.schemas import CatalogueEntry, CatalogueLoad, Loaded
from bursar.rest.edge import Edge

Step = Callable[[int, int], None]


def quietly(_done: int, _total: int) -> None:
    """Nobody is watching the progress."""


async def load_catalogue(
    tx: Transaction, wanted: CatalogueLoad, *, edge: Edge, step: Step = quietly
) -> Loaded:
    """Add models, aliases and routes to registered providers; retire models whose day has come.

    `step` is told how many models are done, of how many. Running it twice adds nothing the second time.
    """
    await queries.lock_names(tx)
    catalogue = shipped_catalogue()
    loader = _Loader(tx, edge)
    loader.statuses = await queries.statuses_of(tx, [entry.id for entry in catalogue.models])
    loader.providers = await queries.provider_ids_by_slug(tx)
    routes = await queries.routes_of(tx, loader.statuses)
    loader.routed = {(row["model_id"], row["provider_id"]) for row in routes}
    for done, entry in enumerate(catalogue.models, start=1):
        if entry.state == "planned":
            loader.told.planned.append(entry.id)
        else:
            await loader.load(entry, wanted.providers.get(entry.provider, entry.provider))
        step(done, len(catalogue.models))
    return loader.told


class _Loader:
    """What one run knows and has done."""

    def __init__(self, tx: Transaction, edge: Edge) -> None:
        self.tx = tx
        self.edge = edge
        self.statuses: dict[str, str] = {}
        self.providers = dict[str, UUID]()
        self.routed = set[tuple[str, UUID]]()
        self.told = Loaded(added=[], routed=[], retired=[], unchanged=0, planned=[], unrouted=[])

    async def load(self, entry: CatalogueEntry, slug: str) -> None:
        retired = is_retired(entry, self.edge.now().date())
        known = entry.id in self.statuses
        if not known:
            await self._add(entry, retired=retired)
        elif retired and self.statuses[entry.id] == "active":
            await queries.update_model(self.tx, entry.id, {"status": "retired", "successor": entry.successor})
            self.told.retired.append(entry.id)
        else:
            self.told.unchanged += 1
        if not retired:
            await self._route(entry, slug)

    async def _add(self, entry: CatalogueEntry, *, retired: bool) -> None:
        dates = {"retired_on": entry.retired_on, "retires_on": entry.retires_on}
        await queries.insert_model(
            self.tx,
            {
                "id": entry.id,
                "display_name": entry.id,
                "context_window": entry.context_window,
                "output_tokens_max": entry.output_limit,
                "status": "retired" if retired else "active",
                "successor": entry.successor,
                "capabilities": {
                    "services": entry.services,
                    **{name: str(day) for name, day in dates.items() if day is not None},
                },
                "created_at": self.edge.now(),
            },
        )
        taken = await queries.owners_of_names(self.tx, entry.aliases)
        for alias in entry.aliases:
            if alias not in taken:
                await queries.insert_alias(self.tx, alias, entry.id)
        (self.told.retired if retired else self.told.added).append(entry.id)

    async def _route(self, entry: CatalogueEntry, slug: str) -> None:
        provider_id = self.providers.get(slug)
        if provider_id is None:
            self.told.unrouted.append(entry.id)
            return
        if (entry.id, provider_id) in self.routed:
            return  # routed there already, perhaps under another name: the operator's choice
        row = {
            "id": self.edge.new_id(),
            "model_id": entry.id,
            "provider_id": provider_id,
            "provider_model": entry.provider_model,
            "created_at": self.edge.now(),
        }
        if await queries.insert_route(self.tx, row):
            self.told.routed.append(f"{entry.id} → {slug}")
