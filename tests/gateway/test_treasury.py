"""Leases in memory against real books: what may be promised, and what a lost reply must not cost."""

import asyncio
import contextlib
from typing import get_args

import pytest
from postgres_road import Cut, until
from processes import Bank, admitted, assert_agree, sell

from bursar.db.books import LEASE_LINES
from bursar.gateway.errors import GatewayError
from bursar.gateway.treasury import DRY_MS, TreasuryLimits, Unfunded

TIGHT = TreasuryLimits(slice_cap=0)  # asks for exactly what is needed
CUTS: tuple[Cut, ...] = get_args(Cut)


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

    async def test_that_failed_leaves_what_the_request_may_come_to(self, bank: Bank) -> None:
        """Others must not be admitted on money that this request may yet cost."""
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT) as branch:
            account = branch.account(customer)
            hold = await branch.treasury.hold(account, 100)
            hold.expose(500)
            branch.road.close()
            assert await branch.treasury.extend(hold, 300) is False
            assert (hold.most, account.exposed) == (500, 400)
            hold.settle(100)
            assert account.exposed == 0

    async def test_that_grew_into_what_it_may_come_to_leaves_the_rest(self, bank: Bank) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT) as branch:
            account = branch.account(customer)
            hold = await branch.treasury.hold(account, 100)
            hold.expose(500)
            assert await branch.treasury.extend(hold, 300) is True
            assert (hold.amount, hold.most, account.exposed) == (400, 500, 100)

    async def test_that_failed_after_the_request_ended_exposes_nothing(self, bank: Bank) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT) as branch:
            account = branch.account(customer)
            hold = await branch.treasury.hold(account, 100)
            hold.expose(500)
            async with account.lock:
                extending = asyncio.ensure_future(branch.treasury.extend(hold, 300))
                await asyncio.sleep(0)
                hold.settle(50)
            assert await extending is False
            assert account.exposed == 0

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
