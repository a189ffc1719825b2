"""A running simulator for each test, the official clients, and a client that shows raw bytes."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types
from raw_http import ANTHROPIC_KEY, GEMINI_KEY, OPENAI_KEY, TIMEOUT_S, Call, Raw, exchange, request_bytes

from bursar.simulator import Simulator, in_thread, running


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """On a thread of its own, for blocking clients."""
    with in_thread() as simulator:
        yield simulator


@pytest.fixture
async def nearby() -> AsyncIterator[Simulator]:
    """On the test's own event loop."""
    async with running() as simulator:
        yield simulator


@pytest.fixture
def gpt(simulator: Simulator) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=OPENAI_KEY, base_url=f"{simulator.base_url}/v1", max_retries=0) as client:
        yield client


@pytest.fixture
def claude(simulator: Simulator) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key=ANTHROPIC_KEY, base_url=simulator.base_url, max_retries=0) as client:
        yield client


@pytest.fixture
def gemini(simulator: Simulator) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=f"{simulator.base_url}/gemini")
    with genai.Client(api_key=GEMINI_KEY, http_options=options) as client:
        yield client


@pytest.fixture
def call(nearby: Simulator) -> Call:
    """Post a body and get the raw bytes back; `connection: close` ends the exchange."""

    async def post(path: str, body: Any, *, quiet_s: float = TIMEOUT_S, **more: Any) -> Raw:
        headers = {"connection": "close", **more.pop("headers", {})}
        content = request_bytes(path, body, headers=headers, **more)
        return await exchange(nearby, content, quiet_s=quiet_s)

    return post
