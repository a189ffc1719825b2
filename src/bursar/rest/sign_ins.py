"""Sign-ins: a session row, a short access token and a refresh token that changes with every use.

A refresh token that comes back after it was exchanged was copied by somebody: the whole sign-in ends, and
with it whatever the thief got (RFC 9700, section 4.14.2).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from bursar.db.engine import Transaction
from bursar.db.tables import session
from bursar.rest.access_tokens import sign
from bursar.rest.control import Control
from bursar.rest.secret_text import digest_of, issue

REFRESH_PREFIX: Final = "bursar_rt_"
CSRF_PREFIX: Final = "bursar_csrf_"
SESSION_LIFE: Final = timedelta(days=30)
"""From the last use: a sign-in that nobody refreshed for so long is over."""

USER_AGENT_LENGTH_MAX: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """What a program or a browser keeps of a sign-in. All three are secrets."""

    user_id: UUID
    session_id: UUID
    access_token: str
    access_expires_at: datetime
    refresh_token: str
    refresh_expires_at: datetime
    csrf_token: str


async def open_session(  # noqa: PLR0913 - a sign-in has so many parts
    tx: Transaction,
    control: Control,
    user_id: UUID,
    *,
    user_agent: str = "",
    address: str = "",
    two_factor: bool = False,
) -> SignIn:
    """Sign a person in. `tx` acts as accounts; `two_factor`: a second factor was shown."""
    now = control.edge.now()
    refresh, csrf = issue(REFRESH_PREFIX), issue(CSRF_PREFIX)
    session_id = control.edge.new_id()
    await tx.execute(
        sa.insert(session).values(
            id=session_id,
            user_id=user_id,
            refresh_hash=refresh.digest,
            csrf_hash=csrf.digest,
            user_agent=user_agent[:USER_AGENT_LENGTH_MAX],
            address=address,
            created_at=now,
            used_at=now,
            expires_at=now + SESSION_LIFE,
            two_factor_at=now if two_factor else None,
        )
    )
    return await _told(tx, control, user_id, session_id, refresh=refresh.secret, csrf=csrf.secret)


async def refresh_session(tx: Transaction, control: Control, refresh_token: str) -> SignIn | None:
    """Exchange a refresh token for new secrets; None: it opens nothing.

    One that was exchanged before ends its sign-in. `tx` acts as accounts, and must commit even then.
    """
    now, digest = control.edge.now(), digest_of(refresh_token)
    known = sa.or_(session.c.refresh_hash == digest, session.c.previous_hash == digest)
    question = sa.select(session.c.id, session.c.user_id, session.c.refresh_hash).where(
        known, session.c.revoked_at.is_(None), session.c.expires_at > now
    )
    row = (await tx.execute(question.with_for_update())).one_or_none()
    if row is None:
        return None
    if bytes(row.refresh_hash) != digest:
        await end_session(tx, row.id, now)
        return None
    refresh, csrf = issue(REFRESH_PREFIX), issue(CSRF_PREFIX)
    await tx.execute(
        sa.update(session)
        .where(session.c.id == row.id)
        .values(
            refresh_hash=refresh.digest,
            previous_hash=digest,
            rotated_at=now,
            csrf_hash=csrf.digest,
            used_at=now,
            expires_at=now + SESSION_LIFE,
        )
    )
    return await _told(tx, control, row.user_id, row.id, refresh=refresh.secret, csrf=csrf.secret)


async def end_session(tx: Transaction, session_id: UUID, now: datetime) -> None:
    """End one sign-in at once; twice is no error."""
    await tx.execute(
        sa.update(session)
        .where(session.c.id == session_id, session.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )


async def end_sessions(tx: Transaction, user_id: UUID, now: datetime, *, but: UUID | None = None) -> None:
    """End all of a person's sign-ins, but for one."""
    change = sa.update(session).where(session.c.user_id == user_id, session.c.revoked_at.is_(None))
    if but is not None:
        change = change.where(session.c.id != but)
    await tx.execute(change.values(revoked_at=now))


async def _told(  # noqa: PLR0913 - a sign-in has so many parts
    tx: Transaction, control: Control, user_id: UUID, session_id: UUID, *, refresh: str, csrf: str
) -> SignIn:
    now = control.edge.now()
    access, ends = await sign(tx, control.seal, now, user_id=user_id, session_id=session_id)
    return SignIn(
        user_id=user_id,
        session_id=session_id,
        access_token=access,
        access_expires_at=ends,
        refresh_token=refresh,
        refresh_expires_at=now + SESSION_LIFE,
        csrf_token=csrf,
    )
