"""What every route is given: database, edge, knobs; and sessions that end before the answer leaves."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Protocol
from uuid import UUID

from fastapi import Depends, Request

from bursar.adapters.ratecounters import RateCounters
from bursar.db.engine import Database, ReadSession, Transaction
from bursar.rest.edge import Edge


class Seal(Protocol):
    """Encrypts what must be readable again, such as provider credentials (`bursar.db.secrets`)."""

    def seal(self, plaintext: bytes) -> bytes: ...
    def open(self, sealed: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Knobs of the control plane, told by the entry point from its settings."""

    key_prefix: str = "llm_sk_"
    requests_per_minute_default: int = 60
    margin_percent_default: Decimal = Decimal(20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The control plane's means.

    `database` connects as the api role. `counters`: the rate counters that gateways share, if they share any.
    """

    database: Database
    edge: Edge
    seal: Seal
    policy: Policy
    counters: RateCounters | None = None

    async def close(self) -> None:
        """Let go of every connection."""
        await self.database.close()
        if self.counters is not None:
            await self.counters.close()


def control_of(request: Request) -> Control:
    control = request.app.state.control
    assert isinstance(control, Control)  # noqa: S101 - create_api put it there
    return control


Means = Annotated[Control, Depends(control_of)]


async def operator_transaction(control: Means) -> AsyncIterator[Transaction]:
    async with control.database.transaction(operator=True) as tx:
        yield tx


async def operator_read(control: Means) -> AsyncIterator[ReadSession]:
    async with control.database.read(operator=True) as read:
        yield read


async def organisation_read(control: Means, organisation_id: UUID) -> AsyncIterator[ReadSession]:
    """As the customer sees it: row-level security shows this organisation's rows and no others."""
    async with control.database.read(organisation=organisation_id) as read:
        yield read


async def organisation_transaction(control: Means, organisation_id: UUID) -> AsyncIterator[Transaction]:
    """As the customer may write it: row-level security lets nothing through to another organisation."""
    async with control.database.transaction(organisation=organisation_id) as tx:
        yield tx


# scope="function": the transaction is committed before the answer leaves, so an answer is never a promise.
OperatorTx = Annotated[Transaction, Depends(operator_transaction, scope="function")]
OperatorRead = Annotated[ReadSession, Depends(operator_read, scope="function")]
OrganisationRead = Annotated[ReadSession, Depends(organisation_read, scope="function")]
OrganisationTx = Annotated[Transaction, Depends(organisation_transaction, scope="function")]
