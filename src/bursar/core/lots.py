"""Lots: what a wallet's money is made of, who may spend which, and in which order it burns.

A lot is general or belongs to exactly one scope class (text, image, …). Held amounts are counted per class
too, so that money meant for images can never back a hold for text.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final, NamedTuple
from uuid import UUID

PRIORITY_DEFAULT: Final = 100
"""Room on both sides for lots that must burn earlier or later."""


class LotKind(StrEnum):
    """Where the credit came from."""

    PURCHASE = "purchase"
    CYCLE = "cycle"
    PROMO = "promo"
    REFUND = "refund"
    MANUAL = "manual"


class LotInvalid(ValueError):
    """A lot outside its own bounds."""

    code: ClassVar[str] = "lot_invalid"
    status: ClassVar[int] = 422


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """One grant of credit; amounts in units of the wallet's asset.

    ``scope_class`` None is general. Lower ``priority`` burns first. ``cost_basis`` is what one major
    unit of the lot cost its owner, in atto: 0 when given away, so gifts burn before purchases of the same
    rank. ``seq`` counts lots up; it tells the age of lots made in one millisecond.
    """

    lot_id: UUID
    kind: LotKind
    original: int
    remaining: int
    effective_at_ms: int
    created_at_ms: int
    expires_at_ms: int | None = None
    scope_class: str | None = None
    priority: int = PRIORITY_DEFAULT
    cost_basis: int = 0
    seq: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.remaining <= self.original:
            raise LotInvalid(f"lot {self.lot_id}: {self.remaining} remain of {self.original}")
        if self.expires_at_ms is not None and self.expires_at_ms <= self.effective_at_ms:
            raise LotInvalid(f"lot {self.lot_id} expires before it takes effect")

    def started(self, at_ms: int) -> bool:
        return self.effective_at_ms <= at_ms

    def expired(self, at_ms: int) -> bool:
        return self.expires_at_ms is not None and self.expires_at_ms <= at_ms

    def in_force(self, at_ms: int) -> bool:
        """From the moment it takes effect until the moment it expires, that moment not included."""
        return self.started(at_ms) and not self.expired(at_ms)


class BurnKey(NamedTuple):
    """Sorts lots into burn order: scoped, priority, soonest expiry, cost basis, age."""

    general: bool
    priority: int
    never_expires: bool
    expires_at_ms: int
    cost_basis: int
    created_at_ms: int
    seq: int
    lot_id: int


def burn_key(lot: Lot) -> BurnKey:
    return BurnKey(
        general=lot.scope_class is None,
        priority=lot.priority,
        never_expires=lot.expires_at_ms is None,
        expires_at_ms=lot.expires_at_ms or 0,
        cost_basis=lot.cost_basis,
        created_at_ms=lot.created_at_ms,
        seq=lot.seq,
        lot_id=lot.lot_id.int,
    )


class Burn(NamedTuple):
    """So much of a lot is used up."""

    lot_id: UUID
    amount: int


def burn(lots: Iterable[Lot], sales: Mapping[str, int], at_ms: int) -> tuple[tuple[Burn, ...], int]:
    """Which lots pay for these sales by scope class, in order, and the rest that no lot covers.

    Each class burns its own lots first; what is left over, summed, burns general ones. A lot that expired but
    was not broken yet still pays: the sales it was held for happened while it was in force.
    """
    due = dict(sales)
    burns = []
    general_due = sum(due.values())
    for lot in sorted(lots, key=burn_key):
        wanted = general_due if lot.scope_class is None else due.get(lot.scope_class, 0)
        amount = min(wanted, lot.remaining) if lot.started(at_ms) else 0
        if amount <= 0:
            continue
        burns.append(Burn(lot.lot_id, amount))
        general_due -= amount
        if lot.scope_class is not None:
            due[lot.scope_class] -= amount
    return tuple(burns), general_due


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """What stands behind holds: lots by scope class against holds by scope class.

    ``general`` counts general lots and the credit limit, less what is owed.
    """

    general: int
    scoped: Mapping[str, int]
    held: Mapping[str, int]

    @property
    def slack(self) -> int:
        """General money that no hold leans on; below zero when holds or debts have outgrown it."""
        leaning = sum(max(0, held - self.scoped.get(name, 0)) for name, held in self.held.items())
        return self.general - leaning

    def grantable(self, scope_class: str) -> int:
        """The most that may still be held for this class; 0 when holds or debts have outgrown the money.

        The scope rule: over all classes, what is held beyond the class's own lots, this grant included,
        must not exceed the general money.
        """
        if self.slack < 0:
            return 0
        own = self.scoped.get(scope_class, 0) - self.held.get(scope_class, 0)
        return max(0, own) + self.slack

    def uncommitted(self, scope_class: str | None) -> int:
        """The most that may leave lots of this scope without uncovering a hold or a debt."""
        return max(0, self.slack) if scope_class is None else self.grantable(scope_class)


def cover(lots: Iterable[Lot], held: Mapping[str, int], credit_limit: int, owed: int) -> Cover:
    """Add up the lots given: those in force for a grant, those merely started for an expiry."""
    general = credit_limit - owed
    scoped: dict[str, int] = defaultdict(int)
    for lot in lots:
        if lot.scope_class is None:
            general += lot.remaining
        else:
            scoped[lot.scope_class] += lot.remaining
    return Cover(general=general, scoped=scoped, held=held)


def spendable(lots: Iterable[Lot], at_ms: int, *, credit_limit: int, owed: int, held: int) -> int:
    """Lots in force and the credit limit, less debts and holds, all scopes together."""
    return sum(lot.remaining for lot in lots if lot.in_force(at_ms)) + credit_limit - owed - held


class Consumption(NamedTuple):
    """What one posting took from one lot, and how much of that came back since."""

    lot_id: UUID
    amount: int
    refunded: int = 0


def give_back(consumptions: Sequence[Consumption], amount: int) -> tuple[tuple[Burn, ...], int]:
    """Which lots a refund returns to: last burned first, at most what each gave; and the rest."""
    returns = []
    for consumption in reversed(consumptions):
        part = min(amount, consumption.amount - consumption.refunded)
        if part > 0:
            returns.append(Burn(consumption.lot_id, part))
            amount -= part
    return tuple(returns), amount
