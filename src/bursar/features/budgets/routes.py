"""HTTP of budgets."""

from uuid import UUID

from fastapi import APIRouter

from bursar.core.permissions import Permission
from bursar.features.budgets import service
from bursar.features.budgets.schemas import Budget, BudgetChange, NewBudget, NewCredentialBudget
from bursar.rest.callers import may
from bursar.rest.control import Means
from bursar.rest.idempotency import Once
from bursar.rest.paging import Page, Paging
from bursar.rest.problems import responses
from bursar.rest.transactions import OperatorRead, OperatorTx, OrganisationRead, OrganisationTx

router = APIRouter(tags=["budgets"])

OF_ORGANISATION = "/organisations/{organisation_id}/budgets"
OF_CREDENTIAL = "/providers/{provider_id}/credentials/{credential_id}/budgets"


@router.post(
    OF_ORGANISATION,
    status_code=201,
    responses=responses(404, 409),
    dependencies=may(Permission.BUDGETS_MANAGE),
)
async def create_budget(organisation_id: UUID, body: NewBudget, tx: OrganisationTx, once: Once) -> Budget:
    """Make a budget or quota of an organisation or of one of its keys."""
    edge = once.control.edge
    return await once.answer(tx, Budget, lambda: service.create_budget(tx, organisation_id, body, edge=edge))


@router.get(OF_ORGANISATION, responses=responses(404), dependencies=may(Permission.BUDGETS_READ))
async def list_budgets(
    organisation_id: UUID, read: OrganisationRead, paging: Paging, control: Means
) -> Page[Budget]:
    """List budgets, newest first, with what is used of them."""
    return await service.list_budgets(read, organisation_id, paging, edge=control.edge)


@router.get(
    OF_ORGANISATION + "/{budget_id}", responses=responses(404), dependencies=may(Permission.BUDGETS_READ)
)
async def get_budget(
    organisation_id: UUID, budget_id: UUID, read: OrganisationRead, control: Means
) -> Budget:
    """Show one budget, with what is used of it."""
    return await service.get_budget(read, organisation_id, budget_id, edge=control.edge)


@router.patch(
    OF_ORGANISATION + "/{budget_id}",
    responses=responses(404, 409),
    dependencies=may(Permission.BUDGETS_MANAGE),
)
async def change_budget(
    organisation_id: UUID, budget_id: UUID, body: BudgetChange, tx: OrganisationTx, control: Means
) -> Budget:
    """Rename a budget, change its amount, or switch it off or on."""
    return await service.change_budget(tx, organisation_id, budget_id, body, edge=control.edge)


@router.post(
    OF_CREDENTIAL,
    status_code=201,
    responses=responses(404, 409),
    dependencies=may(Permission.PLATFORM_MANAGE),
)
async def create_credential_budget(
    provider_id: UUID, credential_id: UUID, body: NewCredentialBudget, tx: OperatorTx, once: Once
) -> Budget:
    """Make a budget or quota of a provider's credential: money counts by what it costs us."""
    edge = once.control.edge
    return await once.answer(
        tx,
        Budget,
        lambda: service.create_credential_budget(tx, provider_id, credential_id, body, edge=edge),
    )


@router.get(OF_CREDENTIAL, responses=responses(404), dependencies=may(Permission.PLATFORM_READ))
async def list_credential_budgets(
    provider_id: UUID, credential_id: UUID, read: OperatorRead, paging: Paging, control: Means
) -> Page[Budget]:
    """List a credential's budgets, newest first."""
    return await service.list_credential_budgets(read, provider_id, credential_id, paging, edge=control.edge)


@router.patch(
    OF_CREDENTIAL + "/{budget_id}",
    responses=responses(404, 409),
    dependencies=may(Permission.PLATFORM_MANAGE),
)
async def change_credential_budget(  # noqa: PLR0913, PLR0917 - where it is, and what is wanted
    provider_id: UUID,
    credential_id: UUID,
    budget_id: UUID,
    body: BudgetChange,
    tx: OperatorTx,
    control: Means,
) -> Budget:
    """Rename a credential's budget, change its amount, or switch it off or on."""
    return await service.change_credential_budget(
        tx, provider_id, credential_id, budget_id, body, edge=control.edge
    )
