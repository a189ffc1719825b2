"""Schemathesis at a running control plane: requests drawn from its own description, as each role in turn.

Run by `test_control_plane.py` in an environment of its own: address, tokens by role, organisation and the
description come from the environment. Nothing may be answered with a 5xx; every refusal is a problem object
with a code; nobody is let through where the description says nothing of it.
"""

import json
import os
import zlib
from collections import Counter
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import GenerationMode

ADDRESS, ORGANISATION = os.environ["BURSAR_ADDRESS"], os.environ["BURSAR_ORGANISATION"]
TOKENS: dict[str, str] = json.loads(os.environ["BURSAR_TOKENS"])
"""Role → its access token; a stranger has none."""
EXAMPLES_MAX = int(os.environ["BURSAR_EXAMPLES"])
TIMEOUT_S = 30
CONNECTION = requests.Session()
ENDS_THE_SIGN_IN = ("/me/sessions/", "/auth/log-out", "/me/deletion")
SEEN: Counter[tuple[str, int]] = Counter()
"""How often each role was answered with each status."""

schema = schemathesis.openapi.from_path(os.environ["BURSAR_DESCRIPTION"])
schema.config.generation.update(
    modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE], max_examples=EXAMPLES_MAX, deterministic=True
)
schema.config.phases.coverage.enabled = False  # every value of every property by itself: hours


@schema.parametrize()
@settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
def test_control_plane(case: schemathesis.Case) -> None:
    drawn = zlib.crc32(repr((case.path_parameters, case.query, case.body)).encode())
    if "organisation_id" in (case.path_parameters or {}) and drawn % 8:
        case.path_parameters["organisation_id"] = ORGANISATION
    for role, token in TOKENS.items():
        headers = {"authorization": f"Bearer {token}"} if token else {}
        response = case.call(base_url=ADDRESS, session=CONNECTION, headers=headers, timeout=TIMEOUT_S)
        CONNECTION.cookies.clear()  # a sign-in is by token alone
        if not any(part in case.path for part in ENDS_THE_SIGN_IN):
            SEEN[role, response.status_code] += 1
        told = (role, response.status_code, response.text[:500])
        assert response.status_code < 500, told
        if response.status_code >= 400:
            check_refusal(response, told)


def check_refusal(response: Any, told: Any) -> None:
    assert response.headers["content-type"] == ["application/problem+json"], told
    problem = response.json()
    assert {"type", "title", "status", "detail", "code"} <= set(problem), told
    assert problem["status"] == response.status_code, told


def test_every_role_was_answered_and_refused() -> None:
    """Last of all: what was drawn was neither all good nor all bad, and a role made a difference."""
    answered = Counter[str]()
    refused = Counter[str]()
    for (role, status), number in SEEN.items():
        answered[role] += number * (status < 300)
        refused[role] += number * (status in {401, 403})
    assert all(answered[role] for role in TOKENS), SEEN
    assert answered["superadmin"] > answered["support"] > answered["stranger"], SEEN
    assert answered["owner"] > answered["viewer"] > answered["stranger"], SEEN
    assert refused["stranger"] > refused["viewer"] > refused["owner"], SEEN
