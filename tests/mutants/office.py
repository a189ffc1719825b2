"""One gateway process without a server, over real books whose answers can be lost or held up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID, uuid4

from desk import Desk
from samples import START_MS, Customer, usage_row

from bursar.core.booking import UsageRow
from bursar.db.books import PgBooks
from bursar.db.line import BooksUnavailable
from bursar.gateway.flushing import Flusher
from bursar.gateway.life import Process
from bursar.gateway.treasury import Account, Treasury, TreasuryLimits
from scratch_database import ScratchDatabase

POLL_S = 0.01


@dataclass
class HandClock:
    """Stands still until moved; `suspended_ms` is what only the clock of life counts."""

    time_ms: int = START_MS
    suspended_ms: int = 0

    def now_ms(self) -> int:
        return self.time_ms

    def monotonic_ms(self) -> int:
        return self.time_ms

    def life_ms(self) -> int:
        return self.time_ms + self.suspended_ms


@dataclass
class RoughRoad:
    """The books, reached by a bad road: `is_away` nothing arrives; `lost` what is done but not answered."""

    books: PgBooks
    is_away: bool = False
    lost: set[str] = field(default_factory=set)
    open_gate: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0

    unavailable: ClassVar[type[Exception]] = BooksUnavailable

    def __post_init__(self) -> None:
        self.open_gate.set()

    def __getattr__(self, name: str) -> Any:
        ask = getattr(self.books, name)

        async def asked(*words: Any) -> Any:
            self.waiting += 1
            await self.open_gate.wait()
            self.waiting -= 1
            if self.is_away:
                raise BooksUnavailable("away")
            answer = await ask(*words)
            if name in self.lost:
                raise BooksUnavailable("the answer was lost")
            return answer

        return asked


@dataclass(kw_only=True)
class Office:
    desk: Desk
    road: RoughRoad
    clock: HandClock
    process: Process
    treasury: Treasury
    flusher: Flusher
    folder: Path

    def account(self, customer: Customer) -> Account:
        return self.treasury.account(customer.wallet_id, customer.organisation_id, "text")

    def booked(self, row: UsageRow) -> list[Any]:
        return self.desk.usage(row.request_id)

    def spooled(self) -> list[Path]:
        return [path for path in self.folder.glob("*") if path.suffix != ".lock"]

    async def settled(self) -> None:
        """Wait until PostgreSQL is in use again and no replay is under way."""
        while self.flusher.is_away or self.flusher._replaying:
            await asyncio.sleep(POLL_S)

    async def asked(self) -> None:
        """Wait until somebody stands before the closed gate."""
        while not self.road.waiting:
            await asyncio.sleep(POLL_S)

    def row(self, **changes: Any) -> UsageRow:
        """A sale to a new customer with money."""
        return usage_row(self.desk.customer(10_000), **changes)


def new_id() -> UUID:
    return uuid4()


@asynccontextmanager
async def office(database: ScratchDatabase, folder: Path) -> AsyncIterator[Office]:
    """Open for business: the process is registered and the flusher runs."""
    clock = HandClock()
    books = PgBooks(database.url, clock)
    road = RoughRoad(books)
    process = Process(road, clock, host="test", new_id=new_id)
    await process.open()
    flusher = Flusher(road, process, folder)
    treasury = Treasury(road, clock, process, TreasuryLimits())
    process.on_death.append(treasury.drop_all)
    with Desk(database) as desk:
        running = asyncio.create_task(flusher.run())
        yield Office(
            desk=desk,
            road=road,
            clock=clock,
            process=process,
            treasury=treasury,
            flusher=flusher,
            folder=folder,
        )
        road.open_gate.set()
        await flusher.close()
        await running
        flusher.let_go()
        await books.close()
