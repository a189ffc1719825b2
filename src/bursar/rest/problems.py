"""Failures → `application/problem+json` (RFC 9457), mapped once, here.

Every answer that is not a success has the members `type`, `title`, `status`, `detail` and `code`. `code` is
stable: clients branch on it. `title` and `detail` are for people, in the language `Accept-Language` prefers.
Nothing the caller sent is echoed, because it may be a secret.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Self

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from bursar.core.messages import Language, language_of, title, translated
from bursar.db.ledger import LedgerRefused

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:bursar:problem:"
RETRY_AFTER_S = "2"
# SQLSTATE of "try the same thing again": serialization failure, deadlock, lock timeout.
RETRYABLE_SQLSTATES = frozenset({"40001", "40P01", "55P03"})
# Said of most failures a person could provoke; a longer list helps nobody.
FAULTS_MAX = 20
HUMAN = "For people: in English, or in Korean or Chinese where `Accept-Language` prefers it."
CODE_OF_STATUS: Mapping[int, str] = {
    400: "invalid_request",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    415: "unsupported_media_type",
}

log = structlog.get_logger(__name__)


class Refusal(Exception):
    """An expected failure: the caller is told `code` and `detail`.

    Subclasses live beside the function that raises them and set `status` and `code`.
    """

    status: int = HTTPStatus.BAD_REQUEST
    code: str = "invalid_request"

    def __init__(self, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.members = members
        self.headers: dict[str, str] = {}

    @classmethod
    def told(cls, error: LedgerRefused) -> Self:
        """A refusal of the books, with the code and status it came with."""
        refusal = cls(str(error))
        refusal.code, refusal.status = error.code, error.status
        return refusal


class Forbidden(Refusal):
    """Known who asks, and he may not."""

    status = HTTPStatus.FORBIDDEN
    code = "permission_denied"


class NotFound(Refusal):
    """The thing named in the path does not exist, or not for this caller."""

    status = HTTPStatus.NOT_FOUND
    code = "not_found"


class Conflict(Refusal):
    """What is asked contradicts what is already there."""

    status = HTTPStatus.CONFLICT
    code = "conflict"


class Invalid(Refusal):
    """Well formed, but it cannot mean anything."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "invalid_request"


class BooksUnavailable(Refusal):
    """PostgreSQL cannot be reached, or asks to try the same again."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "books_unavailable"

    def __init__(self) -> None:
        super().__init__("The books cannot be reached at the moment; nothing was changed. Retry shortly.")
        self.headers = {"retry-after": RETRY_AFTER_S}


def sqlstate_of(error: Exception) -> str | None:
    """PostgreSQL's own code of a failed statement."""
    state: str | None = getattr(getattr(error, "orig", None), "sqlstate", None)
    return state


def refusal_of(error: Exception) -> Refusal | None:
    """What a failure means to the caller; None when it should not have happened."""
    refusal: Refusal | None = None
    match error:
        case Refusal():
            refusal = error
        case LedgerRefused():
            refusal = Refusal.told(error)
        case _ if sqlstate_of(error) in RETRYABLE_SQLSTATES:
            refusal = BooksUnavailable()
        case DataError():
            refusal = Invalid("A value is outside what can be stored.")
        case IntegrityError():
            refusal = Conflict("This contradicts what is already stored; nothing was changed.")
        case OperationalError() | InterfaceError() | PoolTimeoutError():
            refusal = BooksUnavailable()
    return refusal


class Fault(BaseModel):
    """One property that does not fit."""

    at: str = Field(description="Where: `body.name`, `query.limit`.", examples=["body.name"])
    message: str = Field(examples=["String should have at least 1 character"])


class Problem(BaseModel):
    """A failure, as RFC 9457 shapes it."""

    type: str = Field(examples=["urn:bursar:problem:not_found"])
    title: str = Field(description=HUMAN, examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(description=HUMAN, examples=["There is no organisation with this id."])
    code: str = Field(
        description="Stable, machine-readable; the one member to branch on.", examples=["not_found"]
    )
    errors: list[Fault] = Field(default_factory=list, description="With `invalid_request`: what to change.")


def problem(  # noqa: PLR0913 - the parts of one problem object
    status: int,
    code: str,
    detail: str,
    *,
    language: Language = "en",
    members: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Build the answer. `detail` is English; `members` are extension members of the problem object."""
    body = {
        "type": TYPE_PREFIX + code,
        "title": title(status, HTTPStatus(status).phrase, language),
        "status": status,
        "detail": translated(code, detail, language),
        "code": code,
        **(members or {}),
    }
    return Response(
        orjson.dumps(body, default=str),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers={"content-language": language, "vary": "accept-language", **(headers or {})},
    )


def language_for(request: Request) -> Language:
    """What whoever sent the request reads."""
    return language_of(request.headers.get("accept-language", ""))


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries of the failures a route may answer."""
    return {
        status: {"model": Problem, "content": {MEDIA_TYPE: {}}, "description": HTTPStatus(status).phrase}
        for status in statuses
    }


def faults_of(errors: Sequence[Any]) -> list[dict[str, str]]:
    """Say where and what, and never the value itself."""
    return [
        {"at": ".".join(str(part) for part in error["loc"]), "message": str(error["msg"])}
        for error in errors[:FAULTS_MAX]
    ]


def install(app: FastAPI) -> None:
    """Give every failure of `app` its problem+json answer."""
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(LedgerRefused, _books)
    app.add_exception_handler(DBAPIError, _database)
    app.add_exception_handler(PoolTimeoutError, _database)
    app.add_exception_handler(Exception, _unforeseen)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101 - the handler is registered for this type only
    return problem(
        error.status,
        error.code,
        error.detail,
        language=language_for(request),
        members=error.members,
        headers=error.headers,
    )


async def _books(request: Request, error: Exception) -> Response:
    assert isinstance(error, LedgerRefused)  # noqa: S101 - registered for this type only
    return await _refused(request, Refusal.told(error))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type only
    faults = faults_of(error.errors())
    first = faults[0] if faults else {"at": "request", "message": "is not valid"}
    detail = f"{first['at']}: {first['message']}"
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid_request",
        detail,
        language=language_for(request),
        members={"errors": faults},
    )


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type only
    code = CODE_OF_STATUS.get(error.status_code, "http_error")
    return problem(
        error.status_code, code, str(error.detail), language=language_for(request), headers=error.headers
    )


async def _database(request: Request, error: Exception) -> Response:
    log.warning(
        "rest.database_failed", path=request.url.path, error=type(error).__name__, sqlstate=sqlstate_of(error)
    )
    refusal = refusal_of(error)
    return await (_unforeseen(request, error) if refusal is None else _refused(request, refusal))


async def _unforeseen(request: Request, error: Exception) -> Response:
    log.error("rest.failed", path=request.url.path, error=type(error).__name__, exc_info=error)
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "Something failed that should not; it was logged.",
        language=language_for(request),
    )
