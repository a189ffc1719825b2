import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from bursar.core.leases import Lease, LeaseMisused, slice_size

amounts = st.integers(0, 10**12)


class TestSliceSize:
    @given(st.integers(1, 10**12), amounts, st.integers(-(10**12), 10**12), amounts)
    def test_is_never_below_the_need(self, need: int, burn_per_s: int, spendable: int, cap: int) -> None:
        assert slice_size(need, burn_per_s, spendable, cap) >= need

    @given(st.integers(1, 10**12), amounts, amounts, amounts)
    def test_beyond_the_need_obeys_rate_share_and_cap(
        self, need: int, burn_per_s: int, spendable: int, cap: int
    ) -> None:
        size = slice_size(need, burn_per_s, spendable, cap)
        if size > need:
            assert size == min(10 * burn_per_s, spendable // 20, cap)

    def test_of_a_poor_wallet_is_exactly_the_need(self) -> None:
        assert slice_size(need=10, burn_per_s=1_000, spendable=100, cap=10**9) == 10

    def test_of_a_rich_wallet_lasts_ten_seconds(self) -> None:
        assert slice_size(need=10, burn_per_s=1_000, spendable=10**9, cap=10**9) == 10_000


class TestLease:
    def test_admits_exactly_what_is_free(self) -> None:
        lease = Lease(granted=100)
        assert [lease.admit(10) for _ in range(40)].count(True) == 10
        assert lease.free == 0

    def test_settles_a_sale_above_its_hold_as_the_fact_it_is(self) -> None:
        lease = Lease(granted=100)
        assert lease.admit(100)
        lease.settle(100, 130)
        assert lease.free == -30
        assert not lease.admit(0)

    def test_takes_over_a_later_grant_whatever_was_lost_before(self) -> None:
        lease = Lease(granted=100, spent=60)
        lease.grant(250)
        assert lease.free == 190

    @pytest.mark.parametrize("held", [-1, 11])
    def test_refuses_to_free_what_was_not_held(self, held: int) -> None:
        lease = Lease(granted=100, outstanding=10)
        with pytest.raises(LeaseMisused, match="cannot free"):
            lease.release(held)

    @pytest.mark.parametrize("amount", [-1, 91])
    def test_refuses_to_give_what_is_not_free(self, amount: int) -> None:
        with pytest.raises(LeaseMisused, match="cannot give back"):
            Lease(granted=100, outstanding=10).give(amount)

    def test_refuses_a_negative_hold(self) -> None:
        with pytest.raises(LeaseMisused, match="cannot hold"):
            Lease(granted=100).admit(-1)


class LeaseMachine(RuleBasedStateMachine):
    """Grants, requests and gives in any order: nothing is promised twice and nothing is lost."""

    holds: Bundle[int] = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.lease = Lease()
        self.given = self.taken = self.sold = 0
        self.open: list[int] = []

    @rule(amount=amounts)
    def take(self, amount: int) -> None:
        self.taken += amount
        self.lease.grant(self.taken - self.given)

    @rule(target=holds, amount=st.integers(0, 10**12))
    def admit(self, amount: int) -> int:
        free = self.lease.free
        admitted = self.lease.admit(amount)
        assert admitted == (amount <= free)
        if not admitted:
            return 0
        self.open.append(amount)
        return amount

    @rule(held=consumes(holds), sale=amounts)
    def settle(self, held: int, sale: int) -> None:
        if held in self.open:
            self.open.remove(held)
            self.lease.settle(held, sale)
            self.sold += sale

    @rule(held=consumes(holds))
    def release(self, held: int) -> None:
        if held in self.open:
            self.open.remove(held)
            self.lease.release(held)

    @rule(share=st.integers(0, 100))
    def give(self, share: int) -> None:
        amount = max(0, self.lease.free) * share // 100
        if self.lease.free >= 0:
            self.lease.give(amount)
            self.given += amount

    @invariant()
    def every_unit_is_free_held_sold_or_given_back(self) -> None:
        assert self.lease.free == self.taken - self.given - self.sold - sum(self.open)


TestLeaseMachine = LeaseMachine.TestCase
