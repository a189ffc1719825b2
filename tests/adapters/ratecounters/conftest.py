import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from redis_server import RedisServer


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:  # a socket's path may be 107 characters long
        server = RedisServer(folder=Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.fixture
def lone_redis() -> Iterator[RedisServer]:
    """One that the test may stop."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(folder=Path(folder))
        server.start()
        yield server
        server.stop()
