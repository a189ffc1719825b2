"""HTTP of the price book."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query

from bursar.core.permissions import Permission
from bursar.core.usage import Meter
from bursar.features.prices import importing, service
from bursar.features.prices.schemas import (
    Currency,
    ImportAsked,
    Imported,
    Margin,
    NewPrice,
    Price,
    PriceSet,
)
from bursar.rest.callers import may
from bursar.rest.control import Means
from bursar.rest.fields import ModelName
from bursar.rest.idempotency import Once
from bursar.rest.paging import BIGINT_MAX, Page, Paging
from bursar.rest.problems import responses
from bursar.rest.transactions import OperatorRead, OperatorTx

router = APIRouter(prefix="/prices", tags=["prices"])


@router.post("", status_code=201, responses=responses(409), dependencies=may(Permission.PLATFORM_MANAGE))
async def set_price(body: NewPrice, tx: OperatorTx, once: Once) -> PriceSet:
    """Add a dated price. Nothing is changed: what is booked keeps its price."""
    return await once.answer(tx, PriceSet, lambda: service.set_price(tx, body, edge=once.control.edge))


@router.get("", dependencies=may(Permission.PLATFORM_READ))
async def list_prices(  # noqa: PLR0913, PLR0917 - each is one filter of the listing
    read: OperatorRead,
    control: Means,
    paging: Paging,
    provider_id: UUID | None = None,
    model: ModelName | None = None,
    meter: Meter | None = None,
    currency: Currency | None = None,
    in_force: Annotated[bool, Query(description="False: with the whole history and the future.")] = True,  # noqa: FBT002 - FastAPI names it
) -> Page[Price]:
    """List prices, newest first."""
    return await service.list_prices(
        read,
        paging,
        edge=control.edge,
        provider_id=provider_id,
        model_name=model,
        meter=meter,
        currency=currency,
        in_force=in_force,
    )


@router.post("/imports", dependencies=may(Permission.PLATFORM_MANAGE))
async def import_prices(body: ImportAsked, tx: OperatorTx, control: Means) -> Imported:
    """Import the price lists of all routed models. Keeps history; a second import adds nothing."""
    return await importing.import_prices(tx, body, control=control)


@router.get("/margin", dependencies=may(Permission.PLATFORM_READ))
async def get_margin(read: OperatorRead, control: Means) -> Margin:
    """Show the margin that imports add."""
    return await service.get_margin(read, policy=control.policy)


@router.put("/margin", dependencies=may(Permission.PLATFORM_MANAGE))
async def set_margin(body: Margin, tx: OperatorTx) -> Margin:
    """Set the margin that imports add, from the next one on."""
    return await service.set_margin(tx, body)


@router.get("/{price_id}", responses=responses(404), dependencies=may(Permission.PLATFORM_READ))
async def get_price(price_id: Annotated[int, Path(ge=1, le=BIGINT_MAX)], read: OperatorRead) -> Price:
    """Show one price, as a usage row names it."""
    return await service.get_price(read, price_id)
