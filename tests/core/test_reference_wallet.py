from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bursar.core.auditor import BooksBroken, InsufficientBalance, ReferenceWallet, SourceUsed
from bursar.core.ledger import LedgerInvalid, TransactionKind
from bursar.core.lots import Lot, LotKind, cover
from bursar.core.money import format_amount, parse_amount

ORGANISATION = UUID(int=1)
CLASSES = ("image", "text")
amounts = st.integers(1, 100)
scopes = st.none() | st.sampled_from(CLASSES)


def lot(number: int, amount: int, scope_class: str | None = None, **dates: int) -> Lot:
    return Lot(
        lot_id=UUID(int=number),
        kind=LotKind.PURCHASE,
        original=amount,
        remaining=amount,
        effective_at_ms=dates.get("effective_at_ms", 0),
        created_at_ms=number,
        expires_at_ms=dates.get("expires_at_ms"),
        scope_class=scope_class,
    )


def wallet(*credits_in: int, credit_limit: int = 0, asset: str = "USD") -> ReferenceWallet:
    one = ReferenceWallet(ORGANISATION, asset, credit_limit)
    for number, amount in enumerate(credits_in, start=1):
        one.top_up(f"t{number}", lot(number, amount))
    return one


class TestTheDocumentsOwnSums:
    @pytest.mark.parametrize(
        ("balance", "charge", "after", "asset"),
        [
            ("50.00", "0.048", "49.952", "USD"),
            ("100.00", "48", "52.00", "USD"),
            ("100", "10", "90.00", "CNY"),
        ],
    )
    def test_balance_less_charge(self, balance: str, charge: str, after: str, asset: str) -> None:
        one = wallet(parse_amount(balance, asset), asset=asset)
        one.post_usage("p1", {"text": parse_amount(charge, asset)}, 0)
        assert format_amount(one.posted, asset) == after


class TestHold:
    def test_admits_ten_of_forty_holds_of_10_on_100(self) -> None:
        one = wallet(100)
        for number in range(40):
            with suppress(InsufficientBalance):
                one.hold(UUID(int=number), "text", 10, 0)
        assert (len(one.holds), one.held, one.spendable(0)) == (10, 100, 0)

    def test_says_what_is_free_when_it_refuses(self) -> None:
        with pytest.raises(InsufficientBalance) as refusal:
            wallet(100).hold(UUID(int=1), "text", 101, 0)
        assert (refusal.value.wanted, refusal.value.free) == (101, 100)

    def test_reaches_into_the_credit_limit(self) -> None:
        one = wallet(credit_limit=50)
        one.hold(UUID(int=1), "text", 50, 0)
        with pytest.raises(InsufficientBalance):
            one.hold(UUID(int=1), "text", 1, 0)

    def test_ignores_lots_that_expired_or_have_not_started(self) -> None:
        one = wallet()
        one.grant("g1", lot(1, 5, expires_at_ms=10))
        one.grant("g2", lot(2, 7, effective_at_ms=10))
        assert [one.grantable("text", at_ms) for at_ms in (0, 10)] == [5, 7]

    def test_frees_all_or_part_of_itself(self) -> None:
        one = wallet(100)
        one.hold(UUID(int=1), "text", 60, 0)
        assert (one.release(UUID(int=1), 10), one.held) == (10, 50)
        assert (one.release(UUID(int=1)), one.held) == (50, 0)

    @pytest.mark.parametrize(("scope_class", "amount"), [("image", 1), ("text", -1)])
    def test_keeps_its_class_and_never_shrinks_by_growing(self, scope_class: str, amount: int) -> None:
        one = wallet(100)
        one.hold(UUID(int=1), "text", 60, 0)
        with pytest.raises(BooksBroken, match="cannot grow"):
            one.hold(UUID(int=1), scope_class, amount, 0)


class TestPostUsage:
    def test_lowers_holds_by_their_sales_at_most_to_zero(self) -> None:
        one = wallet(100)
        one.hold(UUID(int=1), "text", 20, 0)
        one.hold(UUID(int=2), "image", 5, 0)
        one.post_usage("p1", {"text": 12, "image": 9}, 0, lowers={UUID(int=1): 12, UUID(int=2): 9})
        assert (one.posted, one.held, one.holds[UUID(int=1)].amount) == (79, 8, 8)

    def test_books_what_no_longer_fits_as_debt_and_overrun_which_block_new_holds(self) -> None:
        one = wallet(10)
        assert one.post_usage("p1", {"text": 25}, 0, cost=20) == 15
        assert (one.posted, one.owed, one.overrun) == (0, 15, 15)
        assert one.grantable("text", 0) == 0
        assert one.top_up("t2", lot(2, 40)) == 15
        assert (one.posted, one.owed, one.overrun) == (25, 0, 0)

    def test_keeps_no_lot_for_credit_that_all_repaid_debt(self) -> None:
        one = wallet(credit_limit=50)
        one.post_usage("p1", {"text": 25}, 0)
        assert one.grant("g1", lot(1, 25)) == 25
        assert one.lots == {}

    def test_repays_no_debt_from_credit_for_one_class_only(self) -> None:
        one = wallet(credit_limit=50)
        one.post_usage("p1", {"text": 25}, 0)
        assert one.grant("g1", lot(1, 30, "image")) == 0
        assert (one.posted, one.owed) == (30, 25)

    def test_books_free_usage_without_a_transaction_and_once(self) -> None:
        one = wallet(10)
        one.post_usage("p1", {"text": 0}, 0)
        assert [kind for kind, _ in one.journal] == [TransactionKind.TOP_UP]
        with pytest.raises(SourceUsed):
            one.post_usage("p1", {"text": 1}, 0)

    def test_refuses_a_negative_sale_and_changes_nothing(self) -> None:
        one = wallet(10)
        with pytest.raises(LedgerInvalid, match="that is a refund"):
            one.post_usage("p1", {"text": 5, "image": -1}, 0)
        assert (one.posted, one.postings) == (10, {})


class TestRefundUsage:
    def posted(self) -> ReferenceWallet:
        one = wallet(10, 20)
        one.post_usage("p1", {"text": 25}, 0)
        return one

    def test_returns_to_the_lots_in_reverse_order(self) -> None:
        one = self.posted()
        one.refund_usage("r1", "p1", 16)
        assert [each.remaining for each in one.lots.values()] == [1, 20]

    def test_is_at_most_what_is_left_of_the_sale(self) -> None:
        one = self.posted()
        one.refund_usage("r1", "p1", 16)
        with pytest.raises(InsufficientBalance, match="10 wanted, 9 free"):
            one.refund_usage("r2", "p1", 10)

    def test_forgives_debt_first(self) -> None:
        one = self.posted()
        one.post_usage("p2", {"text": 9}, 0)
        assert one.owed == 4
        one.refund_usage("r1", "p1", 10)
        assert (one.owed, one.posted) == (0, 6)

    def test_makes_a_lot_of_what_was_debt_and_is_paid_by_now(self) -> None:
        one = wallet(credit_limit=50)
        one.post_usage("p1", {"text": 25}, 0)
        one.top_up("t1", lot(1, 25))
        assert one.refund_usage("r1", "p1", 25, lot(9, 1)) == 25
        assert (one.lots[UUID(int=9)].kind, one.lots[UUID(int=9)].remaining) == (LotKind.REFUND, 25)

    def test_needs_to_know_that_lot(self) -> None:
        one = wallet(credit_limit=50)
        one.post_usage("p1", {"text": 25}, 0)
        one.top_up("t1", lot(1, 25))
        with pytest.raises(BooksBroken, match="no lot to go to"):
            one.refund_usage("r1", "p1", 25)

    def test_happens_once(self) -> None:
        one = self.posted()
        one.refund_usage("r1", "p1", 1)
        with pytest.raises(SourceUsed):
            one.refund_usage("r1", "p1", 1)


class TestRefundTopUp:
    def test_pays_back_what_is_unused_and_uncommitted(self) -> None:
        one = wallet(100)
        one.hold(UUID(int=1), "text", 30, 0)
        one.post_usage("p1", {"text": 20}, 0)
        with pytest.raises(InsufficientBalance, match="51 wanted, 50 free"):
            one.refund_top_up("r1", UUID(int=1), 51, 0)
        one.refund_top_up("r1", UUID(int=1), 50, 0)
        assert (one.posted, one.grantable("text", 0)) == (30, 0)


class TestExpire:
    def test_breaks_what_no_hold_leans_on_and_retries_later(self) -> None:
        one = wallet()
        one.grant("g1", lot(1, 30, expires_at_ms=10))
        one.hold(UUID(int=1), "text", 12, 0)
        assert one.expire("e1", 9) == {}
        assert one.expire("e2", 10) == {UUID(int=1): 18}
        one.post_usage("p1", {"text": 8}, 20, lowers={UUID(int=1): 8})
        one.release(UUID(int=1))
        assert one.expire("e3", 30) == {UUID(int=1): 4}
        assert (one.posted, one.owed) == (0, 0)

    def test_leaves_general_money_that_holds_of_another_class_lean_on(self) -> None:
        one = wallet()
        one.grant("g1", lot(1, 10, expires_at_ms=10))
        one.grant("g2", lot(2, 10, "text"))
        one.hold(UUID(int=1), "image", 10, 0)
        assert one.expire("e1", 10) == {}

    def test_happens_once_per_sweep_and_lot(self) -> None:
        one = wallet()
        one.grant("g1", lot(1, 10, expires_at_ms=10))
        one.hold(UUID(int=1), "text", 4, 0)
        one.expire("e1", 10)
        one.release(UUID(int=1))
        with pytest.raises(SourceUsed):
            one.expire("e1", 10)


class TestCreditLimit:
    def test_lowered_is_a_fact_that_becomes_overrun(self) -> None:
        one = wallet(credit_limit=50)
        one.hold(UUID(int=1), "text", 40, 0)
        one.set_credit_limit(10)
        assert (one.overrun, one.grantable("text", 0)) == (30, 0)
        one.release(UUID(int=1))
        assert (one.overrun, one.grantable("text", 0)) == (0, 10)


def _lose_a_consumption(one: ReferenceWallet) -> None:
    one.postings["p1"].consumptions.clear()


def _forget_a_transaction(one: ReferenceWallet) -> None:
    del one.journal[TransactionKind.TOP_UP, "t1"]


def _sell_twice(one: ReferenceWallet) -> None:
    one.postings["p1"].sale *= 2


def _set(name: str, change: int) -> Callable[[ReferenceWallet], None]:
    return lambda one: setattr(one, name, getattr(one, name) + change)


def _hold_below_zero(one: ReferenceWallet) -> None:
    one.holds[UUID(int=1)].amount = -1
    one.held = -1


class TestAudit:
    @pytest.mark.parametrize(
        ("damage", "named"),
        [
            (_set("posted", 1), "posted = lots"),
            (_set("owed", 1), "owed = receivable entries"),
            (_set("held", -1), "held = holds"),
            (_set("overrun", 1), "overrun is exact"),
            (_set("overrun", -1), "funds cover holds and debts"),
            (_hold_below_zero, "no hold below zero"),
            (_lose_a_consumption, "lots = consumption"),
            (_forget_a_transaction, "posted = wallet entries"),
            (_sell_twice, "sales = revenue"),
        ],
    )
    def test_names_the_sum_that_broke(self, damage: Callable[[ReferenceWallet], None], named: str) -> None:
        one = wallet(10)
        one.hold(UUID(int=1), "text", 5, 0)
        one.post_usage("p1", {"text": 12}, 0)
        one.audit()
        damage(one)
        with pytest.raises(BooksBroken, match=named):
            one.audit()


class WalletMachine(RuleBasedStateMachine):
    """Everything that can happen, in any order; every sale within its hold, so nothing may ever overrun."""

    honest = True

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 0
        self.number = 0
        self.expected = 0

    @initialize(credit_limit=st.sampled_from([0, 0, 150]))
    def open(self, credit_limit: int) -> None:
        self.wallet = ReferenceWallet(ORGANISATION, "USD", credit_limit)

    def next(self) -> int:
        self.number += 1
        return self.number

    def new_lot(self, amount: int, scope: str | None, starts_in: int, lasts: int | None) -> Lot:
        dates = {"effective_at_ms": self.now_ms + starts_in}
        if lasts is not None:
            dates["expires_at_ms"] = self.now_ms + starts_in + lasts
        return lot(self.next(), amount, scope, **dates)

    @rule(wait_ms=st.integers(1, 10))
    def wait(self, wait_ms: int) -> None:
        self.now_ms += wait_ms

    @rule(amount=amounts)
    def top_up(self, amount: int) -> None:
        self.wallet.top_up(f"t{self.number}", self.new_lot(amount, None, 0, None))
        self.expected += amount

    @rule(amount=amounts, scope=scopes, starts_in=st.integers(0, 5), lasts=st.none() | st.integers(1, 20))
    def grant(self, amount: int, scope: str | None, starts_in: int, lasts: int | None) -> None:
        self.wallet.grant(f"g{self.number}", self.new_lot(amount, scope, starts_in, lasts))
        self.expected += amount

    @rule(amount=amounts, scope=st.sampled_from(CLASSES))
    def hold(self, amount: int, scope: str) -> None:
        free = self.wallet.grantable(scope, self.now_ms)
        held = self.wallet.held
        try:
            self.wallet.hold(UUID(int=self.next()), scope, amount, self.now_ms)
        except InsufficientBalance:
            assert amount > free
            assert self.wallet.held == held
        else:
            assert amount <= free
            assert self.wallet.held == held + amount

    def a_hold(self, data: st.DataObject) -> UUID:
        return data.draw(st.sampled_from(sorted(self.wallet.holds)))

    @precondition(lambda self: self.wallet.holds)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        self.wallet.release(self.a_hold(data))

    @precondition(lambda self: self.wallet.holds)
    @rule(data=st.data(), percent=st.integers(0, 100), cost=st.integers(0, 10))
    def settle(self, data: st.DataObject, percent: int, cost: int) -> None:
        hold_id = self.a_hold(data)
        hold = self.wallet.holds[hold_id]
        sale = hold.amount * percent // 100
        sales, lowers = {hold.scope_class: sale}, {hold_id: sale}
        self.wallet.post_usage(f"p{self.next()}", sales, self.now_ms, cost=cost, lowers=lowers)
        self.expected -= sale

    @precondition(lambda self: self.wallet.postings)
    @rule(data=st.data(), amount=amounts)
    def refund_usage(self, data: st.DataObject, amount: int) -> None:
        source = data.draw(st.sampled_from(sorted(self.wallet.postings)))
        number = self.next()
        try:
            self.wallet.refund_usage(f"r{number}", source, amount, lot(number, 1))
            self.expected += amount
        except InsufficientBalance:
            assert amount > self.wallet.postings[source].sale - self.wallet.postings[source].refunded

    @precondition(lambda self: self.wallet.lots)
    @rule(data=st.data(), amount=amounts)
    def refund_top_up(self, data: st.DataObject, amount: int) -> None:
        lot_id = data.draw(st.sampled_from(sorted(self.wallet.lots)))
        try:
            self.wallet.refund_top_up(f"u{self.next()}", lot_id, amount, self.now_ms)
            self.expected -= amount
        except InsufficientBalance:
            assert amount > min(self.wallet.lots[lot_id].remaining, self.free_of(lot_id))

    def free_of(self, lot_id: UUID) -> int:
        started = [each for each in self.wallet.lots.values() if each.started(self.now_ms)]
        behind = cover(started, self.wallet.held_by_class(), self.wallet.credit_limit, self.wallet.owed)
        return behind.uncommitted(self.wallet.lots[lot_id].scope_class)

    @rule()
    def expire(self) -> None:
        broken = self.wallet.expire(f"e{self.next()}", self.now_ms)
        self.expected -= sum(broken.values())

    @invariant()
    def the_balance_is_everything_that_came_less_everything_that_went(self) -> None:
        assert self.wallet.posted - self.wallet.owed == self.expected

    @invariant()
    def sales_within_their_holds_never_outgrow_the_money(self) -> None:
        if self.honest:
            started = [each for each in self.wallet.lots.values() if each.started(self.now_ms)]
            held = self.wallet.held_by_class()
            assert cover(started, held, self.wallet.credit_limit, self.wallet.owed).slack >= 0
            assert self.wallet.overrun == 0
            assert self.wallet.owed <= self.wallet.credit_limit


class FactsMachine(WalletMachine):
    """The same with facts that no hold foresaw: the sums must still agree, debts and overrun say the rest."""

    honest = False

    @rule(amount=amounts, scope=st.sampled_from(CLASSES))
    def sell_unforeseen(self, amount: int, scope: str) -> None:
        self.wallet.post_usage(f"p{self.next()}", {scope: amount}, self.now_ms)
        self.expected -= amount

    @rule(credit_limit=st.integers(0, 200))
    def set_credit_limit(self, credit_limit: int) -> None:
        self.wallet.set_credit_limit(credit_limit)


TestWalletMachine = WalletMachine.TestCase
TestWalletMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestFactsMachine = FactsMachine.TestCase
TestFactsMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
