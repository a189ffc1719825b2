"""What tests of the books start from: an organisation with a wallet, and usage rows to book."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID

import orjson
import psycopg

from bursar.core.booking import UsageRow
from bursar.core.ids import uuid7

START_MS = int(datetime.now(UTC).timestamp() * 1000)
START = datetime.fromtimestamp(START_MS / 1000, UTC)


numbers = count(int.from_bytes(os.urandom(4)) << 40)


def new_id() -> UUID:
    """Unique in this run and others; later ids sort behind earlier ones, so a story can be told again."""
    return uuid7(START_MS, next(numbers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    organisation_id: UUID
    wallet_id: UUID
    api_key_id: UUID


class SettableClock:
    """Time stands still until told; both clocks move together."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self.time_ms = now_ms

    def now_ms(self) -> int:
        return self.time_ms

    def monotonic_ms(self) -> int:
        return self.time_ms

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time_ms / 1000, UTC)


def add_customer(
    connection: psycopg.Connection[Any], *, credit_limit: int = 0, asset: str = "USD"
) -> Customer:
    """An organisation with a wallet; ``connection`` is the operator's."""
    customer = Customer(organisation_id=new_id(), wallet_id=new_id(), api_key_id=new_id())
    connection.execute(
        "INSERT INTO organisation (id, name, currency, created_at) VALUES (%s, 'Test', %s, %s)",
        [customer.organisation_id, asset, START],
    )
    connection.execute(
        "INSERT INTO wallet (id, organisation_id, asset, credit_limit, created_at)"
        " VALUES (%s, %s, %s, %s, %s)",
        [customer.wallet_id, customer.organisation_id, asset, credit_limit, START],
    )
    return customer


def usage_row(customer: Customer, **changes: Any) -> UsageRow:
    """A streamed, completed chat of 1,200 units; ``started_at_ms`` follows from the request id."""
    row: dict[str, Any] = {
        "request_id": new_id(),
        "attempt": 0,
        "revision": 0,
        "organisation_id": customer.organisation_id,
        "wallet_id": customer.wallet_id,
        "asset": "USD",
        "scope_class": "text",
        "api_key_id": customer.api_key_id,
        "lease_id": None,
        "provider_id": None,
        "credential_id": None,
        "model": "gpt-5-mini",
        "provider_model": "gpt-5-mini-2025-08-07",
        "endpoint": "/v1/chat/completions",
        "dialect": "openai_chat",
        "streamed": True,
        "status": 200,
        "outcome": "completed",
        "error_code": None,
        "quantities": {"in_fresh": 812, "cache_read": 1024, "out_text": 211},
        "price_ids": {"in_fresh": 101, "cache_read": 102, "out_text": 103},
        "input_tokens": 1836,
        "output_tokens": 211,
        "estimated": False,
        "flags": [],
        "raw_usage": '{"prompt_tokens":1836,"completion_tokens":211,"total_tokens":2047}',
        "service_tier": None,
        "cost": 1000,
        "sale": 1200,
        "latency_ms": 830,
        "first_byte_ms": 210,
        "provider_request_id": "req_0123456789",
        "end_user": None,
        "from_mark": False,
    } | changes
    started_at_ms = row["request_id"].int >> 80
    times = {"started_at_ms": started_at_ms, "finished_at_ms": started_at_ms + 830} | changes
    return UsageRow(**(row | {name: times[name] for name in ("started_at_ms", "finished_at_ms")}))


def encoded(rows: Iterable[UsageRow]) -> list[bytes]:
    return [orjson.dumps(row) for row in rows]
