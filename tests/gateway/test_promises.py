"""Random work of several processes on one wallet: together they never promise more than it has."""

import contextlib
import random
from typing import get_args

import pytest
from postgres_road import Cut
from processes import Bank, Branch
from samples import Customer, encoded, usage_row

from bursar.gateway.errors import GatewayError
from bursar.gateway.treasury import Hold, TreasuryLimits, Unfunded

TIGHT = TreasuryLimits(slice_cap=0)  # asks for exactly what is needed
CUTS: tuple[Cut, ...] = get_args(Cut)


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
