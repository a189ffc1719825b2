from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.core.ledger import AccountKind, Books, Entry, LedgerInvalid, Transaction, TransactionKind

ORGANISATION = UUID(int=1)
BOOKS = Books(organisation_id=ORGANISATION, asset="USD")
amounts = st.integers(0, 10**15)
positive = st.integers(1, 10**15)


def entries(transaction: Transaction | None) -> dict[AccountKind, int]:
    assert transaction is not None
    assert all(entry.asset == "USD" for entry in transaction.entries)
    return {entry.account: entry.amount for entry in transaction.entries}


class TestUsage:
    def test_burns_the_wallet_owes_the_rest_and_books_the_cost(self) -> None:
        assert entries(BOOKS.usage("p1", sale=48, burned=30, cost=40)) == {
            AccountKind.WALLET: -30,
            AccountKind.RECEIVABLE: -18,
            AccountKind.REVENUE: 48,
            AccountKind.PROVIDER_COST: -40,
            AccountKind.PROVIDER_PAYABLE: 40,
        }

    @given(amounts, amounts, amounts)
    def test_balances_whatever_was_sold(self, burned: int, unpaid: int, cost: int) -> None:
        transaction = BOOKS.usage("p1", sale=burned + unpaid, burned=burned, cost=cost)
        if transaction is None:
            assert burned == unpaid == cost == 0
            return
        assert sum(entries(transaction).values()) == 0
        assert transaction.total(AccountKind.REVENUE) == burned + unpaid
        assert transaction.total(AccountKind.WALLET) == -burned

    @pytest.mark.parametrize(("sale", "burned", "cost"), [(5, 6, 0), (5, -1, 0), (5, 5, -1)])
    def test_refuses_to_burn_more_than_was_sold(self, sale: int, burned: int, cost: int) -> None:
        with pytest.raises(LedgerInvalid):
            BOOKS.usage("p1", sale=sale, burned=burned, cost=cost)


class TestCredits:
    def test_repay_what_is_owed_before_they_become_credit(self) -> None:
        assert entries(BOOKS.top_up("t1", amount=100, repaid=30)) == {
            AccountKind.CASH: -100,
            AccountKind.RECEIVABLE: 30,
            AccountKind.WALLET: 70,
        }

    def test_given_away_come_from_promo(self) -> None:
        assert entries(BOOKS.grant("g1", amount=5, repaid=0)) == {
            AccountKind.PROMO: -5,
            AccountKind.WALLET: 5,
        }

    @pytest.mark.parametrize(("amount", "repaid"), [(0, 0), (-5, 0), (5, 6), (5, -1)])
    def test_refuse_amounts_that_make_no_sense(self, amount: int, repaid: int) -> None:
        with pytest.raises(LedgerInvalid):
            BOOKS.top_up("t1", amount=amount, repaid=repaid)


class TestCorrections:
    def test_of_usage_forgive_debt_first_and_name_what_they_correct(self) -> None:
        transaction = BOOKS.usage_refund("r1", "p1", amount=10, forgiven=4)
        assert (transaction.kind, transaction.corrects) == (TransactionKind.USAGE_REFUND, "p1")
        assert entries(transaction) == {
            AccountKind.WALLET: 6,
            AccountKind.RECEIVABLE: 4,
            AccountKind.REVENUE: -10,
        }

    def test_of_a_top_up_pay_cash_back(self) -> None:
        transaction = BOOKS.top_up_refund("r1", "t1", amount=10)
        assert transaction.corrects == "t1"
        assert entries(transaction) == {AccountKind.WALLET: -10, AccountKind.CASH: 10}

    def test_for_expiry_move_credit_to_breakage(self) -> None:
        assert entries(BOOKS.expiry("e1", amount=3)) == {AccountKind.WALLET: -3, AccountKind.BREAKAGE: 3}

    @pytest.mark.parametrize(
        "write",
        [
            lambda: BOOKS.usage_refund("r1", "p1", amount=0, forgiven=0),
            lambda: BOOKS.usage_refund("r1", "p1", amount=1, forgiven=2),
            lambda: BOOKS.usage_refund("r1", "p1", amount=1, forgiven=-1),
            lambda: BOOKS.top_up_refund("r1", "t1", amount=0),
            lambda: BOOKS.expiry("e1", amount=0),
        ],
    )
    def test_refuse_to_move_nothing_or_too_much(self, write: Callable[[], Transaction]) -> None:
        with pytest.raises(LedgerInvalid):
            write()


class TestTransaction:
    def written(self, *entries: Entry) -> Transaction:
        return Transaction(
            kind=TransactionKind.GRANT, source="s", organisation_id=ORGANISATION, entries=tuple(entries)
        )

    @given(st.lists(st.tuples(st.sampled_from(AccountKind), positive), min_size=1, max_size=6))
    def test_refuses_what_does_not_balance(self, sides: list[tuple[AccountKind, int]]) -> None:
        one_sided = [Entry(account, "USD", amount) for account, amount in sides]
        with pytest.raises(LedgerInvalid, match="does not balance"):
            self.written(*one_sided)
        balancing = Entry(AccountKind.CASH, "USD", -sum(entry.amount for entry in one_sided))
        assert self.written(*one_sided, balancing).entries[-1] == balancing

    def test_balances_each_asset_by_itself(self) -> None:
        with pytest.raises(LedgerInvalid, match="does not balance"):
            self.written(Entry(AccountKind.WALLET, "USD", 5), Entry(AccountKind.CASH, "EUR", -5))

    def test_refuses_to_move_nothing(self) -> None:
        with pytest.raises(LedgerInvalid, match="moves nothing"):
            self.written()
        with pytest.raises(LedgerInvalid, match="moves nothing"):
            self.written(Entry(AccountKind.WALLET, "USD", 0))
