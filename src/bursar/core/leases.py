"""Money a process may spend without asking: how much to ask for, and the sums it keeps in memory."""

from dataclasses import dataclass
from typing import ClassVar, Final

SLICE_SECONDS: Final = 10
"""A slice lasts about so long at the recent rate of spending."""

SLICE_PARTS: Final = 20
"""One process takes at most one part in so many (5 %) of what is spendable."""


class LeaseMisused(ValueError):
    """The caller's own sums are wrong: a negative amount, or freeing more than was held."""

    code: ClassVar[str] = "lease_misused"
    status: ClassVar[int] = 500


def slice_size(need: int, burn_per_s: int, spendable: int, cap: int) -> int:
    """How much to take: the least of 10 s of spending, 5 % of spendable and the cap; or the need if more.

    A poor wallet's 5 % is below the need, so it leases exactly the need and strands nothing.
    """
    return max(need, min(SLICE_SECONDS * burn_per_s, spendable // SLICE_PARTS, cap))


@dataclass(slots=True)
class Lease:
    """A lease as its process knows it, in units of the wallet's asset.

    ``granted`` is cumulative, as the books last said; ``spent`` are this process's settled sales;
    ``outstanding`` are open request holds. What is free may go below zero by facts: a sale
    is never refused, only a hold is.
    """

    granted: int = 0
    spent: int = 0
    outstanding: int = 0

    @property
    def free(self) -> int:
        return self.granted - self.spent - self.outstanding

    def admit(self, amount: int) -> bool:
        """Hold ``amount`` if it is free; also extends a running request's hold."""
        if amount < 0:
            raise LeaseMisused(f"cannot hold {amount}")
        if amount > self.granted - self.spent - self.outstanding:
            return False
        self.outstanding += amount
        return True

    def settle(self, held: int, sale: int) -> None:
        """End a request: its hold is freed and what it used is spent, were it more than the hold."""
        self._free_hold(held)
        self.spent += sale

    def release(self, held: int) -> None:
        """End a request that costs nothing."""
        self._free_hold(held)

    def grant(self, granted: int) -> None:
        """Take over the books' cumulative figure; an answer lost on the way is made good by the next one."""
        self.granted = granted

    def give(self, amount: int) -> None:
        """Stop counting on ``amount`` before telling the books; never restored on doubt."""
        if not 0 <= amount <= self.free:
            raise LeaseMisused(f"cannot give back {amount} of {self.free}")
        self.granted -= amount

    def _free_hold(self, held: int) -> None:
        if not 0 <= held <= self.outstanding:
            raise LeaseMisused(f"cannot free {held} of {self.outstanding} held")
        self.outstanding -= held
