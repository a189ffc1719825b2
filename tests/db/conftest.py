"""The books' own fixtures: a desk, and the async means of the worker and the operator."""

from collections.abc import AsyncIterator, Iterator

import pytest
from desk import Desk
from samples import SettableClock

from bursar.db.books import PgBooks
from bursar.db.connect import Role
from bursar.db.engine import Database
from scratch_database import ScratchDatabase


@pytest.fixture
def desk(database: ScratchDatabase) -> Iterator[Desk]:
    with Desk(database) as opened:
        yield opened


@pytest.fixture
def clock(desk: Desk) -> SettableClock:
    return desk.clock


@pytest.fixture
async def books(database: ScratchDatabase, clock: SettableClock) -> AsyncIterator[PgBooks]:
    opened = PgBooks(database.url, clock)
    yield opened
    await opened.close()


@pytest.fixture
async def worker(database: ScratchDatabase) -> AsyncIterator[Database]:
    opened = Database(database.url, Role.WORKER)
    yield opened
    await opened.close()


@pytest.fixture
async def api(database: ScratchDatabase) -> AsyncIterator[Database]:
    opened = Database(database.url, Role.API)
    yield opened
    await opened.close()
