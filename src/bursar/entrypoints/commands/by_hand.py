"""What a caller of the API does in an organisation, done on the command line: as an operator who may all."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from bursar.core.permissions import OperatorRole
from bursar.db.engine import Transaction
from bursar.entrypoints.commands.finding import organisation_id
from bursar.entrypoints.commands.session import transact
from bursar.rest.callers import BY_HAND_ID, Caller
from bursar.rest.control import Control

HAND = Caller(id=BY_HAND_ID, name="command line", operator_role=OperatorRole.SUPERADMIN)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a command works."""

    control: Control
    tx: Transaction
    organisation_id: UUID


def in_organisation(named: str, work: Callable[[Place], Awaitable[Result]]) -> Result:
    """Run `work` in the organisation named, in one transaction."""

    async def working(control: Control, tx: Transaction) -> Result:
        return await work(Place(control=control, tx=tx, organisation_id=await organisation_id(tx, named)))

    return transact(working)
