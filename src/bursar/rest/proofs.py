"""Proving that it is really he: before anything that would let a thief of his sign-in keep the account."""

from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from bursar.db.tables import app_user, session
from bursar.rest.callers import Caller
from bursar.rest.control import Control
from bursar.rest.fields import Body, Password
from bursar.rest.problems import Forbidden
from bursar.rest.throttles import Try, throttle

PROOFS_PER_HOUR: Final = 60
PROOFS_AT_ONCE: Final = 10
FRESH_FOR: Final = timedelta(minutes=15)
"""Who has no password proves himself by having signed in within it."""


class Proof(Body):
    """That it is really he: his password. Who has none signs in again."""

    current_password: Password | None = None


class PasswordWrong(Forbidden):
    code = "password_wrong"

    def __init__(self) -> None:
        super().__init__("This is not your password.")


class SignInAgain(Forbidden):
    code = "sign_in_again"

    def __init__(self) -> None:
        super().__init__("Your sign-in is too old for this: sign in again.")


async def prove(control: Control, calling: Caller, proof: Proof) -> None:
    """Is it he, and not who sits before his open screen?

    Raises:
        PasswordWrong, SignInAgain, TooManyTries, PasswordsBusy
    """
    question = (
        sa.select(app_user.c.password_hash, session.c.created_at.label("began"))
        .outerjoin(session, sa.and_(session.c.user_id == app_user.c.id, session.c.id == calling.session_id))
        .where(app_user.c.id == calling.id)
    )
    async with control.database.read(accounts=True) as read:
        stored, began = (await read.execute(question)).one()
    if stored is None:
        if began is None or control.edge.now() - began > FRESH_FOR:
            raise SignInAgain
        return
    await throttle(control, [Try("proof", str(calling.id), PROOFS_PER_HOUR, PROOFS_AT_ONCE)])
    said = "" if proof.current_password is None else proof.current_password.get_secret_value()
    if not await control.passwords.verify(stored, said):
        raise PasswordWrong
