"""Budgets under lost answers and late arrivals: nobody counts on more than is promised or strands any."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from desk import Desk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stories_of_budgets import asked, new_budget

from bursar.db.books import GIVE_BUDGETS, TAKE_BUDGETS
from scratch_database import ScratchDatabase

AMOUNT = 1_000
PROCESSES = 3


@dataclass
class Holder:
    """A process as it knows itself. `late`: gives that are still on their way."""

    process: UUID
    granted: int = 0
    spent: int = 0
    op: int = 0
    late: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    @property
    def free(self) -> int:
        return self.granted - self.spent


@dataclass
class World:
    desk: Desk
    budget: UUID
    holders: list[Holder]

    def ask(self, question: str, holder: Holder, *, is_lost: bool = False, **what: int) -> None:
        holder.op += 1
        told = {"budget_id": self.budget, "spent": holder.spent, **what}
        (answer,) = asked(self.desk, question, holder.op, holder.process, told)
        if not is_lost:
            holder.granted = answer["granted"]

    def deliver_late(self, holder: Holder) -> None:
        for op, told in holder.late:
            asked(self.desk, GIVE_BUDGETS, op, holder.process, told)
        holder.late.clear()

    def slices(self) -> dict[UUID, tuple[int, int]]:
        found = self.desk.worker.execute(
            "SELECT process_id, granted, spent FROM budget_slice WHERE budget_id = %s", [self.budget]
        )
        return {row.process_id: (row.granted, row.spent) for row in found}

    def check(self) -> None:
        slices = self.slices()
        assert sum(max(granted, spent) for granted, spent in slices.values()) <= AMOUNT
        for holder in self.holders:
            assert holder.granted <= slices.get(holder.process, (0, 0))[0]


steps = st.lists(
    st.tuples(
        st.sampled_from(["take", "take", "spend", "give", "give late", "deliver"]),
        st.integers(0, PROCESSES - 1),
        st.integers(1, 400),
        st.booleans(),
    ),
    max_size=30,
)


@pytest.fixture
def desk(database: ScratchDatabase) -> Iterator[Desk]:
    with Desk(database) as opened:
        yield opened


class TestPromises:
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(steps)
    def test_are_kept_and_none_is_stranded(self, desk: Desk, plan: list[tuple[str, int, int, bool]]) -> None:
        world = World(desk, new_budget(desk, AMOUNT), [Holder(desk.open_process()) for _ in range(PROCESSES)])
        for what, number, amount, is_lost in plan:
            holder = world.holders[number]
            match what:
                case "take":
                    world.ask(TAKE_BUDGETS, holder, is_lost=is_lost, need=amount, want=2 * amount)
                case "spend":
                    holder.spent += min(amount, max(holder.free, 0))
                case "give" | "give late":
                    given_back = min(amount, max(holder.free, 0))
                    holder.granted -= given_back  # memory first
                    if what == "give":
                        world.ask(GIVE_BUDGETS, holder, is_lost=is_lost, amount=given_back)
                        continue
                    holder.op += 1
                    told = {"budget_id": world.budget, "spent": holder.spent, "amount": given_back}
                    holder.late.append((holder.op, told))
                case _:
                    world.deliver_late(holder)
            world.check()
        self.end(world)

    @staticmethod
    def end(world: World) -> None:
        """Everybody gives back what he has; then one can have all that nobody spent."""
        for holder in world.holders:
            world.deliver_late(holder)
            world.ask(GIVE_BUDGETS, holder, amount=0)  # hears what it has
            world.ask(GIVE_BUDGETS, holder, amount=holder.free)
            world.check()
        left = AMOUNT - sum(holder.spent for holder in world.holders)
        last = world.holders[0]
        if left:
            world.ask(TAKE_BUDGETS, last, need=left, want=left)
        assert last.free == left
