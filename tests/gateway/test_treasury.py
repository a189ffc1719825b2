"""Leases in memory against real books: what may be promised, and what a lost reply must not cost."""

import asyncio
import contextlib
import random
from collections.abc import Iterator
from typing import get_args

import pytest
from postgres_road import Cut, until
from processes import Bank, Branch
from proving import migrated_database
from samples import Customer, encoded, usage_row

from bursar.db.books import LEASE_LINES
from bursar.db.embedded import EmbeddedPostgres
from bursar.gateway.errors import GatewayError
from bursar.gateway.life import LifeLimits
from bursar.gateway.treasury import DRY_MS, Hold, TreasuryLimits, Unfunded

TIGHT = TreasuryLimits(slice_cap=0)  # asks for exactly what is needed
CUTS: tuple[Cut, ...] = get_args(Cut)


@pytest.fixture(scope="module")
def bank(postgres: EmbeddedPostgres) -> Iterator[Bank]:
    """One database for all tests here; each has customers of its own."""
    with migrated_database(postgres) as database:
        yield Bank(database.url)


async def sell(branch: Branch, customer: Customer, hold: Hold, sale: int) -> None:
    """Settle a hold and book its sale."""
    row = usage_row(customer, lease_id=hold.lease_id, sale=sale, cost=sale, streamed=False)
    hold.settle(sale)
    await branch.books.flush(branch.process.process_id, encoded([row]), [])


async def admitted(branch: Branch, customer: Customer, amount: int) -> Hold | None:
    try:
        return await branch.treasury.hold(branch.account(customer), amount)
    except Unfunded:
        return None


async def assert_agree(bank: Bank, branch: Branch, customer: Customer) -> None:
    """Memory and books know the same lease."""
    lease = await bank.lease(customer)
    account = branch.account(customer)
    assert account.lease_id == lease["id"]
    assert account.lease.granted == lease["granted"]
    assert (await bank.wallet(customer))["held"] == lease["amount"]


class TestAdmission:
    async def test_asks_once_for_many_requests(self, bank: Bank) -> None:
        customer = bank.customer(1_000_000)
        async with bank.branch() as branch:
            first = await branch.treasury.hold(branch.account(customer), 1_000)
            asked = branch.road.questions
            more = [branch.treasury.try_hold(branch.account(customer), 1_000) for _ in range(15)]
            assert None not in more
            assert branch.account(customer).lease.outstanding == 16_000
            assert branch.road.questions == asked
            await assert_agree(bank, branch, customer)
            first.settle(0)

    async def test_needs_no_database_while_the_lease_lasts(self, bank: Bank) -> None:
        customer = bank.customer(1_000_000)
        async with bank.branch() as branch:
            (await branch.treasury.hold(branch.account(customer), 1_000)).settle(0)
            branch.road.close()
            for _ in range(100):
                (await branch.treasury.hold(branch.account(customer), 1_000)).settle(0)
            with pytest.raises(GatewayError) as refused:
                await branch.treasury.hold(branch.account(customer), 500_000)
            assert refused.value.status == 503

    async def test_says_what_could_be_spent_when_it_refuses(self, bank: Bank) -> None:
        customer = bank.customer(1_000)
        async with bank.branch() as branch:
            held = await branch.treasury.hold(branch.account(customer), 400)
            with pytest.raises(Unfunded) as refused:
                await branch.treasury.hold(branch.account(customer), 601)
            assert refused.value.spendable == 600
            assert (await branch.treasury.hold(branch.account(customer), 600)).amount == 600
            held.settle(0)

    async def test_refuses_a_wallet_that_has_nothing(self, bank: Bank) -> None:
        customer = bank.customer()
        async with bank.branch() as branch:
            assert await admitted(branch, customer, 1) is None
            assert await bank.leases(customer) == []

    async def test_takes_exactly_the_need_from_a_poor_wallet(self, bank: Bank) -> None:
        customer = bank.customer(1_000)
        async with bank.branch() as branch:
            await branch.treasury.hold(branch.account(customer), 700)
            assert (await bank.wallet(customer))["held"] == 700

    async def test_takes_at_most_the_cap_ahead(self, bank: Bank) -> None:
        customer = bank.customer(10_000_000)
        async with bank.branch(TreasuryLimits(slice_cap=5_000)) as branch:
            await branch.treasury.hold(branch.account(customer), 1_000)
            assert (await bank.wallet(customer))["held"] == 5_000

    async def test_a_refusal_answers_equal_asks_for_a_moment(self, bank: Bank) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT) as branch:
            account = branch.account(customer)
            assert await admitted(branch, customer, 1_001) is None
            account.dry_until_ms = branch.clock.monotonic_ms() + 3_600_000
            asked = branch.road.questions
            assert await admitted(branch, customer, 1_001) is None
            assert await admitted(branch, customer, 5_000) is None
            assert branch.road.questions == asked
            assert await admitted(branch, customer, 999) is not None
            assert account.dry_until_ms == 0

    async def test_a_refusal_is_forgotten_after_a_moment(self, bank: Bank) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT) as branch:
            assert await admitted(branch, customer, 1_001) is None
            branch.clock.jumped_ms += DRY_MS
            asked = branch.road.questions
            assert await admitted(branch, customer, 1_001) is None
            assert branch.road.questions > asked

    async def test_money_freed_meanwhile_is_used_in_spite_of_a_refusal(self, bank: Bank) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT) as branch:
            account = branch.account(customer)
            held = await branch.treasury.hold(account, 800)
            await account.lock.acquire()
            waiting = asyncio.ensure_future(branch.treasury.hold(account, 700))
            await asyncio.sleep(0)
            account.dry_until_ms, account.dry_amount = branch.clock.monotonic_ms() + 3_600_000, 700
            held.settle(0)
            account.lock.release()
            assert (await waiting).amount == 700

    async def test_one_operation_is_in_flight_per_lease(self, bank: Bank) -> None:
        customer = bank.customer(100_000)
        async with bank.branch(TIGHT) as branch:
            await branch.treasury.hold(branch.account(customer), 1)
            asked = branch.road.questions
            branch.road.hold_replies()
            asking = [asyncio.ensure_future(admitted(branch, customer, 100)) for _ in range(20)]
            await until(lambda: branch.road.held_replies == 1)
            await asyncio.sleep(0.05)
            assert branch.road.questions == asked + 1
            branch.road.let_replies_go()
            assert None not in await asyncio.gather(*asking)
            assert branch.account(customer).lease.outstanding == 2_001
            await assert_agree(bank, branch, customer)

    @pytest.mark.parametrize("branches", [1, 4])
    async def test_forty_holds_of_ten_on_a_hundred_admit_ten(self, bank: Bank, branches: int) -> None:
        customer = bank.customer(100)
        async with contextlib.AsyncExitStack() as stack:
            open_branches = [
                await stack.enter_async_context(bank.branch(hears_recalls=True)) for _ in range(branches)
            ]
            asked = [admitted(open_branches[number % branches], customer, 10) for number in range(40)]
            held = [hold for hold in await asyncio.gather(*asked) if hold is not None]
            assert len(held) == 10
            assert (await bank.wallet(customer))["held"] == 100


class TestSettling:
    async def test_frees_what_was_not_used(self, bank: Bank) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT) as branch:
            hold = await branch.treasury.hold(branch.account(customer), 1_000)
            await sell(branch, customer, hold, 300)
            assert branch.account(customer).lease.free == 700
            assert branch.treasury.try_hold(branch.account(customer), 701) is None
            assert branch.treasury.try_hold(branch.account(customer), 700) is not None

    async def test_happens_once(self, bank: Bank) -> None:
        customer = bank.customer(1_000)
        async with bank.branch() as branch:
            hold = await branch.treasury.hold(branch.account(customer), 100)
            hold.settle(0)
            with pytest.raises(RuntimeError):
                hold.settle(0)

    async def test_a_sale_above_the_hold_is_booked_and_leaves_less(self, bank: Bank) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT) as branch:
            hold = await branch.treasury.hold(branch.account(customer), 100)
            await sell(branch, customer, hold, 250)
            assert branch.account(customer).lease.free == -150
            await bank.post()
            assert await admitted(branch, customer, 751) is None
            assert await admitted(branch, customer, 750) is not None


class TestExtending:
    async def test_grows_the_hold_and_is_settled_with_it(self, bank: Bank) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT) as branch:
            hold = await branch.treasury.hold(branch.account(customer), 100)
            assert await branch.treasury.extend(hold, 400) is True
            assert hold.amount == 500
            await sell(branch, customer, hold, 450)
            assert branch.account(customer).lease.outstanding == 0
            assert branch.account(customer).lease.free == 50

    async def test_says_no_when_the_wallet_cannot_cover_it(self, bank: Bank) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT) as branch:
            hold = await branch.treasury.hold(branch.account(customer), 600)
            assert await branch.treasury.extend(hold, 401) is False
            assert hold.amount == 600
            assert branch.account(customer).lease.outstanding == 600

    async def test_says_no_when_postgresql_is_away(self, bank: Bank) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT) as branch:
            hold = await branch.treasury.hold(branch.account(customer), 100)
            branch.road.close()
            assert await branch.treasury.extend(hold, 100) is False
            assert (hold.amount, branch.account(customer).lease.outstanding) == (100, 100)

    async def test_promises_nothing_on_a_lease_that_was_closed(self, bank: Bank) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT) as branch:
            hold = await branch.treasury.hold(branch.account(customer), 100)
            branch.treasury.drop_all()
            assert await branch.treasury.extend(hold, 100) is False
            hold.settle(10)
            assert hold.account.lease.outstanding == 0

    async def test_leaves_nothing_held_when_the_request_ended_meanwhile(self, bank: Bank) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT) as branch:
            hold = await branch.treasury.hold(branch.account(customer), 100)
            branch.road.hold_replies()
            extending = asyncio.ensure_future(branch.treasury.extend(hold, 200))
            await until(lambda: branch.road.held_replies == 1)
            hold.settle(0)
            branch.road.let_replies_go()
            assert await extending is False
            assert branch.account(customer).lease.outstanding == 0

    async def test_leaves_nothing_held_when_the_lease_was_replaced_meanwhile(self, bank: Bank) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT) as branch:
            hold = await branch.treasury.hold(branch.account(customer), 100)
            bank.administer("UPDATE hold SET state = 'closing' WHERE id = %s", hold.lease_id)
            assert await branch.treasury.extend(hold, 200) is False
            assert branch.account(customer).lease.outstanding == 0
            assert branch.account(customer).lease_id != hold.lease_id


class TestLostReplies:
    """The connection breaks before the books hear of an operation, or after they did it."""

    @pytest.mark.parametrize("cut", CUTS)
    async def test_to_a_take_refuse_the_request_and_strand_nothing(self, bank: Bank, cut: Cut) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT) as branch:
            await branch.treasury.hold(branch.account(customer), 100)
            branch.road.cut_next(cut)
            with pytest.raises(GatewayError) as refused:
                await branch.treasury.hold(branch.account(customer), 300)
            assert refused.value.status == 503
            assert await admitted(branch, customer, 200) is not None
            await assert_agree(bank, branch, customer)
            await branch.treasury.give_back(branch.account(customer))
            assert (await bank.wallet(customer))["held"] == 300

    @pytest.mark.parametrize("cut", CUTS)
    async def test_to_the_first_take_of_a_lease_open_no_second_one(self, bank: Bank, cut: Cut) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT) as branch:
            for _ in range(LEASE_LINES):
                await branch.books.recall(customer.wallet_id)  # so that every connection is open
            branch.road.cut_next(cut)
            with contextlib.suppress(GatewayError):
                await branch.treasury.hold(branch.account(customer), 300)
            assert await admitted(branch, customer, 300) is not None
            await assert_agree(bank, branch, customer)

    async def test_a_refusal_tells_which_lease_a_lost_answer_opened(self, bank: Bank) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT) as branch:
            branch.road.cut_next("reply")
            with pytest.raises(GatewayError):
                await branch.treasury.hold(branch.account(customer), 300)
            assert await admitted(branch, customer, 1_001) is None
            hold = branch.treasury.try_hold(branch.account(customer), 300)
            assert hold is not None
            assert hold.lease_id == (await bank.lease(customer))["id"]
            await sell(branch, customer, hold, 300)
            await bank.post()
            assert (await bank.wallet(customer))["held"] == 0

    @pytest.mark.parametrize("cut", CUTS)
    async def test_to_a_give_strand_nothing(self, bank: Bank, cut: Cut) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT) as branch:
            (await branch.treasury.hold(branch.account(customer), 600)).settle(0)
            branch.road.cut_next(cut)
            await branch.treasury.give_back(branch.account(customer))
            assert branch.account(customer).lease.free == 0
            assert branch.treasury.try_hold(branch.account(customer), 1) is None
            assert await admitted(branch, customer, 1_000) is not None
            await assert_agree(bank, branch, customer)

    async def test_a_reply_that_comes_too_late_changes_nothing(self, bank: Bank) -> None:
        """A request that is cancelled gives up on its answer; the next answer says it all."""
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT) as branch:
            await branch.treasury.hold(branch.account(customer), 100)
            branch.road.hold_replies()
            asking = asyncio.ensure_future(branch.treasury.hold(branch.account(customer), 400))
            await until(lambda: branch.road.held_replies == 1)
            asking.cancel()
            await asyncio.sleep(0)
            branch.road.let_replies_go()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert await admitted(branch, customer, 900) is not None
            await assert_agree(bank, branch, customer)


class TestRecall:
    async def test_the_last_dollar_is_not_stranded_in_another_process(self, bank: Bank) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(hears_recalls=True) as rich, bank.branch(hears_recalls=True) as poor:
            await asyncio.sleep(0.1)
            (await rich.treasury.hold(rich.account(customer), 900)).settle(0)
            assert (await bank.wallet(customer))["held"] == 900
            assert await admitted(poor, customer, 1_000) is not None
            assert rich.account(customer).lease.free == 0

    async def test_takes_nothing_that_is_promised_to_a_request(self, bank: Bank) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(hears_recalls=True) as rich, bank.branch(hears_recalls=True) as poor:
            held = await rich.treasury.hold(rich.account(customer), 600)
            assert await admitted(poor, customer, 401) is None
            assert await admitted(poor, customer, 400) is not None
            held.settle(600)

    async def test_is_heard_for_its_own_wallet_only(self, bank: Bank) -> None:
        mine, other = bank.customer(1_000), bank.customer(1_000)
        async with bank.branch() as branch:
            for customer in (mine, other):
                (await branch.treasury.hold(branch.account(customer), 100)).settle(0)
            assert branch.treasury.on_recall(mine.wallet_id) == [branch.account(mine)]
            await branch.treasury.give_back(branch.account(mine))
            assert branch.treasury.on_recall(mine.wallet_id) == []

    async def test_that_cannot_be_sent_fails_closed(self, bank: Bank) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT) as branch:
            await admitted(branch, customer, 2_000)  # opens the connections
            branch.clock.jumped_ms += DRY_MS
            branch.road.hold_replies()
            asking = asyncio.ensure_future(branch.treasury.hold(branch.account(customer), 2_000))
            await until(lambda: branch.road.held_replies == 1)
            branch.road.cut_next("question")
            branch.road.let_replies_go()
            with pytest.raises(GatewayError) as refused:
                await asking
            assert refused.value.status == 503


class TestGivingBack:
    async def test_an_idle_account_gives_everything_back(self, bank: Bank) -> None:
        customer = bank.customer(1_000_000)
        async with bank.branch() as branch:
            hold = await branch.treasury.hold(branch.account(customer), 1_000)
            branch.clock.jumped_ms += TreasuryLimits().idle_ms + 1
            await branch.treasury.tend()
            assert (await bank.wallet(customer))["held"] == 1_000
            await sell(branch, customer, hold, 400)
            await branch.treasury.tend()
            assert (await bank.wallet(customer))["held"] == 400
            await bank.post()
            assert (await bank.wallet(customer))["held"] == 0

    async def test_a_busy_account_keeps_what_its_burn_needs(self, bank: Bank) -> None:
        customer = bank.customer(10_000_000)
        async with bank.branch() as branch:
            account = branch.account(customer)
            await sell(branch, customer, await branch.treasury.hold(account, 20_000), 400)
            await branch.treasury.tend()
            assert account.burn_per_s == 100
            assert account.lease.free > 4 * 10 * 75
            branch.clock.jumped_ms += 2_000
            await branch.treasury.tend()
            assert account.lease.free == 10 * account.burn_per_s == 750

    async def test_keeps_what_was_asked_to_be_kept(self, bank: Bank) -> None:
        customer = bank.customer(1_000)
        async with bank.branch() as branch:
            (await branch.treasury.hold(branch.account(customer), 500)).settle(0)
            await branch.treasury.give_back(branch.account(customer), keep=200)
            assert branch.account(customer).lease.free == 200
            assert (await bank.wallet(customer))["held"] == 200

    async def test_asks_nothing_when_there_is_nothing(self, bank: Bank) -> None:
        customer = bank.customer(1_000)
        async with bank.branch() as branch:
            asked = branch.road.questions
            await branch.treasury.give_back(branch.account(customer))
            assert branch.road.questions == asked

    async def test_closing_gives_everything_back(self, bank: Bank) -> None:
        customers = [bank.customer(1_000) for _ in range(3)]
        async with bank.branch() as branch:
            for customer in customers:
                (await branch.treasury.hold(branch.account(customer), 700)).settle(0)
            await branch.treasury.close()
            for customer in customers:
                assert (await bank.wallet(customer))["held"] == 0


class TestClosedLease:
    async def test_is_replaced_by_a_new_one(self, bank: Bank) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT) as branch:
            old = await branch.treasury.hold(branch.account(customer), 300)
            bank.administer("UPDATE hold SET state = 'closing' WHERE id = %s", old.lease_id)
            new = await branch.treasury.hold(branch.account(customer), 300)
            assert new.lease_id != old.lease_id
            assert branch.account(customer).lease.outstanding == 300
            assert branch.treasury.try_hold(old.account, 1) is None
            old.settle(0)
            assert old.account.lease.outstanding == 0

    async def test_is_replaced_for_everybody_who_waited_for_it(self, bank: Bank) -> None:
        """They queue on one account; the first learns of the end, the others must not ask in its name."""
        customer = bank.customer(100_000)
        async with bank.branch(TIGHT) as branch:
            old = await branch.treasury.hold(branch.account(customer), 300)
            bank.administer("UPDATE hold SET state = 'closing' WHERE id = %s", old.lease_id)
            holds = await asyncio.gather(*(admitted(branch, customer, 100) for _ in range(10)))
            assert {hold.lease_id for hold in holds if hold} == {branch.account(customer).lease_id}
            assert branch.account(customer).lease.outstanding == 1_000
            assert branch.account(customer).lease.granted == 1_000
            assert len(await bank.leases(customer)) == 2

    async def test_found_while_giving_back_is_forgotten(self, bank: Bank) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT) as branch:
            (await branch.treasury.hold(branch.account(customer), 300)).settle(0)
            closed = branch.account(customer)
            bank.administer("UPDATE hold SET state = 'closing' WHERE id = %s", closed.lease_id)
            await branch.treasury.give_back(closed)
            assert closed.is_closed
            assert branch.account(customer) is not closed


class TestDeadProcess:
    async def test_admits_nothing_once_the_books_say_so(self, bank: Bank) -> None:
        customer = bank.customer(1_000_000)
        async with bank.branch() as branch:
            (await branch.treasury.hold(branch.account(customer), 1_000)).settle(0)
            await bank.close_process(branch.process.process_id)
            with pytest.raises(GatewayError) as refused:
                await branch.treasury.hold(branch.account(customer), 100_000)
            assert refused.value.status == 503
            assert branch.process.may_admit() is False
            assert branch.treasury.try_hold(branch.account(customer), 1) is None
            with pytest.raises(GatewayError):
                await branch.treasury.hold(branch.account(customer), 1)

    async def test_answers_of_an_earlier_life_promise_nothing_in_the_next(self, bank: Bank) -> None:
        customer = bank.customer(10_000)
        life = LifeLimits(beat_ms=20)
        async with bank.branch(TIGHT, life) as branch:
            old = await branch.treasury.hold(branch.account(customer), 1_000)
            branch.road.hold_next_reply()
            asking = [asyncio.ensure_future(admitted(branch, customer, 500)) for _ in range(5)]
            await until(lambda: branch.road.held_replies == 1)
            await bank.close_process(branch.process.process_id)
            branch.process.die(branch.process.process_id)
            beating = asyncio.ensure_future(branch.process.beat_forever())
            await until(branch.process.may_admit)
            assert old.account.is_closed
            branch.road.let_replies_go()
            holds = await asyncio.gather(*asking)
            later = await branch.treasury.hold(branch.account(customer), 500)
            account = branch.account(customer)
            assert {hold.account for hold in [*holds, later] if hold} == {account}
            lease = (await bank.rows("SELECT * FROM hold WHERE id = %s", account.lease_id))[0]
            assert lease["process_id"] == branch.process.process_id
            assert lease["granted"] == account.lease.granted >= account.lease.outstanding
            old.settle(0)
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)


class Wager:
    """Random work of several processes on one wallet, with everything lost that can be lost."""

    def __init__(self, bank: Bank, customer: Customer, branches: list[Branch], dice: random.Random) -> None:
        self._bank = bank
        self._customer = customer
        self._branches = branches
        self._dice = dice
        self._holds: list[tuple[Branch, Hold]] = []
        self.sold = 0

    async def step(self) -> None:
        branch = self._dice.choice(self._branches)
        match self._dice.choice(
            ["hold", "hold", "hold", "settle", "settle", "extend", "give", "cut", "post"]
        ):
            case "hold":
                with contextlib.suppress(GatewayError, Unfunded):
                    amount = self._dice.randrange(1, 3_000)
                    hold = await branch.treasury.hold(branch.account(self._customer), amount)
                    self._holds.append((branch, hold))
            case "settle" if self._holds:
                await self._settle(self._holds.pop(self._dice.randrange(len(self._holds))))
            case "extend" if self._holds:
                owner, hold = self._dice.choice(self._holds)
                await owner.treasury.extend(hold, self._dice.randrange(1, 500))
            case "give":
                await branch.treasury.give_back(branch.account(self._customer), self._dice.choice([0, 100]))
            case "cut":
                branch.road.cut_next(self._dice.choice(CUTS))
            case _:
                await self._bank.post()

    async def _settle(self, held: tuple[Branch, Hold]) -> None:
        branch, hold = held
        sale = self._dice.randrange(hold.amount + 1)
        row = encoded([usage_row(self._customer, lease_id=hold.lease_id, sale=sale, cost=0, streamed=False)])
        hold.settle(sale)
        self.sold += sale
        while True:  # as the spool does: until it is known to be booked
            with contextlib.suppress(branch.books.unavailable):
                await branch.books.flush(branch.process.process_id, row, [])
                return

    def promised(self) -> int:
        return sum(hold.amount for _, hold in self._holds)

    async def end(self) -> None:
        while self._holds:
            await self._settle(self._holds.pop())
        for branch in self._branches:
            branch.road.cut_no_more()
            await branch.treasury.give_back(branch.account(self._customer))
        await self._bank.post()


class TestLeaseSums:
    @pytest.mark.parametrize("seed", range(6))
    async def test_never_promise_more_than_the_wallet_has(self, bank: Bank, seed: int) -> None:
        total = 10_000
        customer = bank.customer(total)
        async with bank.branch() as first, bank.branch() as second, bank.branch(TIGHT) as third:
            wager = Wager(bank, customer, [first, second, third], random.Random(seed))
            for _ in range(60):
                await wager.step()
                assert wager.promised() + wager.sold <= total
                leases = await bank.leases(customer)
                assert (await bank.wallet(customer))["held"] == sum(lease["amount"] for lease in leases)
            await wager.end()
            wallet = await bank.wallet(customer)
            assert wallet["posted"] == total - wager.sold
            assert (wallet["held"], wallet["owed"], wallet["overrun"]) == (0, 0, 0)
