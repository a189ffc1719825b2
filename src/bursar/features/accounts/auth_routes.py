"""HTTP of signing up, in and out. Strangers call these, so each says why it is open."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response

from bursar.features.accounts import passwords, sign_ins, sign_ups
from bursar.features.accounts.schemas import (
    Credentials,
    Done,
    EmailAsked,
    MailOnItsWay,
    NewAccount,
    NewPassword,
    RefreshAsked,
    SignedIn,
    SignUpOptions,
    SignUpProof,
    TokenSent,
    Verified,
)
from bursar.rest.callers import Public
from bursar.rest.control import Means
from bursar.rest.cookies import clear_cookies, refresh_token_of, set_cookies
from bursar.rest.origins import from_our_pages
from bursar.rest.problems import responses
from bursar.rest.visits import Visiting

router = APIRouter(prefix="/auth", tags=["auth"], responses=responses(429))

CsrfHeader = Annotated[
    str, Header(alias="x-csrf-token", description="With a cookie: the value of `bursar_csrf`.")
]


@router.get("/options", dependencies=[Depends(Public("A sign-up page asks before anybody signs in."))])
async def sign_up_options(control: Means) -> SignUpOptions:
    """What a sign-up page needs to know."""
    return sign_ups.options(control)


@router.post(
    "/sign-up",
    status_code=202,
    dependencies=[Depends(Public("Strangers sign up.")), Depends(from_our_pages)],
)
async def sign_up(body: NewAccount, control: Means, visit: Visiting) -> MailOnItsWay:
    """Ask for an account. A mail goes to the address; the answer is the same if it has an account already."""
    await sign_ups.sign_up(control, body, visit)
    return MailOnItsWay()


@router.post(
    "/verify-email",
    status_code=201,
    responses=responses(404, 409),
    dependencies=[Depends(Public("The link in the mail and the password of the sign-up are the proof."))],
)
async def verify_email(body: SignUpProof, control: Means, visit: Visiting) -> Verified:
    """Open the account: organisation, wallet and a starter key, whose secret is shown this once.

    The link proves the address and the password tells which sign-up of it was one's own; the others are void.
    """
    token, password = body.token.get_secret_value(), body.password.get_secret_value()
    return await sign_ups.verify(control, token, password, visit)


@router.post(
    "/verify-email/resend",
    status_code=202,
    dependencies=[Depends(Public("Who lost the mail cannot sign in.")), Depends(from_our_pages)],
)
async def resend_verification(body: EmailAsked, control: Means, visit: Visiting) -> MailOnItsWay:
    """Send the mail of a sign-up again, with a new link."""
    await sign_ups.resend(control, body.email, body.captcha, visit)
    return MailOnItsWay()


@router.post(
    "/log-in", dependencies=[Depends(Public("Password and code are the proof.")), Depends(from_our_pages)]
)
async def log_in(body: Credentials, control: Means, visit: Visiting, response: Response) -> SignedIn:
    """Sign in. `401 second_factor_needed`: send the same again with `code`."""
    signed_in = await sign_ins.log_in(control, body, visit)
    if body.tokens_in == "cookies":
        set_cookies(response, signed_in, control)
    return sign_ins.shown(signed_in, body.tokens_in)


@router.post(
    "/refresh",
    responses=responses(409),
    dependencies=[Depends(Public("The refresh token is the proof.")), Depends(from_our_pages)],
)
async def refresh_sign_in(  # noqa: PLR0913, PLR0917 - what a browser or a program brings
    request: Request,
    response: Response,
    body: RefreshAsked,
    control: Means,
    visit: Visiting,
    csrf: CsrfHeader = "",
) -> SignedIn:
    """Exchange a refresh token for new tokens.

    It opens once: its return ends the sign-in. `409 refresh_raced`: another tab did it within 10 seconds; ask
    again.
    """
    if body.refresh_token is not None:
        renewed = await sign_ins.refresh(control, body.refresh_token.get_secret_value(), None, visit)
        return sign_ins.shown(renewed, "body")
    kept = refresh_token_of(request)
    if not kept:
        raise sign_ins.RefreshRefused
    renewed = await sign_ins.refresh(control, kept, csrf, visit)
    set_cookies(response, renewed, control)
    return sign_ins.shown(renewed, "cookies")


@router.post(
    "/log-out", dependencies=[Depends(Public("The refresh token is the proof.")), Depends(from_our_pages)]
)
async def log_out(
    request: Request, response: Response, body: RefreshAsked, control: Means, visit: Visiting
) -> Done:
    """End a sign-in at once; its access token opens nothing any more."""
    given = body.refresh_token
    token = refresh_token_of(request) if given is None else given.get_secret_value()
    if not token:
        raise sign_ins.RefreshRefused
    await sign_ins.log_out(control, token, visit)
    clear_cookies(response)
    return Done()


@router.post(
    "/password-reset",
    status_code=202,
    dependencies=[Depends(Public("Who forgot his password cannot sign in.")), Depends(from_our_pages)],
)
async def ask_password_reset(body: EmailAsked, control: Means, visit: Visiting) -> MailOnItsWay:
    """Ask for a link to set another password; the answer is the same if there is no such account."""
    await sign_ups.ask_worker(control, passwords.RESET_WANTED, body.email, body.captcha, visit)
    return MailOnItsWay()


@router.post(
    "/password-reset/confirm",
    responses=responses(404),
    dependencies=[Depends(Public("The link in the mail is the proof."))],
)
async def reset_password(body: NewPassword, control: Means, visit: Visiting) -> Done:
    """Set a password by a mailed link, which opens once. Every sign-in of this person ends."""
    token, password = body.token.get_secret_value(), body.password.get_secret_value()
    await passwords.reset(control, token, password, visit)
    return Done()


@router.post(
    "/email-change/confirm",
    responses=responses(404, 409),
    dependencies=[Depends(Public("The link in the mail is the proof."))],
)
async def confirm_email_change(body: TokenSent, control: Means, visit: Visiting) -> Done:
    """Take the new address over: its link opens once."""
    await passwords.confirm_email(control, body.token.get_secret_value(), visit)
    return Done()
