"""Embeddings and pictures through OpenAI's SDK of Node.js: what it returns is what is booked."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from operator_client import Customer

SCRIPT = Path(__file__).parent / "node" / "vectors.mjs"
ASK_S_MAX = 60
MODELS = {"embeds": "text-embedding-3-small", "draws": "gpt-image-1", "chats": "gpt-4o-mini"}


@pytest.fixture
def said(customer: Customer) -> dict[str, Any]:
    ran = subprocess.run(
        ["node", str(SCRIPT), json.dumps({"address": customer.address, "key": customer.key, **MODELS})],
        capture_output=True,
        text=True,
        timeout=ASK_S_MAX,
        check=False,
        env={"PATH": os.environ["PATH"], "NO_PROXY": "*"},
    )
    assert ran.returncode == 0, ran.stderr
    answers: dict[str, Any] = json.loads(ran.stdout)
    return answers


class TestNodeClient:
    def test_gets_vectors_and_pictures_that_are_booked_as_told(
        self, customer: Customer, said: dict[str, Any]
    ) -> None:
        packed, plain = said["vectors"]
        assert [len(vector) for vector in plain] == [16, 16]
        assert packed[0] == pytest.approx(plain[0])
        assert said["events"] == ["image_generation.partial_image", "image_generation.completed"]
        embedded, again, drawn, streamed = customer.usage()
        assert said["tokens"] == [embedded["input_tokens"], again["input_tokens"]]
        assert (said["picture"]["tokens"], said["picture"]["bytes"] > 0) == (drawn["output_tokens"], True)
        assert said["last"]["output_tokens"] == streamed["output_tokens"]
        assert said["last"]["cost"] == streamed["sale"]
        assert (said["refused"]["status"], said["refused"]["code"]) == (400, "wrong_endpoint")
