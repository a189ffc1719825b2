"""What the gateway needs of the outside: the books (PostgreSQL) and a clock.

The gateway knows no SQL. `bursar.db.books` implements `Books` with plain psycopg; entry points wire the two.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol
from uuid import UUID

from bursar.core.booking import BudgetAsk, BudgetGrant, FlushReply, Give, Grant, Take
from bursar.core.kept import KeptResponse


class Books(Protocol):
    """PostgreSQL as the gateway sees it. Every method may raise the implementation's `BooksUnavailable`."""

    unavailable: ClassVar[type[Exception]]

    async def open_process(self, process_id: UUID, kind: str, host: str) -> None: ...
    async def beat(self, process_id: UUID) -> bool: ...
    async def close_process(self, process_id: UUID) -> None: ...
    async def take(self, order: Take) -> Grant: ...
    async def give(self, order: Give) -> Grant: ...
    async def recall(self, wallet_id: UUID) -> None: ...
    async def take_budgets(self, op: int, process_id: UUID, asks: Sequence[BudgetAsk]) -> BudgetGrant: ...
    async def give_budgets(self, op: int, process_id: UUID, gives: Sequence[BudgetAsk]) -> BudgetGrant: ...
    async def recall_budget(self, budget_id: UUID) -> None: ...
    async def budgets_used(self, periods: Mapping[UUID, int]) -> Mapping[UUID, int]: ...
    async def flush(self, process_id: UUID, rows: Sequence[bytes], marks: Sequence[bytes]) -> FlushReply: ...
    async def load_snapshot(self) -> Mapping[str, Sequence[Mapping[str, Any]]]: ...
    async def find_usage(self, organisation_id: UUID, request_id: UUID) -> Mapping[str, Any] | None: ...
    async def report_health(self, process_id: UUID, rows: bytes) -> None: ...
    async def credential_refused(
        self, credential_id: UUID, provider_id: UUID, kind: str, upstream_status: int
    ) -> None: ...
    async def credential_accepted(self, credential_id: UUID) -> None: ...
    def listen(self, channels: Sequence[str]) -> AsyncIterator[tuple[str, str]]: ...


class ResponseStore(Protocol):
    """Where answers are kept that later requests may refer to. Methods may raise its `unavailable`."""

    unavailable: ClassVar[type[Exception]]

    async def keep(self, organisation_id: UUID, response: KeptResponse) -> bool:
        """Keep a response; False when its id is taken."""
        ...

    async def chain(
        self, organisation_id: UUID, response_id: str, *, most: int, bytes_max: int
    ) -> Sequence[KeptResponse] | None:
        """A response and those it continues, newest first; empty when there is none of this organisation's.

        None when together they are longer than `bytes_max`.
        """
        ...

    async def forget(self, organisation_id: UUID, response_id: str) -> bool:
        """Delete a response; False when there is none of this organisation's."""
        ...


class NoResponses:
    """A store that keeps nothing."""

    unavailable: ClassVar[type[Exception]] = LookupError

    async def keep(self, organisation_id: UUID, response: KeptResponse) -> bool:  # noqa: ARG002 - the protocol's
        return False

    async def chain(
        self,
        organisation_id: UUID,  # noqa: ARG002 - as above
        response_id: str,  # noqa: ARG002 - as above
        *,
        most: int,  # noqa: ARG002 - as above
        bytes_max: int,  # noqa: ARG002 - as above
    ) -> Sequence[KeptResponse] | None:
        return ()

    async def forget(self, organisation_id: UUID, response_id: str) -> bool:  # noqa: ARG002 - as above
        return False


class GatewayClock(Protocol):
    """Time at the edge. `life_ms` counts through suspend (CLOCK_BOOTTIME); the others are ordinary."""

    def now_ms(self) -> int: ...
    def monotonic_ms(self) -> int: ...
    def life_ms(self) -> int: ...
