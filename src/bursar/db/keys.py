"""Keys of a person who is gone."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from bursar.db.engine import Transaction
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
        .returning(api_key.c.id)
    )
    return len((await tx.execute(change)).all())
