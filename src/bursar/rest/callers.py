"""Who is calling the control plane: an operator, by bearer token."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from bursar.db.engine import ReadSession
from bursar.db.tables import operator_token
from bursar.rest.control import Control, Means
from bursar.rest.problems import Refusal
from bursar.rest.secret_text import digest_of

# Our tokens are shorter; anything longer is not one and need not be hashed.
TOKEN_LENGTH_MAX = 200

bearer = HTTPBearer(auto_error=False, description="A token from `bursar operator token`.")


class NotAuthenticated(Refusal):
    """No token, or one that is unknown, revoked or expired; which of these is not told."""

    status = HTTPStatus.UNAUTHORIZED
    code = "invalid_operator_token"

    def __init__(self) -> None:
        super().__init__("The operator token is missing, unknown, revoked or expired.")
        self.headers = {"www-authenticate": "Bearer"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Someone who runs this Bursar."""

    token_id: UUID
    name: str


async def authenticate(control: Control, token: str) -> Operator:
    """Look the token up.

    Raises:
        NotAuthenticated: it opens nothing.
    """
    if not token or len(token) > TOKEN_LENGTH_MAX:
        raise NotAuthenticated
    async with control.database.read() as read:
        found = await _operator_by_digest(read, digest_of(token), control)
    if found is None:
        raise NotAuthenticated
    return found


async def _operator_by_digest(read: ReadSession, digest: bytes, control: Control) -> Operator | None:
    now = control.edge.now()
    question = sa.select(operator_token.c.id, operator_token.c.name).where(
        operator_token.c.token_hash == digest,
        operator_token.c.revoked_at.is_(None),
        sa.or_(operator_token.c.expires_at.is_(None), operator_token.c.expires_at > now),
    )
    row = (await read.execute(question)).one_or_none()
    return None if row is None else Operator(token_id=row.id, name=row.name)


async def operator(
    control: Means, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> Operator:
    return await authenticate(control, credentials.credentials if credentials else "")


Calling = Annotated[Operator, Depends(operator)]
