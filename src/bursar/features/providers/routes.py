"""HTTP of providers and their credentials."""

from uuid import UUID

from fastapi import APIRouter

from bursar.core.permissions import Permission
from bursar.features.providers import health, service
from bursar.features.providers.health import ProvidersHealth
from bursar.features.providers.schemas import (
    Credential,
    CredentialChange,
    NewCredential,
    NewProvider,
    Provider,
    ProviderChange,
)
from bursar.rest.callers import may
from bursar.rest.control import Means
from bursar.rest.idempotency import Once
from bursar.rest.paging import Page, Paging
from bursar.rest.problems import responses
from bursar.rest.transactions import OperatorRead, OperatorTx

router = APIRouter(prefix="/providers", tags=["providers"])


@router.post("", status_code=201, responses=responses(409), dependencies=may(Permission.PLATFORM_MANAGE))
async def create_provider(body: NewProvider, tx: OperatorTx, once: Once) -> Provider:
    """Register a provider."""
    return await once.answer(tx, Provider, lambda: service.create_provider(tx, body, edge=once.control.edge))


@router.get("", dependencies=may(Permission.PLATFORM_READ))
async def list_providers(read: OperatorRead, paging: Paging) -> Page[Provider]:
    """List providers by their short names."""
    return await service.list_providers(read, paging)


@router.get("/health", dependencies=may(Permission.PLATFORM_READ))
async def show_health(read: OperatorRead, control: Means) -> ProvidersHealth:
    """Show what the gateways say of each provider now: breakers, failures, latency, refused credentials."""
    return await health.providers_health(read, now=control.edge.now())


@router.get("/{provider_id}", responses=responses(404), dependencies=may(Permission.PLATFORM_READ))
async def get_provider(provider_id: UUID, read: OperatorRead) -> Provider:
    """Show one provider."""
    return await service.get_provider(read, provider_id)


@router.patch("/{provider_id}", responses=responses(404), dependencies=may(Permission.PLATFORM_MANAGE))
async def change_provider(provider_id: UUID, body: ProviderChange, tx: OperatorTx) -> Provider:
    """Change a provider, or switch it off."""
    return await service.change_provider(tx, provider_id, body)


@router.post(
    "/{provider_id}/credentials",
    status_code=201,
    responses=responses(404, 409),
    dependencies=may(Permission.PLATFORM_MANAGE),
)
async def add_credential(provider_id: UUID, body: NewCredential, tx: OperatorTx, once: Once) -> Credential:
    """Add a credential. It is sealed and never shown again."""
    return await once.answer(
        tx,
        Credential,
        lambda: service.add_credential(tx, provider_id, body, control=once.control),
    )


@router.get(
    "/{provider_id}/credentials", responses=responses(404), dependencies=may(Permission.PLATFORM_READ)
)
async def list_credentials(provider_id: UUID, read: OperatorRead) -> list[Credential]:
    """List credentials in the order they are tried: at most 100, hints only."""
    return await service.list_credentials(read, provider_id)


@router.patch(
    "/{provider_id}/credentials/{credential_id}",
    responses=responses(404),
    dependencies=may(Permission.PLATFORM_MANAGE),
)
async def change_credential(
    provider_id: UUID, credential_id: UUID, body: CredentialChange, tx: OperatorTx
) -> Credential:
    """Switch a credential off or on, or change its place."""
    return await service.change_credential(tx, provider_id, credential_id, body)
