"""What crosses from a gateway process to the books, and what comes back.

Amounts are integers in units of the row's asset; times are unix milliseconds. Lease figures are
cumulative, so that an answer can never race with a flush: what is free is the process's own sum, not a
remainder in a message.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple
from uuid import UUID

GrantState = Literal["active", "closing", "closed", "refused", "dead"]


@dataclass(kw_only=True)  # neither frozen nor slotted: made and written as JSON 3 x faster, once per request
class UsageRow:
    """One attempt at one request, rated. Its JSON is what gets hashed, spooled and compared on replay.

    ``outcome`` is a `bursar.core.payer.Outcome`; ``quantities`` and ``price_ids`` are keyed by meter.
    ``project_id`` and ``team_id`` are where the key was when the request was admitted.
    A row with ``from_mark`` is progress, not an end: the attempt's final row replaces it as a later revision.
    """

    request_id: UUID
    attempt: int
    revision: int
    started_at_ms: int
    finished_at_ms: int
    organisation_id: UUID
    wallet_id: UUID
    asset: str
    scope_class: str
    api_key_id: UUID
    lease_id: UUID | None
    provider_id: UUID | None
    credential_id: UUID | None
    model: str
    provider_model: str
    endpoint: str
    dialect: str
    streamed: bool
    status: int
    outcome: str
    error_code: str | None
    quantities: dict[str, int]
    price_ids: dict[str, int]
    input_tokens: int
    output_tokens: int
    estimated: bool
    flags: list[str]
    raw_usage: str | None
    service_tier: str | None
    cost: int
    sale: int
    latency_ms: int
    first_byte_ms: int | None
    provider_request_id: str | None
    end_user: str | None
    from_mark: bool
    project_id: UUID | None = None
    team_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """Ask for money: at least ``need``, up to ``want``, the lease never above ``cap``.

    ``op`` counts a lease's operations up; asking again with the same number gets the same answer.
    """

    op: int
    process_id: UUID
    wallet_id: UUID
    organisation_id: UUID
    scope_class: str
    need: int
    want: int
    cap: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Give:
    """Hand ``amount`` back; the process has already stopped counting on it."""

    op: int
    process_id: UUID
    lease_id: UUID
    wallet_id: UUID
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The lease as the books see it after an operation.

    ``granted`` is everything ever granted, less what was given back; ``spendable`` is what the wallet has
    left beside it. ``refused`` grants nothing and changes nothing; ``dead`` means the process itself was
    closed and must stop admitting.
    """

    lease_id: UUID | None
    op: int
    granted: int
    spendable: int
    state: GrantState


class BudgetAsk(NamedTuple):
    """One budget's part of a take or a give; `spent` is what this process used of the period, cumulative.

    A take wants at least `need` and up to `want`; a give hands `amount` back, which is no longer counted on.
    """

    budget_id: UUID
    period_start_ms: int
    spent: int
    need: int = 0
    want: int = 0
    amount: int = 0


class BudgetState(NamedTuple):
    """A slice as the books see it: `granted` to this process in all, `unpromised` to nobody yet.

    `spent` is what it said, this time included: a process that forgot the slice goes on from there.
    """

    budget_id: UUID
    period_start_ms: int
    granted: int
    spent: int
    unpromised: int


class BudgetGrant(NamedTuple):
    """The answer to one operation on several budgets: all of them were granted, or none was."""

    state: Literal["active", "refused", "dead"]
    slices: tuple[BudgetState, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushReply:
    """The batch is committed.

    ``late``: the process was no longer alive, its rows were booked anyway and its leases are gone.
    ``balances``: posted, less owed, less unposted sales, by wallet. ``quarantined``: requests whose rows
    could not be booked.
    """

    late: bool
    balances: dict[UUID, int]
    quarantined: tuple[UUID, ...]
