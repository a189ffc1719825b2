"""Every test here runs with each HTTP client, on both event loops."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
import uvloop
from upstream_client import Client, Making

from bursar.adapters.upstream.aiohttp_client import AiohttpUpstream
from bursar.adapters.upstream.direct import DirectUpstream
from tls_world import TlsWorld

CLIENTS: dict[str, type[DirectUpstream | AiohttpUpstream]] = {
    "direct": DirectUpstream,
    "aiohttp": AiohttpUpstream,
}


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=CLIENTS)
async def client_of(request: pytest.FixtureRequest) -> AsyncIterator[Making]:
    """Makes clients with other settings than the defaults."""
    made: list[Client] = []

    def make(**settings: Any) -> Client:
        made.append(Client(CLIENTS[request.param](**settings)))
        return made[-1]

    yield make
    for client in made:
        await client.close()


@pytest.fixture
async def client(client_of: Making) -> Client:
    return client_of()


@pytest.fixture(scope="session")
def tls() -> TlsWorld:
    return TlsWorld()
