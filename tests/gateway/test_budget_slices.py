"""Budgets of several gateway processes over a real PostgreSQL: never above, and all of it usable."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from uuid import UUID, uuid4

import psycopg
import pytest
from postgres_road import Road
from processes import Bank, SteppingClock
from samples import Customer

from bursar.core.limits import DAY_MS, Period, Unit, period_bounds
from bursar.db.books import PgBooks
from bursar.gateway.budgets import Budget, Budgets, BudgetSpent
from bursar.gateway.errors import GatewayError
from bursar.gateway.life import Process
from bursar.gateway.watching import RECALL

pytestmark = pytest.mark.asyncio(loop_scope="function")


class House:
    """One gateway process as far as budgets go."""

    def __init__(self, road: Road) -> None:
        self.road = road
        self.clock = SteppingClock()
        self.books = PgBooks(road.url, self.clock)
        self.process = Process(self.books, self.clock, host="test", new_id=uuid4)
        self.budgets = Budgets(self.books, self.clock, self.process)
        self.process.on_death.append(self.budgets.drop_all)

    async def hear_recalls(self) -> None:
        async for channel, payload in self.books.listen([RECALL]):
            if channel == RECALL and payload.startswith("budget:"):
                await self.budgets.give_back(UUID(payload.removeprefix("budget:")))

    async def use(self, budget: Budget, held: int, used: int) -> bool:
        """A request that holds `held` and uses `used`; False when it is refused."""
        try:
            parts = await self.budgets.hold([(budget, held)], self.clock.now_ms())
        except BudgetSpent:
            return False
        await asyncio.sleep(0)
        for part in parts:
            part.settle(used)
        return True


@asynccontextmanager
async def houses(bank: Bank, count: int) -> AsyncIterator[list[House]]:
    async with AsyncExitStack() as stack:
        running = []
        for _ in range(count):
            road = await stack.enter_async_context(Road(bank.url).serving())
            house = House(road)
            stack.push_async_callback(house.books.close)
            await house.process.open()
            listening = asyncio.create_task(house.hear_recalls())
            stack.push_async_callback(_stop, listening)
            running.append(house)
        await asyncio.sleep(0.1)  # they listen
        yield running


async def _stop(listening: "asyncio.Task[None]") -> None:
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def idle(house: House) -> None:
    """More than a minute without a request."""
    for jump_ms in (20_000, 20_000, 30_000):
        house.clock.jumped_ms += jump_ms
        await house.process._beat()
        await house.budgets.tend()


def new_budget(
    bank: Bank, customer: Customer, amount: int, unit: Unit = Unit.MONEY, period: Period = Period.MONTH
) -> Budget:
    budget_id, asset = uuid4(), "USD" if unit is Unit.MONEY else None
    with psycopg.connect(bank.url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO budget (id, organisation_id, name, unit, asset, amount, period, created_at)"
            " VALUES (%s, %s, 'test', %s, %s, %s, %s, now())",
            [budget_id, customer.organisation_id, unit.value, asset, amount, period.value],
        )
    return Budget(budget_id=budget_id, name="test", unit=unit, amount=amount, period=period, asset=asset)


def promised(bank: Bank, budget: Budget) -> int:
    return _sum(bank, budget, "greatest(granted, spent)")


def spent(bank: Bank, budget: Budget) -> int:
    return _sum(bank, budget, "spent")


def _sum(bank: Bank, budget: Budget, what: str) -> int:
    with psycopg.connect(bank.url, autocommit=True) as connection:
        found = connection.execute(
            f"SELECT coalesce(sum({what}), 0)::bigint FROM budget_slice WHERE budget_id = %s",  # noqa: S608 - ours
            [budget.budget_id],
        ).fetchone()
    assert found is not None
    return int(found[0])


class TestABudget:
    async def test_is_used_up_to_the_last_unit_by_four_processes(self, bank: Bank) -> None:
        budget = new_budget(bank, bank.customer(), 1_000)
        async with houses(bank, 4) as four:

            async def work(house: House) -> int:
                used = 0
                while await house.use(budget, 10, 10):
                    used += 10
                return used

            used = await asyncio.gather(*[work(house) for house in four for _ in range(4)])
            assert sum(used) == 1_000
            for house in four:
                await house.budgets.close()
        assert spent(bank, budget) == promised(bank, budget) == 1_000

    async def test_gives_back_what_requests_held_and_did_not_use(self, bank: Bank) -> None:
        budget = new_budget(bank, bank.customer(), 1_000)
        async with houses(bank, 2) as (one, other):
            count = 0
            while await one.use(budget, 100, 1):
                count += 1
            assert count == 901  # the last one holds the last 100
            assert not await other.use(budget, 100, 1)
            assert [await other.use(budget, 33, 33) for _ in range(3)] == [True] * 3
            assert not await one.use(budget, 1, 1)
            for house in (one, other):
                await house.budgets.close()
        assert spent(bank, budget) == 901 + 99

    async def test_refuses_what_does_not_fit_and_says_what_would(self, bank: Bank) -> None:
        budget = new_budget(bank, bank.customer(), 500, period=Period.DAY)
        async with houses(bank, 1) as (house,):
            now_ms = house.clock.now_ms()
            with pytest.raises(BudgetSpent) as refused:
                await house.budgets.hold([(budget, 501)], now_ms)
            assert refused.value.left == 500
            assert refused.value.ends_ms == now_ms - now_ms % DAY_MS + DAY_MS
            assert await house.use(budget, 500, 500)

    async def test_starts_anew_with_the_next_period(self, bank: Bank) -> None:
        budget = new_budget(bank, bank.customer(), 5, Unit.REQUESTS, Period.DAY)
        async with houses(bank, 1) as (house,):
            today_ms = house.clock.now_ms()
            for _ in range(5):
                (part,) = await house.budgets.hold([(budget, 1)], today_ms)
                part.settle(1)
            with pytest.raises(BudgetSpent):
                await house.budgets.hold([(budget, 1)], today_ms)
            (part,) = await house.budgets.hold([(budget, 1)], today_ms + DAY_MS)
            part.settle(1)
            assert part.slice.starts_ms == period_bounds(Period.DAY, today_ms + DAY_MS)[0]

    async def test_holds_facts_that_go_beyond_it(self, bank: Bank) -> None:
        budget = new_budget(bank, bank.customer(), 100)
        async with houses(bank, 2) as (one, other):
            assert await one.use(budget, 60, 130)
            await one.budgets.tend()
            assert spent(bank, budget) == 130
            assert not await one.use(budget, 1, 1)
            assert not await other.use(budget, 1, 1)

    async def test_that_is_raised_serves_at_once(self, bank: Bank) -> None:
        budget = new_budget(bank, bank.customer(), 10)
        async with houses(bank, 1) as (house,):
            assert await house.use(budget, 10, 10)
            assert not await house.use(budget, 5, 5)
            with psycopg.connect(bank.url, autocommit=True) as connection:
                connection.execute("UPDATE budget SET amount = 15 WHERE id = %s", [budget.budget_id])
            await asyncio.sleep(0.11)  # a refusal answers for a moment
            assert await house.use(budget, 5, 5)

    async def test_that_is_lowered_calls_back_what_lies_idle(self, bank: Bank) -> None:
        budget = new_budget(bank, bank.customer(), 10_000)
        async with houses(bank, 1) as (house,):
            assert await house.use(budget, 100, 100)
            assert promised(bank, budget) > 100
            with psycopg.connect(bank.url, autocommit=True) as connection:
                connection.execute("UPDATE budget SET amount = 150 WHERE id = %s", [budget.budget_id])
            for _ in range(200):
                if promised(bank, budget) == 100:
                    break
                await asyncio.sleep(0.02)
            assert await house.use(budget, 50, 50)
            assert not await house.use(budget, 1, 1)

    async def test_is_given_back_by_a_process_that_idles(self, bank: Bank) -> None:
        budget = new_budget(bank, bank.customer(), 10_000)
        async with houses(bank, 1) as (house,):
            assert await house.use(budget, 100, 40)
            house.clock.jumped_ms += 20_000
            await house.budgets.tend()
            assert promised(bank, budget) == spent(bank, budget) == 40
            house.clock.jumped_ms += 60_000
            await house.budgets.tend()
            assert house.budgets.slices() == []

    async def test_is_not_had_again_after_idle_minutes(self, bank: Bank) -> None:
        budget = new_budget(bank, bank.customer(), 100, Unit.REQUESTS, Period.ONCE)
        async with houses(bank, 1) as (house,):
            used = []
            for _ in range(4):
                used.append(await house.use(budget, 50, 50))
                await idle(house)
                assert house.budgets.slices() == []
        assert used == [True, True, False, False]
        assert spent(bank, budget) == 100

    async def test_hears_of_facts_that_nothing_was_held_for(self, bank: Bank) -> None:
        budget = new_budget(bank, bank.customer(), 100)
        async with houses(bank, 1) as (house,):
            assert await house.use(budget, 30, 30)
            await idle(house)
            assert await house.use(
                budget, 0, 20
            )  # of a slice that was forgotten: nothing is asked of the books
            assert await house.use(budget, 10, 10)
            assert not await house.use(budget, 41, 41)
            await idle(house)
            assert await house.use(budget, 0, 5)
            await house.budgets.close()
        assert spent(bank, budget) == promised(bank, budget) == 65

    async def test_of_a_period_that_is_over_counts_its_late_requests(self, bank: Bank) -> None:
        budget = new_budget(bank, bank.customer(), 100, period=Period.DAY)
        async with houses(bank, 1) as (house,):
            today_ms = house.clock.now_ms()
            assert await house.use(budget, 60, 60)
            house.clock.jumped_ms += DAY_MS
            await house.process._beat()
            for _ in range(2):
                await house.budgets.tend()
            assert house.budgets.slices() == []
            with pytest.raises(BudgetSpent):
                await house.budgets.hold([(budget, 41)], today_ms)
            (part,) = await house.budgets.hold([(budget, 40)], today_ms)
            part.settle(40)
            await house.budgets.close()
        assert spent(bank, budget) == 100

    async def test_is_no_ones_while_everybody_waits_for_it(self, bank: Bank) -> None:
        """Each of two has half of what either needs: one of them gets both halves."""
        budget = new_budget(bank, bank.customer(), 100)
        async with houses(bank, 2) as two:
            for house in two:
                (part,) = await house.budgets.hold([(budget, 50)], house.clock.now_ms())
                part.settle(0)
            served = await asyncio.gather(*[house.use(budget, 80, 80) for house in two])
            assert sorted(served) == [False, True]


class TestSeveralBudgets:
    async def test_are_taken_all_or_none(self, bank: Bank) -> None:
        customer = bank.customer()
        wide = new_budget(bank, customer, 1_000)
        narrow = new_budget(bank, customer, 2, Unit.REQUESTS)
        async with houses(bank, 1) as (house,):
            now_ms = house.clock.now_ms()
            for _ in range(2):
                for part in await house.budgets.hold([(wide, 50), (narrow, 1)], now_ms):
                    part.settle(part.held)
            with pytest.raises(BudgetSpent) as refused:
                await house.budgets.hold([(wide, 50), (narrow, 1)], now_ms)
            assert refused.value.budget is narrow
            assert all(one.lease.outstanding == 0 for one in house.budgets.slices())
            await house.budgets.close()
        assert (spent(bank, wide), promised(bank, wide)) == (100, 100)

    async def test_never_wait_for_each_other_in_a_circle(self, bank: Bank) -> None:
        customer = bank.customer()
        budgets = [new_budget(bank, customer, 10**6) for _ in range(3)]
        async with houses(bank, 3) as three:

            async def work(house: House, seed: int) -> None:
                order = random.Random(seed)
                for _ in range(15):
                    asks = [(budget, order.randrange(1, 4_000)) for budget in budgets]
                    order.shuffle(asks)
                    with suppress(BudgetSpent):
                        for part in await house.budgets.hold(asks, house.clock.now_ms()):
                            part.settle(part.held)

            async with asyncio.timeout(60):
                await asyncio.gather(*[work(house, n) for n, house in enumerate(three * 4)])


class TestTrouble:
    @pytest.mark.parametrize("lost", ["question", "reply"])
    async def test_of_a_lost_take_strands_nothing_for_good(self, bank: Bank, lost: str) -> None:
        budget = new_budget(bank, bank.customer(), 100)
        async with houses(bank, 1) as (house,):
            assert await house.use(budget, 10, 10)
            house.road.cut_next(lost)  # type: ignore[arg-type]  # one of the two literals
            with pytest.raises(GatewayError) as refused:
                await house.budgets.hold([(budget, 40)], house.clock.now_ms())
            assert refused.value.code == "books_unavailable"
            assert await house.use(budget, 90, 90)
            assert not await house.use(budget, 1, 1)

    @pytest.mark.parametrize("lost", ["question", "reply"])
    async def test_of_a_lost_give_is_never_counted_on_again(self, bank: Bank, lost: str) -> None:
        budget = new_budget(bank, bank.customer(), 4_000)
        async with houses(bank, 2) as (one, other):
            assert await one.use(budget, 10, 10)
            assert promised(bank, budget) > 10
            one.road.cut_next(lost)  # type: ignore[arg-type]  # one of the two literals
            await one.budgets.give_back(budget.budget_id)
            assert all(part.lease.free == 0 for part in one.budgets.slices())
            used = 10
            for house in (one, other, one, other):
                while await house.use(budget, 100, 100):
                    used += 100
                while await house.use(budget, 10, 10):
                    used += 10
            assert used == 4_000

    async def test_of_a_process_that_crashed_costs_at_most_its_slice(self, bank: Bank) -> None:
        budget = new_budget(bank, bank.customer(), 2_000)
        async with houses(bank, 2) as (crashed, other):
            assert await crashed.use(budget, 10, 10)
            stranded = promised(bank, budget) - 10
            assert stranded <= 2_000 // 20
            crashed.process.die(crashed.process.process_id)
            crashed.budgets.drop_all()
            with pytest.raises(GatewayError):
                await crashed.budgets.hold([(budget, 1)], crashed.clock.now_ms())
            used = 10
            while await other.use(budget, 5, 5):
                used += 5
            assert 2_000 - stranded - 10 <= used <= 2_000
            assert promised(bank, budget) <= 2_000

    async def test_of_a_closed_process_is_noticed_by_its_next_take(self, bank: Bank) -> None:
        budget = new_budget(bank, bank.customer(), 2_000)
        async with houses(bank, 1) as (house,):
            await house.books.close_process(house.process.process_id)
            with pytest.raises(GatewayError) as refused:
                await house.budgets.hold([(budget, 1)], house.clock.now_ms())
            assert refused.value.code == "books_unavailable"
            assert not house.process.may_admit()
