"""Requests leave nothing behind that only the garbage collector could free: at speed that is a leak."""

import gc
from collections import Counter
from collections.abc import Iterator

import orjson
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


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", MODELS)
class TestAFinishedResponse:
    @pytest.mark.usefixtures("uncollected")
    @pytest.mark.parametrize("is_kept", [False, True])
    async def test_is_freed_at_once(
        self, customer: Customer, kind: str, *, stream: bool, is_kept: bool
    ) -> None:
        await customer.change(
            "UPDATE organisation SET store_responses = %s WHERE id = %s", [is_kept, customer.organisation_id]
        )
        body = {"model": customer.models[kind], "input": "Hello", "stream": stream}
        for _ in range(REQUESTS):
            await customer.send(orjson.dumps(body), path="/v1/responses")
        assert cycles() == Counter()
