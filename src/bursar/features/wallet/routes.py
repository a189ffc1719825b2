"""HTTP of wallets. What moves money needs an Idempotency-Key, because an answer can be lost on the way."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query

from bursar.core.permissions import Permission
from bursar.features.wallet import service
from bursar.features.wallet.schemas import (
    Movement,
    MovementType,
    TopUp,
    TopUpRefund,
    UsageRefund,
    Wallet,
)
from bursar.rest.callers import Calling, may
from bursar.rest.control import Means
from bursar.rest.edge import Occasion
from bursar.rest.idempotency import RequiredKey
from bursar.rest.paging import BIGINT_MAX, Page, Paging
from bursar.rest.problems import responses
from bursar.rest.transactions import OperatorTx, OrganisationRead

router = APIRouter(prefix="/organisations/{organisation_id}", tags=["wallet"])


@router.get("/wallet", responses=responses(404), dependencies=may(Permission.WALLET_READ))
async def get_wallet(organisation_id: UUID, read: OrganisationRead, control: Means) -> Wallet:
    """Show what an organisation has and may spend."""
    return await service.get_wallet(read, organisation_id, edge=control.edge)


@router.get("/wallet/transactions", responses=responses(404), dependencies=may(Permission.WALLET_READ))
async def list_transactions(
    organisation_id: UUID,
    read: OrganisationRead,
    paging: Paging,
    kind: Annotated[MovementType | None, Query(alias="type", description="Only of this type.")] = None,
) -> Page[Movement]:
    """List what moved the wallet, newest first, each with the balance after it."""
    return await service.list_movements(read, organisation_id, paging, kind=kind)


@router.post(
    "/wallet/top-ups",
    status_code=201,
    responses=responses(404, 409),
    dependencies=may(Permission.MONEY_MANAGE),
)
async def top_up(
    organisation_id: UUID, body: TopUp, tx: OperatorTx, control: Means, key: RequiredKey
) -> Movement:
    """Put money or credit in; what is owed is repaid first."""
    return await service.top_up(tx, organisation_id, body, Occasion(control.edge, key))


@router.post(
    "/wallet/top-ups/{transaction_id}/refund",
    status_code=201,
    responses=responses(404, 409),
    dependencies=may(Permission.MONEY_MANAGE),
)
async def refund_top_up(  # noqa: PLR0913, PLR0917 - who, what, by which key
    organisation_id: UUID,
    transaction_id: Annotated[int, Path(ge=1, le=BIGINT_MAX)],
    body: TopUpRefund,
    control: Means,
    calling: Calling,
    key: RequiredKey,
) -> Movement:
    """Pay back the unspent rest of a top-up, or a part of it."""
    await service.recall_leases(control, organisation_id)
    async with control.database.transaction(operator=True, actor=calling.as_actor()) as tx:
        return await service.refund_top_up(
            tx, organisation_id, transaction_id, body, Occasion(control.edge, key)
        )


@router.post(
    "/usage/{request_id}/refund",
    status_code=201,
    responses=responses(404, 409),
    dependencies=may(Permission.MONEY_MANAGE),
)
async def refund_usage(  # noqa: PLR0913, PLR0917 - who, what, by which key
    organisation_id: UUID,
    request_id: UUID,
    body: UsageRefund,
    tx: OperatorTx,
    control: Means,
    key: RequiredKey,
) -> Movement:
    """Give the sale of a request back, or a part of it."""
    return await service.refund_usage(tx, organisation_id, request_id, body, Occasion(control.edge, key))
