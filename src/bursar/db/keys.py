"""Keys of a person who is gone."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from bursar.core.webhooks import EventType
from bursar.db.engine import Transaction
from bursar.db.outbox import publish
from bursar.db.tables import api_key


async def revoke_keys_of(tx: Transaction, organisation_id: UUID, user_id: UUID, now: datetime) -> int:
    """Stop the keys that a person made for an organisation, within a second; answer how many there were."""
    change = (
        sa.update(api_key)
        .where(
            api_key.c.organisation_id == organisation_id,
            api_key.c.created_by == user_id,
            api_key.c.active.is_(True),
        )
        .values(active=False, revoked_at=now)
        .returning(api_key.c.id, api_key.c.name, api_key.c.key_prefix)
    )
    revoked = (await tx.execute(change)).all()
    for key in revoked:
        about = {"key_id": str(key.id), "name": key.name, "visible": key.key_prefix}
        event = {"type": EventType.KEY_REVOKED.value, "data": about}
        await publish(tx, "webhook", event, now=now, organisation_id=organisation_id)
    return len(revoked)
