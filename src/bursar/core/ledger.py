"""Double entry: what each event writes.

Signs are credit-positive: a top-up is wallet +x, cash -x. So a wallet's balance is the sum of its wallet
entries and what it owes is the negative sum of its receivable entries. Every transaction sums to zero.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, NamedTuple
from uuid import UUID


class AccountKind(StrEnum):
    WALLET = "wallet"
    RECEIVABLE = "receivable"
    REVENUE = "revenue"
    PROVIDER_COST = "provider_cost"
    PROVIDER_PAYABLE = "provider_payable"
    CASH = "cash"
    PROMO = "promo"
    BREAKAGE = "breakage"
    TAX = "tax"
    ROUNDING = "rounding"
    FX = "fx"
    DISPUTE = "dispute"


class TransactionKind(StrEnum):
    TOP_UP = "top_up"
    TOP_UP_REFUND = "top_up_refund"
    GRANT = "grant"
    USAGE = "usage"
    USAGE_REFUND = "usage_refund"
    EXPIRY = "expiry"


class LedgerInvalid(ValueError):
    """Entries that do not balance, or an amount with the wrong sign."""

    code: ClassVar[str] = "ledger_invalid"
    status: ClassVar[int] = 422


class Entry(NamedTuple):
    """One side of a transaction, in units of the asset; credit is positive."""

    account: AccountKind
    asset: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """Entries that sum to zero per asset; ``(kind, source)`` is unique.

    A correction is a transaction of its own that names in ``corrects`` the source of what it corrects.
    """

    kind: TransactionKind
    source: str
    organisation_id: UUID
    entries: tuple[Entry, ...]
    corrects: str | None = None

    def __post_init__(self) -> None:
        sums: dict[str, int] = defaultdict(int)
        for entry in self.entries:
            sums[entry.asset] += entry.amount
        if any(sums.values()):
            raise LedgerInvalid(f"{self.kind} {self.source} does not balance: {dict(sums)}")
        if not self.entries or not all(entry.amount for entry in self.entries):
            raise LedgerInvalid(f"{self.kind} {self.source} moves nothing")

    def total(self, account: AccountKind) -> int:
        return sum(entry.amount for entry in self.entries if entry.account is account)


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Writes one organisation's transactions in one asset."""

    organisation_id: UUID
    asset: str

    def usage(self, source: str, *, sale: int, burned: int, cost: int) -> Transaction | None:
        """Usage sold: lots pay ``burned``, the rest becomes owed. None when nothing was sold or cost."""
        _require(0 <= burned <= sale and cost >= 0, f"burned {burned} of {sale} at cost {cost}")
        amounts = {
            AccountKind.WALLET: -burned,
            AccountKind.RECEIVABLE: burned - sale,
            AccountKind.REVENUE: sale,
            AccountKind.PROVIDER_COST: -cost,
            AccountKind.PROVIDER_PAYABLE: cost,
        }
        return self._write(TransactionKind.USAGE, source, amounts) if sale or cost else None

    def top_up(self, source: str, *, amount: int, repaid: int) -> Transaction:
        """Money paid in: what is owed is repaid first, the wallet gets the rest."""
        return self._credit(TransactionKind.TOP_UP, AccountKind.CASH, source, amount, repaid)

    def grant(self, source: str, *, amount: int, repaid: int) -> Transaction:
        """Credit given away."""
        return self._credit(TransactionKind.GRANT, AccountKind.PROMO, source, amount, repaid)

    def top_up_refund(self, source: str, corrects: str, *, amount: int) -> Transaction:
        """Unused money paid back."""
        _require(amount > 0, f"refund of {amount}")
        amounts = {AccountKind.WALLET: -amount, AccountKind.CASH: amount}
        return self._write(TransactionKind.TOP_UP_REFUND, source, amounts, corrects)

    def usage_refund(self, source: str, corrects: str, *, amount: int, forgiven: int) -> Transaction:
        """A sale taken back: debt is forgiven first, the wallet gets the rest; the cost stays."""
        _require(0 <= forgiven <= amount and amount > 0, f"refund of {amount}, {forgiven} of it debt")
        amounts = {
            AccountKind.WALLET: amount - forgiven,
            AccountKind.RECEIVABLE: forgiven,
            AccountKind.REVENUE: -amount,
        }
        return self._write(TransactionKind.USAGE_REFUND, source, amounts, corrects)

    def expiry(self, source: str, *, amount: int) -> Transaction:
        """Expired credit that nobody used is broken."""
        _require(amount > 0, f"expiry of {amount}")
        return self._write(
            TransactionKind.EXPIRY, source, {AccountKind.WALLET: -amount, AccountKind.BREAKAGE: amount}
        )

    def _credit(
        self, kind: TransactionKind, payer: AccountKind, source: str, amount: int, repaid: int
    ) -> Transaction:
        _require(0 <= repaid <= amount and amount > 0, f"{kind} of {amount}, {repaid} of it repaying")
        amounts = {payer: -amount, AccountKind.RECEIVABLE: repaid, AccountKind.WALLET: amount - repaid}
        return self._write(kind, source, amounts)

    def _write(
        self,
        kind: TransactionKind,
        source: str,
        amounts: Mapping[AccountKind, int],
        corrects: str | None = None,
    ) -> Transaction:
        entries = tuple(Entry(account, self.asset, amount) for account, amount in amounts.items() if amount)
        return Transaction(
            kind=kind,
            source=source,
            organisation_id=self.organisation_id,
            entries=entries,
            corrects=corrects,
        )


def _require(ok: bool, what: str) -> None:  # noqa: FBT001 - a condition is what it asks for
    if not ok:
        raise LedgerInvalid(what)
