"""A server of its own for each test: stopped in the middle of an answer, split in two, checked afterwards."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import orjson
import pytest
from bursar_process import Program, environment, running
from operator_client import MODELS, Customer, Operator
from server_fixtures import OPERATOR_TOKEN, add_operator_token
from test_answers import HELLO, WITH_USAGE, text_of

from bursar.simulator import Simulator
from scratch_database import ScratchDatabase

MODEL = MODELS["openai_compatible"]
SLOW: list[Any] = [{"role": "user", "content": "Say hello. [[sim: slow_ms_per_event=20 output_tokens=60]]"}]


def settings_of(database: ScratchDatabase, folder: Path) -> dict[str, str]:
    return {"BURSAR_DATABASE_URL": database.url, "BURSAR_DATA_DIR": str(folder / "data")}


@contextmanager
def serving(database: ScratchDatabase, folder: Path, *words: str) -> Iterator[Program]:
    with running(folder, *words, "--port", "0", settings=settings_of(database, folder.parent)) as program:
        yield program


@pytest.fixture
def own_server(database: ScratchDatabase, tmp_path: Path) -> Iterator[Program]:
    add_operator_token(database.url)
    with serving(database, tmp_path / "serve", "serve") as program:
        yield program


class TestStopping:
    def test_an_answer_under_way_is_finished_and_booked(
        self, own_server: Program, providers: Simulator, database: ScratchDatabase, tmp_path: Path
    ) -> None:
        operator = Operator(own_server.listening(), OPERATOR_TOKEN)
        operator.add_providers(providers.base_url)
        customer = operator.new_customer()
        stream = customer.sync.chat.completions.create(
            model=MODEL, messages=SLOW, stream=True, stream_options=WITH_USAGE
        )
        chunks = [next(stream)]
        own_server.process.terminate()
        chunks += stream
        assert own_server.stop() == 0, own_server.logged
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.completion_tokens == 60
        assert text_of(chunks)
        told = chunks[-1].usage.model_extra or {}
        customer.sync.close()
        operator.close()

        with serving(database, tmp_path / "again", "serve") as again:
            customer.operator = Operator(again.listening(), OPERATOR_TOKEN)
            customer.until_posted()
            wallet = customer.wallet()
            customer.operator.close()
        assert wallet["balance"] == told["balance"]
        assert Decimal(wallet["held"]) == 0


class TestApart:
    def test_gateway_and_api_work_as_two_processes(
        self, database: ScratchDatabase, providers: Simulator, tmp_path: Path
    ) -> None:
        add_operator_token(database.url)
        with (
            serving(database, tmp_path / "api", "api") as api,
            serving(database, tmp_path / "gateway", "gateway") as gateway,
        ):
            operator = Operator(api.listening(), OPERATOR_TOKEN)
            operator.add_providers(providers.base_url)
            customer = operator.new_customer(address=gateway.listening())
            raw = customer.sync.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)
            assert customer.wallet()["balance"] == raw.headers["x-bursar-balance"]
            operator_at_gateway = openai.OpenAI(
                api_key=OPERATOR_TOKEN, base_url=f"{gateway.listening()}/v1", max_retries=0
            )
            with pytest.raises(openai.AuthenticationError):
                operator_at_gateway.models.list()
            operator_at_gateway.close()
            customer.sync.close()
            operator.close()
            assert gateway.stop() == 0, gateway.logged
            assert api.stop() == 0, api.logged


class TestBooksCheck:
    def test_the_command_finds_the_books_in_order(
        self, customer: Customer, server_database: str, tmp_path: Path
    ) -> None:
        customer.sync.chat.completions.create(model=MODEL, messages=HELLO)
        done = subprocess.run(
            [sys.executable, "-m", "bursar.entrypoints.cli", "books", "check", "--json"],
            env=environment({"BURSAR_DATABASE_URL": server_database, "BURSAR_DATA_DIR": str(tmp_path)}),
            cwd=tmp_path,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        told = orjson.loads(done.stdout)
        assert told["ok"] is True
        assert told["checks"]
