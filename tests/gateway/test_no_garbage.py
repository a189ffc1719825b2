"""Requests leave nothing behind that only the garbage collector could free: at speed that is a leak."""

import gc
from collections import Counter
from collections.abc import Iterator

import pytest
from proving import Customer

from gateway_stack import MODELS

pytestmark = pytest.mark.asyncio(loop_scope="module")

REQUESTS = 20


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


def cycles() -> Counter[str]:
    """What of ours only a collection frees, by type."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    kinds = Counter(type(left).__module__ + "." + type(left).__name__ for left in gc.garbage)
    return Counter(
        {kind: n for kind, n in kinds.items() if kind.startswith(("bursar.gateway.", "bursar.adapters."))}
    )


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", MODELS)
class TestAFinishedRequest:
    @pytest.mark.usefixtures("uncollected")
    async def test_is_freed_at_once(self, customer: Customer, kind: str, *, stream: bool) -> None:
        for _ in range(REQUESTS):
            await customer.chat(kind, stream=stream)
        assert cycles() == Counter()
