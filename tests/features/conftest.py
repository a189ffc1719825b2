"""A control plane over a real PostgreSQL: the application in-process and an operator's client."""

from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import Any
from uuid import UUID

import httpx2
import orjson
import psycopg
import pytest
from control_client import Client, SettableClock, Use
from one_api import api_with

from bursar.core.booking import UsageRow
from bursar.db.books import PgBooks
from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.db.secrets import SecretBox
from bursar.features.operators import service as operators
from bursar.features.operators.schemas import NewToken
from bursar.rest.control import Control, Policy
from bursar.rest.edge import Edge
from bursar.rest.passwords import Passwords, PasswordWork
from scratch_database import ScratchDatabase


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
async def control(database: ScratchDatabase, clock: SettableClock) -> AsyncIterator[Control]:
    control = Control(
        database=Database(database.url, Role.API),
        edge=Edge(clock),
        seal=SecretBox(bytes(range(32))),
        policy=Policy(),
        passwords=Passwords(PasswordWork(memory_kib=8, passes=1)),  # the least that argon2 does
    )
    yield control
    await control.database.close()


@pytest.fixture
async def anonymous(control: Control) -> AsyncIterator[httpx2.AsyncClient]:
    """Without a token."""
    transport = api_with(control)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test", timeout=60) as http:
        yield http


@pytest.fixture
async def token(control: Control) -> str:
    async with control.database.transaction(operator=True) as tx:
        issued = await operators.create_token(tx, NewToken(name="Ana"), edge=control.edge)
    return issued.secret


@pytest.fixture
async def client(control: Control, token: str) -> AsyncIterator[Client]:
    transport = api_with(control)
    headers = {"authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://test", headers=headers, timeout=60
    ) as http:
        yield Client(http)


@pytest.fixture
async def organisation(client: Client) -> dict[str, Any]:
    """A prepaid organisation in USD."""
    made = await client.post("/organisations", {"name": "Acme", "billing_email": "pay@acme.example"})
    assert isinstance(made, dict)
    return made


@pytest.fixture
async def use(
    database: ScratchDatabase, clock: SettableClock, organisation: dict[str, Any], control: Control
) -> AsyncIterator[Use]:
    """Book one usage row of the organisation, as a gateway does."""
    books = PgBooks(database.url, clock)
    process_id = control.edge.new_id()
    await books.open_process(process_id, "test", "here")

    async def book(**changes: Any) -> UsageRow:
        request_id = changes.pop("request_id", None) or control.edge.new_id()
        values: dict[str, Any] = {
            "request_id": request_id,
            "attempt": 0,
            "revision": 0,
            "started_at_ms": request_id.int >> 80,
            "finished_at_ms": (request_id.int >> 80) + 250,
            "organisation_id": UUID(organisation["id"]),
            "wallet_id": UUID(organisation["wallet_id"]),
            "asset": organisation["currency"],
            "scope_class": "text",
            "api_key_id": UUID(int=5),
            "lease_id": None,
            "provider_id": None,
            "credential_id": None,
            "model": "gpt-4o",
            "provider_model": "gpt-4o",
            "endpoint": "/v1/chat/completions",
            "dialect": "openai_chat",
            "streamed": True,
            "status": 200,
            "outcome": "completed",
            "error_code": None,
            "quantities": {"in_fresh": 100, "out_text": 50},
            "price_ids": {},
            "input_tokens": 100,
            "output_tokens": 50,
            "estimated": False,
            "flags": [],
            "raw_usage": None,
            "service_tier": None,
            "cost": 40_000_000,
            "sale": 48_000_000,
            "latency_ms": 250,
            "first_byte_ms": 80,
            "provider_request_id": None,
            "end_user": None,
            "from_mark": False,
        } | changes
        row = UsageRow(**values)
        reply = await books.flush(process_id, [orjson.dumps(asdict(row))], [])
        assert not reply.quarantined
        return row

    yield book
    await books.close()


@pytest.fixture
def post_usage(database: ScratchDatabase) -> Callable[[], None]:
    """Post everything that waits, as the worker does."""

    def post() -> None:
        with psycopg.connect(database.conninfo(Role.WORKER), autocommit=True) as worker:
            worker.execute("SELECT bursar_post(now(), 100, 50000, NULL)")

    return post
