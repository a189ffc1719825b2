"""Setting up the second factor, and doing without it again."""

from io import BytesIO
from typing import Final

import pyotp
import segno
import structlog

from bursar.features.accounts import queries
from bursar.features.accounts.schemas import (
    FactorConfirmed,
    FactorOn,
    NewFactor,
    ProofAndCode,
    RecoveryCodes,
)
from bursar.features.accounts.sign_ins import shown
from bursar.rest.callers import Caller
from bursar.rest.control import Control
from bursar.rest.problems import Conflict
from bursar.rest.proofs import Proof, prove
from bursar.rest.second_factors import (
    SecondFactorRefused,
    forget_second_factor,
    renew_recovery_codes,
    step_of,
    take_code,
    throttle_codes,
)
from bursar.rest.sign_ins import SignIn, end_sessions, open_session
from bursar.rest.visits import Visit

log = structlog.get_logger(__name__)

ISSUER: Final = "Bursar"
SECRET_LENGTH: Final = 32
"""Base32: 160 bits, as RFC 4226 (section 4) recommends."""

QR_SCALE: Final = 4


class TwoFactorOn(Conflict):
    code = "two_factor_on"

    def __init__(self) -> None:
        super().__init__("Your second factor is set up already: turn it off first.")


class TwoFactorOff(Conflict):
    code = "two_factor_off"

    def __init__(self) -> None:
        super().__init__("You have no second factor: set one up first.")


class TwoFactorKept(Conflict):
    code = "two_factor_kept"

    def __init__(self) -> None:
        super().__init__("Operators cannot do without a second factor.")


async def begin(control: Control, calling: Caller, proof: Proof) -> NewFactor:
    """Make a secret for the authenticator; an earlier one that was not confirmed is forgotten.

    Raises:
        TwoFactorOn, PasswordWrong, SignInAgain, TooManyTries, PasswordsBusy
    """
    await prove(control, calling, proof)
    secret = pyotp.random_base32(SECRET_LENGTH)
    async with control.database.transaction(accounts=True, actor=calling.as_actor()) as tx:
        if not await queries.begin_factor(tx, calling.id, control.seal.seal(secret.encode())):
            raise TwoFactorOn
    uri = pyotp.TOTP(secret).provisioning_uri(name=calling.email, issuer_name=ISSUER)
    return NewFactor(secret=secret, uri=uri, qr_svg=_qr(uri))


async def confirm(
    control: Control, calling: Caller, asked: FactorConfirmed, visit: Visit
) -> tuple[SignIn, FactorOn]:
    """Put the second factor in force: a code shows that the authenticator has the secret.

    Whoever held this sign-in before shall not hold one with two factors: it and all others end, a new begins.

    Raises:
        TwoFactorOff: nothing was begun. TwoFactorOn, SecondFactorRefused, TooManyTries
    """
    await throttle_codes(control, calling.id)
    now = control.edge.now()
    async with control.database.transaction(accounts=True, actor=calling.as_actor()) as tx:
        person = await queries.person_by_id(tx, calling.id)
        if person["totp_confirmed_at"] is not None:
            raise TwoFactorOn
        if person["totp_sealed"] is None:
            raise TwoFactorOff
        step = step_of(control.seal.open(bytes(person["totp_sealed"])).decode(), asked.code, now)
        if step is None:
            raise SecondFactorRefused
        if not await queries.confirm_factor(tx, calling.id, step, now):
            raise TwoFactorOn
        codes = await renew_recovery_codes(tx, calling.id, now)
        await end_sessions(tx, calling.id, now)
        sign_in = await open_session(
            tx, control, calling.id, user_agent=visit.user_agent, address=visit.address, two_factor=True
        )
    log.info("two_factor.on", user_id=str(calling.id))
    return sign_in, FactorOn(recovery_codes=codes, sign_in=shown(sign_in, asked.tokens_in))


async def renew_codes(control: Control, calling: Caller, asked: ProofAndCode) -> RecoveryCodes:
    """New recovery codes for the old ones.

    Raises:
        TwoFactorOff, SecondFactorRefused, PasswordWrong, SignInAgain, TooManyTries, PasswordsBusy
    """
    await _prove_both(control, calling, asked)
    async with control.database.transaction(accounts=True, actor=calling.as_actor()) as tx:
        await take_code(tx, control, calling.id, asked.code)
        return RecoveryCodes(recovery_codes=await renew_recovery_codes(tx, calling.id, control.edge.now()))


async def turn_off(control: Control, calling: Caller, asked: ProofAndCode) -> None:
    """Do without a second factor again.

    Raises:
        TwoFactorKept: an operator cannot. TwoFactorOff, SecondFactorRefused, PasswordWrong, SignInAgain,
        TooManyTries, PasswordsBusy
    """
    if calling.operator_role is not None:
        raise TwoFactorKept
    await _prove_both(control, calling, asked)
    async with control.database.transaction(accounts=True, actor=calling.as_actor()) as tx:
        await take_code(tx, control, calling.id, asked.code)
        await forget_second_factor(tx, calling.id)
    log.info("two_factor.off", user_id=str(calling.id))


async def _prove_both(control: Control, calling: Caller, asked: ProofAndCode) -> None:
    """The password, and that there is a second factor to send a code of."""
    await prove(control, calling, asked)
    await throttle_codes(control, calling.id)
    async with control.database.read(accounts=True) as read:
        person = await queries.person_by_id(read, calling.id)
    if person["totp_confirmed_at"] is None:
        raise TwoFactorOff


def _qr(uri: str) -> str:
    out = BytesIO()
    segno.make(uri, error="m").save(out, kind="svg", scale=QR_SCALE, xmldecl=False, svgns=True)
    return out.getvalue().decode().strip()
