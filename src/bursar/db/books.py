"""The books as a gateway process uses them: `bursar.gateway.ports.Books` over plain psycopg.

Each kind of work has connections of its own, so that a slow snapshot never holds up a flush and a
heartbeat never waits for a lease. Everything runs as the gateway role, which can do nothing but read
configuration and call the functions used here.
"""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any, ClassVar, Final, LiteralString
from uuid import UUID

import orjson

from bursar.core.booking import BudgetAsk, BudgetGrant, BudgetState, FlushReply, Give, Grant, Take
from bursar.core.clock import Clock
from bursar.db import snapshot
from bursar.db.connect import Role, conninfo_as
from bursar.db.line import BooksUnavailable, Line, listen
from bursar.db.moments import moment_of

LEASE_LINES: Final = 4
"""Takes and gives under way at once; more would only wait for each other in PostgreSQL."""

FLUSH_WAIT_S: Final = 10
LEASE_WAIT_S: Final = 5
BEAT_WAIT_S: Final = 5
READ_WAIT_S: Final = 60

NUL: Final = rb"\u0000"
REPLACEMENT: Final = rb"\ufffd"

FLUSH: Final = (
    "SELECT bursar_flush(%s::uuid, %s::text::json, %s::text::text[], %s::text::json, %s::text::text[], %s)"
)
TAKE: Final = "SELECT * FROM bursar_take(%s, %s, %s, %s, %s, %s, %s, %s, %s)"
GIVE: Final = "SELECT * FROM bursar_give(%s, %s, %s, %s, %s, %s)"
TAKE_BUDGETS: Final = (
    "SELECT json_agg(row_to_json(one)) FROM bursar_take_budgets(%s, %s, %s::text::json) AS one"
)
GIVE_BUDGETS: Final = (
    "SELECT json_agg(row_to_json(one)) FROM bursar_give_budgets(%s, %s, %s::text::json) AS one"
)
# What was used, by who says so: what is granted and not spent is nobody's yet.
BUDGETS_USED: Final = """
    SELECT coalesce(json_object_agg(budget_id, spent), '{}') FROM (
        SELECT slice.budget_id, sum(slice.spent)::bigint AS spent
        FROM unnest(%s::uuid[], %s::bigint[]) AS asked (budget_id, start_ms)
        JOIN budget_slice AS slice ON slice.budget_id = asked.budget_id
            AND slice.period_start = to_timestamp(asked.start_ms / 1000.0)
        GROUP BY slice.budget_id) AS sums"""


def content_hash(row: bytes) -> str:
    """Blake2b-16 of a usage row's bytes: what tells a replay from a conflict."""
    return hashlib.blake2b(row, digest_size=16).hexdigest()


class PgBooks:
    """PostgreSQL's books. Connects when first asked and again after every break; `close` when done."""

    unavailable: ClassVar[type[Exception]] = BooksUnavailable

    def __init__(self, url: str, clock: Clock) -> None:
        self._conninfo = conninfo_as(url, Role.GATEWAY)
        self._clock = clock
        self._flush = Line(self._conninfo, FLUSH_WAIT_S)
        self._beat = Line(self._conninfo, BEAT_WAIT_S)
        self._read = Line(self._conninfo, READ_WAIT_S)
        self._leases = [Line(self._conninfo, LEASE_WAIT_S) for _ in range(LEASE_LINES)]
        self._turn = count()

    async def close(self) -> None:
        for line in (self._flush, self._beat, self._read, *self._leases):
            await line.close()

    # Life

    async def open_process(self, process_id: UUID, kind: str, host: str) -> None:
        await self._beat.one("SELECT bursar_open_process(%s, %s, %s)", (process_id, kind, host))

    async def beat(self, process_id: UUID) -> bool:
        """False: the books closed this process; it must admit nothing more."""
        return bool((await self._beat.one("SELECT bursar_beat(%s)", (process_id,)))[0])

    async def close_process(self, process_id: UUID) -> None:
        """The last word of a process: what its leases did not spend is free again."""
        await self._beat.one("SELECT bursar_close_process(%s, NULL, %s)", (process_id, self._now()))

    # Leases

    async def take(self, order: Take) -> Grant:
        return await self._lease(
            order.wallet_id,
            TAKE,
            (
                order.op,
                order.process_id,
                order.wallet_id,
                order.organisation_id,
                order.scope_class,
                order.need,
                order.want,
                order.cap,
                self._now(),
            ),
        )

    async def give(self, order: Give) -> Grant:
        return await self._lease(
            order.wallet_id,
            GIVE,
            (order.op, order.process_id, order.lease_id, order.wallet_id, order.amount, self._now()),
        )

    async def recall(self, wallet_id: UUID) -> None:
        """Ask every process to give back what it can of this wallet. Nobody waits for it here."""
        await self._any_lease_line().one("SELECT pg_notify('bursar_recall', %s)", (str(wallet_id),))

    # Budgets

    async def take_budgets(self, op: int, process_id: UUID, asks: Sequence[BudgetAsk]) -> BudgetGrant:
        """Take from all of these budgets or from none."""
        return await self._budgets(TAKE_BUDGETS, op, process_id, asks)

    async def give_budgets(self, op: int, process_id: UUID, gives: Sequence[BudgetAsk]) -> BudgetGrant:
        """Say what was spent and give back what is no longer counted on."""
        return await self._budgets(GIVE_BUDGETS, op, process_id, gives)

    async def recall_budget(self, budget_id: UUID) -> None:
        """Ask every process to give back what it can of this budget. Nobody waits for it here."""
        await self._any_lease_line().one("SELECT pg_notify('bursar_recall', %s)", (f"budget:{budget_id}",))

    async def budgets_used(self, periods: Mapping[UUID, int]) -> Mapping[UUID, int]:
        """What processes said they spent of each budget in the period that starts at this millisecond."""
        found = (await self._read.one(BUDGETS_USED, (list(periods), list(periods.values()))))[0]
        return {UUID(budget_id): spent for budget_id, spent in found.items()}

    async def _budgets(
        self, query: LiteralString, op: int, process_id: UUID, asks: Sequence[BudgetAsk]
    ) -> BudgetGrant:
        told = orjson.dumps([ask._asdict() for ask in asks]).decode()
        line = self._leases[asks[0].budget_id.int % LEASE_LINES]
        rows = (await line.one(query, (op, process_id, told)))[0] or []
        states = tuple(
            BudgetState(
                UUID(row["budget_id"]),
                row["period_start_ms"],
                row["granted"],
                row["spent"],
                row["unpromised"],
            )
            for row in rows
            if row["budget_id"] is not None
        )
        return BudgetGrant(rows[0]["state"] if rows else "refused", states)

    # Usage

    async def flush(self, process_id: UUID, rows: Sequence[bytes], marks: Sequence[bytes]) -> FlushReply:
        """Book rows and keep marks in one commit; each is a `UsageRow` as JSON. Safe to repeat."""
        hashes = [content_hash(row) for row in rows]
        mark_hashes = [content_hash(mark) for mark in marks]
        parameters = (
            str(process_id),
            json_array(rows),
            text_array(hashes),
            json_array(marks),
            text_array(mark_hashes),
            self._now(),
        )
        reply = (await self._flush.one(FLUSH, parameters))[0]
        sent = (
            dict(zip([*hashes, *mark_hashes], [*rows, *marks], strict=True)) if reply["quarantined"] else {}
        )
        return FlushReply(
            late=reply["late"],
            balances={UUID(wallet_id): balance for wallet_id, balance in reply["balances"].items()},
            quarantined=tuple(
                UUID(orjson.loads(sent[refused])["request_id"]) for refused in reply["quarantined"]
            ),
        )

    async def find_usage(self, organisation_id: UUID, request_id: UUID) -> Mapping[str, Any] | None:
        """The newest attempt of a request with its figures in full, or None; see `snapshot.usage_of`."""
        async with self._read.connection() as connection:
            return await snapshot.usage_of(connection, organisation_id, request_id)

    # Health of providers

    async def report_health(self, process_id: UUID, rows: bytes) -> None:
        """Replace what this process said of its lanes; `rows`: a JSON array, see `bursar_report_health`."""
        await self._read.one(
            "SELECT bursar_report_health(%s, %s::text::json, %s)", (process_id, rows.decode(), self._now())
        )

    async def credential_refused(
        self, credential_id: UUID, provider_id: UUID, kind: str, upstream_status: int
    ) -> None:
        """A provider refused a credential of ours: the operator is told, once an hour at most."""
        await self._read.one(
            "SELECT bursar_credential_refused(%s, %s, %s, %s, %s)",
            (credential_id, provider_id, kind, upstream_status, self._now()),
        )

    async def credential_accepted(self, credential_id: UUID) -> None:
        """A credential that was refused serves again."""
        await self._read.one("SELECT bursar_credential_accepted(%s, %s)", (credential_id, self._now()))

    # Configuration

    async def load_snapshot(self) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Everything a gateway needs to know without asking; see `snapshot.load`."""
        async with self._read.connection() as connection:
            return await snapshot.load(connection)

    def listen(self, channels: Sequence[str]) -> AsyncIterator[tuple[str, str]]:
        """Notices as (channel, payload) until the connection breaks, which raises `BooksUnavailable`.

        What happened while nobody listened is not told: load the snapshot after the first notice,
        which is ``("listening", "")``.
        """
        return listen(self._conninfo, channels)

    async def _lease(self, wallet_id: UUID, query: LiteralString, parameters: Sequence[Any]) -> Grant:
        line = self._leases[wallet_id.int % LEASE_LINES]
        lease_id, op, granted, spendable, state = await line.one(query, parameters)
        return Grant(lease_id=lease_id, op=op, granted=granted, spendable=spendable, state=state)

    def _any_lease_line(self) -> Line:
        return self._leases[next(self._turn) % LEASE_LINES]

    def _now(self) -> datetime:
        return moment_of(self._clock.now_ms())


def json_array(items: Sequence[bytes]) -> str:
    """One JSON array. PostgreSQL keeps no NUL in text; as U+FFFD it hides nobody's usage."""
    joined = b"".join((b"[", b",".join(items), b"]"))
    return (joined.replace(NUL, REPLACEMENT) if NUL in joined else joined).decode()


def text_array(items: Sequence[str]) -> str:
    """PostgreSQL's text form of an array of words that need no quoting."""
    return "{" + ",".join(items) + "}"
