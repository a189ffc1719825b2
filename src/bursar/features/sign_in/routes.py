"""HTTP of signing in elsewhere. Browsers come here by themselves, so they are answered with redirects.

A failure is problem+json as everywhere; who reads HTML is sent to the sign-in page, which shows the `code`.
"""

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from bursar.features.sign_in import attempts, service, sources
from bursar.features.sign_in.attempts import (
    ATTEMPT_COOKIE,
    STARTER_COOKIE,
    WAITING_COOKIE,
    Acceptance,
    Begun,
    Starter,
    Waiting,
)
from bursar.features.sign_in.schemas import (
    Completed,
    Discovered,
    Discovery,
    SecondFactor,
    SignInOption,
    StarterKey,
)
from bursar.rest.callers import Public
from bursar.rest.control import Control, Means
from bursar.rest.cookies import set_cookies
from bursar.rest.fields import EMAIL_LENGTH_MAX, Name
from bursar.rest.problems import Refusal, responses
from bursar.rest.visits import Visiting

router = APIRouter(prefix="/auth", tags=["sign-in elsewhere"])
SIGN_IN_PAGE: Final = "/sign-in"
SEE_OTHER: Final = HTTPStatus.SEE_OTHER
VERSION_LENGTH_MAX: Final = 50
STRANGERS = [Depends(Public("who signs in is nobody yet"))]
REDIRECTS = {303: {"description": "See Other"}, **responses(403, 404, 409, 424, 429)}

ReturnTo = Annotated[str | None, Query(max_length=1_000, description="Path of ours to come back to.")]
Hint = Annotated[str, Query(max_length=EMAIL_LENGTH_MAX, description="Address to fill in there.")]
Sent = Annotated[str, Query(max_length=4_000)]
Version = Annotated[str | None, Query(max_length=VERSION_LENGTH_MAX, description="To sign up: accepted.")]
Company = Annotated[Name | None, Query(description="To sign up: the organisation to open.")]


def answer_of(state: Sent = "", code: Sent = "", error: Sent = "", iss: Sent = "") -> service.Answer:
    return service.Answer(state=state, code=code, error=error, issuer=iss)


Answered = Annotated[service.Answer, Depends(answer_of)]


def wish_of(return_to: ReturnTo = None, login_hint: Hint = "") -> service.Wish:
    return service.Wish(return_to=return_to, login_hint=login_hint)


def sign_up_wish_of(
    wish: Annotated[service.Wish, Depends(wish_of)],
    terms_version: Version = None,
    privacy_version: Version = None,
    organisation: Company = None,
) -> service.Wish:
    if terms_version is None or privacy_version is None:
        return wish
    accepted = Acceptance(
        terms_version=terms_version, privacy_version=privacy_version, organisation=organisation
    )
    return replace(wish, accepted=accepted)


Wishing = Annotated[service.Wish, Depends(wish_of)]
SigningUp = Annotated[service.Wish, Depends(sign_up_wish_of)]


@router.get("/providers", dependencies=STRANGERS)
async def list_sign_in_options(control: Means) -> list[SignInOption]:
    """List where everybody may sign in, besides by password."""
    return await sources.options(control)


@router.post("/discover", responses=responses(429), dependencies=STRANGERS)
async def discover_sign_in(body: Discovery, control: Means, visit: Visiting) -> Discovered:
    """Say how somebody with this address signs in. Whether there is an account is not told."""
    return await service.discover(control, body.email, visit)


@router.get("/providers/{provider}/start", status_code=303, responses=REDIRECTS, dependencies=STRANGERS)
async def start_sign_in(
    provider: str, request: Request, control: Means, visit: Visiting, wish: SigningUp
) -> Response:
    """Send a browser to a provider. Who signs up says what he accepted, and which organisation to open."""
    try:
        chosen = await sources.chosen_provider(control, provider)
        leaving = await service.leave(control, chosen, visit, wish)
    except Refusal as refusal:
        return _refused(request, refusal)
    return _left(leaving, control)


@router.get("/sso/{connection_id}/start", status_code=303, responses=REDIRECTS, dependencies=STRANGERS)
async def start_single_sign_on(
    connection_id: UUID, request: Request, control: Means, visit: Visiting, wish: Wishing
) -> Response:
    """Send a browser to its organisation's single sign-on."""
    try:
        chosen = await sources.chosen_connection(control, connection_id)
        leaving = await service.leave(control, chosen, visit, wish)
    except Refusal as refusal:
        return _refused(request, refusal)
    return _left(leaving, control)


@router.get("/providers/{provider}/callback", status_code=303, responses=REDIRECTS, dependencies=STRANGERS)
async def finish_sign_in(
    provider: str, request: Request, control: Means, visit: Visiting, answer: Answered
) -> Response:
    """Where a provider sends the browser back to: sign in, sign up, or link."""
    try:
        begun = attempts.kept(request, ATTEMPT_COOKIE, Begun, control)
        chosen = await sources.chosen_provider(control, provider)
        returned = await service.come_back(control, chosen, begun, answer, visit)
    except Refusal as refusal:
        return _refused(request, refusal)
    return _came_back(returned, control)


@router.get("/sso/{connection_id}/callback", status_code=303, responses=REDIRECTS, dependencies=STRANGERS)
async def finish_single_sign_on(
    connection_id: UUID, request: Request, control: Means, visit: Visiting, answer: Answered
) -> Response:
    """Where an organisation's single sign-on sends the browser back to."""
    try:
        begun = attempts.kept(request, ATTEMPT_COOKIE, Begun, control)
        chosen = await sources.chosen_connection(control, connection_id)
        returned = await service.come_back(control, chosen, begun, answer, visit)
    except Refusal as refusal:
        return _refused(request, refusal)
    return _came_back(returned, control)


@router.post("/second-factor", responses=responses(400, 401, 429), dependencies=STRANGERS)
async def show_second_factor(
    body: SecondFactor, request: Request, response: Response, control: Means, visit: Visiting
) -> Completed:
    """Complete a sign-in that a provider began, for who has a second factor."""
    waiting = attempts.kept(request, WAITING_COOKIE, Waiting, control)
    sign_in = await service.show_second_factor(control, waiting, body.code, visit)
    attempts.forget(response, WAITING_COOKIE)
    set_cookies(response, sign_in, control)
    return Completed(user_id=sign_in.user_id)


@router.post("/starter-key", responses=responses(400), dependencies=STRANGERS)
async def show_starter_key(request: Request, response: Response, control: Means) -> StarterKey:
    """Show the first key of the organisation that was opened at sign-up: once, to that browser."""
    starter = attempts.kept(request, STARTER_COOKIE, Starter, control)
    attempts.forget(response, STARTER_COOKIE)
    response.headers["cache-control"] = "no-store"
    return StarterKey(key=starter.key)


def _left(leaving: service.Leaving, control: Control) -> Response:
    response = _redirect(leaving.url)
    attempts.keep(response, ATTEMPT_COOKIE, leaving.begun, control)
    return response


def _came_back(returned: service.Returned, control: Control) -> Response:
    """The attempt is over, whatever came of it; only sealed things and sign-ins are in cookies."""
    if returned.waiting is not None:
        asked = urlencode({"second_factor": "1", "return_to": returned.return_to})
        response = _redirect(f"{SIGN_IN_PAGE}?{asked}")
        attempts.keep(response, WAITING_COOKIE, returned.waiting, control)
    else:
        response = _redirect(returned.return_to)
    if returned.sign_in is not None:
        set_cookies(response, returned.sign_in, control)
    if returned.starter_key is not None:
        expires_at = attempts.expiry(control.edge.now())
        starter = Starter(expires_at=expires_at, key=returned.starter_key)
        attempts.keep(response, STARTER_COOKIE, starter, control)
    attempts.forget(response, ATTEMPT_COOKIE)
    return response


def _refused(request: Request, refusal: Refusal) -> Response:
    """To the sign-in page for who reads HTML; raised for everybody else."""
    if "text/html" not in request.headers.get("accept", ""):
        raise refusal
    asked = {"error": refusal.code, **{name: str(value) for name, value in refusal.members.items()}}
    response = _redirect(f"{SIGN_IN_PAGE}?{urlencode(asked)}")
    attempts.forget(response, ATTEMPT_COOKIE)
    return response


def _redirect(url: str) -> Response:
    """The address bar may hold a code: nobody keeps it, and the next page is not told of it."""
    headers = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
    return RedirectResponse(url, SEE_OTHER, headers)
