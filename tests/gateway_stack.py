"""A whole gateway for tests: real PostgreSQL, real sockets, the simulator as its providers."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import psycopg
import uvicorn
from psycopg.rows import dict_row

from bursar.core.money import parse_amount
from bursar.db.connect import Role
from bursar.db.secrets import SecretBox
from bursar.entrypoints.gateway import WiredGateway, build_gateway
from bursar.settings import Settings
from bursar.simulator import Simulator, SimulatorSettings
from scratch_database import ScratchDatabase

SECRET_KEY = "5e" * 32
KEY = "llm_sk_" + "k" * 40
MODELS = {
    "openai": "gpt-4o-mini",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-flash-lite",
    "openai_compatible": "llama-3.3-70b",
}
PATHS = {"openai": "/v1", "anthropic": "/v1", "gemini": "/v1beta", "openai_compatible": "/compat/v1"}
SECRETS = {
    "openai": "sk-test-openai",
    "anthropic": "sk-ant-test",
    "gemini": "AIzaSyTestGemini",
    "openai_compatible": "sk-test-compat",
    **{kind: f"sk-test-{kind}" for kind in ("xai", "mistral", "deepseek", "openrouter", "azure_openai")},
}
# Per million tokens, in USD: what we pay and what our customer pays (20 % more).
PRICES = {
    "in_fresh": ("2", "2.4"),
    "cache_read": ("0.2", "0.24"),
    "cache_write_5m": ("2.5", "3"),
    "out_text": ("8", "9.6"),
}
MILLION = 10**6


@dataclass(kw_only=True)
class Seed:
    """What `seed` wrote."""

    organisation_id: UUID
    wallet_id: UUID
    api_key_id: UUID
    provider_ids: dict[str, UUID] = field(default_factory=dict)


def seed(  # noqa: PLR0913 - each a property of the world a test wants
    database: ScratchDatabase,
    simulator_url: str,
    *,
    balance: str = "100",
    key: str = KEY,
    requests_per_min: int = 1_000_000,
    credentials: int = 1,
    timeouts: Mapping[str, int] | None = None,
    aborts_stop_billing: bool = True,
    output_tokens_max: int = 4_096,
) -> Seed:
    """An organisation with money and a key, and one provider of each kind with a model of its own."""
    now = datetime.now(UTC)
    with psycopg.connect(database.url, autocommit=True) as connection:
        seeded = _seed_customer(connection, now, key, requests_per_min)
        if parse_amount(balance, "USD"):
            top_up(connection, seeded.wallet_id, balance)
        for kind, model in MODELS.items():
            seeded.provider_ids[kind] = _seed_provider(
                connection,
                now,
                kind,
                simulator_url + PATHS[kind],
                credentials=credentials,
                timeouts=timeouts or {},
                aborts_stop_billing=aborts_stop_billing,
            )
            _seed_model(connection, now, model, seeded.provider_ids[kind], output_tokens_max)
    return seeded


def top_up(connection: psycopg.Connection[Any], wallet_id: UUID, amount: str) -> None:
    connection.execute(
        "SELECT bursar_top_up(%s, %s, 'purchase', %s, NULL::text, 100, %s, NULL::timestamptz, 1::numeric,"
        " %s::text, %s::text, 'test'::text, NULL::text, %s)",
        [
            wallet_id,
            uuid4(),
            parse_amount(amount, "USD"),
            datetime.now(UTC),
            str(uuid4()),
            "hash",
            datetime.now(UTC),
        ],
    )


def _seed_customer(
    connection: psycopg.Connection[Any], now: datetime, key: str, requests_per_min: int
) -> Seed:
    seeded = Seed(organisation_id=uuid4(), wallet_id=uuid4(), api_key_id=uuid4())
    connection.execute(
        "INSERT INTO organisation (id, name, currency, created_at) VALUES (%s, 'Test', 'USD', %s)",
        [seeded.organisation_id, now],
    )
    connection.execute(
        "INSERT INTO wallet (id, organisation_id, asset, credit_limit, created_at)"
        " VALUES (%s, %s, 'USD', 0, %s)",
        [seeded.wallet_id, seeded.organisation_id, now],
    )
    connection.execute(
        "INSERT INTO api_key (id, organisation_id, name, key_hash, key_prefix, created_at, limits)"
        " VALUES (%s, %s, 'test', %s, %s, %s, %s)",
        [
            seeded.api_key_id,
            seeded.organisation_id,
            hashlib.sha256(key.encode()).digest(),
            key[:13],
            now,
            orjson.dumps({"requests_per_min": requests_per_min}).decode(),
        ],
    )
    return seeded


def _seed_provider(  # noqa: PLR0913 - the columns of one row
    connection: psycopg.Connection[Any],
    now: datetime,
    kind: str,
    base_url: str,
    *,
    credentials: int,
    timeouts: Mapping[str, int],
    aborts_stop_billing: bool,
) -> UUID:
    provider_id = uuid4()
    connection.execute(
        "INSERT INTO provider (id, slug, name, kind, base_url, aborts_stop_billing, timeouts, created_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        [
            provider_id,
            kind.replace("_", "-"),
            kind,
            kind,
            base_url,
            aborts_stop_billing,
            orjson.dumps(timeouts).decode(),
            now,
        ],
    )
    box = SecretBox(bytes.fromhex(SECRET_KEY))
    for number in range(credentials):
        sealed = box.seal(f"{SECRETS[kind]}-{number}".encode())
        connection.execute(
            "INSERT INTO provider_credential (id, provider_id, sealed, hint, priority, created_at)"
            " VALUES (%s, %s, %s, 'test', %s, %s)",
            [uuid4(), provider_id, sealed, number, now],
        )
    return provider_id


def _seed_model(
    connection: psycopg.Connection[Any], now: datetime, model: str, provider_id: UUID, output_tokens_max: int
) -> None:
    connection.execute(
        "INSERT INTO model (id, display_name, context_window, output_tokens_max, created_at)"
        " VALUES (%s, %s, 128000, %s, %s)",
        [model, model, output_tokens_max, now],
    )
    connection.execute(
        "INSERT INTO route (id, model_id, provider_id, provider_model, created_at)"
        " VALUES (%s, %s, %s, %s, %s)",
        [uuid4(), model, provider_id, model, now],
    )
    for meter, (cost, sale) in PRICES.items():
        connection.execute(
            "INSERT INTO price (provider_id, model, meter, currency, effective_from, cost, sale, source,"
            " created_at)"
            " VALUES (%s, %s, %s, 'USD', %s, %s::numeric / 1000000, %s::numeric / 1000000, 'test', %s)",
            [provider_id, model, meter, datetime(2026, 1, 1, tzinfo=UTC), cost, sale, now],
        )


@dataclass(kw_only=True)
class GatewayStack:
    """A running gateway. `url` ends in `/v1`: what an SDK takes as its base URL."""

    database: ScratchDatabase
    simulator: Simulator
    gateway: WiredGateway
    url: str
    seed: Seed
    key: str = KEY

    async def rows(self, query: str, parameters: list[Any] | None = None) -> list[dict[str, Any]]:
        """What the worker role sees."""
        async with await psycopg.AsyncConnection.connect(
            self.database.conninfo(Role.WORKER), autocommit=True, row_factory=dict_row
        ) as connection:
            cursor = await connection.execute(query, parameters)  # type: ignore[arg-type]  # queries are literals of tests
            return await cursor.fetchall()

    async def usage(self) -> list[dict[str, Any]]:
        """All usage rows, once nothing settles in the background any more."""
        await self.quiet()
        return await self.rows("SELECT * FROM usage ORDER BY started_at, request_id, attempt, revision")

    async def quiet(self) -> None:
        """Wait until every background settlement is booked and posted."""
        app = self.gateway.app
        assert app is not None
        while app.gw.background or app.gw.in_flight:
            await asyncio.sleep(0.01)
        await self.rows("SELECT * FROM bursar_post(now(), 1000, 100000)")

    async def wallet(self) -> dict[str, Any]:
        await self.quiet()
        return (await self.rows("SELECT * FROM wallet WHERE id = %s", [self.seed.wallet_id]))[0]

    def outstanding(self) -> int:
        """Units promised to requests in flight, in this process's memory."""
        app = self.gateway.app
        assert app is not None
        return sum(account.lease.outstanding for account in app.gw.treasury.accounts())


def settings_for(folder: Path, **changed: Any) -> Settings:
    # One round: a test that lets a provider fail once means to see the failure, not the second try.
    told = {"data_dir": folder, "secret_key": SECRET_KEY, "rounds_max": 1, **changed}
    return Settings(_env_file=None, **told)


@asynccontextmanager
async def running_stack(
    database: ScratchDatabase, folder: Path, *, settings: Mapping[str, Any] | None = None, **seeding: Any
) -> AsyncIterator[GatewayStack]:
    """Simulator, seeded database and gateway; everything is stopped at the end."""
    simulator = Simulator(SimulatorSettings())
    await simulator.start()
    seeded = seed(database, simulator.base_url, **seeding)
    gateway = build_gateway(settings_for(folder, **(settings or {})), database.url)
    await gateway.startup()
    server = uvicorn.Server(
        uvicorn.Config(
            gateway,
            port=0,
            lifespan="off",
            log_config=None,
            http="httptools",
            access_log=False,
            proxy_headers=False,
        )
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    stack = GatewayStack(
        database=database,
        simulator=simulator,
        gateway=gateway,
        url=f"http://127.0.0.1:{port}/v1",
        seed=seeded,
        key=seeding.get("key", KEY),
    )
    try:
        yield stack
    finally:
        server.should_exit = True
        await serving
        await gateway.shutdown()
        await simulator.stop()


def free_folder(base: Path) -> Path:
    folder = base / f"data-{os.urandom(4).hex()}"
    folder.mkdir(parents=True)
    return folder
