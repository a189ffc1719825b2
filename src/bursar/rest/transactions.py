"""A route's one transaction: who it acts as, and that it ends before the answer leaves.

None is opened before it is known who calls; that he may is checked by the route's policy, which FastAPI runs
first.
"""

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import Depends

from bursar.core.permissions import Permission
from bursar.db.engine import AsWhom, ReadSession, Transaction
from bursar.rest.callers import Caller, Calling, PermissionDenied
from bursar.rest.control import Means


def _as_operator(calling: Caller) -> AsWhom:
    """Raises `PermissionDenied`: a route that forgot its policy opens nothing."""
    if not calling.is_operator:
        raise PermissionDenied(Permission.PLATFORM_READ)
    return AsWhom(operator=True, actor=calling.as_actor())


def _as_customer(calling: Caller, organisation_id: UUID) -> AsWhom:
    return AsWhom(organisation=organisation_id, user=calling.user_id, actor=calling.as_actor())


async def operator_transaction(control: Means, calling: Calling) -> AsyncIterator[Transaction]:
    async with control.database.transaction(**_as_operator(calling)) as tx:
        yield tx


async def operator_read(control: Means, calling: Calling) -> AsyncIterator[ReadSession]:
    async with control.database.read(**_as_operator(calling)) as read:
        yield read


async def organisation_read(
    control: Means, calling: Calling, organisation_id: UUID
) -> AsyncIterator[ReadSession]:
    """As the customer sees it: row-level security shows this organisation's rows and no others."""
    async with control.database.read(**_as_customer(calling, organisation_id)) as read:
        yield read


async def organisation_or_operator_read(
    control: Means, calling: Calling, organisation_id: UUID
) -> AsyncIterator[ReadSession]:
    """As the customer, or as the operator who sees more of the same: what it cost. Ask by organisation."""
    whom = _as_operator(calling) if calling.is_operator else _as_customer(calling, organisation_id)
    async with control.database.read(**whom) as read:
        yield read


async def organisation_transaction(
    control: Means, calling: Calling, organisation_id: UUID
) -> AsyncIterator[Transaction]:
    """As the customer may write it: row-level security lets nothing through to another organisation."""
    async with control.database.transaction(**_as_customer(calling, organisation_id)) as tx:
        yield tx


async def person_read(control: Means, calling: Calling) -> AsyncIterator[ReadSession]:
    """What belongs to who is calling: his account, his sessions, his memberships."""
    async with control.database.read(user=calling.user_id, actor=calling.as_actor()) as read:
        yield read


async def accounts_transaction(control: Means, calling: Calling) -> AsyncIterator[Transaction]:
    """As what makes accounts and memberships, in the name of who is calling: no tenant's rows but these."""
    as_whom = AsWhom(accounts=True, user=calling.user_id, actor=calling.as_actor())
    async with control.database.transaction(**as_whom) as tx:
        yield tx


# scope="function": the transaction is committed before the answer leaves, so an answer is never a promise.
OperatorTx = Annotated[Transaction, Depends(operator_transaction, scope="function")]
OperatorRead = Annotated[ReadSession, Depends(operator_read, scope="function")]
OrganisationRead = Annotated[ReadSession, Depends(organisation_read, scope="function")]
OrganisationOrOperatorRead = Annotated[ReadSession, Depends(organisation_or_operator_read, scope="function")]
OrganisationTx = Annotated[Transaction, Depends(organisation_transaction, scope="function")]
PersonRead = Annotated[ReadSession, Depends(person_read, scope="function")]
AccountsTx = Annotated[Transaction, Depends(accounts_transaction, scope="function")]
