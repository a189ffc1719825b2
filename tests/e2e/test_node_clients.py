"""The official SDKs of Node.js, at every type of provider: what they return is what is booked."""

import json
import os
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from operator_client import MODELS, Customer, NewCustomer

SCRIPT = Path(__file__).parent / "node" / "ask.mjs"
ANSWERS = ("plain", "stream", "tools", "image", "schema")
ASK_S_MAX = 120
DIALECTS = ("openai_chat",)


def ask(dialect: str, kind: str, customer: Customer) -> dict[str, Any]:
    """Every scenario by one process of Node.js; see `node/ask.mjs`."""
    asked = {
        "dialect": dialect,
        "address": customer.address,
        "key": customer.key,
        "model": MODELS[kind],
    }
    ran = subprocess.run(
        ["node", str(SCRIPT), json.dumps(asked)],
        capture_output=True,
        text=True,
        timeout=ASK_S_MAX,
        check=False,
        env={"PATH": os.environ["PATH"], "NO_PROXY": "*"},
    )
    assert ran.returncode == 0, ran.stderr
    answers: dict[str, Any] = json.loads(ran.stdout)
    return answers


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("dialect", DIALECTS)
class TestNodeClients:
    def test_get_answers_that_are_booked_as_told(
        self, new_customer: NewCustomer, dialect: str, kind: str
    ) -> None:
        customer = new_customer()
        answers = ask(dialect, kind, customer)
        for name in ANSWERS:
            assert "status" not in answers[name], (name, answers[name])
        assert answers["plain"]["text"]
        assert answers["stream"]["text"]
        assert answers["tools"]["name"] == "get_weather"
        assert set(answers["tools"]["given"]) == {"city"}
        assert set(json.loads(answers["schema"]["text"])) == {"city", "celsius"}
        rows = [row for row in customer.usage() if row["status"] == 200]
        # Plain, stream, two with tools, picture, schema; of the two only the second tells its usage.
        told = [answers[name] for name in ANSWERS]
        del rows[2]
        booked = [(row["input_tokens"], row["output_tokens"]) for row in rows]
        assert booked == [(answer["input"], answer["output"]) for answer in told]
        costs = {name: answers[name].get("cost") for name in ("plain", "stream")}
        for row, cost in zip(rows, costs.values(), strict=False):
            assert cost is None or Decimal(cost) == Decimal(row["sale"])
        assert answers["unknown_model"]["status"] == 404
        assert answers["bad_key"]["status"] == 401
