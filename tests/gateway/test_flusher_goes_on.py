"""One task makes everybody's answers durable: what goes wrong with one row must not end it."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from samples import Customer, usage_row

from bursar.core.booking import FlushReply
from bursar.gateway.flushing import Flusher, NotDurable

NOBODY = Customer(organisation_id=uuid4(), wallet_id=uuid4(), api_key_id=uuid4())


class Away(Exception):
    pass


class FakeBooks:
    unavailable = Away
    is_away = False

    async def flush(self, *_: object) -> FlushReply:
        if self.is_away:
            raise Away
        return FlushReply(late=False, balances={}, quarantined=())


class FakeProcess:
    process_id = uuid4()


@pytest.fixture
def books() -> FakeBooks:
    return FakeBooks()


@pytest.fixture
def flusher(tmp_path: Path, books: FakeBooks) -> Flusher:
    part: Any = FakeProcess()
    of: Any = books
    return Flusher(of, part, tmp_path)


async def test_after_a_mark_that_cannot_be_written(flusher: Flusher) -> None:
    running = asyncio.create_task(flusher.run())
    with pytest.raises(TypeError):
        flusher.mark(usage_row(NOBODY, cost=2**70))
    await asyncio.wait_for(flusher.submit([usage_row(NOBODY)]), 5)
    await flusher.close()
    await running
    flusher.let_go()


async def test_after_a_disk_thread_that_cannot_start(
    flusher: Flusher, books: FakeBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = asyncio.create_task(flusher.run())
    books.is_away = True

    async def no_thread(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(flusher, "_on_disk", no_thread)
        with pytest.raises(NotDurable):
            await asyncio.wait_for(flusher.submit([usage_row(NOBODY)]), 5)
    await asyncio.wait_for(flusher.submit([usage_row(NOBODY)]), 5)
    await flusher.close()
    await running
    flusher.let_go()
