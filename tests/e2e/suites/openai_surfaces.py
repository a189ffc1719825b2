"""Schemathesis at a running Bursar: requests drawn from OpenAI's own description of the surfaces claimed.

Run by `test_openai_surfaces.py` in an environment of its own: address, key, models and the description come
from the environment. Requests that fit it and requests that do not: neither may be answered with a 5xx, and
every refusal has OpenAI's error shape.
"""

import json
import os
import zlib
from collections import Counter
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import GenerationMode

ADDRESS, KEY = os.environ["BURSAR_ADDRESS"], os.environ["BURSAR_KEY"]
MODELS: dict[str, list[str]] = json.loads(os.environ["BURSAR_MODELS"])
"""Path → the models that are asked there."""
EXAMPLES_MAX = int(os.environ["BURSAR_EXAMPLES"])
TIMEOUT_S = 30
NEEDED = frozenset({"model", "messages", "input", "prompt"})
SEEN: Counter[tuple[str, int]] = Counter()
"""How often each path answered with each status."""
AUTHORIZED = {"authorization": f"Bearer {KEY}"}

schema = schemathesis.openapi.from_path(os.environ["BURSAR_DESCRIPTION"])
schema.config.generation.update(
    modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE], max_examples=EXAMPLES_MAX, deterministic=True
)
schema.config.phases.coverage.enabled = False
# It tries every value of every property by itself: ten thousand requests for responses alone.


@schema.parametrize()
@settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
def test_surface(case: schemathesis.Case) -> None:
    make_likelier(case)
    response = case.call(base_url=f"{ADDRESS}/v1", headers=AUTHORIZED, timeout=TIMEOUT_S)
    SEEN[case.path, response.status_code] += 1
    assert response.status_code < 500, (response.status_code, response.text)
    if response.status_code >= 400:
        check_refusal(response)


def make_likelier(case: schemathesis.Case) -> None:
    """What is drawn is seldom served: most requests get a model there is, some little else."""
    models, body = MODELS.get(case.path), case.body
    if not models or not isinstance(body, dict):
        return
    drawn = zlib.crc32(repr(body).encode())
    if drawn % 8:
        body["model"] = models[drawn % len(models)]
    if drawn % 3 == 0:
        for name in [name for name in body if name not in NEEDED]:
            del body[name]


def check_refusal(response: Any) -> None:
    assert response.headers["content-type"] == ["application/json"], response.headers
    error = response.json()["error"]
    assert set(error) >= {"message", "type", "param", "code"}, error
    assert isinstance(error["message"], str)
    assert error["message"]
    assert isinstance(error["type"], str)
    assert isinstance(error["code"], str)
    assert error["param"] is None or isinstance(error["param"], str)


def test_every_surface_answered_and_refused() -> None:
    """Last of all: what was drawn was neither all good nor all bad."""
    answered = {path for path, status in SEEN if status == 200}
    refused = {path for path, status in SEEN if status >= 400}
    assert answered >= set(MODELS), SEEN
    assert refused >= set(MODELS), SEEN
