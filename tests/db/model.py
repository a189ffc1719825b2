"""What the state machine remembers beside the reference wallet."""

from dataclasses import dataclass, field
from uuid import UUID

from desk import Answer

from bursar.core.booking import UsageRow


@dataclass(slots=True)
class ModelLease:
    process_id: UUID
    scope_class: str
    lease_id: UUID
    granted: int = 0
    spent: int = 0
    burned: int = 0
    op: int = 0
    last: tuple[str, int, Answer] | None = None  # what was asked under `op`, and its answer
    is_active: bool = True

    @property
    def deficit(self) -> int:
        return max(0, self.burned - self.granted)


@dataclass(slots=True)
class ModelRow:
    """A row as booked; its posting run's number once it is posted."""

    row: UsageRow
    run: str | None = None
    refunded: int = 0


@dataclass(slots=True)
class Sold:
    """One attempt: its booked rows, by revision."""

    rows: list[ModelRow] = field(default_factory=list)

    @property
    def sale(self) -> int:
        return sum(booked.row.sale for booked in self.rows)

    @property
    def refunded(self) -> int:
        return sum(booked.refunded for booked in self.rows)
