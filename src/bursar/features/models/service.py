"""Models: the names callers use, what else they answer to, and where each is served."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bursar.core.service import UNSAID
from bursar.db.engine import ReadSession, Transaction
from bursar.features.models import queries
from bursar.features.models.schemas import (
    Model,
    ModelChange,
    NewModel,
    NewRoute,
    Route,
    RouteChange,
    RoutingRules,
    Status,
)
from bursar.rest.edge import Edge
from bursar.rest.fields import printable
from bursar.rest.paging import Page, PageAsked, cut_page
from bursar.rest.problems import Conflict, Invalid, NotFound

SERVICES = "services"
"""Where `model.capabilities` says what a model can be asked to do."""
NULLABLE = frozenset({
    "context_window", "output_tokens_max", "margin_percent", "successor", "min_margin_percent",
})  # fmt: skip
LACKABLE = ("tools", "stream", "vision")


class ModelNotFound(NotFound):
    code = "model_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such model.")


class RouteNotFound(NotFound):
    code = "route_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such route.")


class NameTaken(Conflict):
    code = "model_name_taken"


class RouteExists(Conflict):
    code = "route_exists"


class ProviderUnknown(Invalid):
    code = "provider_unknown"


class SuccessorInvalid(Invalid):
    code = "successor_invalid"


class FallbackInvalid(Invalid):
    code = "fallback_invalid"


class CredentialUnknown(Invalid):
    code = "credential_unknown"


async def create_model(tx: Transaction, wanted: NewModel, *, edge: Edge) -> Model:
    """Raises `NameTaken` when the id or an alias means a model already, `FallbackInvalid`."""
    await queries.lock_names(tx)
    await _check_free(tx, [wanted.id, *wanted.aliases], model_id=None)
    await _check_fallbacks(tx, wanted.id, wanted.fallbacks)
    row = wanted.model_dump(exclude={"aliases", "services", "lacks"})
    row["capabilities"] = {SERVICES: wanted.services, **dict.fromkeys(wanted.lacks, False)}
    await queries.insert_model(
        tx, {**row, "display_name": wanted.display_name or wanted.id, "created_at": edge.now()}
    )
    for alias in wanted.aliases:
        await queries.insert_alias(tx, alias, wanted.id)
    return await get_model(tx, wanted.id)


async def get_model(read: ReadSession | Transaction, model_id: str) -> Model:
    """Raises `ModelNotFound`."""
    row = await queries.model_by_id(read, model_id)
    if row is None:
        raise ModelNotFound
    (shown,) = await _with_names_and_routes(read, [row])
    return shown


async def list_models(read: ReadSession, asked: PageAsked, *, status: Status | None = None) -> Page[Model]:
    rows = await queries.models_after(
        read, after=asked.after(printable), status=status, limit=asked.limit + 1
    )
    shown = {one.id: one for one in await _with_names_and_routes(read, rows)}
    return cut_page(rows, asked.limit, lambda row: row["id"], lambda row: shown[row["id"]])


async def change_model(tx: Transaction, model_id: str, change: ModelChange) -> Model:
    """Raises `ModelNotFound`, `NameTaken`, `SuccessorInvalid`, `FallbackInvalid`."""
    await queries.lock_names(tx)
    known = await get_model(tx, model_id)
    given = change.model_dump(exclude_unset=True)
    for name, value in given.items():
        if value is None and name not in NULLABLE:
            raise Invalid(f"body.{name}: must not be null")
    await _check_successor(tx, model_id, given.get("successor"))
    await _check_fallbacks(tx, model_id, given.get("fallbacks", ()))
    services, lacks = given.pop("services", None), given.pop("lacks", None)
    if services is not None or lacks is not None:
        given["capabilities"] = _capabilities(known, services, lacks)
    aliases = given.pop("aliases", None)
    if aliases is not None:
        await _check_free(tx, aliases, model_id=model_id)
        await queries.delete_aliases(tx, model_id, keep=aliases)
        for alias in aliases:
            await queries.insert_alias(tx, alias, model_id)
    if given:
        await queries.update_model(tx, model_id, given)
    return await get_model(tx, model_id)


async def create_route(tx: Transaction, wanted: NewRoute, *, edge: Edge) -> Route:
    """Raises `ModelNotFound`, `ProviderUnknown`, `CredentialUnknown`, `RouteExists`."""
    await get_model(tx, wanted.model_id)
    if not await queries.provider_exists(tx, wanted.provider_id):
        raise ProviderUnknown("body.provider_id: there is no such provider.")
    if wanted.credential_id is not None and not await queries.credential_exists(
        tx, wanted.provider_id, wanted.credential_id
    ):
        raise CredentialUnknown("body.credential_id: this provider has no such credential.")
    route_id = edge.new_id()
    row = {
        **wanted.model_dump(),
        "id": route_id,
        "provider_model": wanted.provider_model or wanted.model_id,
        "created_at": edge.now(),
    }
    if not await queries.insert_route(tx, row):
        raise RouteExists("This model has this route already.")
    return await get_route(tx, route_id)


async def get_route(read: ReadSession | Transaction, route_id: UUID) -> Route:
    """Raises `RouteNotFound`."""
    row = await queries.route_by_id(read, route_id)
    if row is None:
        raise RouteNotFound
    return Route.model_validate(dict(row))


async def change_route(tx: Transaction, route_id: UUID, change: RouteChange) -> Route:
    """Raises `RouteNotFound`."""
    await get_route(tx, route_id)
    given = change.model_dump(exclude_unset=True)
    changes = {
        name: value for name, value in given.items() if value is not None or name == "min_margin_percent"
    }
    if changes:
        await queries.update_route(tx, route_id, changes)
    return await get_route(tx, route_id)


async def delete_route(tx: Transaction, route_id: UUID) -> Route:
    """Remove a route; usage rows keep what they need. Raises `RouteNotFound`."""
    route = await get_route(tx, route_id)
    await queries.delete_route(tx, route_id)
    return route


async def routing_rules(read: ReadSession | Transaction) -> RoutingRules:
    """What holds for every model."""
    return RoutingRules.model_validate({"min_margin_percent": await queries.margin_floor(read)})


async def change_routing_rules(tx: Transaction, rules: RoutingRules) -> RoutingRules:
    """Set what holds for every model."""
    floor = rules.min_margin_percent
    await queries.set_margin_floor(tx, None if floor is None else str(floor))
    return await routing_rules(tx)


def _capabilities(
    known: Model, services: Sequence[str] | None, lacks: Sequence[str] | None
) -> dict[str, Any]:
    said = dict(known.capabilities)
    if services is not None:
        said[SERVICES] = services
    if lacks is not None:
        said = {name: value for name, value in said.items() if name not in LACKABLE}
        said.update(dict.fromkeys(lacks, False))
    return said


async def _check_fallbacks(tx: Transaction, model_id: str, fallbacks: Sequence[str]) -> None:
    if len(set(fallbacks)) != len(fallbacks):
        raise FallbackInvalid("body.fallbacks: the same model is named twice.")
    if model_id in fallbacks:
        raise FallbackInvalid("body.fallbacks: a model cannot stand in for itself.")
    known = await queries.statuses_of(tx, fallbacks)
    unknown = [name for name in fallbacks if name not in known]
    if unknown:
        raise FallbackInvalid(f"body.fallbacks: there is no model {unknown[0]!r}.")


async def _check_free(tx: Transaction, names: Sequence[str], *, model_id: str | None) -> None:
    if len(set(names)) != len(names):
        raise NameTaken("The same name is given twice.")
    owners = await queries.owners_of_names(tx, names)
    taken = sorted(name for name, owner in owners.items() if owner != model_id or name == model_id)
    if taken:
        raise NameTaken(f"Already the name of a model: {', '.join(taken)}", taken=taken)


async def _check_successor(tx: Transaction, model_id: str, successor: str | None) -> None:
    if successor is None:
        return
    if successor == model_id:
        raise SuccessorInvalid("body.successor: a model cannot succeed itself.")
    if await queries.model_by_id(tx, successor) is None:
        raise SuccessorInvalid("body.successor: there is no such model.")


async def _with_names_and_routes(
    read: ReadSession | Transaction, rows: Sequence[sa.RowMapping]
) -> list[Model]:
    ids = [row["id"] for row in rows]
    aliases: defaultdict[str, list[str]] = defaultdict(list)
    for alias in await queries.aliases_of(read, ids):
        aliases[alias["model_id"]].append(alias["alias"])
    routes: defaultdict[str, list[Any]] = defaultdict(list)
    for route in await queries.routes_of(read, ids):
        routes[route["model_id"]].append(dict(route))
    return [
        Model.model_validate(
            {
                **row,
                "services": row["capabilities"].get(SERVICES, sorted(UNSAID)),
                "lacks": [name for name in LACKABLE if row["capabilities"].get(name) is False],
                "aliases": aliases[row["id"]],
                "routes": routes[row["id"]],
            }
        )
        for row in rows
    ]
