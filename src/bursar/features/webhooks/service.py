"""Outgoing webhooks: where an organisation wants its events, and what became of them.

Nothing is called from here: the worker sends (`sending`), and makes messages of events (`tasks`).
"""

import secrets
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import orjson
import sqlalchemy as sa

from bursar.core.webhooks import (
    SECRET_BYTES,
    EventType,
    UrlRefused,
    check_url,
    message_name,
    new_secret,
)
from bursar.db.engine import ReadSession, Transaction
from bursar.features.webhooks import queries
from bursar.features.webhooks.schemas import (
    Attempt,
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
from bursar.rest.control import Control
from bursar.rest.paging import Page, PageAsked, cut_page, uuid_key
from bursar.rest.problems import Conflict, Invalid, NotFound
from bursar.rest.webhook_events import ask_for_webhook

ENDPOINTS_MAX: Final = 20
"""Every event is sent to each of them."""

REPLAYED_MAX: Final = 1_000
ATTEMPTS_SHOWN_MAX: Final = 100


class OrganisationNotFound(NotFound):
    code = "organisation_not_found"

    def __init__(self) -> None:
        super().__init__("There is no organisation with this id.")


class WebhookNotFound(NotFound):
    code = "webhook_not_found"

    def __init__(self) -> None:
        super().__init__("This organisation has no webhook with this id.")


class DeliveryNotFound(NotFound):
    code = "delivery_not_found"

    def __init__(self) -> None:
        super().__init__("This webhook has no delivery with this id; they are kept for 30 days.")


class WebhooksFull(Conflict):
    code = "too_many_webhooks"

    def __init__(self) -> None:
        super().__init__("An organisation has at most 20 webhooks.")


class WebhookNotActive(Conflict):
    code = "webhook_not_active"

    def __init__(self) -> None:
        super().__init__("Nothing is sent to a webhook that is paused or disabled: make it active first.")


class WebhookUrlRefused(Invalid):
    code = "webhook_url_refused"


async def create_webhook(
    tx: Transaction, organisation_id: UUID, wanted: NewWebhook, *, control: Control
) -> WebhookWithSecret:
    """Have events sent somewhere. The secret is in the answer and nowhere else.

    Raises:
        OrganisationNotFound, WebhookUrlRefused, WebhooksFull
    """
    if not await queries.organisation_exists(tx, organisation_id):
        raise OrganisationNotFound
    _check_url(wanted.url, control)
    await queries.lock_endpoints(tx, organisation_id)
    if len(await queries.endpoints_of(tx, organisation_id)) >= ENDPOINTS_MAX:
        raise WebhooksFull
    endpoint_id, now = control.edge.new_id(), control.edge.now()
    row = {**wanted.model_dump(), "id": endpoint_id, "organisation_id": organisation_id, "created_at": now}
    await queries.insert_endpoint(tx, row)
    secret = await _issue_secret(tx, organisation_id, endpoint_id, control)
    made = await get_webhook(tx, organisation_id, endpoint_id)
    return WebhookWithSecret(**made.model_dump(), secret=secret)


async def get_webhook(read: ReadSession | Transaction, organisation_id: UUID, endpoint_id: UUID) -> Webhook:
    """Raises `WebhookNotFound`."""
    row = await queries.endpoint_by_id(read, organisation_id, endpoint_id)
    if row is None:
        raise WebhookNotFound
    return show(row)


async def list_webhooks(read: ReadSession, organisation_id: UUID) -> list[Webhook]:
    """Raises `OrganisationNotFound`."""
    if not await queries.organisation_exists(read, organisation_id):
        raise OrganisationNotFound
    return [show(row) for row in await queries.endpoints_of(read, organisation_id)]


async def change_webhook(
    tx: Transaction, organisation_id: UUID, endpoint_id: UUID, change: WebhookChange, *, control: Control
) -> Webhook:
    """Raises `WebhookNotFound`, `WebhookUrlRefused`."""
    if await queries.locked_endpoint(tx, organisation_id, endpoint_id) is None:
        raise WebhookNotFound
    changes: dict[str, Any] = change.model_dump(exclude_unset=True)
    for required in ("url", "description", "status"):
        if required in changes and changes[required] is None:
            raise Invalid(f"body.{required}: must not be null")
    if "url" in changes:
        _check_url(changes["url"], control)
    if "status" in changes:
        changes |= {"disabled_reason": None, "failing_since": None}
    if changes:
        await queries.update_endpoint(tx, organisation_id, endpoint_id, changes)
    return await get_webhook(tx, organisation_id, endpoint_id)


async def delete_webhook(tx: Transaction, organisation_id: UUID, endpoint_id: UUID) -> Webhook:
    """Forget an endpoint with its deliveries. Raises `WebhookNotFound`."""
    gone = await get_webhook(tx, organisation_id, endpoint_id)
    await queries.delete_endpoint(tx, organisation_id, endpoint_id)
    return gone


async def rotate_secret(
    tx: Transaction, organisation_id: UUID, endpoint_id: UUID, wanted: SecretRotated, *, control: Control
) -> WebhookWithSecret:
    """Make a new secret; messages carry both signatures until the overlap ends. Raises `WebhookNotFound`."""
    row = await queries.locked_endpoint(tx, organisation_id, endpoint_id)
    if row is None:
        raise WebhookNotFound
    now = control.edge.now()
    until = now + timedelta(seconds=wanted.overlap_s)
    await queries.expire_secrets(tx, organisation_id, endpoint_id, now=now, until=until)
    secret = await _issue_secret(tx, organisation_id, endpoint_id, control)
    return WebhookWithSecret(**show(row).model_dump(), secret=secret)


async def send_test(
    tx: Transaction, organisation_id: UUID, endpoint_id: UUID, *, control: Control
) -> TestAsked:
    """Raises `WebhookNotFound`, `WebhookNotActive`."""
    await _active(tx, organisation_id, endpoint_id)
    await ask_for_webhook(
        tx,
        EventType.WEBHOOK_TEST,
        {"endpoint_id": str(endpoint_id)},
        organisation_id=organisation_id,
        endpoint_id=endpoint_id,
        now=control.edge.now(),
    )
    return TestAsked()


async def list_deliveries(
    read: ReadSession,
    organisation_id: UUID,
    endpoint_id: UUID,
    asked: PageAsked,
    *,
    status: DeliveryStatus | None = None,
) -> Page[Delivery]:
    """Newest first. Raises `WebhookNotFound`."""
    await get_webhook(read, organisation_id, endpoint_id)
    rows = await queries.deliveries_before(
        read,
        organisation_id,
        endpoint_id,
        status=status,
        before=asked.after(uuid_key),
        limit=asked.limit + 1,
    )
    return cut_page(rows, asked.limit, lambda row: row["id"], show_delivery)


async def get_delivery(
    read: ReadSession | Transaction, organisation_id: UUID, endpoint_id: UUID, delivery_id: UUID
) -> DeliveryWithAttempts:
    """Raises `DeliveryNotFound`."""
    row = await queries.delivery_by_id(read, organisation_id, endpoint_id, delivery_id)
    if row is None:
        raise DeliveryNotFound
    attempts = await queries.attempts_of(read, organisation_id, delivery_id, limit=ATTEMPTS_SHOWN_MAX)
    return DeliveryWithAttempts(
        **show_delivery(row).model_dump(),
        body=orjson.loads(row["body"]),
        attempts_made=[Attempt.model_validate(dict(attempt)) for attempt in attempts],
    )


async def replay_delivery(
    tx: Transaction, organisation_id: UUID, endpoint_id: UUID, delivery_id: UUID, *, control: Control
) -> DeliveryWithAttempts:
    """Send it again, with the same id, whatever became of it.

    Raises:
        WebhookNotFound, WebhookNotActive, DeliveryNotFound
    """
    await _active(tx, organisation_id, endpoint_id)
    now = control.edge.now()
    if not await queries.replay(tx, organisation_id, endpoint_id, which=[delivery_id], now=now):
        raise DeliveryNotFound
    return await get_delivery(tx, organisation_id, endpoint_id, delivery_id)


async def replay_failed(
    tx: Transaction, organisation_id: UUID, endpoint_id: UUID, wanted: ReplayOfFailed, *, control: Control
) -> Replayed:
    """Raises `WebhookNotFound`, `WebhookNotActive`."""
    await _active(tx, organisation_id, endpoint_id)
    which = queries.failed_since(organisation_id, endpoint_id, wanted.since, limit=REPLAYED_MAX)
    now = control.edge.now()
    return Replayed(replayed=await queries.replay(tx, organisation_id, endpoint_id, which=which, now=now))


async def _active(tx: Transaction, organisation_id: UUID, endpoint_id: UUID) -> None:
    if (await get_webhook(tx, organisation_id, endpoint_id)).status != "active":
        raise WebhookNotActive


async def _issue_secret(tx: Transaction, organisation_id: UUID, endpoint_id: UUID, control: Control) -> str:
    secret = new_secret(secrets.token_bytes(SECRET_BYTES))
    row = {
        "id": control.edge.new_id(),
        "organisation_id": organisation_id,
        "endpoint_id": endpoint_id,
        "sealed": control.seal.seal(secret.encode()),
        "created_at": control.edge.now(),
    }
    await queries.insert_secret(tx, row)
    return secret


def _check_url(url: str, control: Control) -> None:
    try:
        check_url(url, allows_loopback=control.policy.webhooks_to_loopback)
    except UrlRefused as error:
        raise WebhookUrlRefused(f"body.url: {error}.") from error


def show(row: sa.RowMapping) -> Webhook:
    return Webhook.model_validate(dict(row))


def show_delivery(row: sa.RowMapping) -> Delivery:
    return Delivery(
        id=row["id"],
        endpoint_id=row["endpoint_id"],
        message_id=message_name(row["message_id"]),
        type=row["type"],
        status=row["status"],
        attempts=row["attempts"],
        created_at=row["created_at"],
        next_attempt_at=row["due_at"] if row["status"] == "pending" else None,
        ended_at=row["ended_at"],
    )
