"""What a closed lease or a dead process promised, and what may never be promised in its name again."""

import asyncio
from typing import get_args

import pytest
from postgres_road import Cut, until
from processes import Bank, admitted

from bursar.gateway.errors import GatewayError
from bursar.gateway.life import LifeLimits
from bursar.gateway.treasury import TreasuryLimits

TIGHT = TreasuryLimits(slice_cap=0)  # asks for exactly what is needed
CUTS: tuple[Cut, ...] = get_args(Cut)


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
