"""Hear what changed: configuration (reload the snapshot), recalls (give money back)."""

import asyncio
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import structlog

from bursar.gateway.runtime import Gateway
from bursar.gateway.snapshot import Snapshot

log = structlog.get_logger()

CHANGED: Final = "bursar_changed"
RECALL: Final = "bursar_recall"
BUDGET: Final = "budget:"
RELISTEN_S: Final = 0.5
GATHER_S: Final = 0.05  # changes come in bursts: one reload answers all of a moment


async def watch_books(gw: Gateway, build_snapshot: Callable[[Any], Snapshot]) -> None:
    """Listen for ever; after a lost connection reload, for whatever was missed meanwhile."""
    reload = Reload(gw, build_snapshot)
    reloading = asyncio.get_running_loop().create_task(reload.run())
    try:
        while True:
            await _listen(gw, reload)
            await asyncio.sleep(RELISTEN_S)
            reload.ask()
    finally:
        reloading.cancel()


async def _listen(gw: Gateway, reload: "Reload") -> None:
    try:
        async for channel, payload in gw.books.listen([CHANGED, RECALL]):
            if channel == RECALL:
                gw.spawn(_give_back(gw, payload))
            else:
                reload.ask()
    except gw.books.unavailable as error:
        log.warning("watch.lost", error=str(error))
    except Exception:
        log.exception("watch.failed")


class Reload:
    """One reload at a time; a change heard while one runs causes one more; a failed one is tried again."""

    def __init__(self, gw: Gateway, build_snapshot: Callable[[Any], Snapshot]) -> None:
        self._gw = gw
        self._build = build_snapshot
        self._wanted = asyncio.Event()

    def ask(self) -> None:
        self._wanted.set()

    async def run(self) -> None:
        while True:
            await self._wanted.wait()
            await asyncio.sleep(GATHER_S)
            self._wanted.clear()
            if not await self._load():
                await asyncio.sleep(RELISTEN_S)
                self._wanted.set()

    async def _load(self) -> bool:
        """False when what is known may be out of date: a key that was revoked still passes."""
        try:
            rows = await self._gw.books.load_snapshot()
            snapshot = await asyncio.to_thread(self._build, rows)  # seconds for many keys: streams go on
        except self._gw.books.unavailable as error:
            log.warning("snapshot.stale", error=str(error))
            return False
        except Exception:
            log.exception("snapshot.stale")
            return False
        self._gw.snapshot = snapshot
        self._gw.limiter.keep({key.api_key_id for key in snapshot.keys.values()})
        return True


async def _give_back(gw: Gateway, recalled: str) -> None:
    """`recalled`: a wallet's id, or `budget:` and a budget's."""
    if recalled.startswith(BUDGET):
        await gw.limiter.budgets.give_back(UUID(recalled.removeprefix(BUDGET)))
        return
    for account in gw.treasury.on_recall(UUID(recalled)):
        await gw.treasury.give_back(account)
