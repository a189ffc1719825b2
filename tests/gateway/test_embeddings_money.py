"""Embeddings, from key to ledger: what is sold, what is refused before a hold, who pays when it fails."""

import orjson
import pytest
from proving import Customer, as_nano, eventually, tokens_of_letters
from raw_provider import Visit, raw_provider, says, whole_answer
from serving import EMBEDDING_PRICES, EMBEDDINGS, IMAGES, body, embeds, sold, spent

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = "one two three"
ESTIMATE = 1 + tokens_of_letters(TEXT)
every_kind = pytest.mark.parametrize("kind", ["openai", "openai_compatible"])


async def silent(visit: Visit) -> None:
    """Takes the request and never answers."""
    await visit.gone.wait()


class TestNormalEnd:
    @every_kind
    async def test_sells_the_tokens_the_provider_counted(self, customer: Customer, kind: str) -> None:
        model = await embeds(customer, kind)
        customer.fault(kind, "input_tokens=1001")
        reply = await customer.send(body(model, input=[TEXT, "four"], dimensions=8), path=EMBEDDINGS)
        row = await customer.one_row()
        assert reply.status == 200
        assert [len(entry["embedding"]) for entry in reply.json()["data"]] == [8, 8]
        assert reply.json()["usage"] == {"prompt_tokens": 1001, "total_tokens": 1001}
        assert (row["outcome"], row["endpoint"], row["dialect"]) == (
            "completed",
            EMBEDDINGS,
            "openai_embeddings",
        )
        assert row["quantities"] == {"in_fresh": 1001}
        assert (row["sale"], row["cost"]) == (
            sold(EMBEDDING_PRICES, in_fresh=1001),
            spent(EMBEDDING_PRICES, in_fresh=1001),
        )
        assert (row["estimated"], row["flags"]) == (False, [])

    async def test_tells_the_cost_in_headers(self, customer: Customer) -> None:
        model = await embeds(customer)
        customer.fault("openai", "input_tokens=50000")
        reply = await customer.send(body(model, input=TEXT), path=EMBEDDINGS)
        assert as_nano(reply.headers["x-bursar-cost"]) == sold(EMBEDDING_PRICES, in_fresh=50_000)
        assert reply.headers["x-bursar-input-tokens"] == "50000"
        assert reply.headers["x-bursar-output-tokens"] == "0"

    async def test_sends_on_what_nobody_here_knows(self, customer: Customer) -> None:
        model = await embeds(customer, "openai_compatible")
        asked = body(model, input=[[1, 2], [3]], encoding_format="base64", input_type="query")
        reply = await customer.send(asked, path=EMBEDDINGS)
        upstream = orjson.loads(customer.stack.simulator.log.exchanges[-1].body)
        assert reply.status == 200
        assert upstream == {**orjson.loads(asked), "model": "text-embedding-3-small"}
        assert all(isinstance(entry["embedding"], str) for entry in reply.json()["data"])

    async def test_holds_for_the_input_alone(self, customer: Customer) -> None:
        """An embedding has no output: a wallet that covers the input is enough."""
        needed = sold(EMBEDDING_PRICES, in_fresh=ESTIMATE)
        async with raw_provider(silent) as provider:
            model = await embeds(customer, base_url=provider.base_url("openai"))
            async with customer.calling() as caller:
                await caller.post(EMBEDDINGS, body(model, input=TEXT), customer.authorization)
                await eventually(lambda: any(account.lease.outstanding for account in customer.accounts()))
                assert [account.lease.outstanding for account in customer.accounts()] == [needed]
                caller.hang_up()


class TestRefusals:
    async def test_of_a_model_for_chats_names_its_endpoint(self, customer: Customer) -> None:
        reply = await customer.send(body(customer.models["openai"], input=TEXT), path=EMBEDDINGS)
        assert (reply.status, reply.error["code"], reply.error["param"]) == (400, "wrong_endpoint", "model")
        assert reply.error["endpoints"] == ["/v1/chat/completions"]
        assert "/v1/chat/completions" in reply.error["message"]
        assert await customer.usage() == []

    async def test_of_a_chat_with_an_embedding_model_names_its_endpoint(self, customer: Customer) -> None:
        model = await embeds(customer)
        chat = body(model, messages=[{"role": "user", "content": "hello"}])
        for path, asked in (("/v1/chat/completions", chat), (IMAGES, body(model, prompt="a cat"))):
            reply = await customer.send(asked, path=path)
            assert (reply.status, reply.error["code"]) == (400, "wrong_endpoint")
            assert reply.error["endpoints"] == [EMBEDDINGS]
        assert await customer.usage() == []

    async def test_of_a_model_without_a_price_is_no_free_ride(self, customer: Customer) -> None:
        model = await embeds(customer, prices={"out_text": ("1", "1")})
        reply = await customer.send(body(model, input=TEXT), path=EMBEDDINGS)
        assert (reply.status, reply.error["code"]) == (503, "model_not_priced")
        assert await customer.usage() == []

    async def test_needs_no_price_for_output(self, customer: Customer) -> None:
        model = await embeds(customer, prices={"in_fresh": ("0", "0")})
        reply = await customer.send(body(model, input=TEXT), path=EMBEDDINGS)
        assert reply.status == 200
        assert (await customer.one_row())["sale"] == 0

    async def test_by_the_provider_reaches_the_caller(self, customer: Customer) -> None:
        model = await embeds(customer, provider_model="text-embedding-ada-002")
        reply = await customer.send(body(model, input=TEXT, dimensions=8), path=EMBEDDINGS)
        assert (reply.status, reply.error["param"]) == (400, "dimensions")
        row = await customer.one_row()
        assert (row["outcome"], row["sale"], row["cost"]) == ("provider_error_before_output", 0, 0)

    async def test_of_a_provider_without_embeddings_costs_nothing(self, customer: Customer) -> None:
        model = await embeds(customer, "anthropic")
        reply = await customer.send(body(model, input=TEXT), path=EMBEDDINGS)
        assert (reply.status, reply.error["code"]) == (422, "unsupported_parameter")
        assert await customer.usage() == []


class TestWhoPays:
    @every_kind
    @pytest.mark.parametrize("script", ["status=500", "status=429", "garbage", "empty_body", "cut_body"])
    async def test_nobody_for_a_providers_error(self, customer: Customer, kind: str, script: str) -> None:
        model = await embeds(customer, kind)
        customer.fault(kind, script)
        reply = await customer.send(body(model, input=TEXT), path=EMBEDDINGS)
        row = await customer.one_row()
        assert reply.status >= 500
        assert reply.error["code"]
        assert (row["outcome"], row["sale"], row["cost"]) == ("provider_error_before_output", 0, 0)

    async def test_our_estimate_when_the_provider_tells_no_usage(self, customer: Customer) -> None:
        model = await embeds(customer)
        customer.fault("openai", "no_usage")
        reply = await customer.send(body(model, input=TEXT), path=EMBEDDINGS)
        row = await customer.one_row()
        assert reply.status == 200
        assert (row["outcome"], row["estimated"]) == ("usage_missing", True)
        assert row["quantities"] == {"in_fresh": ESTIMATE}
        assert row["sale"] == sold(EMBEDDING_PRICES, in_fresh=ESTIMATE)

    async def test_nothing_when_the_provider_says_zero(self, customer: Customer) -> None:
        model = await embeds(customer)
        customer.fault("openai", "zero_usage")
        await customer.send(body(model, input=TEXT), path=EMBEDDINGS)
        row = await customer.one_row()
        assert (row["outcome"], row["sale"], row["cost"]) == ("usage_zero", 0, 0)

    async def test_the_caller_who_hangs_up_for_his_input(self, customer: Customer) -> None:
        async with raw_provider(silent) as provider:
            model = await embeds(customer, base_url=provider.base_url("openai"))
            async with customer.calling() as caller:
                await caller.post(EMBEDDINGS, body(model, input=TEXT), customer.authorization)
                await eventually(lambda: provider.visits)
                caller.hang_up()
            row = await customer.one_row()
        assert (row["outcome"], row["quantities"]) == ("hangup_before_output", {"in_fresh": ESTIMATE})
        assert row["sale"] == sold(EMBEDDING_PRICES, in_fresh=ESTIMATE)

    async def test_as_measured_for_long_answers_too(self, customer: Customer) -> None:
        vectors = [{"object": "embedding", "index": n, "embedding": [0.125] * 1536} for n in range(200)]
        usage = {"prompt_tokens": 777, "total_tokens": 777}
        answer = orjson.dumps({"object": "list", "data": vectors, "model": "m", "usage": usage})

        async with raw_provider(says(whole_answer(answer))) as provider:
            model = await embeds(customer, base_url=provider.base_url("openai"))
            reply = await customer.send(body(model, input=TEXT), path=EMBEDDINGS)
            row = await customer.one_row()
        assert bytes(reply.body) == answer
        assert (row["quantities"], row["estimated"]) == ({"in_fresh": 777}, False)
