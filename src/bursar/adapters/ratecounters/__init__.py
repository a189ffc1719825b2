"""Rate counters: how often, how many tokens and how many at once, by whatever name is counted (ADR 0013).

The port. `memory` counts in this process, `redis` for all processes that share a Redis; both pass the same
contract tests (`tests/adapters/ratecounters`). What must outlive a minute is no rate: see budgets.
"""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple, Protocol

from bursar.core.limits import Change, Check, Standing


class Answer(NamedTuple):
    """`refused`: the check that failed, None when all were taken. `standings`: one for each check."""

    refused: int | None
    standings: tuple[Standing, ...]


class RateCounters(Protocol):
    """Every method may raise the implementation's `unavailable`: what was asked happened, or it did not.

    `now_ms`: milliseconds of one steady clock; an implementation that is shared uses the clock it shares.
    `claim`: the name under which a request counts as one of those at once, unique over all processes.
    """

    unavailable: ClassVar[type[Exception]]

    async def admit(self, checks: Sequence[Check], claim: str, now_ms: int) -> Answer:
        """Take all checks or none; the first that does not fit is named."""
        ...

    async def correct(self, changes: Sequence[Change], now_ms: int) -> None:
        """Put right what was taken, upwards too, and end claims. Not idempotent but for claims: ask once."""
        ...

    async def renew(self, claims: Sequence[tuple[str, str]], now_ms: int) -> None:
        """These (counter, claim) go on: without this a claim may end a minute after it was made.

        One that has ended stays so.
        """
        ...

    async def look(self, checks: Sequence[Check], now_ms: int) -> tuple[Standing, ...]:
        """How these limits stand; takes nothing."""
        ...

    async def close(self) -> None: ...
