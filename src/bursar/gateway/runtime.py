"""What the stages of the pipeline share: one object per gateway process, wired by an entry point."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog

from bursar.adapters.ratecounters import RateCounters
from bursar.adapters.upstream import Upstream
from bursar.adapters.upstream.watchdog import Watchdog
from bursar.core.addresses import Networks
from bursar.gateway.admit import Funding
from bursar.gateway.authenticate import KeyRates
from bursar.gateway.budgets import Budgets
from bursar.gateway.flushing import Flusher
from bursar.gateway.inbound import ByteBudget, Lookout
from bursar.gateway.life import Process
from bursar.gateway.limiting import Limiter
from bursar.gateway.outputs import OutputHistory
from bursar.gateway.ports import Books, GatewayClock, NoResponses, ResponseStore
from bursar.gateway.routing import Routing
from bursar.gateway.snapshot import Snapshot
from bursar.gateway.ticket import Ticket
from bursar.gateway.treasury import Treasury

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLimits:
    """Everything has a limit.

    Attributes:
        body_bytes_max: a caller's request.
        bodies_bytes_max: all request bodies in memory together.
        body_silence_ms: between two parts of a caller's request.
        in_flight_max: requests at once.
        answer_bytes_max: a provider's whole answer.
        attempts_max: tries at providers per request, all models together; each model keeps one.
        rounds_max: how often a request goes round the same deployments.
        retry_deadline_ms: no try begins so long after the request came in.
        retry_backoff_ms, retry_backoff_ms_max: the pause before the second round, doubling to this.
        mark_interval_ms: between progress marks of one stream.
        drain_ms, drain_bytes, drains_max: reading on after a hang-up where the provider bills on regardless.
    """

    body_bytes_max: int = 100 * 2**20
    bodies_bytes_max: int = 1_000 * 2**20
    body_silence_ms: int = 60_000
    in_flight_max: int = 10_000
    answer_bytes_max: int = 64 * 2**20
    attempts_max: int = 4
    rounds_max: int = 2
    retry_deadline_ms: int = 15_000
    retry_backoff_ms: int = 250
    retry_backoff_ms_max: int = 4_000
    mark_interval_ms: int = 5_000
    drain_ms: int = 60_000
    drain_bytes: int = 16 * 2**20
    drains_max: int = 1_000


@dataclass(slots=True, kw_only=True)
class Gateway:
    """The parts. `new_request_id` makes a UUIDv7 of a unix millisecond."""

    books: Books
    clock: GatewayClock
    process: Process
    treasury: Treasury
    flusher: Flusher
    upstream: Upstream
    snapshot: Snapshot
    limits: GatewayLimits
    new_request_id: Callable[[int], UUID]
    rates: KeyRates = field(default_factory=KeyRates)
    routing: Routing = field(default_factory=Routing)
    outputs: OutputHistory = field(default_factory=OutputHistory)
    funding: Funding = field(init=False)
    bodies: ByteBudget = field(init=False)
    shared: RateCounters | None = None
    trusted_proxies: Networks = field(default_factory=lambda: Networks(()))
    metrics_for: Networks = field(default_factory=lambda: Networks(()))
    limiter: Limiter = field(init=False)
    responses: ResponseStore = field(default_factory=NoResponses)
    in_flight: int = 0
    under_way: dict[UUID, Ticket] = field(default_factory=dict)
    dog: Watchdog = field(default_factory=Watchdog)
    lookout: Lookout = field(default_factory=Lookout)
    background: "set[asyncio.Task[None]]" = field(default_factory=set)

    def __post_init__(self) -> None:
        self.funding = Funding(self.treasury, self.outputs)
        self.bodies = ByteBudget(self.limits.bodies_bytes_max)
        budgets = Budgets(self.books, self.clock, self.process)
        self.limiter = Limiter(
            self.clock,
            budgets,
            self.outputs,
            rates=self.rates,
            shared=self.shared,
            trusted=self.trusted_proxies,
        )

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` beside the requests; shutdown waits for it, a failure is logged."""
        task = asyncio.get_running_loop().create_task(work)
        self.background.add(task)
        task.add_done_callback(self._reap)

    def _reap(self, task: "asyncio.Task[None]") -> None:
        self.background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background.failed", error=repr(error), exc_info=error)
