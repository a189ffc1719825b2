"""One running `bursar serve` for all tests of a worker, and paying customers for each test that asks."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from bursar_process import Program, running
from operator_client import Customer, NewCustomer, Operator
from psycopg import sql
from server_fixtures import OPERATOR_TOKEN, add_operator_token, assert_clean, maintenance

from bursar.db.embedded import EmbeddedPostgres
from bursar.simulator import Simulator, SimulatorSettings, in_thread

NOBODY_WAITS_FOR = ("BURSAR_MAIL_EVERY_MS", "BURSAR_WEBHOOKS_EVERY_MS", "BURSAR_SEAL_EVERY_MS")
TEMPLATE = "bursar_template"  # made by the fixture `postgres`


@pytest.fixture(scope="session")
def server_database(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The server's own database; when all tests are done its books are checked."""
    name = f"e2e_{secrets.token_hex(6)}"
    with maintenance(postgres) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(TEMPLATE)
            )
        )
    url = postgres.dsn_for(name)
    yield url
    asyncio.run(assert_clean(url))
    with maintenance(postgres) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def providers() -> Iterator[Simulator]:
    """The providers behind the server: what reached them is in `log`."""
    with in_thread(SimulatorSettings()) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def server(server_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """`bursar serve`: gateway, API and worker. It must end well when told to stop."""
    folder = tmp_path_factory.mktemp("serve")
    settings = {
        "BURSAR_DATABASE_URL": server_database,
        "BURSAR_DATA_DIR": str(folder / "data"),
        "BURSAR_ROUNDS_MAX": "1",  # a failure is seen at once, not after the pause its provider asked for
        **dict.fromkeys(NOBODY_WAITS_FOR, "10000"),
    }
    with running(folder, "serve", "--port", "0", settings=settings) as program:
        yield program
    assert program.stop() == 0, program.logged


@pytest.fixture(scope="session")
def operator(server: Program, server_database: str, providers: Simulator) -> Iterator[Operator]:
    add_operator_token(server_database)
    operator = Operator(server.listening(), OPERATOR_TOKEN)
    operator.set_up(providers.base_url)
    yield operator
    operator.close()


@pytest.fixture
async def new_customer(operator: Operator) -> AsyncIterator[NewCustomer]:
    """Makes customers; see `Operator.new_customer` for what can be chosen."""
    made: list[Customer] = []

    def make(**wanted: Any) -> Customer:
        made.append(operator.new_customer(**wanted))
        return made[-1]

    yield make
    for customer in made:
        await customer.close()


@pytest.fixture
def customer(new_customer: NewCustomer) -> Customer:
    """Somebody with USD 100.00 and a key for everything."""
    return new_customer()
