"""Signing up: asked for by anybody, done by who answers the mail.

What a stranger asks for does the same work and gets the same answer whether there is such an account or not:
who looks is the worker, afterwards (`tasks`).
"""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

import sqlalchemy as sa
import structlog

from bursar.adapters.captcha import CaptchaUnavailable
from bursar.db.engine import Transaction
from bursar.db.outbox import publish
from bursar.features.accounts import queries
from bursar.features.accounts.password_rules import check_password
from bursar.features.accounts.schemas import CaptchaShown, NewAccount, SignUpOptions, StarterKey, Verified
from bursar.features.accounts.sign_ins import password_tries
from bursar.rest.account_opening import NewPerson, open_account, open_organisation
from bursar.rest.control import Control
from bursar.rest.mail_domains import SHARED_DOMAINS, check_domain, domain_of
from bursar.rest.problems import Forbidden, Invalid, NotFound, Refusal
from bursar.rest.secret_text import digest_of
from bursar.rest.throttles import Try, throttle
from bursar.rest.visits import Visit

log = structlog.get_logger(__name__)

SIGNED_UP: Final = "accounts.signed_up"
VERIFICATION_WANTED: Final = "accounts.verification_wanted"
LINK_LIFE: Final = timedelta(hours=24)
MAILS_PER_HOUR: Final = 6
MAILS_AT_ONCE: Final = 3
"""To one address, asked for by strangers."""

MAILS_PER_HOUR_PER_NETWORK: Final = 60
MAILS_AT_ONCE_PER_NETWORK: Final = 20
OTHERS_TRIED_MAX: Final = 5
"""Sign-ups of an address whose password is compared besides the link's own: each costs an argon2 hash. Whom
strangers crowd out of them has the link of his own sign-up, or signs up again."""


class SignUpClosed(Forbidden):
    code = "sign_up_closed"

    def __init__(self) -> None:
        super().__init__("Nobody can sign up here by himself: ask whoever runs this place.")


class TermsNotAccepted(Invalid):
    code = "terms_not_accepted"

    def __init__(self) -> None:
        super().__init__("Accept the terms and the privacy notice as they are now.")


class CaptchaRefused(Invalid):
    code = "captcha_refused"

    def __init__(self) -> None:
        super().__init__("The captcha was not solved: try again.")


class CaptchaSilent(Refusal):
    """The service that knows does not answer; nobody gets in on its account."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "captcha_unavailable"

    def __init__(self) -> None:
        super().__init__("Captchas cannot be checked at the moment; nothing was changed. Retry shortly.")
        self.headers = {"retry-after": "10"}


class LinkRefused(NotFound):
    code = "link_refused"

    def __init__(self) -> None:
        super().__init__("This link was used before, has expired or never was: ask for a new one.")


class SignUpPasswordWrong(Refusal):
    """The link is right: of which of its sign-ups the password is not is not told."""

    status = HTTPStatus.UNAUTHORIZED
    code = "sign_up_password_wrong"

    def __init__(self) -> None:
        super().__init__("This is not the password you signed up with. If you forgot it, sign up again.")


def options(control: Control) -> SignUpOptions:
    wanted = control.policy.sign_up
    return SignUpOptions(
        sign_up_open=wanted.is_open,
        terms_version=wanted.terms_version,
        privacy_version=wanted.privacy_version,
        captcha=None if control.captcha is None else CaptchaShown(site_key=wanted.captcha_site_key),
    )


async def sign_up(control: Control, asked: NewAccount, visit: Visit) -> None:
    """Note who wants an account, and have a mail sent to the address.

    Raises:
        SignUpClosed, TermsNotAccepted, EmailRefused, PasswordWeak, CaptchaRefused, CaptchaSilent,
        TooManyTries, PasswordsBusy
    """
    policy, email, password = control.policy.sign_up, asked.email.lower(), asked.password.get_secret_value()
    if not policy.is_open:
        raise SignUpClosed
    check_terms(control, asked.terms_version, asked.privacy_version)
    check_domain(email, policy.refused_domains)
    check_password(password, (email, asked.name or "", asked.organisation_name or ""))
    await throttle(control, _tries(control, email, visit))
    await check_captcha(control, asked.captcha, visit)
    password_hash = await control.passwords.hash(password)
    sign_up_id, now = control.edge.new_id(), control.edge.now()
    async with control.database.transaction(accounts=True, actor=visit.as_actor()) as tx:
        row = {
            **asked.model_dump(
                include={"organisation_name", "terms_version", "privacy_version", "time_zone"}
            ),
            "id": sign_up_id,
            "email": email,
            "password_hash": password_hash,
            "name": asked.name or "",
            "locale": asked.locale or visit.language,
            "address": visit.address,
            "created_at": now,
            "expires_at": now + LINK_LIFE,
        }
        await queries.insert_sign_up(tx, row)
        payload = {"sign_up_id": str(sign_up_id), "public_url": control.policy.public_url}
        await publish(tx, SIGNED_UP, payload, now=now)
    log.info("account.signed_up", sign_up_id=str(sign_up_id))


async def resend(control: Control, email: str, captcha: str, visit: Visit) -> None:
    """Have the mail sent again, with a new link. Raises `TooManyTries`, `CaptchaRefused`, `CaptchaSilent`."""
    await ask_worker(control, VERIFICATION_WANTED, email, captcha, visit)


async def ask_worker(control: Control, topic: str, email: str, captcha: str, visit: Visit) -> None:
    """Leave it to the worker whether there is such an account.

    Raises:
        TooManyTries, CaptchaRefused, CaptchaSilent
    """
    address, now = email.lower(), control.edge.now()
    tries = [
        Try("mail_to", address, MAILS_PER_HOUR, MAILS_AT_ONCE),
        Try("mail_from", visit.network, MAILS_PER_HOUR_PER_NETWORK, MAILS_AT_ONCE_PER_NETWORK),
    ]
    await throttle(control, tries)
    await check_captcha(control, captcha, visit)
    async with control.database.transaction(accounts=True, actor=visit.as_actor()) as tx:
        payload = {"email": address, "public_url": control.policy.public_url}
        await publish(tx, topic, payload, now=now)


async def verify(control: Control, token: str, password: str, visit: Visit) -> Verified:
    """Open the account: the mail was answered, by who knows the password of a sign-up of its address.

    Strangers may have signed up with the address, too, so the link alone does not say whose password opens.

    Raises:
        LinkRefused: used, expired, or none.
        SignUpPasswordWrong, TooManyTries, PasswordsBusy: the link can be used again.
        EmailTaken: somebody opened an account with this address since.
    """
    row = await _meant(control, digest_of(token), password, visit)
    async with control.database.transaction(accounts=True, actor=visit.as_actor()) as tx:
        await _take(tx, row, digest_of(token), control.edge.now())
        person = NewPerson(
            email=row["email"],
            name=row["name"],
            locale=row["locale"],
            time_zone=row["time_zone"],
            terms_version=row["terms_version"],
            privacy_version=row["privacy_version"],
            accepted_at=row["created_at"],
            password_hash=row["password_hash"],
        )
        user_id = await open_account(tx, control, person)
        await queries.change_sign_up(tx, row["id"], {"user_id": user_id})
        if row["organisation_name"] is None:
            return Verified(user_id=user_id, organisation_id=None, key=None)
        opened = await open_organisation(tx, control, user_id, person, name=row["organisation_name"])
    log.info("account.opened", user_id=str(user_id), organisation_id=str(opened.organisation_id))
    key = StarterKey(id=opened.key_id, secret=opened.secret)
    return Verified(user_id=user_id, organisation_id=opened.organisation_id, key=key)


async def _meant(control: Control, digest: bytes, password: str, visit: Visit) -> sa.RowMapping:
    """Which waiting sign-up the password is of: the link's own, or another of its address.

    Raises:
        LinkRefused, SignUpPasswordWrong, TooManyTries, PasswordsBusy
    """
    now = control.edge.now()
    async with control.database.read(accounts=True) as read:
        linked = await queries.sign_up_linked(read, digest, now)
        if linked is None:
            raise LinkRefused
        others = await queries.other_sign_ups(read, linked, now, limit=OTHERS_TRIED_MAX)
    await throttle(control, password_tries("sign_up_proof", linked["email"], visit))
    for row in (linked, *others):
        if await control.passwords.verify(row["password_hash"], password):
            return row
    log.info("sign_up.password_wrong", network=visit.network)
    raise SignUpPasswordWrong


async def _take(tx: Transaction, meant: sa.RowMapping, digest: bytes, now: datetime) -> None:
    """Use the link up, with every sign-up of its address. Raises `LinkRefused`: somebody was quicker."""
    waiting = await queries.lock_sign_ups(tx, meant["email"], now)
    if meant["id"] not in waiting or digest not in waiting.values():
        raise LinkRefused
    await queries.void_sign_ups(tx, waiting.keys(), now)


def check_terms(control: Control, terms_version: str, privacy_version: str) -> None:
    """Raises `TermsNotAccepted`: others than those in force."""
    wanted = control.policy.sign_up
    if (terms_version, privacy_version) != (wanted.terms_version, wanted.privacy_version):
        raise TermsNotAccepted


async def check_captcha(control: Control, response: str, visit: Visit) -> None:
    """Raises `CaptchaRefused`, `CaptchaSilent`; neither when no captcha is set up."""
    if control.captcha is None:
        return  # off by default
    try:
        passed = await control.captcha.passed(response, visit.address)
    except CaptchaUnavailable as error:
        log.warning("captcha.unavailable", error=str(error))
        raise CaptchaSilent from error
    if not passed:
        raise CaptchaRefused


def _tries(control: Control, email: str, visit: Visit) -> list[Try]:
    policy, domain = control.policy.sign_up, domain_of(email)
    tries = [
        Try("sign_up_network", visit.network, policy.per_hour_per_network, policy.per_hour_per_network),
        Try("mail_to", email, MAILS_PER_HOUR, MAILS_AT_ONCE),
    ]
    if domain not in SHARED_DOMAINS:
        per_hour = policy.per_hour_per_domain
        tries.append(Try("sign_up_domain", domain, per_hour, per_hour))
    return tries
