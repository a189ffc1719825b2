"""What events about providers set off."""

from uuid import UUID

import sqlalchemy as sa
import structlog

from bursar.db.engine import Transaction
from bursar.db.outbox import Event
from bursar.db.tables import provider, provider_credential

log = structlog.get_logger()


async def alarm_refused_credential(tx: Transaction, event: Event) -> None:
    """Tell the operator which credential a provider refuses, and why.

    Safe to run twice: it writes nothing but the log.
    """
    refused = event.payload
    question = (
        sa.select(provider.c.slug, provider_credential.c.hint)
        .outerjoin(
            provider_credential,
            sa.and_(
                provider_credential.c.provider_id == provider.c.id,
                provider_credential.c.id == UUID(refused["credential_id"]),
            ),
        )
        .where(provider.c.id == UUID(refused["provider_id"]))
    )
    named = (await tx.execute(question)).mappings().one_or_none()
    log.critical(
        "provider.refuses_credential",
        provider=None if named is None else named["slug"],
        hint=None if named is None else named["hint"],
        credential_id=refused["credential_id"],
        kind=refused["kind"],
        upstream_status=refused["upstream_status"],
    )
