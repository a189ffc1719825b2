"""Reading a large configuration anew stops nobody's stream."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

from bursar.core.pricing import PriceBook
from bursar.gateway.snapshot import Snapshot
from bursar.gateway.watching import Reload

EMPTY = Snapshot(keys={}, models={}, prices=PriceBook(()))


class FakeBooks:
    unavailable = ConnectionError

    async def load_snapshot(self) -> dict[str, Any]:
        return {}


async def test_leaves_the_event_loop_to_others() -> None:
    def build_slowly(_rows: object) -> Snapshot:
        time.sleep(0.3)
        return EMPTY

    gw: Any = SimpleNamespace(books=FakeBooks(), rates=SimpleNamespace(keep=set), snapshot=None)
    reload = Reload(gw, build_slowly)
    reload.ask()
    running = asyncio.create_task(reload.run())
    longest_ns, before_ns = 0, time.monotonic_ns()
    while gw.snapshot is None:
        await asyncio.sleep(0.005)
        now_ns = time.monotonic_ns()
        longest_ns, before_ns = max(longest_ns, now_ns - before_ns), now_ns
    running.cancel()
    assert longest_ns < 200_000_000
