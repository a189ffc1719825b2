"""The official SDKs of Python and Node.js, in every dialect, at every kind of provider.

What they return is what is booked: answers, streams, tools there and back, pictures, JSON schemas, errors.
"""

import json
import os
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from operator_client import EVERY_MODEL, FURTHER, Customer, NewCustomer, Operator
from python_clients import CLIENTS, ask_all

from bursar.gateway.dialects.registry import DIALECTS

SCRIPT = Path(__file__).parent / "node" / "ask.mjs"
ANSWERS = ("plain", "stream", "tools", "image", "schema")
ASK_S_MAX = 120
LACKS = {"deepseek": {"image", "schema"}, "zhipu": {"schema"}, "zai": {"schema"}}
"""What a provider's own API cannot do (docs/providers.md) is refused by name where requests are translated;
where callers speak its dialect they pass through, and the imitator behind it knows no better."""
EVERY_KIND = (*EVERY_MODEL, *FURTHER)
NODE_ASKS = EVERY_KIND if os.environ.get("BURSAR_TEST_SOAK") else (*EVERY_MODEL, "xai", "mistral")
"""One of each way to a provider: starting Node.js costs more than all it asks."""
SPOKEN = [name for name in CLIENTS if name in DIALECTS]


def ask_python(dialect: str, model: str, customer: Customer) -> dict[str, Any]:
    client = CLIENTS[dialect](customer.address, customer.key, model)
    try:
        return ask_all(client.scenarios())
    finally:
        client.close()


def ask_node(dialect: str, model: str, customer: Customer) -> dict[str, Any]:
    """Every scenario by one process of Node.js; see `node/ask.mjs`."""
    asked = {"dialect": dialect, "address": customer.address, "key": customer.key, "model": model}
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


ASK = {"python": ask_python, "node": ask_node}


@pytest.mark.filterwarnings("ignore:The model 'claude:DeprecationWarning")  # the SDK's, for our test's model
@pytest.mark.parametrize(
    ("language", "kind"),
    [*(("python", kind) for kind in EVERY_KIND), *(("node", kind) for kind in NODE_ASKS)],
)
@pytest.mark.parametrize("dialect", SPOKEN)
class TestOfficialClients:
    def test_get_answers_that_are_booked_as_told(
        self, operator: Operator, new_customer: NewCustomer, language: str, dialect: str, kind: str
    ) -> None:
        model = operator.model_of(kind)  # first: where the customer is known, so is the model
        customer = new_customer()
        answers = ASK[language](dialect, model, customer)
        lacks = LACKS.get(kind, set()) if dialect != "openai_chat" else set()
        for name in ANSWERS:
            assert answers[name].get("status") == (422 if name in lacks else None), (name, answers[name])
        assert answers["plain"]["text"]
        assert answers["stream"]["text"]
        assert answers["tools"]["name"] == "get_weather"
        assert set(answers["tools"]["given"]) == {"city"}
        assert "schema" in lacks or set(json.loads(answers["schema"]["text"])) == {"city", "celsius"}
        assert answers["unknown_model"]["status"] == 404
        assert answers["bad_key"]["status"] == 401
        check_bookings(answers, customer, [name for name in ANSWERS if name not in lacks])


def check_bookings(answers: dict[str, Any], customer: Customer, answered: list[str]) -> None:
    """Plain, stream, two with tools, picture, schema; of the two only the second tells its usage."""
    rows = [row for row in customer.usage() if row["status"] == 200]
    del rows[2]
    booked = [(row["input_tokens"], row["output_tokens"]) for row in rows]
    assert booked == [(answers[name]["input"], answers[name]["output"]) for name in answered]
    for name, row in zip(answered, rows, strict=True):
        cost = answers[name].get("cost")
        assert cost is None or Decimal(cost) == Decimal(row["sale"]), name
