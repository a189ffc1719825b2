"""Whether an organisation may use anything: what several features decide."""

from uuid import UUID

import sqlalchemy as sa

from bursar.db.engine import Transaction
from bursar.db.tables import organisation


async def set_status(tx: Transaction, organisation_id: UUID, *, was: str, becomes: str) -> bool:
    """Gateways act on it within a second. False when it was not `was`, and nothing changed."""
    change = (
        sa.update(organisation)
        .where(organisation.c.id == organisation_id, organisation.c.status == was)
        .values(status=becomes)
        .returning(organisation.c.id)
    )
    return (await tx.execute(change)).one_or_none() is not None
