"""Operator tokens: what opens the control plane."""

from uuid import UUID

import sqlalchemy as sa

from bursar.core.permissions import OperatorRole, operator_may_give
from bursar.db.engine import ReadSession, Transaction
from bursar.features.operators import queries
from bursar.features.operators.schemas import IssuedToken, NewToken, Token
from bursar.rest.callers import OPERATOR_TOKEN_PREFIX
from bursar.rest.edge import Edge
from bursar.rest.paging import Page, PageAsked, cut_page, uuid_key
from bursar.rest.problems import Forbidden, Invalid, NotFound
from bursar.rest.secret_text import issue


class TokenNotFound(NotFound):
    code = "operator_token_not_found"

    def __init__(self) -> None:
        super().__init__("There is no operator token with this id.")


class ExpiryPast(Invalid):
    code = "expiry_past"

    def __init__(self) -> None:
        super().__init__("body.expires_at: must lie in the future.")


class RoleAboveOwn(Forbidden):
    code = "role_above_own"

    def __init__(self) -> None:
        super().__init__("Nobody gives more than he has: this role is above yours.")


async def create_token(
    tx: Transaction, wanted: NewToken, *, edge: Edge, giver: OperatorRole = OperatorRole.SUPERADMIN
) -> IssuedToken:
    """Make a token. Its secret is in the answer and nowhere else.

    `giver`: what who asks is himself; on the command line everything.

    Raises:
        RoleAboveOwn, ExpiryPast
    """
    now, role = edge.now(), wanted.role or giver
    if not operator_may_give(giver, role):
        raise RoleAboveOwn
    if wanted.expires_at is not None and wanted.expires_at <= now:
        raise ExpiryPast
    issued = issue(OPERATOR_TOKEN_PREFIX)
    token_id = edge.new_id()
    await queries.insert_token(
        tx,
        {
            "id": token_id,
            "name": wanted.name,
            "token_hash": issued.digest,
            "token_prefix": issued.visible,
            "created_at": now,
            "expires_at": wanted.expires_at,
            "role": role.value,
            "allowed_addresses": wanted.allowed_addresses or None,
        },
    )
    token = await _token(tx, token_id)
    return IssuedToken(**token.model_dump(), secret=issued.secret)


async def list_tokens(read: ReadSession, asked: PageAsked) -> Page[Token]:
    rows = await queries.tokens_before(read, before=asked.after(uuid_key), limit=asked.limit + 1)
    return cut_page(rows, asked.limit, lambda row: row["id"], show)


async def revoke_token(tx: Transaction, token_id: UUID, *, edge: Edge) -> Token:
    """Stop a token at once; twice is no error. Raises `TokenNotFound`."""
    await _token(tx, token_id)
    await queries.revoke(tx, token_id, edge.now())
    return await _token(tx, token_id)


async def _token(read: ReadSession | Transaction, token_id: UUID) -> Token:
    row = await queries.token_by_id(read, token_id)
    if row is None:
        raise TokenNotFound
    return show(row)


def show(row: sa.RowMapping) -> Token:
    return Token.model_validate(dict(row))
