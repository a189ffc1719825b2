import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parents[1] / name) for name in ("e2e", "db")]  # bursar_process, samples

from programs import Nursery, nursery
from world import World, world_of

from scratch_database import ScratchDatabase


@pytest.fixture(scope="session")
def maker() -> Iterator[Nursery]:
    with nursery() as running:
        yield running


@pytest.fixture
async def world(database: ScratchDatabase, maker: Nursery, tmp_path: Path) -> AsyncIterator[World]:
    async with world_of(database, maker, tmp_path) as made:
        yield made
