"""HTTP of operators and their tokens. The first token comes from `bursar operator token`."""

from uuid import UUID

from fastapi import APIRouter

from bursar.core.permissions import Permission
from bursar.features.operators import roles, service
from bursar.features.operators.schemas import (
    IssuedToken,
    NewOperator,
    NewToken,
    Operator,
    OperatorChange,
    Token,
)
from bursar.rest.callers import Calling, may
from bursar.rest.control import Means
from bursar.rest.idempotency import Once
from bursar.rest.paging import Page, Paging
from bursar.rest.problems import responses
from bursar.rest.transactions import OperatorRead, OperatorTx

router = APIRouter(prefix="/operator-tokens", tags=["operators"])
people_router = APIRouter(prefix="/operators", tags=["operators"])


@router.post("", status_code=201, responses=responses(409), dependencies=may(Permission.OPERATORS_MANAGE))
async def create_token(body: NewToken, tx: OperatorTx, once: Once, calling: Calling) -> IssuedToken:
    """Make an operator token. The secret is shown in this answer and never again."""
    assert calling.operator_role is not None  # noqa: S101 - the policy let operators through only
    giver = calling.operator_role
    return await once.answer(
        tx, IssuedToken, lambda: service.create_token(tx, body, edge=once.control.edge, giver=giver)
    )


@router.get("", dependencies=may(Permission.OPERATORS_READ))
async def list_tokens(read: OperatorRead, paging: Paging) -> Page[Token]:
    """List operator tokens, newest first, without their secrets."""
    return await service.list_tokens(read, paging)


@router.post("/{token_id}/revoke", responses=responses(404), dependencies=may(Permission.OPERATORS_MANAGE))
async def revoke_token(token_id: UUID, tx: OperatorTx, control: Means) -> Token:
    """Stop a token for good."""
    return await service.revoke_token(tx, token_id, edge=control.edge)


@people_router.get("", dependencies=may(Permission.OPERATORS_READ))
async def list_operators(read: OperatorRead, paging: Paging) -> Page[Operator]:
    """List the people who are operators, the newest accounts first."""
    return await roles.list_operators(read, paging)


@people_router.post(
    "", status_code=201, responses=responses(404, 409), dependencies=may(Permission.OPERATORS_MANAGE)
)
async def grant_operator(body: NewOperator, tx: OperatorTx) -> Operator:
    """Make somebody an operator: he has an account, a verified address and a second factor."""
    return await roles.grant(tx, body)


@people_router.patch(
    "/{user_id}", responses=responses(404, 409), dependencies=may(Permission.OPERATORS_MANAGE)
)
async def change_operator(user_id: UUID, body: OperatorChange, tx: OperatorTx) -> Operator:
    """Change what an operator is, or where from he may work. It counts at once."""
    return await roles.change(tx, user_id, body)


@people_router.delete(
    "/{user_id}", responses=responses(404, 409), dependencies=may(Permission.OPERATORS_MANAGE)
)
async def revoke_operator(user_id: UUID, tx: OperatorTx) -> Operator:
    """Make an operator a plain person again, at once. Never the last superadmin."""
    return await roles.revoke(tx, user_id)
