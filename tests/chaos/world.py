"""A customer, providers and a database for programs that will be killed; and what must be true afterwards."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg
from callers import HOLD_MAX, SALE, Seen
from programs import Nursery, Program
from psycopg.rows import dict_row

from bursar.core.money import format_amount, parse_amount
from bursar.db.checks import check_books, is_clean
from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.simulator import Simulator, running
from gateway_stack import SECRET_KEY, Seed, seed, top_up
from scratch_database import ScratchDatabase

BALANCE: Final = 1_000 * 10**9
"""Nano-USD that the customer starts with."""
DEAD_MS: Final = 1_000
PACE: Final = {
    "BURSAR_BEAT_EVERY_MS": "100",
    "BURSAR_PROCESS_LIFE_MS": "600",
    "BURSAR_PROCESS_DEAD_MS": str(DEAD_MS),
    "BURSAR_MARK_EVERY_MS": "50",
    "BURSAR_POST_EVERY_MS": "50",
    "BURSAR_SWEEP_EVERY_MS": "100",
    "BURSAR_CHECK_EVERY_MS": "1000000",
    "BURSAR_LOG_LEVEL": "info",
    "BURSAR_SECRET_KEY": SECRET_KEY,
}
"""Lives and rounds short enough for a test; their proportions are those of the defaults."""
AWAY_PACE: Final = PACE | {"BURSAR_PROCESS_LIFE_MS": "2000", "BURSAR_PROCESS_DEAD_MS": "3000"}
"""Long enough to see a gateway live on without PostgreSQL."""
SETTLE_WAIT_S_MAX: Final = 60
POLL_S: Final = 0.05


@dataclass(kw_only=True)
class World:
    """`programs` are all that were started, dead ones included."""

    database: ScratchDatabase
    simulator: Simulator
    seed: Seed
    nursery: Nursery
    folder: Path
    pace: Mapping[str, str]
    balance: int
    programs: list[Program] = field(default_factory=list)

    def start(self, *words: str, data: str = "data", **changed: str) -> Program:
        """Programs with the same `data` share a folder for their spools."""
        settings = {
            **self.pace,
            "BURSAR_DATABASE_URL": self.database.url,
            "BURSAR_DATA_DIR": str(self.folder / data),
            **changed,
        }
        program = self.nursery.start(self.folder, *words, settings=settings)
        self.programs.append(program)
        return program

    def start_gateway(self, data: str = "data", **changed: str) -> Program:
        return self.start("gateway", "--port", "0", data=data, **changed)

    def top_up(self, amount: int) -> None:
        """Give the customer so many nano-USD more."""
        with psycopg.connect(self.database.conninfo(Role.OPERATOR), autocommit=True) as connection:
            top_up(connection, self.seed.wallet_id, format_amount(amount, "USD"))
        self.balance += amount

    async def rows(self, query: str, parameters: Iterable[Any] = ()) -> list[dict[str, Any]]:
        """What the worker role sees."""
        async with await psycopg.AsyncConnection.connect(
            self.database.conninfo(Role.WORKER), autocommit=True, row_factory=dict_row
        ) as connection:
            cursor = await connection.execute(query, list(parameters))  # type: ignore[call-overload]  # a test's own SQL
            return list(await cursor.fetchall())

    async def value(self, query: str, parameters: Iterable[Any] = ()) -> Any:
        (row,) = await self.rows(query, parameters)
        (value,) = row.values()
        return value

    async def wallet(self) -> dict[str, Any]:
        (row,) = await self.rows(
            "SELECT posted, held, owed, overrun FROM wallet WHERE id = %s", [self.seed.wallet_id]
        )
        return row

    async def until(self, query: str, wanted: Any = 0, parameters: Iterable[Any] = ()) -> None:
        """Ask again and again until the answer is the wanted one."""
        given = list(parameters)
        deadline = time.monotonic() + SETTLE_WAIT_S_MAX
        while (value := await self.value(query, given)) != wanted:
            assert time.monotonic() < deadline, f"still {value}: {query}\n{self.troubles()}"
            await asyncio.sleep(POLL_S)

    async def settled(self) -> None:
        """Wait until the worker has closed every process, posted every row and freed every lease."""
        await self.until("SELECT count(*) FROM process WHERE state = 'alive'")
        await self.until("SELECT count(*) FROM usage WHERE posting IS NULL")
        await self.until("SELECT count(*) FROM hold WHERE state <> 'closed'")

    async def assert_books_are_right(self, seen: list[Seen]) -> None:
        """After `settled`: nothing held, no unit lost, and everything seen complete is booked once."""
        database = Database(self.database.url, Role.WORKER)
        findings = await check_books(database)
        await database.close()
        assert is_clean(findings), [finding for finding in findings if finding.ok is False]
        assert await self.rows("SELECT * FROM usage_quarantine") == []
        assert await self.rows("SELECT * FROM usage_mark") == []
        assert [path.name for path in self.folder.glob("*/spool/*") if path.suffix != ".lock"] == []
        booked = await self.rows(
            "SELECT request_id::text, sum(sale)::bigint AS sale, count(*) AS rows,"
            " count(*) FILTER (WHERE NOT from_mark) AS finals FROM usage GROUP BY request_id"
        )
        sold = sum(row["sale"] for row in booked)
        wallet = await self.wallet()
        assert wallet == {"posted": self.balance - sold, "held": 0, "owed": 0, "overrun": 0}
        assert_seen_once(seen, {row["request_id"]: row for row in booked})

    def troubles(self) -> str:
        """What the programs said that is not routine."""
        return "\n".join(
            line
            for program in self.programs
            for line in program.logged.splitlines()
            if not line.startswith("{") or '"level": "info"' not in line
        )[-4000:]


def assert_seen_once(seen: list[Seen], booked: dict[str, dict[str, Any]]) -> None:
    """Every answer seen complete is booked, finally and once, at the price it was told."""
    complete = [one for one in seen if one.is_complete]
    assert {
        name: times for name, times in Counter(one.request_id for one in complete).items() if times > 1
    } == {}
    wrong = [
        (one, booked.get(one.request_id))
        for one in complete
        if (row := booked.get(one.request_id)) is None
        or row["finals"] != 1
        or row["sale"] != SALE
        or one.cost is None
        or parse_amount(one.cost, "USD") != SALE
    ]
    assert wrong == []
    broken = [one for one in seen if one.request_id in booked and not one.is_complete]
    assert [one for one in broken if booked[one.request_id]["sale"] > HOLD_MAX] == []


@asynccontextmanager
async def world_of(
    database: ScratchDatabase,
    nursery: Nursery,
    folder: Path,
    *,
    pace: Mapping[str, str] = PACE,
    balance: int = BALANCE,
) -> AsyncIterator[World]:
    """Simulated providers and a customer with money; every program started in it is gone at the end.

    `balance`: nano-USD.
    """
    async with running() as simulator:
        seeded = seed(database, simulator.base_url, balance=format_amount(balance, "USD"))
        world = World(
            database=database,
            simulator=simulator,
            seed=seeded,
            nursery=nursery,
            folder=folder,
            pace=pace,
            balance=balance,
        )
        try:
            yield world
        finally:
            for program in world.programs:
                program.kill()
