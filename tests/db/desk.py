"""The books seen through their SQL functions, each under the role that may call it."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, Self
from uuid import UUID

import psycopg
from psycopg.rows import namedtuple_row
from samples import Customer, SettableClock, add_customer, encoded, new_id

from bursar.core.booking import UsageRow
from bursar.db.books import FLUSH, GIVE, TAKE, content_hash, json_array, text_array
from bursar.db.connect import Role
from scratch_database import ScratchDatabase

CAP = 10**18
STATEMENT_LIMIT = "-c statement_timeout=20s"


class Answer(NamedTuple):
    """What take and give answer."""

    lease_id: UUID | None
    op: int
    granted: int
    spendable: int
    state: str


class Desk:
    """Gateway, poster, sweeper and operator in one place, one connection each; everything autocommits."""

    def __init__(self, database: ScratchDatabase, clock: SettableClock | None = None) -> None:
        self.database = database
        self.clock = clock or SettableClock()
        self.gateway = self.connect(Role.GATEWAY)
        self.worker = self.connect(Role.WORKER)
        self.operator = self.connect(Role.OPERATOR)
        self.ops: dict[tuple[UUID, UUID, str], int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in (self.gateway, self.worker, self.operator):
            connection.close()

    def connect(self, role: Role) -> psycopg.Connection[Any]:
        return psycopg.connect(self.database.conninfo(role), autocommit=True, row_factory=namedtuple_row)

    @property
    def now(self) -> datetime:
        return self.clock.now

    def customer(self, balance: int = 0, **options: Any) -> Customer:
        made = add_customer(self.operator, **options)
        if balance:
            self.top_up(made, balance)
        return made

    # Gateway

    def open_process(self) -> UUID:
        process_id = new_id()
        self.gateway.execute("SELECT bursar_open_process(%s, 'gateway', 'test')", [process_id])
        return process_id

    def beat(self, process_id: UUID) -> bool:
        return bool(one(self.gateway, "SELECT bursar_beat(%s)", [process_id]))

    def take(self, process_id: UUID, customer: Customer, need: int, **options: Any) -> Answer:
        """Options: op (else the next), scope_class, want (else the need), cap, connection."""
        scope_class = options.get("scope_class", "text")
        op = options.get("op") or self._next_op(process_id, customer, scope_class)
        amounts = (need, options.get("want", need), options.get("cap", CAP))
        order = (op, process_id, customer.wallet_id, customer.organisation_id, scope_class, *amounts)
        row = options.get("connection", self.gateway).execute(TAKE, (*order, self.now)).fetchone()
        assert row is not None
        return Answer(*row)

    def give(
        self, process_id: UUID, customer: Customer, lease_id: UUID | None, amount: int, **options: Any
    ) -> Answer:
        """Options: op (else the next), scope_class."""
        op = options.get("op") or self._next_op(process_id, customer, options.get("scope_class", "text"))
        order = (op, process_id, lease_id, customer.wallet_id, amount)
        row = self.gateway.execute(GIVE, (*order, self.now)).fetchone()
        assert row is not None
        return Answer(*row)

    def flush(
        self,
        process_id: UUID,
        rows: Iterable[UsageRow] = (),
        marks: Iterable[UsageRow] = (),
        connection: psycopg.Connection[Any] | None = None,
    ) -> dict[str, Any]:
        return self.flush_bytes(process_id, encoded(rows), encoded(marks), connection)

    def flush_bytes(
        self,
        process_id: UUID,
        rows: list[bytes],
        marks: list[bytes] | None = None,
        connection: psycopg.Connection[Any] | None = None,
    ) -> dict[str, Any]:
        parameters = (
            process_id,
            json_array(rows),
            text_array([content_hash(row) for row in rows]),
            json_array(marks or []),
            text_array([content_hash(mark) for mark in marks or []]),
            self.now,
        )
        reply: dict[str, Any] = one(connection or self.gateway, FLUSH, parameters)
        return reply

    def close_process(self, process_id: UUID) -> bool:
        return bool(one(self.gateway, "SELECT bursar_close_process(%s, NULL, %s)", [process_id, self.now]))

    # Worker

    def post(self, customer: Customer | None = None, *, rows_max: int = 50_000) -> int:
        wallet_id = customer and customer.wallet_id
        query = "SELECT rows FROM bursar_post(%s, 100, %s, %s)"
        return int(one(self.worker, query, [self.now, rows_max, wallet_id]))

    def expire(self, customer: Customer) -> int:
        return int(one(self.worker, "SELECT bursar_expire(%s, %s)", [customer.wallet_id, self.now]))

    def silence(self, process_id: UUID, seconds: int) -> None:
        """Make a process look as if it had not beaten for so long."""
        with psycopg.connect(self.database.url, autocommit=True) as administrator:
            administrator.execute(
                "UPDATE process SET last_beat_at = clock_timestamp() - %s WHERE id = %s",
                [timedelta(seconds=seconds), process_id],
            )

    def sweep(self, process_id: UUID, life_s: int = 60) -> bool:
        query = "SELECT bursar_close_process(%s, %s, %s)"
        return bool(one(self.worker, query, [process_id, timedelta(seconds=life_s), self.now]))

    def sweep_after_silence(self, process_id: UUID) -> bool:
        self.silence(process_id, 61)
        return self.sweep(process_id)

    # Operator

    def top_up(self, customer: Customer, amount: int, **options: Any) -> UUID:
        """Options: the fields of `bursar.db.ledger.NewLot`, cost_basis, and the idempotency key."""
        lot = {
            "lot_id": new_id(),
            "kind": "purchase",
            "scope_class": None,
            "priority": 100,
            "effective_at": self.now,
            "expires_at": None,
            "cost_basis": 1,
        } | options
        self.operator.execute(
            "SELECT bursar_top_up(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, '', NULL, %s)",
            [
                customer.wallet_id,
                lot["lot_id"],
                lot["kind"],
                amount,
                lot["scope_class"],
                lot["priority"],
                lot["effective_at"],
                lot["expires_at"],
                Decimal(lot["cost_basis"]),
                lot.get("key") or str(lot["lot_id"]),
                f"{amount} {lot['kind']} {lot['scope_class']} {lot['expires_at']}",
                self.now,
            ],
        )
        lot_id: UUID = lot["lot_id"]
        return lot_id

    def refund_usage(
        self, customer: Customer, request_id: UUID, amount: int, *, key: str | None = None
    ) -> int:
        return int(
            one(
                self.operator,
                "SELECT bursar_refund_usage(%s, %s, NULL, %s, %s, %s, '', NULL, %s)",
                [customer.wallet_id, request_id, amount, key or str(new_id()), str(amount), self.now],
            )
        )

    def refund_top_up(self, customer: Customer, lot_id: UUID, amount: int, *, key: str | None = None) -> int:
        return int(
            one(
                self.operator,
                "SELECT bursar_refund_top_up(%s, %s, %s, %s, %s, '', NULL, %s)",
                [customer.wallet_id, lot_id, amount, key or str(new_id()), str(amount), self.now],
            )
        )

    def set_credit_limit(self, customer: Customer, credit_limit: int, *, key: str | None = None) -> None:
        self.operator.execute(
            "SELECT bursar_set_credit_limit(%s, %s, %s, %s, '', NULL, %s)",
            [customer.wallet_id, credit_limit, key or str(new_id()), str(credit_limit), self.now],
        )

    # What the books say

    def wallet(self, customer: Customer) -> Any:
        query = "SELECT posted, held, owed, overrun, credit_limit FROM wallet WHERE id = %s"
        return self.worker.execute(query, [customer.wallet_id]).fetchone()

    def lease(self, lease_id: UUID | None) -> Any:
        query = "SELECT state, amount, granted, spent, burned FROM hold WHERE id = %s"
        return self.worker.execute(query, [lease_id]).fetchone()

    def remaining(self, lot_id: UUID) -> int:
        return int(one(self.worker, "SELECT remaining FROM credit_lot WHERE id = %s", [lot_id]))

    def entries(self, customer: Customer) -> dict[str, int]:
        """Sums by kind of account over the organisation's entries."""
        rows = self.worker.execute(
            "SELECT kind, sum(amount)::bigint FROM ledger_entry JOIN ledger_account AS account"
            " ON account.id = account_id WHERE ledger_entry.organisation_id = %s GROUP BY kind",
            [customer.organisation_id],
        )
        return {kind: amount for kind, amount in rows if amount}

    def usage(self, request_id: UUID) -> list[Any]:
        return self.worker.execute(
            "SELECT attempt, revision, sale, cost, from_mark, late, posting, quantities, project_id, team_id"
            " FROM usage"
            " WHERE request_id = %s ORDER BY attempt, revision",
            [request_id],
        ).fetchall()

    def marks(self) -> int:
        return int(one(self.worker, "SELECT count(*) FROM usage_mark"))

    def quarantine(self) -> list[Any]:
        return self.worker.execute(
            "SELECT reason, detail, row::text AS row FROM usage_quarantine ORDER BY id"
        ).fetchall()

    def acknowledge_quarantine(self) -> None:
        """Tell somebody, so that the books check is content."""
        self.worker.execute("UPDATE usage_quarantine SET alarmed_at = %s", [self.now])

    @contextmanager
    def listening(self, channel: str) -> Iterator[list[str]]:
        """Collect the payloads notified on a channel while the block ran."""
        heard: list[str] = []
        with self.connect(Role.GATEWAY) as listener:
            listener.execute(f"LISTEN {channel}")
            yield heard
            with self.connect(Role.GATEWAY) as last:  # what it says comes after all else
                last.execute("SELECT pg_notify(%s, %s)", [channel, "the end"])
            for notice in listener.notifies(timeout=30):
                if notice.payload == "the end":
                    break
                heard.append(notice.payload)

    def _next_op(self, process_id: UUID, customer: Customer, scope_class: str) -> int:
        key = (process_id, customer.wallet_id, scope_class)
        self.ops[key] = self.ops.get(key, 0) + 1
        return self.ops[key]


def one(connection: psycopg.Connection[Any], query: Any, parameters: Any = ()) -> Any:
    """The single value of the single row."""
    row = connection.execute(query, parameters).fetchone()
    assert row is not None, query
    return row[0]


def changed(row: UsageRow, **changes: Any) -> bytes:
    """A row's JSON with fields that a `UsageRow` could not hold."""
    return json.dumps(json.loads(encoded([row])[0]) | changes, separators=(",", ":")).encode()
