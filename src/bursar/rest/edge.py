"""Time and randomness, asked once at the edge and handed down: services never look at a clock themselves."""

import secrets
import time
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bursar.core.clock import Clock
from bursar.core.ids import RAND_BITS, uuid7
from bursar.db.ledger import Booking
from bursar.rest.fields import moment_of_ms


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Edge:
    """Where a service gets its ids, its secrets and the time from; tests set the clock."""

    clock: Clock

    def now_ms(self) -> int:
        return self.clock.now_ms()

    def now(self) -> datetime:
        """UTC, to the millisecond."""
        return moment_of_ms(self.clock.now_ms())

    def new_id(self) -> UUID:
        """A UUIDv7: ids made later sort later."""
        return uuid7(self.clock.now_ms(), secrets.randbits(RAND_BITS))


@dataclass(frozen=True, slots=True)
class Occasion:
    """One write of money: its idempotency key, and the edge to take the time and ids from."""

    edge: Edge
    key: str

    def booking(self, wallet_id: UUID, *, description: str, reference: str | None = None) -> Booking:
        """What every write to the books names."""
        return Booking(
            wallet_id=wallet_id,
            key=self.key,
            now=self.edge.now(),
            description=description,
            reference=reference,
        )
