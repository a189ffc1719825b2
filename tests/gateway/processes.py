"""Gateway processes without a server: life and treasury over real books, with time in the test's hand."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID, uuid4

import psycopg
from postgres_road import Road
from psycopg.rows import dict_row
from samples import Customer, add_customer, encoded, usage_row

from bursar.db.books import PgBooks
from bursar.db.connect import Role, conninfo_as
from bursar.gateway.life import LifeLimits, Process
from bursar.gateway.treasury import Account, Hold, Treasury, TreasuryLimits, Unfunded
from bursar.gateway.watching import RECALL
from gateway_stack import top_up

TEXT = "text"


class SteppingClock:
    """Runs with the machine's clock; a test can make it jump."""

    def __init__(self) -> None:
        self.jumped_ms = 0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000 + self.jumped_ms

    def life_ms(self) -> int:
        return self.monotonic_ms()


class Branch:
    """One gateway process: `treasury` over `books`, which reach PostgreSQL by `road`."""

    def __init__(self, road: Road, limits: TreasuryLimits, life: LifeLimits) -> None:
        self.road = road
        self.clock = SteppingClock()
        self.books = PgBooks(road.url, self.clock)
        self.process = Process(self.books, self.clock, host="test", new_id=uuid4, limits=life)
        self.treasury = Treasury(self.books, self.clock, self.process, limits)
        self.process.on_death.append(self.treasury.drop_all)

    def account(self, customer: Customer) -> Account:
        return self.treasury.account(customer.wallet_id, customer.organisation_id, TEXT)

    async def hear_recalls(self) -> None:
        async for channel, payload in self.books.listen([RECALL]):
            if channel == RECALL:
                for account in self.treasury.on_recall(UUID(payload)):
                    await self.treasury.give_back(account)


class Bank:
    """A database and the gateway processes that use it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def customer(self, units: int = 0) -> Customer:
        """Somebody with so many units (nano-dollars) in his wallet."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            customer = add_customer(connection)
            if units:
                top_up(connection, customer.wallet_id, f"{units // 10**9}.{units % 10**9:09}")
        return customer

    @asynccontextmanager
    async def branch(
        self,
        limits: TreasuryLimits | None = None,
        life: LifeLimits | None = None,
        *,
        hears_recalls: bool = False,
    ) -> AsyncIterator[Branch]:
        """A process that was opened; it is not closed at the end, as if killed."""
        async with Road(self.url).serving() as road:
            branch = Branch(road, limits or TreasuryLimits(), life or LifeLimits())
            await branch.process.open()
            hearing = asyncio.ensure_future(branch.hear_recalls()) if hears_recalls else None
            try:
                yield branch
            finally:
                if hearing is not None:
                    hearing.cancel()
                    await asyncio.gather(hearing, return_exceptions=True)
                road.let_replies_go()
                await branch.books.close()

    async def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        """What the worker role sees, or does."""
        async with await psycopg.AsyncConnection.connect(
            conninfo_as(self.url, Role.WORKER), autocommit=True, row_factory=dict_row
        ) as connection:
            return await (await connection.execute(query, parameters)).fetchall()  # type: ignore[arg-type]  # our own SQL

    async def wallet(self, customer: Customer) -> Mapping[str, Any]:
        return (await self.rows("SELECT * FROM wallet WHERE id = %s", customer.wallet_id))[0]

    async def leases(self, customer: Customer) -> list[dict[str, Any]]:
        """The open ones, oldest first."""
        return await self.rows(
            "SELECT * FROM hold WHERE wallet_id = %s AND state <> 'closed' ORDER BY created_at",
            customer.wallet_id,
        )

    async def lease(self, customer: Customer) -> Mapping[str, Any]:
        (lease,) = await self.leases(customer)
        return lease

    async def close_process(self, process_id: UUID) -> None:
        """What the sweeper does with a process that was silent for too long."""
        with suppress(IndexError):
            await self.rows("SELECT bursar_close_process(%s, NULL, now())", process_id)

    async def post(self) -> None:
        await self.rows("SELECT * FROM bursar_post(now(), 1000, 100000)")

    def administer(self, statement: str, *parameters: Any) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement, parameters)  # type: ignore[arg-type]  # our own SQL


async def sell(branch: Branch, customer: Customer, hold: Hold, sale: int) -> None:
    """Settle a hold and book its sale."""
    row = usage_row(customer, lease_id=hold.lease_id, sale=sale, cost=sale, streamed=False)
    hold.settle(sale)
    await branch.books.flush(branch.process.process_id, encoded([row]), [])


async def admitted(branch: Branch, customer: Customer, amount: int) -> Hold | None:
    try:
        return await branch.treasury.hold(branch.account(customer), amount)
    except Unfunded:
        return None


async def assert_agree(bank: Bank, branch: Branch, customer: Customer) -> None:
    """Memory and books know the same lease."""
    lease = await bank.lease(customer)
    account = branch.account(customer)
    assert account.lease_id == lease["id"]
    assert account.lease.granted == lease["granted"]
    assert (await bank.wallet(customer))["held"] == lease["amount"]
