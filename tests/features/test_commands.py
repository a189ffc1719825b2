"""The command line twins, against a real database."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog
from click.testing import Result
from control_client import Use
from typer.testing import CliRunner

from bursar.entrypoints.cli import app
from scratch_database import ScratchDatabase


class Bursar:
    """Runs `bursar …` and reads what it says."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def run(self, *words: str, fails: int = 0, stdin: str = "", **environment: str) -> Result:
        done = CliRunner().invoke(app, words, env={**self.environment, **environment}, input=stdin)
        assert done.exit_code == fails, (words, done.stdout, done.stderr, done.exception)
        return done

    def json(self, *words: str, **options: Any) -> Any:
        return orjson.loads(self.run(*words, "--json", **options).stdout)

    def refused(self, *words: str, fails: int = 1, **options: Any) -> str:
        """The code of a refusal."""
        done = self.run(*words, "--json", fails=fails, **options)
        return str(orjson.loads(done.stderr.splitlines()[-1])["code"])


@pytest.fixture
def bursar(database: ScratchDatabase, tmp_path: Path) -> Iterator[Bursar]:
    handlers = logging.getLogger().handlers[:]
    yield Bursar(
        {
            "BURSAR_DATABASE_URL": database.url,
            "BURSAR_SECRET_KEY": "ab" * 32,
            "BURSAR_DATA_DIR": str(tmp_path),
        }
    )
    logging.getLogger().handlers = handlers  # the commands set the program's log up: not this one's
    structlog.reset_defaults()


class TestCommands:
    def test_sell_from_nothing_to_a_priced_model(self, bursar: Bursar) -> None:
        org = bursar.json("org", "create", "Acme", "--email", "pay@acme.example")
        assert org["billing_type"] == "prepaid"
        moved = bursar.json("wallet", "top-up", "Acme", "100.00", "--idempotency-key", "first")
        assert bursar.json("wallet", "top-up", org["id"], "100.00", "--idempotency-key", "first") == moved
        assert bursar.json("wallet", "show", "Acme")["balance"] == "100.00"
        bursar.json("provider", "add", "openai", "openai")
        hint = bursar.json("provider", "credential", "add", "openai", stdin="sk-proj-secret-abcd\n")
        assert hint["hint"] == "…abcd"
        loaded = bursar.json("model", "load")
        assert "gpt-4o → openai" in loaded["routed"]
        imported = bursar.json("prices", "import", "--provider", "openai")
        assert imported["added"] > 100
        assert bursar.json("price", "import")["added"] == 0
        key = bursar.json("key", "create", "Acme", "server", "--model", "gpt-4o")
        assert key["secret"].startswith("llm_sk_")
        in_force = bursar.json("price", "list", "--model", "gpt-4o", "--meter", "in_fresh")
        assert [row["sale_per_million"] for row in in_force["items"]] == ["3"]
        assert bursar.json("price", "margin", "20") == bursar.json("price", "margin")
        told = bursar.run("price", "import", "--dry-run").stdout
        assert "0 prices would be added" in told
        assert "not expressible: variant service_tier=priority" in told

    def test_keys_and_operators(self, bursar: Bursar) -> None:
        bursar.json("org", "create", "Acme")
        key = bursar.json("key", "create", "Acme", "server", "--requests-per-minute", "5")
        new = bursar.json("key", "rotate", "Acme", key["id"], "--grace-period-s", "60")
        assert new["rotated_from"] == key["id"]
        assert bursar.json("key", "change", "Acme", new["id"], "--name", "two")["name"] == "two"
        assert not bursar.json("key", "revoke", "Acme", key["id"])["active"]
        listed = bursar.run("key", "list", "Acme").stdout
        assert key["visible"] in listed
        assert key["secret"] not in listed
        made = bursar.run("operator", "token", "Ana")
        secret = made.stdout.strip()
        assert secret.startswith("bursar_op_")
        assert "\n" not in secret
        (shown,) = bursar.json("operator", "tokens")["items"]
        assert bursar.json("operator", "revoke", shown["id"])["revoked_at"] is not None

    def test_manage_what_is_there(self, bursar: Bursar) -> None:
        bursar.json("org", "create", "Acme")
        assert bursar.json("org", "billing", "Acme", "postpaid", "--credit-limit", "7")["billing_type"] == (
            "postpaid"
        )
        assert bursar.json("org", "change", "Acme", "--status", "suspended")["status"] == "suspended"
        assert bursar.json("org", "show", "Acme")["status"] == "suspended"
        assert bursar.json("org", "change", "Acme", "--store-responses")["store_responses"] is True
        assert bursar.json("org", "change", "Acme", "--no-store-responses")["store_responses"] is False
        assert "Acme" in bursar.run("org", "list").stdout
        bursar.json("provider", "add", "own", "openai_compatible", "--base-url", "http://localhost:1/v1")
        assert not bursar.json("provider", "change", "own", "--inactive")["active"]
        assert bursar.json("provider", "show", "own")["base_url"] == "http://localhost:1/v1"
        added = bursar.json(
            "provider", "credential", "add", "own", "--from-env", "OWN_KEY", OWN_KEY="sk-own-key-123456"
        )
        changed = bursar.json("provider", "credential", "change", "own", added["id"], "--inactive")
        assert not changed["active"]
        assert "3456" in bursar.run("provider", "credential", "list", "own").stdout
        assert "own" in bursar.run("provider", "list").stdout
        bursar.json("model", "add", "llama", "--alias", "best", "--output-tokens-max", "100")
        route = bursar.json("model", "route", "llama", "own", "--as", "llama-4")
        told = ("--strategy", "cheapest", "--lacks", "tools", "--min-margin-percent", "5")
        changed = bursar.json("model", "change", "llama", *told)
        assert (changed["strategy"], changed["lacks"]) == ("cheapest", ["tools"])
        elsewhere = bursar.json("model", "route", "llama", "own", "--as", "llama-4", "--region", "eu")
        assert bursar.json("model", "change-route", elsewhere["id"], "--priority", "7")["priority"] == 7
        assert bursar.json("model", "unroute", elsewhere["id"])["region"] == "eu"
        assert bursar.json("model", "margin-floor", "2.5")["min_margin_percent"] == "2.5"
        assert bursar.json("model", "margin-floor", "none")["min_margin_percent"] is None
        breaking = ("--breaker", "calls_min=5", "--breaker", "open_ms=2000", "--region", "eu")
        assert bursar.json("provider", "change", "own", *breaking)["breaker"] == {
            "calls_min": 5,
            "open_ms": 2000,
        }
        assert "own" in bursar.run("provider", "change", "own", "--active").stdout
        assert "unknown" in bursar.run("provider", "health").stdout
        shown = bursar.run("model", "show", "llama").stdout
        assert "llama-4" in shown
        assert bursar.json("model", "unroute", route["id"])["provider_model"] == "llama-4"
        assert bursar.json("model", "change", "llama", "--margin-percent", "5")["margin_percent"] == "5.0000"
        assert bursar.json("model", "retire", "llama")["status"] == "retired"
        assert "llama" in bursar.run("models", "list", "--status", "retired").stdout
        price = bursar.run("price", "set", "own", "llama-4", "in_fresh", "3", "--cost", "4")
        assert "warning: The sale price is below cost" in price.stderr
        assert "operator" in bursar.run("price", "list", "--provider", "own", "--history").stdout

    def test_sell_embeddings_and_pictures(self, bursar: Bursar) -> None:
        bursar.json("provider", "add", "own", "openai_compatible", "--base-url", "http://localhost:1/v1")
        assert bursar.json("model", "add", "embedder", "--does", "embeddings")["services"] == ["embeddings"]
        assert bursar.json("model", "add", "flux")["services"] == ["chat"]
        assert bursar.json("model", "change", "flux", "--does", "images")["services"] == ["images"]
        assert bursar.refused("model", "change", "flux", "--does", "paint", fails=2) == "invalid_request"
        for name, sale in (("flux", "0.05"), ("flux:hd:1792x1024", "0.15")):
            price = ("price", "set", "own", name, "image", sale, "--cost", "0.04", "--per", "unit")
            assert bursar.json(*price)["price"]["sale"] == sale

    async def test_money_and_usage(
        self, bursar: Bursar, organisation: dict[str, Any], use: Use, post_usage: Callable[[], None]
    ) -> None:
        row = await use(sale=3_000_000_000, cost=1_000_000_000)
        post_usage()
        # The commands run an event loop of their own, which needs a thread of its own.
        await asyncio.to_thread(money_and_usage, bursar, organisation["id"], str(row.request_id))

    def test_refuse_in_one_line_with_a_code(self, bursar: Bursar) -> None:
        refusals: list[tuple[str, int, list[str]]] = [
            ("organisation_not_found", 1, ["org", "show", "Nobody"]),
            ("provider_not_found", 1, ["provider", "show", "nobody"]),
            ("model_not_found", 1, ["model", "show", "nothing"]),
            ("invalid_request", 2, ["org", "create", "x", "--currency", "GBP"]),
            ("invalid_request", 2, ["key", "revoke", "Nobody", "not-an-id"]),
            ("invalid_request", 2, ["usage", "summary", "Nobody", "--by", "colour"]),
            ("invalid_request", 2, ["usage", "list", "Nobody", "--since", "yesterday"]),
            ("idempotency_key_invalid", 2, ["wallet", "top-up", "Acme", "1", "--idempotency-key", "a b"]),
            ("credential_invalid", 2, ["provider", "credential", "add", "x", "--from-env", "NOT_SET"]),
        ]
        bursar.json("org", "create", "Acme")
        for code, exit_code, words in refusals:
            assert bursar.refused(*words, fails=exit_code) == code, words
        said = bursar.run("org", "show", "Nobody", fails=1)
        assert said.stderr == "bursar: There is no organisation with this id.\n"
        assert said.stdout == ""

    def test_a_name_that_two_organisations_share_is_refused(self, bursar: Bursar) -> None:
        bursar.json("org", "create", "Twin")
        bursar.json("org", "create", "Twin")
        assert bursar.refused("org", "show", "Twin") == "organisation_ambiguous"

    def test_an_unreachable_database_is_one_line(self, bursar: Bursar) -> None:
        refused = bursar.refused("org", "list", BURSAR_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
        assert refused == "books_unavailable"

    def test_run_as_a_program(self, bursar: Bursar, tmp_path: Path) -> None:
        environment = {**os.environ, **bursar.environment}
        for words, code, said in (
            (["org", "create", "Acme", "--json"], 0, '"Acme"'),
            (["org", "show", "Nobody"], 1, "bursar: There is no organisation with this id.\n"),
        ):
            done = subprocess.run(
                [sys.executable, "-m", "bursar.entrypoints.cli", *words],
                env=environment,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == code, done.stderr
            assert said in (done.stdout or done.stderr)


def money_and_usage(bursar: Bursar, org: str, request: str) -> None:
    """After a request of 3.00 on an empty wallet."""
    topped = bursar.json("wallet", "top-up", org, "13", "--reference", "INV-7")
    assert bursar.json("wallet", "show", org)["balance"] == "10.00"
    given = bursar.json("wallet", "refund-usage", org, request, "--amount", "1")
    assert given["balance_after"] == "11.00"
    back = bursar.json("wallet", "refund-top-up", org, str(topped["id"]))
    assert back["amount"] == "-10.00"
    told = bursar.run("wallet", "transactions", org).stdout
    assert "INV-7" in told
    assert "usage_refund" in told
    assert bursar.json("wallet", "transactions", org, "--type", "usage")["items"][0]["amount"] == "-3.00"
    assert request in bursar.run("usage", "list", org).stdout
    assert bursar.json("usage", "summary", org, "--by", "model")["items"][0]["sale"] == "3.00"
    assert "gpt-4o" in bursar.run("usage", "summary", org, "--by", "model").stdout
    explained = bursar.run("usage", "explain", org, request).stdout
    assert "3.00 USD charged, 1.00 USD cost" in explained
    assert bursar.json("usage", "explain", org, request)["sale"] == "3.00"
