"""Recorded shapes of providers' answers, and the deployment they are read for."""

from pathlib import Path
from typing import Any

import orjson

from bursar.adapters.providers import Attempt, Deployment

DATA = Path(__file__).parent / "data"
SECRET = "sk-live-4f7d2c9a1b"


def recorded(path: str) -> bytes:
    """The bytes of a recorded file."""
    return (DATA / path).read_bytes()


def recorded_json(path: str) -> Any:
    return orjson.loads(recorded(path))


def attempt(
    model: str = "claude-sonnet-4-5",
    *,
    max_tokens: int | None = None,
    base_url: str = "https://up.internal:8443/v1",
) -> Attempt:
    deployment = Deployment(
        model="best-model", provider_model=model, base_url=base_url, output_tokens_max=64_000
    )
    return Attempt(deployment=deployment, secret=SECRET, max_tokens=max_tokens)
