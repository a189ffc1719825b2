"""The three cookies of a browser's sign-in.

The tokens are out of reach of scripts (`HttpOnly`); what a page must send back to prove itself ours is not.
`SameSite=Lax`: a link from elsewhere finds its reader signed in, a form from elsewhere does not.
"""

from datetime import datetime
from typing import Final

from fastapi import Request, Response

from bursar.rest.callers import ACCESS_COOKIE, CSRF_COOKIE
from bursar.rest.control import Control
from bursar.rest.sign_ins import SignIn

REFRESH_COOKIE: Final = "bursar_refresh"
REFRESH_PATH: Final = "/api/v1/auth"


def set_cookies(response: Response, sign_in: SignIn, control: Control) -> None:
    """Sign a browser in."""
    until = sign_in.refresh_expires_at
    _set(response, ACCESS_COOKIE, sign_in.access_token, sign_in.access_expires_at, control)
    _set(response, REFRESH_COOKIE, sign_in.refresh_token, until, control, path=REFRESH_PATH)
    _set(response, CSRF_COOKIE, sign_in.csrf_token, until, control, is_readable=True)


def clear_cookies(response: Response) -> None:
    """Sign a browser out."""
    for name, path in ((ACCESS_COOKIE, "/"), (REFRESH_COOKIE, REFRESH_PATH), (CSRF_COOKIE, "/")):
        response.delete_cookie(name, path=path)


def refresh_token_of(request: Request) -> str | None:
    """What the browser keeps for the next access token."""
    return request.cookies.get(REFRESH_COOKIE)


def _set(  # noqa: PLR0913 - a cookie has so many parts
    response: Response,
    name: str,
    value: str,
    until: datetime,
    control: Control,
    *,
    path: str = "/",
    is_readable: bool = False,
) -> None:
    response.set_cookie(
        name,
        value,
        expires=until,
        path=path,
        secure=control.policy.public_url.startswith("https:"),
        httponly=not is_readable,
        samesite="lax",
    )
