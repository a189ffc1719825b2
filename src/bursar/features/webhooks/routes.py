"""HTTP of outgoing webhooks. Everything runs as the organisation itself."""

from typing import Final
from uuid import UUID

from fastapi import APIRouter

from bursar.core.permissions import Permission
from bursar.features.webhooks import service
from bursar.features.webhooks.schemas import (
    Delivery,
    DeliveryStatus,
    DeliveryWithAttempts,
    NewWebhook,
    Replayed,
    ReplayOfFailed,
    SecretRotated,
    TestAsked,
    Webhook,
    WebhookChange,
    WebhookWithSecret,
)
from bursar.rest.callers import may
from bursar.rest.control import Means
from bursar.rest.idempotency import Once
from bursar.rest.paging import Page, Paging
from bursar.rest.problems import responses
from bursar.rest.throttles import at_most
from bursar.rest.transactions import OrganisationRead, OrganisationTx

router = APIRouter(prefix="/organisations/{organisation_id}/webhooks", tags=["webhooks"])
ONE = "/{endpoint_id}"
READ, MANAGE = may(Permission.WEBHOOKS_READ), may(Permission.WEBHOOKS_MANAGE)

TESTS_PER_HOUR: Final = 60
TESTS_AT_ONCE: Final = 10
"""Of one organisation. A person tries an address a few times; each try calls somebody else's server."""

TESTS = [*MANAGE, *at_most("webhook_tests", per_hour=TESTS_PER_HOUR, burst=TESTS_AT_ONCE)]


@router.post("", status_code=201, responses=responses(404, 409), dependencies=MANAGE)
async def create_webhook(
    organisation_id: UUID, body: NewWebhook, tx: OrganisationTx, once: Once
) -> WebhookWithSecret:
    """Have events sent to an address. The secret they are signed with is shown in this answer only."""
    return await once.answer(
        tx,
        WebhookWithSecret,
        lambda: service.create_webhook(tx, organisation_id, body, control=once.control),
    )


@router.get("", responses=responses(404), dependencies=READ)
async def list_webhooks(organisation_id: UUID, read: OrganisationRead) -> list[Webhook]:
    """List webhooks, oldest first: at most 20."""
    return await service.list_webhooks(read, organisation_id)


@router.get(ONE, responses=responses(404), dependencies=READ)
async def get_webhook(organisation_id: UUID, endpoint_id: UUID, read: OrganisationRead) -> Webhook:
    """Show one webhook, without its secret."""
    return await service.get_webhook(read, organisation_id, endpoint_id)


@router.patch(ONE, responses=responses(404), dependencies=MANAGE)
async def change_webhook(
    organisation_id: UUID, endpoint_id: UUID, body: WebhookChange, tx: OrganisationTx, control: Means
) -> Webhook:
    """Change where events go and which, pause a webhook or make it active again."""
    return await service.change_webhook(tx, organisation_id, endpoint_id, body, control=control)


@router.delete(ONE, responses=responses(404), dependencies=MANAGE)
async def delete_webhook(organisation_id: UUID, endpoint_id: UUID, tx: OrganisationTx) -> Webhook:
    """Forget a webhook, what waits for it and its log."""
    return await service.delete_webhook(tx, organisation_id, endpoint_id)


@router.post(ONE + "/rotate-secret", status_code=201, responses=responses(404), dependencies=MANAGE)
async def rotate_webhook_secret(
    organisation_id: UUID, endpoint_id: UUID, body: SecretRotated, tx: OrganisationTx, once: Once
) -> WebhookWithSecret:
    """Make a new secret. Messages carry the signatures of both until the overlap ends."""
    return await once.answer(
        tx,
        WebhookWithSecret,
        lambda: service.rotate_secret(tx, organisation_id, endpoint_id, body, control=once.control),
    )


@router.post(ONE + "/test", status_code=202, responses=responses(404, 409, 429), dependencies=TESTS)
async def test_webhook(
    organisation_id: UUID, endpoint_id: UUID, tx: OrganisationTx, control: Means
) -> TestAsked:
    """Send an event `webhook.test` to this webhook."""
    return await service.send_test(tx, organisation_id, endpoint_id, control=control)


@router.post(ONE + "/replay", responses=responses(404, 409), dependencies=MANAGE)
async def replay_failed_deliveries(
    organisation_id: UUID, endpoint_id: UUID, body: ReplayOfFailed, tx: OrganisationTx, control: Means
) -> Replayed:
    """Send again what failed since some time."""
    return await service.replay_failed(tx, organisation_id, endpoint_id, body, control=control)


@router.get(ONE + "/deliveries", responses=responses(404), dependencies=READ)
async def list_webhook_deliveries(
    organisation_id: UUID,
    endpoint_id: UUID,
    read: OrganisationRead,
    paging: Paging,
    status: DeliveryStatus | None = None,
) -> Page[Delivery]:
    """List what was sent to a webhook in the last 30 days, newest first."""
    return await service.list_deliveries(read, organisation_id, endpoint_id, paging, status=status)


@router.get(ONE + "/deliveries/{delivery_id}", responses=responses(404), dependencies=READ)
async def get_webhook_delivery(
    organisation_id: UUID, endpoint_id: UUID, delivery_id: UUID, read: OrganisationRead
) -> DeliveryWithAttempts:
    """Show what was sent, each try and what was answered."""
    return await service.get_delivery(read, organisation_id, endpoint_id, delivery_id)


@router.post(ONE + "/deliveries/{delivery_id}/replay", responses=responses(404, 409), dependencies=MANAGE)
async def replay_webhook_delivery(
    organisation_id: UUID, endpoint_id: UUID, delivery_id: UUID, tx: OrganisationTx, control: Means
) -> DeliveryWithAttempts:
    """Send one message again, under the same id."""
    return await service.replay_delivery(tx, organisation_id, endpoint_id, delivery_id, control=control)
