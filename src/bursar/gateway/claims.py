"""What requests took of their limits, and how it is put right at their end."""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from bursar.adapters.ratecounters import RateCounters
from bursar.core.limits import Change, Check, Kind, Standing, Unit
from bursar.gateway.budgets import Ask, Budget, Part

if TYPE_CHECKING:
    from uuid import UUID


class PutsRight(Protocol):
    """Who tells the counters what a closed claim comes to; see `bursar.gateway.limiting`."""

    def put_right(
        self, claim: "Claim", counters: RateCounters, changes: list[Change]
    ) -> "asyncio.Task[None] | None": ...


class Claim:
    """What one request (or one attempt) took of its limits, until it is closed (once)."""

    __slots__ = (
        "_also",
        "_changing",
        "_parts",
        "_rates",
        "checks",
        "counters",
        "is_open",
        "name",
        "standings",
        "tokens",
    )

    def __init__(self, rates: PutsRight, name: str) -> None:
        self._rates = rates
        self._parts: tuple[Part, ...] = ()
        self._changing: asyncio.Task[None] | None = None
        self._also: tuple[Claim, ...] = ()
        self.name = name
        self.checks: tuple[Check, ...] = ()
        self.counters: RateCounters | None = None
        self.standings: tuple[Standing, ...] = ()
        self.tokens: int | None = None
        self.is_open = True

    def close(self, sale: int, cost: int = 0) -> None:
        """Put right what was taken: `tokens` (None: nothing was done) were used, and sold for `sale`.

        `cost` is what the operator pays, for an attempt's claim: a credential's budget counts that.

        Every end of a request comes by here, whatever ended it; a second time is no news.
        """
        if not self.is_open:
            return
        self.is_open = False
        used = {Unit.MONEY: sale, Unit.TOKENS: self.tokens or 0, Unit.REQUESTS: int(self.tokens is not None)}
        settled: set[UUID] = set()
        for part in self._parts:
            budget = part.slice.budget
            amount = cost if budget.counts_cost else used[budget.unit]
            part.settle(0 if budget.budget_id in settled else amount)
            settled.add(budget.budget_id)
        if self.counters is not None:
            self._changing = self._rates.put_right(self, self.counters, self._changes())
        for one in self._also:
            one.tokens = self.tokens
            one.close(sale)

    async def landed(self) -> None:
        """Wait until the counters know: who is answered may ask again at once."""
        if self._changing is not None:
            await asyncio.shield(self._changing)
        for one in self._also:
            await one.landed()

    def join(self, other: "Claim") -> None:
        """What a stand-in's rates took: it ends with this claim, and as it does. Budgets are held here."""
        self._also += (other,)

    def counted(self) -> set[str]:
        """The counters it took of."""
        return {check.counter for one in (self, *self._also) for check in one.checks}

    def budgeted(self) -> "set[UUID]":
        """The budgets it holds a part of."""
        return {part.slice.budget.budget_id for part in self._parts}

    def hold(self, parts: Iterable[Part]) -> None:
        self._parts += tuple(parts)

    def lacking(self, money: int) -> list[Ask]:
        """What the money budgets held here are short of, should the request cost so much."""
        held: dict[UUID, int] = {}
        budgets: dict[UUID, Budget] = {}
        for part in self._parts:
            budget = part.slice.budget
            if budget.unit is Unit.MONEY:
                held[budget.budget_id] = held.get(budget.budget_id, 0) + part.held
                budgets[budget.budget_id] = budget
        return [(budgets[one], money - amount) for one, amount in held.items() if amount < money]

    def claims(self) -> list[tuple[str, str]]:
        """Its places among requests at once."""
        return [(check.counter, self.name) for check in self.checks if check.kind is Kind.CONCURRENT]

    def _changes(self) -> list[Change]:
        changes = []
        for check in self.checks:
            if check.kind is Kind.CONCURRENT:
                changes.append(Change(check, 0, self.name))
            elif check.kind is Kind.TOKENS and (delta := (self.tokens or 0) - check.amount):
                changes.append(Change(check, delta, self.name))
        return changes
