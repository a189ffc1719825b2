"""Forgotten and changed passwords, changed mail addresses."""

from datetime import timedelta
from typing import Final

import structlog

from bursar.db.outbox import publish
from bursar.features.accounts import queries
from bursar.features.accounts.notices import tell_email_changed, tell_password_changed
from bursar.features.accounts.password_rules import check_password
from bursar.features.accounts.schemas import EmailChange, PasswordChange
from bursar.features.accounts.sign_ups import MAILS_AT_ONCE, MAILS_PER_HOUR, LinkRefused
from bursar.rest.account_opening import EmailTaken
from bursar.rest.callers import Caller
from bursar.rest.captured_domains import check_may_move
from bursar.rest.control import Control
from bursar.rest.mail_domains import check_domain
from bursar.rest.proofs import prove
from bursar.rest.secret_text import digest_of, issue
from bursar.rest.sign_ins import end_sessions
from bursar.rest.throttles import Try, throttle
from bursar.rest.visits import Visit

log = structlog.get_logger(__name__)

RESET_WANTED: Final = "accounts.reset_wanted"
EMAIL_CHANGE_WANTED: Final = "accounts.email_change_wanted"
LINK_PREFIX: Final = "bursar_link_"
EMAIL_LIFE: Final = timedelta(hours=24)


async def reset(control: Control, token: str, password: str, visit: Visit) -> None:
    """Set the password by a mailed link; every sign-in and every other link of this person ends.

    Raises:
        LinkRefused, PasswordWeak, PasswordsBusy
    """
    digest, now = digest_of(token), control.edge.now()
    async with control.database.read(accounts=True) as read:
        person = await queries.pending_token(read, digest, "reset_password", now)
    if person is None:
        raise LinkRefused
    check_password(password, (person["email"], person["name"]))
    hashed = await control.passwords.hash(password)
    async with control.database.transaction(accounts=True, actor=visit.as_actor()) as tx:
        if await queries.use_token(tx, digest, "reset_password", now) is None:
            raise LinkRefused  # somebody was quicker with it
        await queries.set_password(tx, person["id"], hashed, now)
        await queries.void_tokens(tx, person["id"], now)
        await end_sessions(tx, person["id"], now)
        await tell_password_changed(tx, control, person["id"])
    log.info("password.reset", user_id=str(person["id"]))


async def change_password(control: Control, calling: Caller, asked: PasswordChange) -> None:
    """Set another password; every other sign-in and every link ends.

    Raises:
        PasswordWeak, PasswordWrong, SignInAgain, TooManyTries, PasswordsBusy
    """
    password, now = asked.password.get_secret_value(), control.edge.now()
    check_password(password, (calling.email or "", calling.name))
    await prove(control, calling, asked)
    hashed = await control.passwords.hash(password)
    async with control.database.transaction(accounts=True, actor=calling.as_actor()) as tx:
        await queries.change_person(tx, calling.id, {"password_hash": hashed})
        await queries.void_tokens(tx, calling.id, now)
        await end_sessions(tx, calling.id, now, but=calling.session_id)
        await tell_password_changed(tx, control, calling.id)
    log.info("password.changed", user_id=str(calling.id))


async def want_email(control: Control, calling: Caller, asked: EmailChange) -> None:
    """Have a link sent to the new address; nothing changes before it is followed.

    The link's row is there at once, so that a new password voids it also before it is mailed.

    Raises:
        EmailRefused, PasswordWrong, SignInAgain, TooManyTries, PasswordsBusy
        SingleSignOnRequired: his organisation wants him to sign in there, and so would he get around it.
    """
    email, now = asked.email.lower(), control.edge.now()
    check_domain(email, control.policy.sign_up.refused_domains)
    await prove(control, calling, asked)
    await throttle(control, [Try("mail_to", email, MAILS_PER_HOUR, MAILS_AT_ONCE)])
    async with control.database.transaction(accounts=True, actor=calling.as_actor()) as tx:
        await check_may_move(tx, calling.id, email)
        token_id = control.edge.new_id()
        await queries.insert_token(
            tx,
            {
                "id": token_id,
                "user_id": calling.id,
                "purpose": "change_email",
                "token_hash": issue(LINK_PREFIX).digest,  # nobody's: the worker makes the link that it mails
                "email": email,
                "created_at": now,
                "expires_at": now + EMAIL_LIFE,
            },
        )
        payload = {"token_id": str(token_id), "public_url": control.policy.public_url}
        await publish(tx, EMAIL_CHANGE_WANTED, payload, now=now)


async def confirm_email(control: Control, token: str, visit: Visit) -> None:
    """Change the address: the mail to the new one was answered.

    Raises:
        LinkRefused: used, expired, or none.
        EmailTaken: somebody opened an account with this address since.
        SingleSignOnRequired: see `want_email`.
    """
    now = control.edge.now()
    async with control.database.transaction(accounts=True, actor=visit.as_actor()) as tx:
        taken = await queries.use_token(tx, digest_of(token), "change_email", now)
        if taken is None:
            raise LinkRefused
        await check_may_move(tx, taken["user_id"], taken["email"])
        if await queries.address_is_taken(tx, taken["email"]):
            raise EmailTaken
        await tell_email_changed(tx, control, taken["user_id"], taken["email"])
        changes = {"email": taken["email"], "email_verified_at": now}
        await queries.change_person(tx, taken["user_id"], changes)
        await queries.void_tokens(tx, taken["user_id"], now)
    log.info("email.changed", user_id=str(taken["user_id"]))
