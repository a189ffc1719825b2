"""The second factor: time-based codes of an authenticator (RFC 6238), and recovery codes for when it is lost.

A code is taken once: the step it belongs to is kept, and no code of it or an earlier step is taken again.
"""

import secrets
from datetime import datetime
from http import HTTPStatus
from typing import Final
from uuid import UUID

import pyotp
import sqlalchemy as sa

from bursar.db.engine import Transaction
from bursar.db.tables import app_user, recovery_code
from bursar.rest.control import Control
from bursar.rest.problems import Refusal
from bursar.rest.secret_text import digest_of
from bursar.rest.throttles import Try, throttle

STEP_S: Final = 30
STEPS_EARLY: Final = 1
STEPS_LATE: Final = 1
"""Clocks differ, and typing takes time: one step either way (RFC 6238, section 5.2)."""

RECOVERY_CODES: Final = 10
RECOVERY_ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
RECOVERY_LENGTH: Final = 16
"""16 of 32 letters: 80 bits, without those that look alike."""

CODES_GOOD: Final = STEPS_EARLY + 1 + STEPS_LATE
CODES: Final = 1_000_000
TRIES_PER_HOUR: Final = 12
TRIES_AT_ONCE: Final = 10
"""A guesser who has the password needs two years at this rate, more often than not."""


class SecondFactorRefused(Refusal):
    status = HTTPStatus.UNAUTHORIZED
    code = "second_factor_refused"

    def __init__(self) -> None:
        super().__init__("This code is wrong, too old or was used before.")


async def throttle_codes(control: Control, user_id: UUID) -> None:
    """Before each code that is looked at. Raises `TooManyTries`."""
    await throttle(control, [Try("second_factor", str(user_id), TRIES_PER_HOUR, TRIES_AT_ONCE)])


async def take_code(tx: Transaction, control: Control, user_id: UUID, code: str) -> None:
    """Use up a code of the authenticator, or a recovery code. `tx` acts as accounts.

    Raises:
        SecondFactorRefused: it is neither; nothing was changed.
    """
    cleaned = "".join(code.split()).replace("-", "").upper()
    if cleaned.isascii() and cleaned.isdigit():
        taken = await _take_totp(tx, control, user_id, cleaned)
    else:
        taken = await _take_recovery(tx, user_id, cleaned, control.edge.now())
    if not taken:
        raise SecondFactorRefused


def step_of(secret: str, code: str, now: datetime) -> int | None:
    """The step that a code belongs to, among those taken now."""
    totp, current = pyotp.TOTP(secret), int(now.timestamp()) // STEP_S
    for step in range(current - STEPS_LATE, current + STEPS_EARLY + 1):
        if secrets.compare_digest(totp.generate_otp(step), code):
            return step
    return None


async def _take_totp(tx: Transaction, control: Control, user_id: UUID, code: str) -> bool:
    question = sa.select(app_user.c.totp_sealed).where(
        app_user.c.id == user_id, app_user.c.totp_confirmed_at.is_not(None)
    )
    sealed = (await tx.execute(question)).scalar_one_or_none()
    if sealed is None:
        return False
    step = step_of(control.seal.open(bytes(sealed)).decode(), code, control.edge.now())
    if step is None:
        return False
    taken = (
        sa.update(app_user)
        .where(app_user.c.id == user_id, sa.func.coalesce(app_user.c.totp_step, 0) < step)
        .values(totp_step=step)
        .returning(app_user.c.id)
    )
    return (await tx.execute(taken)).one_or_none() is not None


async def _take_recovery(tx: Transaction, user_id: UUID, code: str, now: datetime) -> bool:
    taken = (
        sa.update(recovery_code)
        .where(
            recovery_code.c.user_id == user_id,
            recovery_code.c.code_hash == digest_of(code),
            recovery_code.c.used_at.is_(None),
        )
        .values(used_at=now)
        .returning(recovery_code.c.user_id)
    )
    return (await tx.execute(taken)).one_or_none() is not None


async def renew_recovery_codes(tx: Transaction, user_id: UUID, now: datetime) -> list[str]:
    """Ten new codes for the old ones; only their hashes are kept."""
    codes = [
        "".join(secrets.choice(RECOVERY_ALPHABET) for _ in range(RECOVERY_LENGTH))
        for _ in range(RECOVERY_CODES)
    ]
    await tx.execute(sa.delete(recovery_code).where(recovery_code.c.user_id == user_id))
    await tx.execute(
        sa.insert(recovery_code),
        [{"user_id": user_id, "code_hash": digest_of(code), "created_at": now} for code in codes],
    )
    return ["-".join(code[i : i + 4] for i in range(0, RECOVERY_LENGTH, 4)) for code in codes]


async def forget_second_factor(tx: Transaction, user_id: UUID) -> None:
    """As if none had been set up."""
    await tx.execute(
        sa.update(app_user)
        .where(app_user.c.id == user_id)
        .values(totp_sealed=None, totp_confirmed_at=None, totp_step=None)
    )
    await tx.execute(sa.delete(recovery_code).where(recovery_code.c.user_id == user_id))
