"""Signing in by password, going on, signing out.

An address nobody has, one without a password, and a wrong password cost the same work and get the same
answer. A sign-in is always a new session with new secrets: what a browser or program brought along is not
looked at, so nobody can be led into a session that somebody else knows.
"""

from http import HTTPStatus
from typing import Final
from uuid import UUID

import structlog

from bursar.db.engine import Transaction
from bursar.features.accounts import queries
from bursar.features.accounts.schemas import Credentials, TokensIn
from bursar.features.accounts.schemas import SignedIn as SignedInShown
from bursar.rest.captured_domains import check_password_opens
from bursar.rest.control import Control
from bursar.rest.problems import Refusal
from bursar.rest.second_factors import take_code, throttle_codes
from bursar.rest.sign_ins import (
    SignIn,
    end_session,
    open_session,
    refresh_session,
    session_of_refresh_token,
)
from bursar.rest.throttles import Try, throttle
from bursar.rest.visits import Visit

log = structlog.get_logger(__name__)

PER_HOUR: Final = 60
AT_ONCE: Final = 10
"""At one account, from one network."""

PER_HOUR_PER_EMAIL: Final = 300
AT_ONCE_PER_EMAIL: Final = 100
"""At one account from everywhere: looser, so that it is not easy to keep its owner out. A password that is
taken stands 10^8 guesses: 38 years of these."""

PER_HOUR_PER_NETWORK: Final = 600
AT_ONCE_PER_NETWORK: Final = 100
"""A company behind one address signs in on Monday morning; a guesser does not get far."""


class SignInRefused(Refusal):
    """Which of the two is wrong is not told, nor whether there is such an account."""

    status = HTTPStatus.UNAUTHORIZED
    code = "sign_in_refused"

    def __init__(self) -> None:
        super().__init__("The e-mail address or the password is wrong.")


class SecondFactorNeeded(Refusal):
    """The password was right."""

    status = HTTPStatus.UNAUTHORIZED
    code = "second_factor_needed"

    def __init__(self) -> None:
        super().__init__("Send the code of your authenticator, or a recovery code, with the password.")


class RefreshRefused(Refusal):
    """Unknown, expired, revoked, or used before; in the last case the sign-in has ended."""

    status = HTTPStatus.UNAUTHORIZED
    code = "refresh_refused"

    def __init__(self) -> None:
        super().__init__("This refresh token opens nothing: sign in.")


async def log_in(control: Control, asked: Credentials, visit: Visit) -> SignIn:
    """Sign somebody in by his password.

    Raises:
        SignInRefused, SecondFactorNeeded, SecondFactorRefused, TooManyTries, PasswordsBusy
        SingleSignOnRequired: all of it was right, and his organisation wants him to sign in there.
    """
    email, password = asked.email.lower(), asked.password.get_secret_value()
    await throttle(control, password_tries("log_in", email, visit))
    async with control.database.read(accounts=True) as read:
        person = await queries.person_by_email(read, email)
    stored = None if person is None else person["password_hash"]
    is_right = await control.passwords.verify(stored, password)
    if person is None or not is_right or person["status"] != "active":
        log.info("sign_in.refused", network=visit.network)
        raise SignInRefused
    has_factor = person["totp_confirmed_at"] is not None
    if has_factor and asked.code is None:
        raise SecondFactorNeeded
    if has_factor:
        await throttle_codes(control, person["id"])
    is_old = control.passwords.wants_rehash(person["password_hash"])
    better = await control.passwords.hash(password) if is_old else None
    async with control.database.transaction(accounts=True, actor=visit.as_actor(person)) as tx:
        if await queries.is_as_it_was(tx, person):
            if asked.code is not None and has_factor:
                await take_code(tx, control, person["id"], asked.code)
            if better is not None:
                await queries.change_person(tx, person["id"], {"password_hash": better})
            await check_password_opens(tx, person["id"])
            return await _open(tx, control, person["id"], visit, two_factor=has_factor)
    return await log_in(control, asked, visit)  # his password or factor became another meanwhile


async def refresh(control: Control, token: str, csrf_token: str | None, visit: Visit) -> SignIn:
    """Exchange a refresh token. `csrf_token`: what a page sent with it; None: it came in a body.

    Raises:
        RefreshRefused, RefreshRaced, RefreshForged
    """
    async with control.database.transaction(accounts=True, actor=visit.as_actor()) as tx:
        renewed = await refresh_session(tx, control, token, csrf_token=csrf_token)
    if renewed is None:  # only now: the end of a sign-in whose token was copied is committed
        raise RefreshRefused
    return renewed


async def log_out(control: Control, token: str, visit: Visit) -> None:
    """End the sign-in that a refresh token belongs to. Raises `RefreshRefused`: there is none."""
    async with control.database.transaction(accounts=True, actor=visit.as_actor()) as tx:
        session_id = await session_of_refresh_token(tx, token)
        if session_id is None:
            raise RefreshRefused
        await end_session(tx, session_id, control.edge.now())


def shown(sign_in: SignIn, tokens_in: TokensIn) -> SignedInShown:
    """The answer; with cookies it holds no token."""
    in_body = tokens_in == "body"
    return SignedInShown(
        user_id=sign_in.user_id,
        session_id=sign_in.session_id,
        access_token=sign_in.access_token if in_body else None,
        access_expires_at=sign_in.access_expires_at,
        refresh_token=sign_in.refresh_token if in_body else None,
        refresh_expires_at=sign_in.refresh_expires_at,
        csrf_token=sign_in.csrf_token,
    )


def password_tries(what: str, email: str, visit: Visit) -> list[Try]:
    return [
        Try(what, f"{email} {visit.network}", PER_HOUR, AT_ONCE),
        Try(f"{what}_email", email, PER_HOUR_PER_EMAIL, AT_ONCE_PER_EMAIL),
        Try(f"{what}_network", visit.network, PER_HOUR_PER_NETWORK, AT_ONCE_PER_NETWORK),
    ]


async def _open(
    tx: Transaction, control: Control, user_id: UUID, visit: Visit, *, two_factor: bool
) -> SignIn:
    return await open_session(
        tx, control, user_id, user_agent=visit.user_agent, address=visit.address, two_factor=two_factor
    )
