"""A sign-in elsewhere, from the browser's leaving to its return."""

import hmac
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog

from bursar.adapters.identity import Identities, IdentityRefused, IdentityUnavailable, Proven
from bursar.db.engine import Transaction
from bursar.features.sign_in import queries
from bursar.features.sign_in.arriving import Arrival, arrive
from bursar.features.sign_in.attempts import Acceptance, AttemptInvalid, Begun, Waiting, expiry, fresh
from bursar.features.sign_in.linking import verified_email
from bursar.features.sign_in.returning import own_path
from bursar.features.sign_in.schemas import Discovered
from bursar.features.sign_in.sources import (
    START_OF_CONNECTION,
    Chosen,
    IdentitySourceAway,
    SignInSourceNotFound,
)
from bursar.rest.callers import Caller
from bursar.rest.captured_domains import capturing
from bursar.rest.control import Control
from bursar.rest.mail_domains import domain_of
from bursar.rest.problems import Forbidden
from bursar.rest.second_factors import take_code, throttle_codes
from bursar.rest.sign_ins import SignIn, open_session
from bursar.rest.throttles import Try, throttle
from bursar.rest.visits import Visit

log = structlog.get_logger(__name__)

CODE_LENGTH_MAX: Final = 4_000
TRIES_PER_HOUR: Final = 600
TRIES_AT_ONCE: Final = 100
"""Of a network: a company behind one address signs in on Monday morning."""

CHECKS_PER_HOUR: Final = 120
CHECKS_AT_ONCE: Final = 40
"""Of one person: of issuers and name servers that he names."""


class IdentityNotProven(Forbidden):
    """Denied there, a code that is none, a token that is not for us; logs tell which."""

    code = "identity_not_proven"

    def __init__(self) -> None:
        super().__init__("The sign-in was not completed where you signed in: begin again.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the browser that leaves asks for. `accepted`: the terms, by who signs up."""

    return_to: str | None = None
    login_hint: str = ""
    accepted: Acceptance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """Where the browser goes, and what it keeps."""

    url: str
    begun: Begun


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """What came of it: a sign-in, or a second factor to be shown; neither when an identity was linked."""

    return_to: str
    sign_in: SignIn | None = None
    waiting: Waiting | None = None
    starter_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the source sent along with the browser."""

    state: str = ""
    code: str = ""
    error: str = ""
    issuer: str = ""


async def throttle_checks(control: Control, calling: Caller) -> None:
    """Before the outside is asked because somebody sets single sign-on up. Raises `TooManyTries`."""
    await throttle(control, [Try("sso_check", str(calling.id), CHECKS_PER_HOUR, CHECKS_AT_ONCE)])


async def discover(control: Control, email: str, visit: Visit) -> Discovered:
    """How somebody with this address signs in; whether there is such an account is not told.

    Raises:
        TooManyTries
    """
    await _throttle(control, visit)
    async with control.database.read(accounts=True) as read:
        connection_id = (await capturing(read, [email])).get(domain_of(email))
    if connection_id is None:
        return Discovered(method="any")
    return Discovered(method="single_sign_on", start=START_OF_CONNECTION.format(connection_id))


async def leave(
    control: Control, chosen: Chosen, visit: Visit, wish: Wish, *, linking: Caller | None = None
) -> Leaving:
    """Send a browser to a source. `linking`: who is signed in and links, rather than signs in.

    Raises:
        ReturnPathInvalid, IdentitySourceAway, SignInSourceNotFound, TooManyTries
    """
    await _throttle(control, visit)
    begun = Begun(
        expires_at=expiry(control.edge.now()),
        source=chosen.source.key,
        state=fresh(),
        nonce=fresh(),
        verifier=fresh(),
        redirect_uri=chosen.redirect_uri,
        return_to=own_path(wish.return_to),
        language=visit.language,
        linking=None if linking is None else linking.user_id,
        session_id=None if linking is None else linking.session_id,
        accepted=wish.accepted,
    )
    try:
        url = await _identities(control).begin(
            chosen.source, begun.as_attempt(wish.login_hint), control.edge.now()
        )
    except IdentityUnavailable as error:
        log.warning("sign_in.source_away", source=chosen.source.key, error=str(error))
        raise IdentitySourceAway from error
    return Leaving(url=url, begun=begun)


async def come_back(control: Control, chosen: Chosen, begun: Begun, answer: Answer, visit: Visit) -> Returned:
    """Finish an attempt: link, or sign in.

    Raises:
        AttemptInvalid: what came back is not what left.
        IdentityNotProven, IdentitySourceAway, TooManyTries
        What `arriving.arrive` raises.
    """
    await _throttle(control, visit)
    _check_same(chosen, begun, answer)
    proven = await _proven(control, chosen, begun, answer)
    email = verified_email(proven, chosen.domains)
    arrival = Arrival(chosen=chosen, proven=proven, email=email, begun=begun, visit=visit)
    async with control.database.transaction(accounts=True, actor=visit.as_actor()) as tx:
        arrived = await arrive(tx, control, arrival)
        signed_in, waiting = None, None
        if begun.linking is None and arrived.account.has_second_factor:
            waiting = Waiting(expires_at=expiry(control.edge.now()), user_id=arrived.account.id)
        elif begun.linking is None:
            signed_in = await _open(tx, control, arrived.account.id, visit, two_factor=False)
    log.info("sign_in.came_back", source=chosen.source.key, user_id=str(arrived.account.id))
    return Returned(
        return_to=begun.return_to, sign_in=signed_in, waiting=waiting, starter_key=arrived.starter_key
    )


async def show_second_factor(control: Control, waiting: Waiting, code: str, visit: Visit) -> SignIn:
    """Complete a sign-in that a source began.

    Raises:
        AttemptInvalid: the account is disabled since.
        SecondFactorRefused, TooManyTries
    """
    await throttle_codes(control, waiting.user_id)
    async with control.database.transaction(accounts=True, actor=visit.as_actor()) as tx:
        account = await queries.account_by_id(tx, waiting.user_id)
        if account is None or account["status"] != "active":
            raise AttemptInvalid
        await take_code(tx, control, waiting.user_id, code)
        return await _open(tx, control, waiting.user_id, visit, two_factor=True)


def _check_same(chosen: Chosen, begun: Begun, answer: Answer) -> None:
    """The answer is of this attempt, at this source (RFC 9207: which issuer sent it).

    Raises:
        AttemptInvalid, IdentityNotProven
    """
    is_same = hmac.compare_digest(begun.state.encode(), answer.state.encode())
    if not is_same or begun.source != chosen.source.key or begun.redirect_uri != chosen.redirect_uri:
        raise AttemptInvalid
    if answer.issuer and chosen.source.issuer and answer.issuer != chosen.source.issuer:
        log.warning("sign_in.mixed_up", source=chosen.source.key)
        raise AttemptInvalid
    if answer.error or not answer.code or len(answer.code) > CODE_LENGTH_MAX:
        log.info("sign_in.not_granted", source=chosen.source.key)
        raise IdentityNotProven


async def _proven(control: Control, chosen: Chosen, begun: Begun, answer: Answer) -> Proven:
    """Raises `IdentityNotProven`, `IdentitySourceAway`."""
    try:
        return await _identities(control).finish(
            chosen.source, begun.as_attempt(), answer.code, control.edge.now()
        )
    except IdentityRefused as error:
        log.warning("sign_in.not_proven", source=chosen.source.key, error=str(error))
        raise IdentityNotProven from error
    except IdentityUnavailable as error:
        log.warning("sign_in.source_away", source=chosen.source.key, error=str(error))
        raise IdentitySourceAway from error


def _identities(control: Control) -> Identities:
    if control.identities is None:
        raise SignInSourceNotFound
    return control.identities


async def _throttle(control: Control, visit: Visit) -> None:
    await throttle(control, [Try("sign_in_elsewhere", visit.network, TRIES_PER_HOUR, TRIES_AT_ONCE)])


async def _open(
    tx: Transaction, control: Control, user_id: UUID, visit: Visit, *, two_factor: bool
) -> SignIn:
    return await open_session(
        tx, control, user_id, user_agent=visit.user_agent, address=visit.address, two_factor=two_factor
    )
