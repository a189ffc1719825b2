"""A gateway stack shared by the tests of one module; each test has a customer of its own.

After every test: nothing outstanding in memory, nothing held in his wallet, every unit of his usage rows in
the ledger, `books check` clean, no unexpected error logged, and neither a provider's credential nor its
address in any byte a caller got or any line that was logged.
"""

import asyncio
import hashlib
import logging
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import orjson
import psycopg
import structlog
from caller import Caller, Reply, calling, request
from psycopg import sql
from psycopg.rows import dict_row

from bursar.core.money import parse_amount
from bursar.db.checks import check_books, is_clean
from bursar.db.connect import Role
from bursar.db.embedded import EmbeddedPostgres
from bursar.db.engine import Database
from bursar.db.secrets import SecretBox
from gateway_stack import MODELS, PATHS, PRICES, SECRET_KEY, SECRETS, GatewayStack, top_up
from scratch_database import ScratchDatabase

CHAT = "/v1/chat/completions"
KINDS = tuple(MODELS)
SIMULATED = {
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "openai_compatible": "compatible",
}
"""Provider type → the simulator's name for it."""
OPENING_EVENTS = {"anthropic": 3, "gemini": 0}
"""Events of a simulated stream before its first word, where that is not one."""
INPUT_TOLD_EARLY = frozenset({"anthropic", "gemini"})
"""Whose streams tell the input tokens with or before the first word."""
MUST_NOT_BE_LOGGED = (
    "request.failed",
    "background.failed",
    "settle.not_durable",
    "flush.failed",
    "flush.quarantined",
    "never retrieved",
    "Exception in callback",
    "Exception in ASGI",
    "Unhandled exception",
)
SETTLING_S = 60.0
TEMPLATE = "bursar_template"


def nano(price_per_million: str) -> int:
    """A price in USD per million tokens as nano-dollars per token; the seeded ones are whole."""
    whole, _, part = price_per_million.partition(".")
    assert len(part) <= 3
    return int(whole) * 1000 + int(part.ljust(3, "0"))


COST = {meter: nano(cost) for meter, (cost, _) in PRICES.items()}
SALE = {meter: nano(sale) for meter, (_, sale) in PRICES.items()}


def cost_of(**tokens: int) -> int:
    """Nano-dollars we owe for so many tokens of each class."""
    return sum(COST[meter] * count for meter, count in tokens.items())


def sale_of(**tokens: int) -> int:
    """Nano-dollars the customer owes."""
    return sum(SALE[meter] * count for meter, count in tokens.items())


def hold_of(input_tokens: int, output_tokens: int) -> int:
    """What is held for a text request: its input may all be written to the cache."""
    return sale_of(cache_write_5m=input_tokens, out_text=output_tokens)


def events_to(kind: str, words: int) -> int:
    """Events of a simulated stream as far as its so-manieth word."""
    return OPENING_EVENTS.get(kind, 1) + words


def as_nano(amount: str) -> int:
    """A decimal amount of USD, as answers carry it."""
    whole, _, part = amount.partition(".")
    assert len(part) <= 9
    return int(whole) * 10**9 + int(part.ljust(9, "0"))


def tokens_of_letters(text: str) -> int:
    """The gateway's count for a text of ASCII letters and blanks: three to a token, rounded up."""
    assert all(letter == " " or (letter.isascii() and letter.isalpha()) for letter in text), text
    return -(-len(text) // 3)


def input_estimate(text: str) -> int:
    """The gateway's count for a request of one such message: three, and four for the message."""
    return 3 + 4 + tokens_of_letters(text)


@contextmanager
def migrated_database(postgres: EmbeddedPostgres) -> Iterator[ScratchDatabase]:
    """A fresh database for a whole module."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres.dsn_for("postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(TEMPLATE)
            )
        )
    yield ScratchDatabase(name=name, url=postgres.dsn_for(name))
    with psycopg.connect(postgres.dsn_for("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@dataclass(kw_only=True)
class SharedStack(GatewayStack):
    """A stack for a whole module, with connections of the module's own to look at the books."""

    looking: psycopg.AsyncConnection[dict[str, Any]]
    books: Database
    logged: list[str]

    async def rows(self, query: str, parameters: list[Any] | None = None) -> list[dict[str, Any]]:
        cursor = await self.looking.execute(query, parameters)  # type: ignore[arg-type]  # a test says what it needs
        return await cursor.fetchall()


@asynccontextmanager
async def shared(running: GatewayStack) -> AsyncIterator[SharedStack]:
    """Look at a running stack from its own event loop.

    Its gateway hears of changes only by `Customer.reload`: a snapshot on its way could be older than the one
    a test just loaded. Hearing of them is proved elsewhere.
    """
    for task in asyncio.all_tasks():
        if "watch_books" in repr(task.get_coro()):
            task.cancel()
    parts = {name: getattr(running, name) for name in GatewayStack.__dataclass_fields__}
    books = Database(running.database.url, Role.WORKER, pool_size=1)
    connecting = psycopg.AsyncConnection.connect(
        running.database.conninfo(Role.WORKER), autocommit=True, row_factory=dict_row
    )
    async with await connecting as looking:
        with collected_logs() as logged:
            yield SharedStack(**parts, looking=looking, books=books, logged=logged)
    await books.close()


@dataclass(kw_only=True)
class Customer:
    """One test's organisation on the shared stack, and what it saw."""

    stack: SharedStack
    organisation_id: UUID
    wallet_id: UUID
    api_key_id: UUID
    key: str
    balance: int
    models: dict[str, str] = field(default_factory=lambda: dict(MODELS))
    heard: list[bytes] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)
    may_be_logged: tuple[str, ...] = ()
    hidden: set[str] = field(default_factory=set)

    @property
    def gw(self) -> Any:
        app = self.stack.gateway.app
        assert app is not None
        return app.gw

    @property
    def authorization(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}", "content-type": "application/json"}

    # asking

    def fault(self, kind: str, script: str, count: int | None = 1) -> None:
        """Let the simulated provider misbehave."""
        self.stack.simulator.faults.add(script, count=count, provider=SIMULATED[kind])

    def payload(self, kind: str, text: str = "hello there", **parameters: Any) -> bytes:
        messages = [{"role": "user", "content": text}]
        return orjson.dumps({"model": self.models[kind], "messages": messages, **parameters})

    async def connect(self, **options: Any) -> Caller:
        return await Caller.connect(self.stack.url, self.heard, **options)

    def calling(self, **options: Any) -> Any:
        return calling(self.stack.url, self.heard, **options)

    async def chat(self, kind: str, text: str = "hello there", **parameters: Any) -> Reply:
        """One request on a connection of its own."""
        return await self.send(self.payload(kind, text, **parameters))

    async def send(
        self, body: bytes, *, path: str = CHAT, method: str = "POST", headers: Mapping[str, str] | None = None
    ) -> Reply:
        async with self.calling() as caller:
            caller.write(request(method, path, body, self.authorization if headers is None else headers))
            return await caller.reply()

    async def start(self, caller: Caller, kind: str, text: str = "hello there", **parameters: Any) -> None:
        """Send a request on `caller` without waiting for its answer."""
        await caller.post(CHAT, self.payload(kind, text, **parameters), self.authorization)

    # looking

    async def rows(self, query: str, parameters: list[Any] | None = None) -> list[dict[str, Any]]:
        return await self.stack.rows(query, parameters)

    async def usage(self) -> list[dict[str, Any]]:
        """His usage rows, once nothing settles in the background any more."""
        await asyncio.wait_for(self.stack.quiet(), SETTLING_S)
        return await self.rows(
            "SELECT * FROM usage WHERE organisation_id = %s"
            " ORDER BY started_at, request_id, attempt, revision",
            [self.organisation_id],
        )

    async def one_row(self) -> dict[str, Any]:
        rows = await self.usage()
        assert len(rows) == 1, rows
        return rows[0]

    async def wallet(self) -> dict[str, Any]:
        await asyncio.wait_for(self.stack.quiet(), SETTLING_S)
        return (await self.rows("SELECT * FROM wallet WHERE id = %s", [self.wallet_id]))[0]

    async def marks(self) -> list[dict[str, Any]]:
        found = await self.rows("SELECT row FROM usage_mark")
        marks = [orjson.loads(one["row"]) for one in found]
        return [mark for mark in marks if mark["organisation_id"] == str(self.organisation_id)]

    def accounts(self) -> list[Any]:
        return [account for account in self.gw.treasury.accounts() if account.wallet_id == self.wallet_id]

    # arranging

    async def change(self, query: str, parameters: list[Any] | None = None) -> None:
        """As the administrator; the gateway sees it afterwards."""
        async with await psycopg.AsyncConnection.connect(
            self.stack.database.url, autocommit=True
        ) as connection:
            await connection.execute(query, parameters)  # type: ignore[arg-type]  # a test says what it needs
        await self.reload()

    async def reload(self) -> None:
        """Let the gateway see at once what changed in the database."""
        app = self.stack.gateway.app
        assert app is not None
        app.gw.snapshot = app._build_snapshot(await app.gw.books.load_snapshot())

    async def set_policy(self, policy: Mapping[str, Mapping[str, object]]) -> None:
        await self.change(
            "UPDATE organisation SET outcome_policy = %s WHERE id = %s",
            [orjson.dumps(policy).decode(), self.organisation_id],
        )

    async def serve(self, *kinds: str, model: str | None = None, **provider: Any) -> str:
        """A model of his own, served by a provider of each of `kinds`, best first.

        `provider`: `base_url` (the simulator's by default), `credentials`, `timeouts`, `aborts_stop_billing`,
        `output_tokens_max`, `prices`, `provider_model`.
        """
        name = model or f"model-{secrets.token_hex(4)}"
        async with await psycopg.AsyncConnection.connect(
            self.stack.database.url, autocommit=True, row_factory=dict_row
        ) as connection:
            await connection.execute(
                "INSERT INTO model (id, display_name, context_window, output_tokens_max, created_at)"
                " VALUES (%s, %s, 128000, %s, now())",
                [name, name, provider.get("output_tokens_max", 4096)],
            )
            for priority, kind in enumerate(kinds):
                await self._add_provider(connection, name, kind, priority, provider)
                self.models[kind] = name
        await self.reload()
        return name

    async def _add_provider(
        self, connection: Any, name: str, kind: str, priority: int, told: Mapping[str, Any]
    ) -> None:
        provider_id = uuid4()
        base_url = told.get("base_url") or self.stack.simulator.base_url + PATHS[kind]
        self.hide(base_url)
        await connection.execute(
            "INSERT INTO provider (id, slug, name, kind, base_url, aborts_stop_billing, timeouts, created_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, now())",
            [
                provider_id,
                f"p-{provider_id.hex[:12]}",
                kind,
                kind,
                base_url,
                told.get("aborts_stop_billing", True),
                orjson.dumps(told.get("timeouts", {})).decode(),
            ],
        )
        box = SecretBox(bytes.fromhex(SECRET_KEY))
        for number in range(told.get("credentials", 1)):
            await connection.execute(
                "INSERT INTO provider_credential (id, provider_id, sealed, hint, priority, created_at)"
                " VALUES (%s, %s, %s, 'test', %s, now())",
                [uuid4(), provider_id, box.seal(f"{SECRETS[kind]}-{number}".encode()), number],
            )
        upstream = told.get("provider_model") or MODELS[kind]
        await connection.execute(
            "INSERT INTO route (id, model_id, provider_id, provider_model, priority, created_at)"
            " VALUES (%s, %s, %s, %s, %s, now())",
            [uuid4(), name, provider_id, upstream, priority],
        )
        for meter, (cost, sale) in told.get("prices", PRICES).items():
            await connection.execute(
                "INSERT INTO price (provider_id, model, meter, currency, effective_from, cost, sale, source,"
                " created_at) VALUES (%s, %s, %s, 'USD', %s, %s::numeric / 1000000, %s::numeric / 1000000,"
                " 'test', now())",
                [provider_id, upstream, meter, datetime(2026, 1, 1, tzinfo=UTC), cost, sale],
            )

    def hide(self, url: str) -> None:
        """From here on this address must not be seen by anybody."""
        parts = urlsplit(url)
        self.hidden.add(rf"{re.escape(parts.hostname or '')}\W{{1,5}}{parts.port}\b")

    # proving

    async def prove(self) -> None:
        """Everything that must hold when a test is over."""
        await asyncio.wait_for(self.stack.quiet(), SETTLING_S)
        for account in self.accounts():
            assert account.lease.outstanding == 0
            await self.gw.treasury.give_back(account)
        assert self.gw.bodies._left == self.gw.limits.bodies_bytes_max
        sold = sum(row["sale"] for row in await self.usage())
        wallet = await self.wallet()
        assert wallet["held"] == 0
        assert wallet["posted"] - wallet["owed"] == self.balance - sold
        assert await self.marks() == []
        findings = await check_books(self.stack.books)
        assert is_clean(findings), [finding.as_json() for finding in findings if finding.ok is False]
        self._prove_log_is_clean()
        self._prove_nothing_leaked()

    def _prove_log_is_clean(self) -> None:
        bad = [line for line in self.logged if any(word in line for word in MUST_NOT_BE_LOGGED)]
        assert [line for line in bad if not any(word in line for word in self.may_be_logged)] == []

    def _prove_nothing_leaked(self) -> None:
        secret = re.compile("|".join([*self.hidden, *map(re.escape, SECRETS.values())]))
        for said in [b"".join(self.heard).decode("utf-8", "replace"), *self.logged]:
            leaked = secret.search(said)
            assert leaked is None, said[max(0, leaked.start() - 200) : leaked.end() + 50]


@asynccontextmanager
async def new_customer(
    stack: SharedStack, *, balance: str = "100", requests_per_min: int = 1_000_000
) -> AsyncIterator[Customer]:
    """A customer with money and a key; proves himself clean at the end."""
    stack.simulator.reset()
    stack.logged.clear()
    key = f"llm_sk_{secrets.token_hex(20)}"
    customer = Customer(
        stack=stack,
        organisation_id=uuid4(),
        wallet_id=uuid4(),
        api_key_id=uuid4(),
        key=key,
        balance=parse_amount(balance, "USD"),
        logged=stack.logged,
    )
    customer.hide(stack.simulator.base_url)
    with psycopg.connect(stack.database.url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO organisation (id, name, currency, created_at) VALUES (%s, 'Test', 'USD', now())",
            [customer.organisation_id],
        )
        connection.execute(
            "INSERT INTO wallet (id, organisation_id, asset, credit_limit, created_at)"
            " VALUES (%s, %s, 'USD', 0, now())",
            [customer.wallet_id, customer.organisation_id],
        )
        connection.execute(
            "INSERT INTO api_key (id, organisation_id, name, key_hash, key_prefix, created_at, limits)"
            " VALUES (%s, %s, 'test', %s, %s, now(), %s)",
            [
                customer.api_key_id,
                customer.organisation_id,
                hashlib.sha256(key.encode()).digest(),
                key[:13],
                orjson.dumps({"requests_per_min": requests_per_min}).decode(),
            ],
        )
        if customer.balance:
            top_up(connection, customer.wallet_id, balance)
    await customer.reload()
    limits, bodies = customer.gw.limits, customer.gw.bodies
    try:
        yield customer
        await customer.prove()
    finally:
        customer.gw.limits, customer.gw.bodies = limits, bodies


class _Collecting(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))


@contextmanager
def collected_logs() -> Iterator[list[str]]:
    """Every event and record, with its stack trace, before anything is masked."""
    lines: list[str] = []
    before = structlog.get_config()
    root = logging.getLogger()
    handler, level = _Collecting(lines), root.level

    def keep(_logger: object, _method: str, event: Any) -> Any:
        lines.append(repr(event))
        raise structlog.DropEvent

    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.format_exc_info, keep],
        wrapper_class=structlog.make_filtering_bound_logger(0),
        cache_logger_on_first_use=False,
    )
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        structlog.configure(**before)


async def eventually(condition: Any, *, within_s: float = 60.0) -> None:
    """Wait until `condition()` holds."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.002)
