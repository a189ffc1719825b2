"""The gateway as an ASGI application, and the tasks that live as long as it does."""

import asyncio
import contextlib
from collections.abc import Callable, MutableMapping
from typing import Any, Final

import structlog

from bursar.gateway.health import tell_books
from bursar.gateway.inbound import Inbound, Receive, Send
from bursar.gateway.runtime import Gateway
from bursar.gateway.snapshot import Snapshot
from bursar.gateway.surface import serve
from bursar.gateway.treasury import TEND_INTERVAL_MS
from bursar.gateway.unanswered import mark_the_unanswered
from bursar.gateway.watching import watch_books

log = structlog.get_logger()

SHUTDOWN_WAIT_S: Final = 30.0

BuildSnapshot = Callable[[MutableMapping[str, Any]], Snapshot]


class GatewayApp:
    """Serves `/v1/…`. `startup` and `shutdown` belong to whoever runs the server."""

    def __init__(self, gw: Gateway, build_snapshot: Callable[[Any], Snapshot]) -> None:
        self.gw = gw
        self._build_snapshot = build_snapshot
        self._tasks: list[asyncio.Task[None]] = []
        self._flushing: asyncio.Task[None] | None = None

    async def startup(self) -> None:
        """Register the process, load the snapshot, book what a crash left in the spool, then admit.

        Raises:
            the books' `unavailable`: PostgreSQL is not there; try again.
        """
        gw = self.gw
        gw.snapshot = self._build_snapshot(await gw.books.load_snapshot())
        gw.process.on_death += [gw.treasury.drop_all, gw.limiter.budgets.drop_all]
        await gw.process.open()
        await gw.flusher.replay_left_behind()
        loop = asyncio.get_running_loop()
        self._flushing = loop.create_task(gw.flusher.run())
        self._tasks = [
            loop.create_task(gw.process.beat_forever()),
            loop.create_task(watch_books(gw, self._build_snapshot)),
            loop.create_task(tell_books(gw)),
            loop.create_task(self._tend()),
        ]
        log.info("gateway.started", process_id=str(gw.process.process_id), models=len(gw.snapshot.models))

    async def shutdown(self) -> None:
        """Let background settling end, book everything, give the leases back."""
        gw = self.gw
        if gw.background:
            _, reading_on = await asyncio.wait(gw.background, timeout=SHUTDOWN_WAIT_S)
            for task in reading_on:
                task.cancel()  # what is known by now is booked
            await asyncio.gather(*reading_on, return_exceptions=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await gw.flusher.close()
        if self._flushing is not None:
            await self._flushing
        gw.flusher.let_go()
        try:
            await gw.limiter.close()
        except Exception:  # rates leak away by themselves; money is given back all the same
            log.exception("gateway.limits_not_closed")
        with contextlib.suppress(gw.books.unavailable):  # the sweeper closes what we cannot
            await gw.treasury.close()
            await gw.books.close_process(gw.process.process_id)
        await gw.upstream.close()
        await gw.dog.close()
        log.info("gateway.stopped", process_id=str(gw.process.process_id))

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await serve(self.gw, Inbound(scope, receive, send, self.gw.dog))

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(TEND_INTERVAL_MS / 1000)
            try:
                mark_the_unanswered(self.gw)
                await self.gw.treasury.tend()
                await self.gw.limiter.tend()
            except Exception:
                log.exception("gateway.tend_failed")
