"""HTTP of models, routes and the catalogue. Names of models may contain a slash."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path

from bursar.core.permissions import Permission
from bursar.features.models import loading, service
from bursar.features.models.catalogue import shipped_catalogue
from bursar.features.models.schemas import (
    Catalogue,
    CatalogueLoad,
    Loaded,
    Model,
    ModelChange,
    NewModel,
    NewRoute,
    Route,
    RouteChange,
    RoutingRules,
    Status,
)
from bursar.rest.callers import may
from bursar.rest.control import Means
from bursar.rest.fields import ModelName
from bursar.rest.idempotency import Once
from bursar.rest.paging import Page, Paging
from bursar.rest.problems import responses
from bursar.rest.transactions import OperatorRead, OperatorTx

router = APIRouter(tags=["models"])

ModelPath = Annotated[ModelName, Path()]


@router.get("/catalogue", dependencies=may(Permission.PLATFORM_READ))
async def show_catalogue() -> Catalogue:
    """Show the catalogue that this version ships."""
    return shipped_catalogue()


@router.post("/catalogue/load", dependencies=may(Permission.PLATFORM_MANAGE))
async def load_catalogue(body: CatalogueLoad, tx: OperatorTx, control: Means) -> Loaded:
    """Add the catalogue's models and routes to registered providers. Twice adds nothing."""
    return await loading.load_catalogue(tx, body, edge=control.edge)


@router.post(
    "/models", status_code=201, responses=responses(409), dependencies=may(Permission.PLATFORM_MANAGE)
)
async def create_model(body: NewModel, tx: OperatorTx, once: Once) -> Model:
    """Add a model. It is served once it has a route and a price."""
    return await once.answer(tx, Model, lambda: service.create_model(tx, body, edge=once.control.edge))


@router.get("/models", dependencies=may(Permission.PLATFORM_READ))
async def list_models(read: OperatorRead, paging: Paging, status: Status | None = None) -> Page[Model]:
    """List models by name."""
    return await service.list_models(read, paging, status=status)


@router.get("/models/{model_id:path}", responses=responses(404), dependencies=may(Permission.PLATFORM_READ))
async def get_model(model_id: ModelPath, read: OperatorRead) -> Model:
    """Show one model with its aliases and routes."""
    return await service.get_model(read, model_id)


@router.patch(
    "/models/{model_id:path}", responses=responses(404, 409), dependencies=may(Permission.PLATFORM_MANAGE)
)
async def change_model(model_id: ModelPath, body: ModelChange, tx: OperatorTx) -> Model:
    """Change a model, retire it with a successor, or set its aliases."""
    return await service.change_model(tx, model_id, body)


@router.get("/routing", dependencies=may(Permission.PLATFORM_READ))
async def show_routing(read: OperatorRead) -> RoutingRules:
    """Show what holds for the routing of every model."""
    return await service.routing_rules(read)


@router.put("/routing", dependencies=may(Permission.PLATFORM_MANAGE))
async def change_routing(body: RoutingRules, tx: OperatorTx) -> RoutingRules:
    """Set what holds for the routing of every model."""
    return await service.change_routing_rules(tx, body)


@router.post(
    "/routes", status_code=201, responses=responses(404, 409), dependencies=may(Permission.PLATFORM_MANAGE)
)
async def create_route(body: NewRoute, tx: OperatorTx, once: Once) -> Route:
    """Serve a model at a provider."""
    return await once.answer(tx, Route, lambda: service.create_route(tx, body, edge=once.control.edge))


@router.patch("/routes/{route_id}", responses=responses(404), dependencies=may(Permission.PLATFORM_MANAGE))
async def change_route(route_id: UUID, body: RouteChange, tx: OperatorTx) -> Route:
    """Change a route's place, or switch it off."""
    return await service.change_route(tx, route_id, body)


@router.delete("/routes/{route_id}", responses=responses(404), dependencies=may(Permission.PLATFORM_MANAGE))
async def delete_route(route_id: UUID, tx: OperatorTx) -> Route:
    """Remove a route."""
    return await service.delete_route(tx, route_id)
