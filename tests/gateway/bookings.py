"""Rows to flush, what became of them, and what a killed process leaves behind."""

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from postgres_road import until
from processes import Bank, Branch
from samples import Customer, encoded, usage_row

from bursar.core.booking import UsageRow
from bursar.gateway.flushing import Flusher

ONE_KILLED = """
import os, signal, sys, uuid
from pathlib import Path
from bursar.gateway.spool import Spool
rows, marks = (Path(name).read_bytes().splitlines() for name in sys.argv[2:])
Spool(Path(sys.argv[1]), uuid.uuid4()).append(rows, marks)
os.kill(os.getpid(), signal.SIGKILL)
"""


@asynccontextmanager
async def flushing(branch: Branch, folder: Path) -> AsyncIterator[Flusher]:
    flusher = Flusher(branch.books, branch.process, folder)
    running = asyncio.create_task(flusher.run())
    try:
        yield flusher
    finally:
        await flusher.close()
        await running
        flusher.let_go()


def sales(customer: Customer, *amounts: int, **changes: Any) -> list[UsageRow]:
    return [usage_row(customer, sale=amount, cost=0, streamed=False, **changes) for amount in amounts]


def mark_of(row: UsageRow, sale: int) -> UsageRow:
    return replace(row, sale=sale, from_mark=True, outcome="crashed")


async def booked(bank: Bank, customer: Customer) -> list[Mapping[str, Any]]:
    return await bank.rows(
        "SELECT * FROM usage WHERE wallet_id = %s ORDER BY sale, revision", customer.wallet_id
    )


async def assert_booked_once(bank: Bank, customer: Customer, rows: list[UsageRow]) -> None:
    found = Counter((row["request_id"], row["sale"]) for row in await booked(bank, customer))
    assert found == Counter((row.request_id, row.sale) for row in rows)
    await bank.post()
    wallet = await bank.wallet(customer)
    assert wallet["owed"] - wallet["posted"] == sum(row.sale for row in rows)


async def until_replayed(flusher: Flusher, folder: Path) -> None:
    await until(lambda: not flusher.is_away and not spooled(folder))


def spooled(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.suffix in {".spool", ".replaying"}]


def leave_behind(folder: Path, rows: list[UsageRow], marks: list[UsageRow]) -> None:
    """What a process spooled that was then killed."""
    folder.mkdir(exist_ok=True)
    files = []
    for name, group in (("rows", rows), ("marks", marks)):
        files.append(folder.parent / f"{name}-{uuid4()}")
        files[-1].write_bytes(b"\n".join(encoded(group)))
    told = [sys.executable, "-c", ONE_KILLED, str(folder), *map(str, files)]
    assert subprocess.run(told, check=False).returncode == -signal.SIGKILL
