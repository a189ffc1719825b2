"""An attempt under way, kept by the browser that makes it: sealed, for ten minutes, in a cookie.

Nothing is stored here: who has not the cookie cannot finish, and who has it cannot change it. The cookie is
`SameSite=Lax`, so it comes along when the source sends the browser back, and with no form of others.
"""

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime, timedelta
from typing import Final, Literal, TypeVar
from uuid import UUID

from fastapi import Request, Response
from pydantic import AwareDatetime, BaseModel

from bursar.adapters.identity import Attempt
from bursar.core.messages import Language
from bursar.rest.control import Control
from bursar.rest.problems import Refusal

ATTEMPT_COOKIE: Final = "bursar_attempt"
WAITING_COOKIE: Final = "bursar_second_factor"
STARTER_COOKIE: Final = "bursar_starter"
COOKIE_PATH: Final = "/api/v1/auth"
LIFE: Final = timedelta(minutes=10)
COOKIE_LENGTH_MAX: Final = 4_000
SECRET_BYTES: Final = 32


class AttemptInvalid(Refusal):
    """No cookie of ours, another one, or too late; which of these is not told."""

    code = "attempt_invalid"

    def __init__(self) -> None:
        super().__init__("This sign-in was not begun in this browser, or too long ago: begin again.")


class Kept(BaseModel):
    """What a browser keeps for us. `kind` tells one sealed thing from another."""

    kind: str
    expires_at: AwareDatetime


class Acceptance(BaseModel):
    """What somebody who signs up agreed to, and how he names his organisation."""

    terms_version: str
    privacy_version: str
    organisation: str | None = None


class Begun(Kept):
    """An attempt. `linking`, `session_id`: who links, signed in how; else somebody signs in."""

    kind: Literal["attempt"] = "attempt"
    source: str
    state: str
    nonce: str
    verifier: str
    redirect_uri: str
    return_to: str
    language: Language
    linking: UUID | None = None
    session_id: UUID | None = None
    accepted: Acceptance | None = None

    def as_attempt(self, login_hint: str = "") -> Attempt:
        return Attempt(
            state=self.state,
            nonce=self.nonce,
            verifier=self.verifier,
            redirect_uri=self.redirect_uri,
            login_hint=login_hint,
        )


class Waiting(Kept):
    """Somebody whom a source knows, and whose second factor is still to be shown."""

    kind: Literal["second_factor"] = "second_factor"
    user_id: UUID


class Starter(Kept):
    """The key a new organisation begins with, until it was shown once."""

    kind: Literal["starter"] = "starter"
    key: str


Keeping = TypeVar("Keeping", bound=Kept)


def fresh() -> str:
    """A secret that nobody guesses; long enough for a verifier (RFC 7636, section 4.1)."""
    return secrets.token_urlsafe(SECRET_BYTES)


def keep(response: Response, cookie: str, what: Kept, control: Control) -> None:
    """Have the browser keep it."""
    response.set_cookie(
        cookie,
        urlsafe_b64encode(control.seal.seal(what.model_dump_json().encode())).decode(),
        expires=what.expires_at,
        path=COOKIE_PATH,
        secure=control.policy.public_url.startswith("https:"),
        httponly=True,
        samesite="lax",
    )


def kept(request: Request, cookie: str, kind: type[Keeping], control: Control) -> Keeping:
    """What the browser kept. Raises `AttemptInvalid`."""
    said = request.cookies.get(cookie, "")
    if not said or len(said) > COOKIE_LENGTH_MAX:
        raise AttemptInvalid
    try:
        found = kind.model_validate_json(control.seal.open(urlsafe_b64decode(said)))
    except ValueError as error:  # not base64, not sealed by us, or another kind of thing
        raise AttemptInvalid from error
    if found.expires_at <= control.edge.now():
        raise AttemptInvalid
    return found


def forget(response: Response, *cookies: str) -> None:
    for cookie in cookies:
        response.delete_cookie(cookie, path=COOKIE_PATH)


def expiry(now: datetime) -> datetime:
    return now + LIFE
