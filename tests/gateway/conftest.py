"""A running gateway for each test that asks."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway_stack import GatewayStack, running_stack
from scratch_database import ScratchDatabase


@pytest.fixture
async def stack(database: ScratchDatabase, tmp_path: Path) -> AsyncIterator[GatewayStack]:
    async with running_stack(database, tmp_path) as running:
        yield running
