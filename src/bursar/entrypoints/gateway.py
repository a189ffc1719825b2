"""Wire a gateway: which books, which providers, which HTTP client, whose clock."""

import asyncio
import gc
import os
import socket
import time
from typing import Any
from uuid import UUID, uuid4

import structlog

from bursar.adapters.upstream import Timeouts
from bursar.adapters.upstream.direct import DirectUpstream
from bursar.core.addresses import Networks
from bursar.core.ids import uuid7
from bursar.core.money import parse_amount
from bursar.core.pricing import PriceBook
from bursar.db.books import PgBooks
from bursar.db.responses import PgResponses
from bursar.db.secrets import SecretBox
from bursar.entrypoints.adapters import provider_adapters
from bursar.entrypoints.counters import shared_counters
from bursar.gateway.app import GatewayApp
from bursar.gateway.flushing import Flusher
from bursar.gateway.life import LifeLimits, Process
from bursar.gateway.routing import Routing, RoutingLimits
from bursar.gateway.runtime import Gateway, GatewayLimits
from bursar.gateway.snapshot import Rows, Snapshot, build
from bursar.gateway.treasury import Treasury, TreasuryLimits
from bursar.settings import Settings, networks_in, secret_key_of

log = structlog.get_logger()

BOOKS_RETRY_S = 1.0
RANDOM_BYTES = 10  # 74 bits of a UUIDv7 are random
GC_YOUNG_OBJECTS = 10_000  # requests leave no cycles, connections do; 700 would cost 5 % of a core


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def life_ms(self) -> int:
        """Counts through suspend where the system has such a clock (Linux)."""
        clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        return time.clock_gettime_ns(clock) // 1_000_000


class WiredGateway:
    """The gateway as servers run it; it is built inside the running event loop, by `startup`."""

    def __init__(self, settings: Settings, dsn: str) -> None:
        self._settings = settings
        self._dsn = dsn
        self._books: PgBooks | None = None
        self._responses: PgResponses | None = None
        self.app: GatewayApp | None = None

    async def startup(self) -> None:
        """Start admitting; waits for PostgreSQL as long as it takes to come up."""
        clock = SystemClock()
        self._books = books = PgBooks(self._dsn, clock)
        self._responses = PgResponses(self._dsn, clock, secret_key_of(self._settings))
        gateway = _gateway(self._settings, books, clock, self._responses)
        self.app = GatewayApp(gateway, _snapshot_builder(self._settings))
        while not await self._is_open(self.app):  # noqa: ASYNC110 - nothing tells when it is back
            await asyncio.sleep(BOOKS_RETRY_S)
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_YOUNG_OBJECTS, 5, 5)  # what is frozen costs a full collection nothing

    async def _is_open(self, app: GatewayApp) -> bool:
        try:
            await app.startup()
        except PgBooks.unavailable as error:
            log.warning("gateway.waits_for_books", error=str(error))
            return False
        return True

    async def shutdown(self) -> None:
        if self.app is not None:
            await self.app.shutdown()
        if self._responses is not None:
            await self._responses.close()
        if self._books is not None:
            await self._books.close()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.app is None:
            raise RuntimeError("startup comes first")
        await self.app(scope, receive, send)


def build_gateway(settings: Settings, dsn: str) -> WiredGateway:
    """The gateway over the database at `dsn`."""
    return WiredGateway(settings, dsn)


def new_request_id(unix_ms: int) -> UUID:
    return uuid7(unix_ms, int.from_bytes(os.urandom(RANDOM_BYTES)))


def _gateway(settings: Settings, books: PgBooks, clock: SystemClock, responses: PgResponses) -> Gateway:
    life = LifeLimits(beat_ms=settings.beat_every_ms, admit_ms=settings.process_life_ms)
    process = Process(books, clock, host=socket.gethostname(), new_id=uuid4, limits=life)
    cap = TreasuryLimits(
        slice_cap=parse_amount(str(settings.lease_cap), "USD"), idle_ms=settings.lease_idle_ms
    )
    return Gateway(
        books=books,
        clock=clock,
        process=process,
        treasury=Treasury(books, clock, process, cap),
        flusher=Flusher(books, process, settings.data_dir / "spool"),
        upstream=DirectUpstream(connections_max=settings.upstream_connections_max),
        snapshot=Snapshot(keys={}, models={}, prices=PriceBook(())),
        limits=GatewayLimits(
            body_bytes_max=settings.body_bytes_max,
            bodies_bytes_max=settings.bodies_bytes_max,
            in_flight_max=settings.in_flight_max,
            answer_bytes_max=settings.answer_bytes_max,
            attempts_max=settings.attempts_max,
            rounds_max=settings.rounds_max,
            retry_deadline_ms=settings.retry_deadline_ms,
            retry_backoff_ms=settings.retry_backoff_ms,
            retry_backoff_ms_max=settings.retry_backoff_ms_max,
            mark_interval_ms=settings.mark_every_ms,
            drain_ms=settings.drain_timeout_ms,
            drain_bytes=settings.drain_bytes_max,
            drains_max=settings.drain_tasks_max,
        ),
        new_request_id=new_request_id,
        shared=shared_counters(settings),
        trusted_proxies=Networks(networks_in(settings.trusted_proxies)),
        metrics_for=Networks(networks_in(settings.metrics_for)),
        responses=responses,
        routing=Routing(
            RoutingLimits(
                cooldown_ms=settings.credential_cooldown_ms,
                cooldown_ms_max=settings.credential_cooldown_ms_max,
                out_ms=settings.credential_out_ms,
                probe_ms=settings.credential_probe_ms,
            )
        ),
    )


def _snapshot_builder(settings: Settings) -> Any:
    box = SecretBox(secret_key_of(settings))
    adapters = provider_adapters()
    timeouts = Timeouts(
        connect_ms=settings.connect_timeout_ms,
        first_byte_ms=settings.first_byte_timeout_ms,
        idle_ms=settings.idle_timeout_ms,
    )

    def build_snapshot(rows: Rows) -> Snapshot:
        return build(rows, adapters, lambda sealed: box.open(sealed).decode(), timeouts)

    return build_snapshot
