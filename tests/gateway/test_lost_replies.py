"""A reply about a lease was lost, and no request asks here again: the money comes home all the same."""

import contextlib
from collections.abc import Iterator
from typing import get_args

import pytest
from postgres_road import Cut
from processes import Bank
from proving import migrated_database

from bursar.db.books import LEASE_LINES
from bursar.db.embedded import EmbeddedPostgres
from bursar.gateway.errors import GatewayError
from bursar.gateway.treasury import TreasuryLimits

TIGHT = TreasuryLimits(slice_cap=0)
CUTS: tuple[Cut, ...] = get_args(Cut)


@pytest.fixture(scope="module")
def bank(postgres: EmbeddedPostgres) -> Iterator[Bank]:
    with migrated_database(postgres) as database:
        yield Bank(database.url)


@pytest.mark.parametrize("cut", CUTS)
class TestMoneyComesHome:
    async def test_to_the_wallet_after_a_give(self, bank: Bank, cut: Cut) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT) as branch:
            (await branch.treasury.hold(branch.account(customer), 600)).settle(0)
            branch.road.cut_next(cut)
            await branch.treasury.give_back(branch.account(customer))
            branch.clock.jumped_ms += TIGHT.idle_ms + 1
            await branch.treasury.tend()
            assert (await bank.wallet(customer))["held"] == 0

    async def test_to_the_wallet_after_a_take(self, bank: Bank, cut: Cut) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT) as branch:
            for _ in range(LEASE_LINES):
                await branch.books.recall(customer.wallet_id)  # so that every connection is open
            branch.road.cut_next(cut)
            with contextlib.suppress(GatewayError):
                await branch.treasury.hold(branch.account(customer), 600)
            branch.clock.jumped_ms += TIGHT.idle_ms + 1
            await branch.treasury.tend()
            assert (await bank.wallet(customer))["held"] == 0

    async def test_to_another_process_that_recalls_it(self, bank: Bank, cut: Cut) -> None:
        customer = bank.customer(1_000)
        async with bank.branch(TIGHT, hears_recalls=True) as branch, bank.branch(TIGHT) as other:
            (await branch.treasury.hold(branch.account(customer), 600)).settle(0)
            branch.road.cut_next(cut)
            await branch.treasury.give_back(branch.account(customer))
            assert (await other.treasury.hold(other.account(customer), 1_000)).amount == 1_000
