"""Requests leave nothing behind that only the garbage collector could free: at speed that is a leak."""

import gc
from collections import Counter
from collections.abc import Iterator

import orjson
import pytest
from gemini_caller import ask_gemini
from messages_caller import ask_messages, headers_of
from proving import Customer
from serving import EMBEDDINGS, IMAGES, draws, embeds

from gateway_stack import MODELS

pytestmark = pytest.mark.asyncio(loop_scope="module")

REQUESTS = 20
COUNTS = "/v1/messages/count_tokens"


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


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", MODELS)
class TestAFinishedMessage:
    @pytest.mark.usefixtures("uncollected")
    async def test_is_freed_at_once(self, customer: Customer, kind: str, *, stream: bool) -> None:
        for _ in range(REQUESTS):
            await ask_messages(customer, kind, "hello there", stream=stream)
        assert cycles() == Counter()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", MODELS)
class TestAFinishedGeneration:
    """In the Gemini API's dialect."""

    @pytest.mark.usefixtures("uncollected")
    async def test_is_freed_at_once(self, customer: Customer, kind: str, *, stream: bool) -> None:
        for _ in range(REQUESTS):
            await ask_gemini(customer, kind, stream=stream)
        assert cycles() == Counter()


@pytest.mark.parametrize("kind", MODELS)
class TestAFinishedCount:
    @pytest.mark.usefixtures("uncollected")
    @pytest.mark.parametrize("more", [{}, {"of_tomorrow": 1}], ids=["counted", "refused"])
    async def test_is_freed_at_once(self, customer: Customer, kind: str, more: dict[str, int]) -> None:
        asked = {"model": customer.models[kind], "messages": [{"role": "user", "content": "Hello"}], **more}
        for _ in range(REQUESTS):
            await customer.send(orjson.dumps(asked), path=COUNTS, headers=headers_of(customer))
        assert cycles() == Counter()


@pytest.mark.parametrize("stream", [False, True])
class TestALimitedRequest:
    @pytest.mark.usefixtures("uncollected")
    async def test_is_freed_at_once(self, customer: Customer, *, stream: bool) -> None:
        limits = {"requests_per_min": 10**6, "tokens_per_min": 10**9, "concurrent": 10}
        await customer.change(
            "UPDATE api_key SET limits = %s WHERE id = %s",
            [orjson.dumps(limits).decode(), customer.api_key_id],
        )
        await customer.change(
            "INSERT INTO budget (id, organisation_id, name, unit, amount, period, created_at)"
            " VALUES (gen_random_uuid(), %s, 'test', 'requests', 1000000, 'day', now())",
            [customer.organisation_id],
        )
        for _ in range(REQUESTS):
            await customer.chat("openai", stream=stream)
        assert cycles() == Counter()


class TestFinishedVectorsAndPictures:
    @pytest.mark.usefixtures("uncollected")
    @pytest.mark.parametrize("kind", ["openai", "gemini"])
    async def test_embeddings_are_freed_at_once(self, customer: Customer, kind: str) -> None:
        upstream = {"openai": "text-embedding-3-small", "gemini": "gemini-embedding-2"}[kind]
        model = await embeds(customer, kind, provider_model=upstream)
        for _ in range(REQUESTS):
            await customer.send(orjson.dumps({"model": model, "input": ["a", "b"]}), path=EMBEDDINGS)
        assert cycles() == Counter()

    @pytest.mark.usefixtures("uncollected")
    @pytest.mark.parametrize("stream", [False, True])
    async def test_pictures_are_freed_at_once(self, customer: Customer, *, stream: bool) -> None:
        model = await draws(customer)
        for _ in range(REQUESTS):
            asked = {"model": model, "prompt": "a cat", "stream": stream}
            await customer.send(orjson.dumps(asked), path=IMAGES)
        assert cycles() == Counter()
