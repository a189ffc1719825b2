"""HTTP of one's own account: profile, password, address, second factor, sign-ins."""

from uuid import UUID

from fastapi import APIRouter, Depends, Response

from bursar.features.accounts import factors, passwords, profile
from bursar.features.accounts.schemas import (
    Done,
    EmailChange,
    FactorConfirmed,
    FactorOn,
    MailOnItsWay,
    NewFactor,
    PasswordChange,
    Person,
    PersonChange,
    ProofAndCode,
    RecoveryCodes,
    Sessions,
    TermsAccepted,
)
from bursar.rest.callers import Calling, SignedIn
from bursar.rest.control import Means
from bursar.rest.cookies import set_cookies
from bursar.rest.problems import responses
from bursar.rest.proofs import Proof
from bursar.rest.transactions import AccountsTx, PersonRead
from bursar.rest.visits import Visiting

router = APIRouter(prefix="/me", tags=["me"], dependencies=[Depends(SignedIn())])


@router.get("")
async def get_me(read: PersonRead, control: Means, calling: Calling) -> Person:
    """Who is signed in, and what he is in which organisations."""
    return await profile.show(read, control, calling)


@router.patch("")
async def change_me(body: PersonChange, tx: AccountsTx, control: Means, calling: Calling) -> Person:
    """Change name, locale, time zone or which mails are wanted."""
    return await profile.change(tx, control, calling, body)


@router.post("/terms")
async def accept_terms(body: TermsAccepted, tx: AccountsTx, control: Means, calling: Calling) -> Person:
    """Accept the terms and the privacy notice in force."""
    return await profile.accept_terms(tx, control, calling, body)


@router.post("/password", responses=responses(429))
async def change_my_password(body: PasswordChange, control: Means, calling: Calling) -> Done:
    """Set another password. All other sign-ins end."""
    await passwords.change_password(control, calling, body)
    return Done()


@router.post("/email", status_code=202, responses=responses(429))
async def change_my_email(body: EmailChange, control: Means, calling: Calling) -> MailOnItsWay:
    """Ask for another address: a link goes there, and it changes when that is followed."""
    await passwords.want_email(control, calling, body)
    return MailOnItsWay()


@router.get("/sessions")
async def list_my_sessions(read: PersonRead, control: Means, calling: Calling) -> Sessions:
    """Where one is signed in."""
    return await profile.sessions(read, control, calling)


@router.post("/sessions/revoke-others")
async def revoke_my_other_sessions(tx: AccountsTx, control: Means, calling: Calling) -> Done:
    """Sign out everywhere else, at once."""
    await profile.revoke_other_sessions(tx, control, calling)
    return Done()


@router.post("/sessions/{session_id}/revoke", responses=responses(404))
async def revoke_my_session(session_id: UUID, tx: AccountsTx, control: Means, calling: Calling) -> Done:
    """End one sign-in at once."""
    await profile.revoke_session(tx, control, calling, session_id)
    return Done()


@router.post("/two-factor", status_code=201, responses=responses(409, 429))
async def begin_two_factor(body: Proof, control: Means, calling: Calling) -> NewFactor:
    """Begin to set up a second factor: what the authenticator needs, as text and as a QR code."""
    return await factors.begin(control, calling, body)


@router.post("/two-factor/confirm", responses=responses(409, 429))
async def confirm_two_factor(
    body: FactorConfirmed, control: Means, calling: Calling, visit: Visiting, response: Response
) -> FactorOn:
    """Put it in force by a code. Shows the recovery codes; every sign-in ends and a new one begins."""
    sign_in, answer = await factors.confirm(control, calling, body, visit)
    if body.tokens_in == "cookies":
        set_cookies(response, sign_in, control)
    return answer


@router.post("/two-factor/recovery-codes", responses=responses(409, 429))
async def renew_recovery_codes(body: ProofAndCode, control: Means, calling: Calling) -> RecoveryCodes:
    """New recovery codes; the old ones open nothing any more."""
    return await factors.renew_codes(control, calling, body)


@router.post("/two-factor/turn-off", responses=responses(409, 429))
async def turn_off_two_factor(body: ProofAndCode, control: Means, calling: Calling) -> Done:
    """Do without the second factor. Operators cannot."""
    await factors.turn_off(control, calling, body)
    return Done()
