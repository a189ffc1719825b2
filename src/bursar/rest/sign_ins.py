"""Sign-ins: a session row, a short access token and a refresh token that changes with every use.

A refresh token that comes back after it was exchanged was copied by somebody: the whole sign-in ends, and
with it whatever the thief got (RFC 9700, section 4.14.2). All refresh tokens of a sign-in begin alike, so
that any earlier one is known for what it is, however old.

Two tabs of one browser may refresh at the same moment. The token exchanged last is therefore answered with
"again" for RACE_S: nothing ends and no secret is given, so a thief wins nothing but that his use is noticed
so much later. The tab that lost finds the other's cookies when it asks again.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from bursar.core.addresses import network_of
from bursar.db.engine import Transaction
from bursar.db.tables import app_user, session
from bursar.rest.access_tokens import sign
from bursar.rest.control import Control
from bursar.rest.mails import NewDevice, ask_for_mail
from bursar.rest.problems import Conflict, Forbidden
from bursar.rest.secret_text import RANDOM_LENGTH, digest_of, issue

REFRESH_PREFIX: Final = "bursar_rt_"
CSRF_PREFIX: Final = "bursar_csrf_"
SESSION_LIFE: Final = timedelta(days=30)
"""From the last use: a sign-in that nobody refreshed for so long is over."""

USER_AGENT_LENGTH_MAX: Final = 300
RACE: Final = timedelta(seconds=10)
"""Tabs that wake together ask within it; see above."""

UNNAMED_DEVICE: Final = "?"
DEVICES_COMPARED_MAX: Final = 200
"""A new device is one that none of this many latest sign-ins came from."""


class RefreshRaced(Conflict):
    code = "refresh_raced"

    def __init__(self) -> None:
        super().__init__("This sign-in was refreshed a moment ago, by another tab perhaps: ask again.")
        self.headers = {"retry-after": "1"}


class RefreshForged(Forbidden):
    """A browser's refresh without what only our own pages know."""

    code = "csrf_refused"

    def __init__(self) -> None:
        super().__init__("A browser must send the value of the cookie bursar_csrf as x-csrf-token.")


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
    """Sign a person in; he is told by mail when it is from somewhere new.

    `tx` acts as accounts; `two_factor`: a second factor was shown.
    """
    now = control.edge.now()
    family, csrf = issue(REFRESH_PREFIX).secret, issue(CSRF_PREFIX)
    refresh = issue(family)
    session_id, user_agent = control.edge.new_id(), user_agent[:USER_AGENT_LENGTH_MAX]
    is_new = await _is_new_device(tx, user_id, user_agent, address)
    await tx.execute(
        sa.insert(session).values(
            id=session_id,
            user_id=user_id,
            family_hash=digest_of(family),
            refresh_hash=refresh.digest,
            csrf_hash=csrf.digest,
            user_agent=user_agent,
            address=address,
            created_at=now,
            used_at=now,
            expires_at=now + SESSION_LIFE,
            two_factor_at=now if two_factor else None,
        )
    )
    if is_new:
        await _tell_of_device(tx, control, user_id, session_id, user_agent=user_agent, address=address)
    return await _told(tx, control, user_id, session_id, refresh=refresh.secret, csrf=csrf.secret)


async def refresh_session(
    tx: Transaction, control: Control, refresh_token: str, *, csrf_token: str | None = None
) -> SignIn | None:
    """Exchange a refresh token for new secrets; None: it opens nothing.

    One that was exchanged before ends its sign-in. `tx` acts as accounts, and must commit even then.
    `csrf_token`: what the page sent back, when the token came in a cookie.

    Raises:
        RefreshRaced: it was exchanged within RACE; nothing was changed.
        RefreshForged: the page did not send what it should; nothing was changed.
    """
    now, digest = control.edge.now(), digest_of(refresh_token)
    family = refresh_token[:-RANDOM_LENGTH]
    question = sa.select(
        session.c.id,
        session.c.user_id,
        session.c.refresh_hash,
        session.c.previous_hash,
        session.c.rotated_at,
        session.c.csrf_hash,
    ).where(
        session.c.family_hash == digest_of(family), session.c.revoked_at.is_(None), session.c.expires_at > now
    )
    row = (await tx.execute(question.with_for_update())).one_or_none()
    if row is None:
        return None
    if bytes(row.refresh_hash) != digest:
        if row.previous_hash == digest and now - row.rotated_at < RACE:
            raise RefreshRaced
        await end_session(tx, row.id, now)
        return None
    if csrf_token is not None and bytes(row.csrf_hash) != digest_of(csrf_token):
        raise RefreshForged
    refresh, csrf = issue(family), issue(CSRF_PREFIX)
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


async def session_of_refresh_token(tx: Transaction, refresh_token: str) -> UUID | None:
    """The sign-in that a refresh token belongs to, whether it is the newest or not."""
    family = digest_of(refresh_token[:-RANDOM_LENGTH])
    question = sa.select(session.c.id).where(session.c.family_hash == family)
    return (await tx.execute(question)).scalar_one_or_none()


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


async def _is_new_device(tx: Transaction, user_id: UUID, user_agent: str, address: str) -> bool:
    """He signed in before, and never with this program from this network."""
    if not user_agent and not address:
        return False  # nothing to recognise it by
    before = (
        sa.select(session.c.user_agent, session.c.address)
        .where(session.c.user_id == user_id)
        .order_by(session.c.created_at.desc())
        .limit(DEVICES_COMPARED_MAX)
    )
    known = {(row.user_agent, network_of(row.address)) for row in await tx.execute(before)}
    return bool(known) and (user_agent, network_of(address)) not in known


async def _tell_of_device(  # noqa: PLR0913 - a sign-in has so many parts
    tx: Transaction, control: Control, user_id: UUID, session_id: UUID, *, user_agent: str, address: str
) -> None:
    now = control.edge.now()
    question = sa.select(app_user.c.email, app_user.c.name, app_user.c.locale).where(app_user.c.id == user_id)
    person = (await tx.execute(question)).one()
    values = NewDevice(
        at=now,
        device=_line(user_agent) or UNNAMED_DEVICE,
        link=f"{control.policy.public_url}/account/sessions",
        address=address or None,
        name=_line(person.name) or None,
    )
    await ask_for_mail(
        tx, values, to=person.email, locale=person.locale, intent=f"new_device:{session_id}", now=now
    )


def _line(text: str) -> str:
    """What a stranger's program says of itself, as a mail may carry it."""
    return "".join(char if char.isprintable() else " " for char in text).strip()
