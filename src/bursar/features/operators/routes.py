"""HTTP of operator tokens. The first one comes from `bursar operator token`."""

from uuid import UUID

from fastapi import APIRouter

from bursar.core.permissions import Permission
from bursar.features.operators import service
from bursar.features.operators.schemas import IssuedToken, NewToken, Token
from bursar.rest.callers import may
from bursar.rest.control import Means
from bursar.rest.idempotency import Once
from bursar.rest.paging import Page, Paging
from bursar.rest.problems import responses
from bursar.rest.transactions import OperatorRead, OperatorTx

router = APIRouter(prefix="/operator-tokens", tags=["operators"])


@router.post("", status_code=201, responses=responses(409), dependencies=may(Permission.OPERATORS_MANAGE))
async def create_token(body: NewToken, tx: OperatorTx, once: Once) -> IssuedToken:
    """Make an operator token. The secret is shown in this answer and never again."""
    return await once.answer(tx, IssuedToken, lambda: service.create_token(tx, body, edge=once.control.edge))


@router.get("", dependencies=may(Permission.OPERATORS_READ))
async def list_tokens(read: OperatorRead, paging: Paging) -> Page[Token]:
    """List operator tokens, newest first, without their secrets."""
    return await service.list_tokens(read, paging)


@router.post("/{token_id}/revoke", responses=responses(404), dependencies=may(Permission.OPERATORS_MANAGE))
async def revoke_token(token_id: UUID, tx: OperatorTx, control: Means) -> Token:
    """Stop a token for good."""
    return await service.revoke_token(tx, token_id, edge=control.edge)
