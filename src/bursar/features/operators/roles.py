"""People who are operators: who is made one, as what, from where, and no more.

A role is looked up at each request, so that one taken away is gone at once, viewing as a customer included.
"""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bursar.core.permissions import OperatorRole
from bursar.db.engine import ReadSession, Transaction
from bursar.features.operators import role_queries as queries
from bursar.features.operators.schemas import NewOperator, Operator, OperatorChange
from bursar.rest.paging import Page, PageAsked, cut_page, uuid_key
from bursar.rest.problems import Conflict, Invalid, NotFound


class OperatorNotFound(NotFound):
    code = "operator_not_found"

    def __init__(self) -> None:
        super().__init__("There is no operator with this id.")


class PersonNotFound(NotFound):
    code = "person_not_found"

    def __init__(self) -> None:
        super().__init__("Nobody with this address has an account and a verified address.")


class SecondFactorMissing(Conflict):
    code = "second_factor_missing"

    def __init__(self) -> None:
        super().__init__("Operators need a second factor: this person must set one up first.")


class OperatorAlready(Conflict):
    code = "operator_already"

    def __init__(self) -> None:
        super().__init__("This person is an operator already; change the role instead.")


class LastSuperadmin(Conflict):
    code = "last_superadmin"

    def __init__(self) -> None:
        super().__init__("This is the last superadmin: make another one first.")


async def list_operators(read: ReadSession, asked: PageAsked) -> Page[Operator]:
    rows = await queries.operators_before(read, before=asked.after(uuid_key), limit=asked.limit + 1)
    return cut_page(rows, asked.limit, lambda row: row["id"], show)


async def get_operator(read: ReadSession | Transaction, user_id: UUID) -> Operator:
    """Raises `OperatorNotFound`."""
    row = await queries.operator_by_id(read, user_id)
    if row is None:
        raise OperatorNotFound
    return show(row)


async def grant(tx: Transaction, wanted: NewOperator) -> Operator:
    """Make somebody an operator. Raises `PersonNotFound`, `SecondFactorMissing`, `OperatorAlready`."""
    person = await queries.person_by_email(tx, wanted.email)
    if person is None:
        raise PersonNotFound
    if person["role"] is not None:
        raise OperatorAlready
    if not person["has_second_factor"]:
        raise SecondFactorMissing
    addresses = wanted.allowed_addresses or None
    changes = {"operator_role": wanted.role.value, "operator_addresses": addresses}
    await queries.update_operator(tx, person["id"], changes)
    return await get_operator(tx, person["id"])


async def change(tx: Transaction, user_id: UUID, wanted: OperatorChange) -> Operator:
    """Raises `OperatorNotFound`, `LastSuperadmin`."""
    given, changes = wanted.model_fields_set, dict[str, Any]()
    await get_operator(tx, user_id)
    if "role" in given:
        if wanted.role is None:
            raise Invalid("body.role: must not be null")
        if wanted.role is not OperatorRole.SUPERADMIN:
            await _check_another_superadmin(tx, user_id)
        changes["operator_role"] = wanted.role.value
    if "allowed_addresses" in given:
        changes["operator_addresses"] = wanted.allowed_addresses or None
    if changes:
        await queries.update_operator(tx, user_id, changes)
    return await get_operator(tx, user_id)


async def revoke(tx: Transaction, user_id: UUID) -> Operator:
    """Take all powers away; the account stays. Answers what he was.

    Raises:
        OperatorNotFound, LastSuperadmin
    """
    was = await get_operator(tx, user_id)
    await _check_another_superadmin(tx, user_id)
    await queries.update_operator(tx, user_id, {"operator_role": None, "operator_addresses": None})
    return was


async def _check_another_superadmin(tx: Transaction, user_id: UUID) -> None:
    """Raises `LastSuperadmin`."""
    if await queries.locked_superadmins(tx) == {user_id}:
        raise LastSuperadmin


def show(row: sa.RowMapping) -> Operator:
    return Operator.model_validate(dict(row))
