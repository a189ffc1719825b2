"""Sign-ins of operators who see what one organisation sees: bound to it, reading only, over within the hour.

Nothing refreshes such a sign-in. What it may do is decided in `bursar.rest.callers`.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from bursar.db.engine import Transaction
from bursar.db.tables import session
from bursar.rest.access_tokens import sign
from bursar.rest.control import Control
from bursar.rest.secret_text import issue


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewingSignIn:
    """`access_token` is a secret, and all there is."""

    session_id: UUID
    access_token: str


async def open_viewing(  # noqa: PLR0913 - a sign-in has so many parts
    tx: Transaction, control: Control, user_id: UUID, organisation_id: UUID, *, until: datetime, address: str
) -> ViewingSignIn:
    """Let an operator who showed his second factor see as this organisation. `tx` acts as accounts."""
    now, session_id = control.edge.now(), control.edge.new_id()
    await tx.execute(
        sa.insert(session).values(
            id=session_id,
            user_id=user_id,
            family_hash=issue("").digest,  # of secrets that nobody was told
            refresh_hash=issue("").digest,
            csrf_hash=issue("").digest,
            user_agent="view-as",
            address=address,
            created_at=now,
            used_at=now,
            expires_at=until,
            two_factor_at=now,
            viewing_organisation_id=organisation_id,
            viewing_until=until,
        )
    )
    token, _ = await sign(tx, control.seal, now, user_id=user_id, session_id=session_id, life=until - now)
    return ViewingSignIn(session_id=session_id, access_token=token)
