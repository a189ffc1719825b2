"""Budgets in memory: what this process may still use of them without asking (ADR 0013).

One `Slice` per budget and period, handled like a lease: take is SQL first and memory after, give is memory
first and SQL after, operations are numbered, answers absolute. A request takes from all its budgets or none.

Memory grows with the budgets in use here, about 400 bytes each; a slice of a period that is over goes with
its last request, an unused one after a minute. The books remember what was spent of it: their first answer
about a slice says where this process left off.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

import structlog

from bursar.core.booking import BudgetAsk, BudgetGrant, BudgetState
from bursar.core.leases import Lease
from bursar.core.limits import Period, Unit, period_bounds
from bursar.gateway.errors import books_unavailable
from bursar.gateway.life import Process
from bursar.gateway.ports import Books, GatewayClock
from bursar.gateway.treasury import DRY_MS, RECALL_WAITS_MS, SLICE_REQUESTS

log = structlog.get_logger()

IDLE_MS: Final = 15_000
"""A slice unused for so long gives everything back."""

FORGET_MS: Final = 60_000
"""A slice unused for so long, of which nothing is held, is forgotten."""

TOLD_AT_ONCE_MAX: Final = 200
"""Slices per call when telling what was spent: a call holds their budgets' locks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be used of `unit` in each `period`; `asset` only of money. `name` is its owner's for it.

    `counts_cost`: its money is what the operator pays (a credential's), not what is sold to the customer.
    """

    budget_id: UUID
    name: str
    unit: Unit
    amount: int
    period: Period
    asset: str | None = None
    counts_cost: bool = False


class BudgetSpent(Exception):
    """A budget has less left than a request needs.

    Attributes:
        budget: which.
        left: what could still be had of it, this process's own part included.
        ends_ms: unix milliseconds when the next period starts; None: never.
    """

    def __init__(self, budget: Budget, left: int, ends_ms: int | None) -> None:
        super().__init__(f"{budget.name}: {left} left")
        self.budget = budget
        self.left = left
        self.ends_ms = ends_ms


class Slice:
    """This process's part of one budget in one period.

    Attributes:
        lease: the sums, in the budget's unit.
        unpromised: what nobody had of it, as PostgreSQL last said.
        told_spent: how much of `lease.spent` the books know.
        is_known: the books have answered. Before that, what this process once spent of the period and forgot
            is missing from `lease.spent`, so that is not told, and nothing is granted.
        lock: one operation is under way at a time. turn: one request asks for more at a time; while it waits
            for others to give back, this process may have to give back itself.
        is_closed: this process died in the books; what is held is still settled, nothing more is promised.
    """

    __slots__ = (
        "budget",
        "dry_amount",
        "dry_until_ms",
        "ends_ms",
        "is_closed",
        "is_known",
        "lease",
        "lock",
        "starts_ms",
        "told_spent",
        "turn",
        "unpromised",
        "used_at_ms",
    )

    def __init__(self, budget: Budget, starts_ms: int, ends_ms: int | None) -> None:
        self.budget = budget
        self.starts_ms = starts_ms
        self.ends_ms = ends_ms
        self.lease = Lease()
        self.lock = asyncio.Lock()
        self.turn = asyncio.Lock()
        self.unpromised = 0
        self.told_spent = 0
        self.used_at_ms = 0
        self.dry_until_ms = 0
        self.dry_amount = 0
        self.is_closed = False
        self.is_known = False

    def left(self) -> int:
        """What could be had of it, as far as this process knows."""
        return max(self.unpromised, 0) + max(self.lease.free, 0)

    def sayable(self) -> int:
        """What may be told as spent of the period in all; the books take the most they ever heard."""
        return self.lease.spent if self.is_known else 0

    def hear(self, state: BudgetState, said: int) -> None:
        """Take over the books' answer; the first one also says what was spent before this was remembered."""
        if not self.is_known:
            self.is_known = True
            self.lease.spent += state.spent
            said = state.spent
        self.lease.grant(state.granted)
        self.unpromised = state.unpromised
        self.told_spent = max(self.told_spent, said)


class Part(NamedTuple):
    """What one request holds of one slice."""

    slice: Slice
    held: int

    def settle(self, used: int) -> None:
        """Turn it into use; the rest is free again. A fact is never refused."""
        self.slice.lease.settle(self.held, used)


Ask = tuple[Budget, int]
"""A budget, and how much a request needs of it."""


class Budgets:
    def __init__(self, books: Books, clock: GatewayClock, process: Process) -> None:
        self._books = books
        self._clock = clock
        self._process = process
        self._slices: dict[tuple[UUID, int], Slice] = {}
        self._op = 0

    def slices(self) -> list[Slice]:
        return list(self._slices.values())

    async def hold(self, asks: Sequence[Ask], now_ms: int) -> tuple[Part, ...]:
        """Cut every ask out of its slice, or none; `now_ms` (unix) decides the periods.

        Raises:
            BudgetSpent: one of them does not have so much left.
            GatewayError: 503 when PostgreSQL or this process's life is in doubt (fail closed).
        """
        if not self._process.may_admit():
            raise books_unavailable()
        wanted = [(self._slice(budget, now_ms), amount) for budget, amount in asks]
        parts = self._cut(wanted)
        if parts is not None:
            return parts
        async with _all_of([one.turn for one in _in_order([one for one, _ in wanted])]):
            return await self._fund(wanted)

    async def give_back(self, budget_id: UUID) -> None:
        """Another process needs what is free here."""
        await self._give([(one, True) for one in self.slices() if one.budget.budget_id == budget_id])

    async def tend(self) -> None:
        """Once a second: tell what was spent, give back what idles, forget periods that are over."""
        now_ms, mono_ms = self._clock.now_ms(), self._clock.monotonic_ms()
        telling = []
        for key, one in list(self._slices.items()):
            is_over = one.ends_ms is not None and now_ms >= one.ends_ms
            idle_ms = mono_ms - one.used_at_ms
            idles = is_over or idle_ms > IDLE_MS
            is_told = one.lease.spent == one.told_spent
            if not is_told or (idles and one.lease.free > 0):
                telling.append((one, idles))
            elif (is_over or idle_ms > FORGET_MS) and not one.lease.outstanding and not one.turn.locked():
                one.is_closed = True  # whoever waits for it must not have it beside a new one
                del self._slices[key]
        for start in range(0, len(telling), TOLD_AT_ONCE_MAX):
            await self._give(telling[start : start + TOLD_AT_ONCE_MAX])

    async def close(self) -> None:
        """Shutdown: tell everything, give everything back."""
        await self._give([(one, True) for one in self.slices()])
        # What was spent of slices that the books had not answered for yet: now they have.
        await self._give([(one, True) for one in self.slices()])

    def drop_all(self) -> None:
        """This process is dead in the books: what it held stays promised there; a new life takes anew."""
        for one in self._slices.values():
            one.is_closed = True
            one.lease.grant(one.lease.spent + one.lease.outstanding)
        self._slices.clear()

    def used_here(self, budget_ids: Mapping[UUID, int]) -> dict[UUID, int]:
        """What this process used of these budgets' periods and has not told the books yet."""
        return {
            budget_id: one.lease.spent - one.told_spent
            for budget_id, starts_ms in budget_ids.items()
            if (one := self._slices.get((budget_id, starts_ms))) is not None
        }

    def _slice(self, budget: Budget, now_ms: int) -> Slice:
        starts_ms, ends_ms = period_bounds(budget.period, now_ms)
        one = self._slices.get((budget.budget_id, starts_ms))
        if one is None:
            one = self._slices[budget.budget_id, starts_ms] = Slice(budget, starts_ms, ends_ms)
        one.budget = budget  # its amount or name may have changed
        one.used_at_ms = self._clock.monotonic_ms()
        return one

    def _cut(self, wanted: Sequence[tuple[Slice, int]]) -> tuple[Part, ...] | None:
        """Nothing else runs between the look and the cut, so all are cut or none is."""
        if any(one.lease.free < amount for one, amount in wanted):
            return None
        for one, amount in wanted:
            one.lease.admit(amount)
        return tuple(Part(one, amount) for one, amount in wanted)

    async def _fund(self, wanted: Sequence[tuple[Slice, int]]) -> tuple[Part, ...]:
        if any(one.is_closed for one, _ in wanted):
            raise books_unavailable()
        self._refuse_if_dry(wanted)
        for wait_ms in (0, *RECALL_WAITS_MS):
            if wait_ms:
                await asyncio.sleep(wait_ms / 1000)  # outside any transaction
            await self._take(wanted)
            if any(one.is_closed for one, _ in wanted):  # this process died while it asked
                raise books_unavailable()
            parts = self._cut(wanted)
            if parts is not None:
                return parts
            short = [one for one, amount in wanted if one.left() < amount]
            if not wait_ms and short:
                await self._recall(short)
        one, amount = next(((one, amount) for one, amount in wanted if one.left() < amount), wanted[0])
        one.dry_until_ms, one.dry_amount = self._clock.monotonic_ms() + DRY_MS, amount
        raise BudgetSpent(one.budget, one.left(), one.ends_ms)

    def _refuse_if_dry(self, wanted: Sequence[tuple[Slice, int]]) -> None:
        """A refusal answers for equal or larger asks for a moment, so that a storm of them asks once."""
        now_ms = self._clock.monotonic_ms()
        for one, amount in wanted:
            if one.lease.free < amount and now_ms < one.dry_until_ms and amount >= one.dry_amount:
                raise BudgetSpent(one.budget, one.left(), one.ends_ms)

    async def _recall(self, short: Sequence[Slice]) -> None:
        try:
            for one in short:
                await self._books.recall_budget(one.budget.budget_id)
        except self._books.unavailable as error:
            raise books_unavailable() from error

    async def _take(self, wanted: Sequence[tuple[Slice, int]]) -> None:
        async with _all_of([one.lock for one in _in_order([one for one, _ in wanted])]):
            await self._take_locked(wanted)

    async def _take_locked(self, wanted: Sequence[tuple[Slice, int]]) -> None:
        short = [(one, amount) for one, amount in wanted if one.lease.free < amount]
        if not short:
            return
        asks = [
            BudgetAsk(
                one.budget.budget_id,
                one.starts_ms,
                one.sayable(),
                need=amount - one.lease.free,
                want=SLICE_REQUESTS * amount,
            )
            for one, amount in short
        ]
        self._op += 1
        process_id = self._process.process_id
        try:
            grant = await self._books.take_budgets(self._op, process_id, asks)
        except self._books.unavailable as error:
            raise books_unavailable() from error
        if grant.state == "dead":
            self._process.die(process_id)
            raise books_unavailable()
        self._apply([one for one, _ in short], asks, grant)

    async def _give(self, wishes: Sequence[tuple[Slice, bool]]) -> None:
        """Tell what was spent of these slices; and give back what is free of those marked so."""
        async with _all_of([one.lock for one in _in_order([one for one, _ in wishes])]):
            gives = []
            for one, everything in wishes:
                amount = max(one.lease.free, 0) if everything else 0
                if not one.is_closed and (amount or one.lease.spent != one.told_spent):
                    if amount:
                        one.lease.give(amount)  # memory first
                    ask = BudgetAsk(one.budget.budget_id, one.starts_ms, one.sayable(), amount=amount)
                    gives.append((one, ask))
            if not gives:
                return
            self._op += 1
            slices, asks = [one for one, _ in gives], [ask for _, ask in gives]
            try:
                grant = await self._books.give_budgets(self._op, self._process.process_id, asks)
            except self._books.unavailable as error:
                log.warning("budget.give_in_doubt", budgets=len(asks), error=str(error))
                return
            self._apply(slices, asks, grant)

    def _apply(self, slices: Sequence[Slice], asks: Sequence[BudgetAsk], grant: BudgetGrant) -> None:
        """What the books said is absolute: an answer that was lost before is made good by this one."""
        states = {(state.budget_id, state.period_start_ms): state for state in grant.slices}
        for one, ask in zip(slices, asks, strict=True):
            state = states.get((one.budget.budget_id, one.starts_ms))
            if state is None or one.is_closed:
                continue
            one.hear(state, ask.spent)


def _in_order(slices: Iterable[Slice]) -> list[Slice]:
    """The order in which everybody locks them, so that nobody waits in a circle."""
    return sorted(slices, key=lambda one: (one.budget.budget_id, one.starts_ms))


@asynccontextmanager
async def _all_of(locks: Iterable[asyncio.Lock]) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for lock in locks:
            await stack.enter_async_context(lock)
        yield
