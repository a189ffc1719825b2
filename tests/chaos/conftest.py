import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parents[1] / name) for name in ("e2e", "db")]  # bursar_process, samples

from programs import Nursery, nursery
from servers import Server, private_server
from world import AWAY_PACE, World, world_of

from scratch_database import ScratchDatabase


@pytest.fixture(scope="session")
def maker() -> Iterator[Nursery]:
    with nursery() as running:
        yield running


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """This worker's own PostgreSQL, to be stopped and killed."""
    with private_server(tmp_path_factory.mktemp("server") / "pg") as running:
        yield running


@pytest.fixture
async def away(server: Server, maker: Nursery, tmp_path: Path) -> AsyncIterator[World]:
    """A world on a PostgreSQL that goes away."""
    await asyncio.to_thread(server.start)  # should a test have ended while it was stopped
    async with world_of(server.new_database(), maker, tmp_path, pace=AWAY_PACE) as made:
        yield made


@pytest.fixture
async def world(database: ScratchDatabase, maker: Nursery, tmp_path: Path) -> AsyncIterator[World]:
    async with world_of(database, maker, tmp_path) as made:
        yield made
