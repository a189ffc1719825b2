"""A whole wallet in memory, kept by the rules alone: what the database's books are compared with.

It shares no code with the database's functions, remembers everything it was ever told, and adds it all up
again after every operation.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import ClassVar, Final
from uuid import UUID

from bursar.core.ledger import AccountKind, Books, LedgerInvalid, Transaction, TransactionKind
from bursar.core.lots import Consumption, Cover, Lot, LotKind, burn, burn_key, cover, give_back, spendable

_NONE_LOWERED: Final[Mapping[UUID, int]] = MappingProxyType({})


class InsufficientBalance(Exception):
    """A hold or a pay-back is more than what is free; facts never raise this."""

    code: ClassVar[str] = "insufficient_balance"
    status: ClassVar[int] = 402

    def __init__(self, wanted: int, free: int) -> None:
        super().__init__(f"{wanted} wanted, {free} free")
        self.wanted = wanted
        self.free = free


class SourceUsed(ValueError):
    """This source was booked before: a replay, which changes nothing."""

    code: ClassVar[str] = "source_used"
    status: ClassVar[int] = 409


class BooksBroken(Exception):
    """The sums do not agree; the message names each invariant that failed."""

    code: ClassVar[str] = "books_broken"
    status: ClassVar[int] = 500


@dataclass(slots=True)
class Hold:
    """Reserved money of one scope class."""

    scope_class: str
    amount: int


@dataclass(slots=True)
class Posting:
    """What was sold in one posting and what it took from which lot, in burn order."""

    sale: int
    consumptions: list[Consumption]
    refunded: int = 0


class ReferenceWallet:
    """One wallet: lots, posted, held, owed, overrun, credit limit.

    Grants (`hold`, `refund_top_up`) raise `InsufficientBalance`; facts are always booked, and what no
    longer fits becomes ``overrun``. Every operation ends with `audit`, which raises `BooksBroken`.
    """

    def __init__(self, organisation_id: UUID, asset: str, credit_limit: int = 0) -> None:
        self.books = Books(organisation_id=organisation_id, asset=asset)
        self.credit_limit = credit_limit
        self.posted = 0
        self.held = 0
        self.owed = 0
        self.overrun = 0
        self.lots: dict[UUID, Lot] = {}
        self.holds: dict[UUID, Hold] = {}
        self.postings: dict[str, Posting] = {}
        self.broken: dict[UUID, int] = defaultdict(int)
        self.paid_back: dict[UUID, int] = defaultdict(int)
        self.journal: dict[tuple[TransactionKind, str], Transaction] = {}

    # What is free

    def spendable(self, at_ms: int) -> int:
        return spendable(
            self.lots.values(), at_ms, credit_limit=self.credit_limit, owed=self.owed, held=self.held
        )

    def grantable(self, scope_class: str, at_ms: int) -> int:
        """The most a new hold of this class may be."""
        in_force = [lot for lot in self.lots.values() if lot.in_force(at_ms)]
        return cover(in_force, self.held_by_class(), self.credit_limit, self.owed).grantable(scope_class)

    def held_by_class(self) -> Mapping[str, int]:
        held: dict[str, int] = defaultdict(int)
        for hold in self.holds.values():
            held[hold.scope_class] += hold.amount
        return held

    # Credits that arrive

    def top_up(self, source: str, lot: Lot) -> int:
        """Money paid in as ``lot``; answers how much of it repaid debt instead of becoming credit."""
        self._require_new(TransactionKind.TOP_UP, source)
        repaid = min(lot.original, self.owed)
        self._book(self.books.top_up(source, amount=lot.original, repaid=repaid))
        self._store(lot, repaid)
        return repaid

    def grant(self, source: str, lot: Lot) -> int:
        """Credit given away as ``lot``; only general credit repays debt."""
        self._require_new(TransactionKind.GRANT, source)
        repaid = min(lot.original, self.owed) if lot.scope_class is None else 0
        self._book(self.books.grant(source, amount=lot.original, repaid=repaid))
        self._store(lot, repaid)
        return repaid

    # Holds

    def hold(self, hold_id: UUID, scope_class: str, amount: int, at_ms: int) -> None:
        """Reserve, or extend what is reserved; raises `InsufficientBalance` by the scope rule."""
        free = self.grantable(scope_class, at_ms)
        if amount > free:
            raise InsufficientBalance(amount, free)
        hold = self.holds.setdefault(hold_id, Hold(scope_class, 0))
        if hold.scope_class != scope_class or amount < 0:
            raise BooksBroken(f"hold {hold_id} of {hold.scope_class} cannot grow {amount} of {scope_class}")
        hold.amount += amount
        self.held += amount
        self._settle()

    def release(self, hold_id: UUID, amount: int | None = None) -> int:
        """Free all of a hold or at most ``amount`` of it; answers what was freed."""
        freed = self._lower(hold_id, self.holds[hold_id].amount if amount is None else amount)
        self._settle()
        return freed

    # Facts

    def post_usage(
        self,
        source: str,
        sales: Mapping[str, int],
        at_ms: int,
        *,
        cost: int = 0,
        lowers: Mapping[UUID, int] = _NONE_LOWERED,
    ) -> int:
        """Book sales by scope class: burn lots, the rest is owed; answers what became owed.

        ``lowers`` names the holds the sales were made under; each falls by its sales, at most to zero.
        """
        self._require_new(TransactionKind.USAGE, source)
        if any(amount < 0 for amount in sales.values()):
            raise LedgerInvalid(f"{source} sells a negative amount: that is a refund")
        burns, owed = burn(self.lots.values(), sales, at_ms)
        sale = sum(sales.values())
        transaction = self.books.usage(source, sale=sale, burned=sale - owed, cost=cost)
        for lot_id, amount in burns:
            self._change_lot(lot_id, -amount)
        self.postings[source] = Posting(sale, [Consumption(*taken) for taken in burns])
        for hold_id, amount in lowers.items():
            self._lower(hold_id, amount)
        if transaction is not None:
            self._book(transaction)
        self._settle()
        return owed

    def refund_usage(self, source: str, posting: str, amount: int, leftover: Lot | None = None) -> int:
        """Take back a sale, at most what is left of it: debt first, then its lots, last burned first.

        What neither takes becomes the lot ``leftover`` (the debt it made was repaid since), whose amounts are
        set here. Answers how much became that lot.
        """
        self._require_new(TransactionKind.USAGE_REFUND, source)
        posted = self.postings[posting]
        if amount > posted.sale - posted.refunded:
            raise InsufficientBalance(amount, posted.sale - posted.refunded)
        forgiven = min(amount, self.owed)
        transaction = self.books.usage_refund(source, posting, amount=amount, forgiven=forgiven)
        returns, rest = give_back(posted.consumptions, amount - forgiven)
        returned = dict(returns)
        posted.refunded += amount
        posted.consumptions = [
            taken._replace(refunded=taken.refunded + returned.get(taken.lot_id, 0))
            for taken in posted.consumptions
        ]
        for lot_id, part in returns:
            self._change_lot(lot_id, part)
        self._book(transaction)
        if rest:
            if leftover is None:
                raise BooksBroken(f"{rest} of refund {source} has no lot to go to")
            self.lots[leftover.lot_id] = replace(leftover, kind=LotKind.REFUND, original=rest, remaining=rest)
        self._settle()
        return rest

    def refund_top_up(self, source: str, lot_id: UUID, amount: int, at_ms: int) -> None:
        """Pay money back out of a purchase, at most what of it is unused and uncommitted."""
        self._require_new(TransactionKind.TOP_UP_REFUND, source)
        lot = self.lots[lot_id]
        free = min(lot.remaining, self._started(at_ms).uncommitted(lot.scope_class))
        if amount > free:
            raise InsufficientBalance(amount, free)
        self._book(self.books.top_up_refund(source, str(lot_id), amount=amount))
        self.paid_back[lot_id] += amount
        self._change_lot(lot_id, -amount)
        self._settle()

    def expire(self, source: str, at_ms: int) -> Mapping[UUID, int]:
        """Break what is left of expired lots, save what holds and debts still lean on; answers what broke."""
        broken: dict[UUID, int] = {}
        for lot in sorted(self.lots.values(), key=burn_key):
            amount = min(lot.remaining, self._started(at_ms).uncommitted(lot.scope_class))
            if not lot.expired(at_ms) or amount == 0:
                continue
            self._require_new(TransactionKind.EXPIRY, f"{source}:{lot.lot_id}")
            broken[lot.lot_id] = amount
            self._book(self.books.expiry(f"{source}:{lot.lot_id}", amount=amount))
            self.broken[lot.lot_id] += amount
            self._change_lot(lot.lot_id, -amount)
        self._settle()
        return broken

    def set_credit_limit(self, credit_limit: int) -> None:
        self.credit_limit = credit_limit
        self._settle()

    # The sums

    def audit(self) -> None:
        """Add everything up again; raises `BooksBroken` naming what does not agree."""
        sums: dict[AccountKind, int] = defaultdict(int)
        for transaction in self.journal.values():
            for entry in transaction.entries:
                sums[entry.account] += entry.amount
        remaining = sum(lot.remaining for lot in self.lots.values())
        sold = sum(posting.sale - posting.refunded for posting in self.postings.values())
        debt = self.owed + self.held - self.posted - self.credit_limit
        checks = {
            "posted = lots": self.posted == remaining,
            "posted = wallet entries": self.posted == sums[AccountKind.WALLET],
            "owed = receivable entries": self.owed == -sums[AccountKind.RECEIVABLE] >= 0,
            "held = holds": self.held == sum(hold.amount for hold in self.holds.values()),
            "no hold below zero": all(hold.amount >= 0 for hold in self.holds.values()),
            "overrun is exact": self.overrun == max(0, debt),
            "funds cover holds and debts": self.overrun >= debt,
            "sales = revenue": sold == sums[AccountKind.REVENUE],
            "lots = consumption": self._lots_match_consumption(),
            "trial balance": sum(sums.values()) == 0,
        }
        failed = [name for name, holds in checks.items() if not holds]
        if failed:
            raise BooksBroken(", ".join(failed))

    def _lots_match_consumption(self) -> bool:
        taken: dict[UUID, int] = defaultdict(int)
        for posting in self.postings.values():
            for consumption in posting.consumptions:
                taken[consumption.lot_id] += consumption.amount - consumption.refunded
        return all(
            lot.original - lot.remaining == taken[lot_id] + self.broken[lot_id] + self.paid_back[lot_id]
            for lot_id, lot in self.lots.items()
        )

    def _started(self, at_ms: int) -> Cover:
        started = [lot for lot in self.lots.values() if lot.started(at_ms)]
        return cover(started, self.held_by_class(), self.credit_limit, self.owed)

    def _require_new(self, kind: TransactionKind, source: str) -> None:
        if (kind, source) in self.journal or (kind is TransactionKind.USAGE and source in self.postings):
            raise SourceUsed(f"{kind} {source} was booked before")

    def _book(self, transaction: Transaction) -> None:
        self.journal[transaction.kind, transaction.source] = transaction
        self.posted += transaction.total(AccountKind.WALLET)
        self.owed -= transaction.total(AccountKind.RECEIVABLE)

    def _store(self, lot: Lot, repaid: int) -> None:
        if lot.original > repaid:
            left = lot.original - repaid
            self.lots[lot.lot_id] = replace(lot, original=left, remaining=left)
        self._settle()

    def _change_lot(self, lot_id: UUID, amount: int) -> None:
        lot = self.lots[lot_id]
        self.lots[lot_id] = replace(lot, remaining=lot.remaining + amount)

    def _lower(self, hold_id: UUID, amount: int) -> int:
        hold = self.holds[hold_id]
        freed = min(amount, hold.amount)
        hold.amount -= freed
        self.held -= freed
        return freed

    def _settle(self) -> None:
        self.overrun = max(0, self.owed + self.held - self.posted - self.credit_limit)
        self.audit()
