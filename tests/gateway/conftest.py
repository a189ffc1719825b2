"""A running gateway for each test that asks, or one for a module whose tests each bring a customer."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from proving import Customer, SharedStack, migrated_database, new_customer, shared

from bursar.db.embedded import EmbeddedPostgres
from gateway_stack import GatewayStack, free_folder, running_stack
from scratch_database import ScratchDatabase

if TYPE_CHECKING:
    from processes import Bank

sys.path.append(str(Path(__file__).parents[1] / "db"))  # samples


@pytest.fixture
async def stack(database: ScratchDatabase, tmp_path: Path) -> AsyncIterator[GatewayStack]:
    async with running_stack(database, tmp_path) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_stack(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SharedStack]:
    """One gateway for a module; its tests run on the module's event loop."""
    folder = free_folder(tmp_path_factory.getbasetemp())
    with migrated_database(postgres) as database:
        async with running_stack(database, folder) as running, shared(running) as stack:
            yield stack


@pytest_asyncio.fixture(loop_scope="module")
async def customer(shared_stack: SharedStack) -> AsyncIterator[Customer]:
    """Someone with USD 100 on the module's gateway; what he leaves behind is proved clean."""
    async with new_customer(shared_stack) as someone:
        yield someone


@pytest.fixture(scope="module")
def bank(postgres: EmbeddedPostgres) -> Iterator["Bank"]:
    """One database for the tests of a module; each has customers of its own."""
    from processes import Bank  # late: it needs `samples`

    with migrated_database(postgres) as database:
        yield Bank(database.url)
