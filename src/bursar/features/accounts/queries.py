"""SQL of accounts. What concerns a person names him; row-level security holds besides."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa

from bursar.db.engine import ReadSession, Transaction
from bursar.db.tables import (
    app_user,
    membership,
    one_time_token,
    organisation,
    outbox,
    recovery_code,
    session,
    sign_up,
)

Purpose = Literal["reset_password", "change_email"]
SESSIONS_SHOWN_MAX = 200

_KNOWN = sa.select(
    app_user.c.id,
    app_user.c.email,
    app_user.c.name,
    app_user.c.status,
    app_user.c.locale,
    app_user.c.password_hash,
    app_user.c.operator_role,
    app_user.c.totp_sealed,
    app_user.c.totp_confirmed_at,
)
_ADDRESSEE = sa.select(app_user.c.id, app_user.c.email, app_user.c.name, app_user.c.status, app_user.c.locale)
_LISTED = sa.select(
    app_user.c.id,
    app_user.c.email,
    app_user.c.name,
    app_user.c.status,
    app_user.c.operator_role,
    app_user.c.totp_confirmed_at.is_not(None).label("two_factor"),
    app_user.c.created_at,
)
_WAITING = sa.select(
    sign_up.c.id,
    sign_up.c.email,
    sign_up.c.name,
    sign_up.c.locale,
    sign_up.c.expires_at,
    sign_up.c.used_at,
)


async def person_by_email(read: ReadSession | Transaction, email: str) -> sa.RowMapping | None:
    return (await read.execute(_KNOWN.where(app_user.c.email == email))).mappings().one_or_none()


async def person_by_id(read: ReadSession | Transaction, user_id: UUID) -> sa.RowMapping:
    return (await read.execute(_KNOWN.where(app_user.c.id == user_id))).mappings().one()


async def is_as_it_was(tx: Transaction, person: sa.RowMapping) -> bool:
    """What opens an account is what was looked at, and stays so until `tx` ends."""
    shown = ("password_hash", "status", "totp_confirmed_at")
    same = (app_user.c[name].is_not_distinct_from(person[name]) for name in shown)
    question = sa.select(app_user.c.id).where(app_user.c.id == person["id"], *same)
    locked = question.with_for_update(key_share=True)
    return (await tx.execute(locked)).one_or_none() is not None


async def addressee(read: ReadSession | Transaction, who: UUID | str) -> sa.RowMapping | None:
    """Whom a mail goes to, by id or address: nothing secret, so that the worker may ask."""
    named = app_user.c.email == who if isinstance(who, str) else app_user.c.id == who
    return (await read.execute(_ADDRESSEE.where(named))).mappings().one_or_none()


async def address_is_taken(read: ReadSession | Transaction, email: str) -> bool:
    question = sa.select(app_user.c.id).where(app_user.c.email == email)
    return (await read.execute(question)).one_or_none() is not None


async def profile(read: ReadSession | Transaction, user_id: UUID) -> sa.RowMapping:
    question = sa.select(
        app_user.c.id,
        app_user.c.email,
        app_user.c.name,
        app_user.c.locale,
        app_user.c.time_zone,
        app_user.c.notifications,
        app_user.c.operator_role,
        app_user.c.totp_confirmed_at,
        app_user.c.terms_version,
        app_user.c.privacy_version,
        app_user.c.accepted_at,
        app_user.c.created_at,
    ).where(app_user.c.id == user_id)
    return (await read.execute(question)).mappings().one()


async def memberships(read: ReadSession | Transaction, user_id: UUID) -> Sequence[sa.RowMapping]:
    """Of organisations that are not closed."""
    question = (
        sa.select(
            membership.c.organisation_id, organisation.c.name.label("organisation_name"), membership.c.role
        )
        .join(organisation, organisation.c.id == membership.c.organisation_id)
        .where(membership.c.user_id == user_id, organisation.c.status != "closed")
        .order_by(membership.c.created_at)
    )
    return (await read.execute(question)).mappings().all()


async def recovery_codes_left(read: ReadSession | Transaction, user_id: UUID) -> int:
    question = sa.select(sa.func.count()).where(
        recovery_code.c.user_id == user_id, recovery_code.c.used_at.is_(None)
    )
    return int((await read.execute(question)).scalar_one())


async def insert_person(tx: Transaction, row: Mapping[str, Any]) -> None:
    await tx.execute(sa.insert(app_user).values(**row))


async def listed_person(read: ReadSession | Transaction, user_id: UUID) -> sa.RowMapping:
    return (await read.execute(_LISTED.where(app_user.c.id == user_id))).mappings().one()


async def people_before(
    read: ReadSession, *, before: UUID | None, operators_only: bool, limit: int
) -> Sequence[sa.RowMapping]:
    """Newest first."""
    question = _LISTED.order_by(app_user.c.id.desc()).limit(limit)
    if before is not None:
        question = question.where(app_user.c.id < before)
    if operators_only:
        question = question.where(app_user.c.operator_role.is_not(None))
    return (await read.execute(question)).mappings().all()


async def change_person(tx: Transaction, user_id: UUID, changes: Mapping[str, Any]) -> None:
    await tx.execute(sa.update(app_user).where(app_user.c.id == user_id).values(**changes))


async def set_password(tx: Transaction, user_id: UUID, password_hash: str, now: datetime) -> None:
    """By a mailed link, which also proves the address."""
    verified = sa.func.coalesce(app_user.c.email_verified_at, now)
    await change_person(tx, user_id, {"password_hash": password_hash, "email_verified_at": verified})


async def begin_factor(tx: Transaction, user_id: UUID, sealed: bytes) -> bool:
    """False: there is one in force."""
    begun = (
        sa.update(app_user)
        .where(app_user.c.id == user_id, app_user.c.totp_confirmed_at.is_(None))
        .values(totp_sealed=sealed, totp_step=None)
        .returning(app_user.c.id)
    )
    return (await tx.execute(begun)).one_or_none() is not None


async def confirm_factor(tx: Transaction, user_id: UUID, step: int, now: datetime) -> bool:
    """False: somebody was quicker."""
    confirmed = (
        sa.update(app_user)
        .where(app_user.c.id == user_id, app_user.c.totp_confirmed_at.is_(None))
        .values(totp_confirmed_at=now, totp_step=step)
        .returning(app_user.c.id)
    )
    return (await tx.execute(confirmed)).one_or_none() is not None


async def open_sessions(
    read: ReadSession | Transaction, user_id: UUID, now: datetime
) -> Sequence[sa.RowMapping]:
    question = (
        sa.select(
            session.c.id,
            session.c.user_agent,
            session.c.address,
            session.c.created_at,
            session.c.used_at,
            session.c.expires_at,
            session.c.two_factor_at.is_not(None).label("two_factor"),
        )
        .where(session.c.user_id == user_id, session.c.revoked_at.is_(None), session.c.expires_at > now)
        .order_by(session.c.id.desc())
        .limit(SESSIONS_SHOWN_MAX)
    )
    return (await read.execute(question)).mappings().all()


async def session_began(read: ReadSession | Transaction, user_id: UUID, session_id: UUID) -> datetime | None:
    question = sa.select(session.c.created_at).where(session.c.user_id == user_id, session.c.id == session_id)
    began: datetime | None = (await read.execute(question)).scalar_one_or_none()
    return began


async def insert_sign_up(tx: Transaction, row: Mapping[str, Any]) -> None:
    await tx.execute(sa.insert(sign_up).values(**row))


async def sign_up_by_id(tx: Transaction, sign_up_id: UUID) -> sa.RowMapping | None:
    question = _WAITING.where(sign_up.c.id == sign_up_id)
    return (await tx.execute(question)).mappings().one_or_none()


async def waiting_sign_up(tx: Transaction, email: str, now: datetime) -> sa.RowMapping | None:
    """The newest that was not answered yet."""
    question = (
        _WAITING.where(_waits(now), sign_up.c.email == email).order_by(sign_up.c.created_at.desc()).limit(1)
    )
    return (await tx.execute(question)).mappings().one_or_none()


async def change_sign_up(tx: Transaction, sign_up_id: UUID, changes: Mapping[str, Any]) -> None:
    await tx.execute(sa.update(sign_up).where(sign_up.c.id == sign_up_id).values(**changes))


async def sign_up_linked(read: ReadSession, token_hash: bytes, now: datetime) -> sa.RowMapping | None:
    """Which one a link was mailed for; it is not used up by asking."""
    question = sa.select(sign_up).where(_waits(now), sign_up.c.token_hash == token_hash)
    return (await read.execute(question)).mappings().one_or_none()


async def other_sign_ups(
    read: ReadSession, known: sa.RowMapping, now: datetime, *, limit: int
) -> Sequence[sa.RowMapping]:
    """Of the same address, newest first."""
    question = (
        sa.select(sign_up)
        .where(_waits(now), sign_up.c.email == known["email"], sign_up.c.id != known["id"])
        .order_by(sign_up.c.created_at.desc())
        .limit(limit)
    )
    return (await read.execute(question)).mappings().all()


async def lock_sign_ups(tx: Transaction, email: str, now: datetime) -> Mapping[UUID, bytes | None]:
    """Those that wait → what their links hash to; both stay so until `tx` ends."""
    waiting = (
        sa.select(sign_up.c.id, sign_up.c.token_hash)
        .where(_waits(now), sign_up.c.email == email)
        .order_by(sign_up.c.id)
        .with_for_update()
    )
    return {row.id: row.token_hash for row in (await tx.execute(waiting)).all()}


async def void_sign_ups(tx: Transaction, sign_up_ids: Collection[UUID], now: datetime) -> None:
    """They open nothing any more, and their passwords are forgotten."""
    await tx.execute(
        sa.update(sign_up).where(sign_up.c.id.in_(sign_up_ids)).values(used_at=now, password_hash=None)
    )


def _waits(now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(sign_up.c.used_at.is_(None), sign_up.c.expires_at > now)


async def insert_token(tx: Transaction, row: Mapping[str, Any]) -> None:
    await tx.execute(sa.insert(one_time_token).values(**row))


async def put_link(tx: Transaction, token_id: UUID, token_hash: bytes, now: datetime) -> sa.RowMapping | None:
    """Give a row its link. None: it was voided or has expired before there was one."""
    linked = (
        sa.update(one_time_token)
        .where(
            one_time_token.c.id == token_id,
            one_time_token.c.used_at.is_(None),
            one_time_token.c.expires_at > now,
        )
        .values(token_hash=token_hash)
        .returning(one_time_token.c.user_id, one_time_token.c.email, one_time_token.c.expires_at)
    )
    return (await tx.execute(linked)).mappings().one_or_none()


async def pending_token(
    read: ReadSession, token_hash: bytes, purpose: Purpose, now: datetime
) -> sa.RowMapping | None:
    """Whose it is; it is not used up by asking."""
    question = (
        sa.select(app_user.c.id, app_user.c.email, app_user.c.name)
        .join(one_time_token, one_time_token.c.user_id == app_user.c.id)
        .where(_usable(token_hash, purpose, now), app_user.c.status == "active")
    )
    return (await read.execute(question)).mappings().one_or_none()


async def use_token(
    tx: Transaction, token_hash: bytes, purpose: Purpose, now: datetime
) -> sa.RowMapping | None:
    """Take a link, which of several at once only one can."""
    taken = (
        sa.update(one_time_token)
        .where(_usable(token_hash, purpose, now))
        .values(used_at=now)
        .returning(one_time_token.c.user_id, one_time_token.c.email)
    )
    return (await tx.execute(taken)).mappings().one_or_none()


async def void_tokens(tx: Transaction, user_id: UUID, now: datetime) -> None:
    """No link sent to this person before opens anything any more."""
    await tx.execute(
        sa.update(one_time_token)
        .where(one_time_token.c.user_id == user_id, one_time_token.c.used_at.is_(None))
        .values(used_at=now)
    )


async def forget_event(tx: Transaction, event_id: int) -> None:
    """Keep no address of a stranger in an event that was handled."""
    await tx.execute(sa.update(outbox).where(outbox.c.id == event_id).values(payload={}))


def _usable(token_hash: bytes, purpose: Purpose, now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(
        one_time_token.c.token_hash == token_hash,
        one_time_token.c.purpose == purpose,
        one_time_token.c.used_at.is_(None),
        one_time_token.c.expires_at > now,
    )


async def turn_notification_off(tx: Transaction, email: str, choice: str) -> bool:
    """In the profile of who has this address. False: nobody has."""
    changed = app_user.c.notifications.concat(sa.func.jsonb_build_object(choice, False))  # noqa: FBT003 - JSON's false
    done = await tx.execute(
        sa.update(app_user).where(app_user.c.email == email.lower()).values(notifications=changed)
    )
    return done.rowcount > 0
