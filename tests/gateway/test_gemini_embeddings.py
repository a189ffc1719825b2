"""Embeddings through Google's official client, and Gemini's for OpenAI's: exact money, whole vectors."""

from typing import Any

import openai
import orjson
import pytest
import serving
from google.genai import errors, types
from proving import Customer, as_nano, cost_of, sale_of
from test_gemini_clients import google

from gateway_stack import PRICES

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings(
        "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"
    ),  # the SDK's own
]

COUNTING, UNCOUNTED = "gemini-embedding-2", "gemini-embedding-001"
OPENAIS = "text-embedding-3-small"


async def embeds(customer: Customer, kind: str, provider_model: str) -> str:
    """A model of his own that makes embeddings, at the prices of every other model."""
    return await serving.embeds(customer, kind, provider_model=provider_model, prices=PRICES)


def contents(*texts: str) -> list[types.Content]:
    return [types.UserContent(text) for text in texts]


class TestGooglesClient:
    async def test_gets_vectors_and_pays_for_what_google_counts(self, customer: Customer) -> None:
        model = await embeds(customer, "gemini", COUNTING)
        config = types.EmbedContentConfig(output_dimensionality=8, task_type="RETRIEVAL_QUERY")
        async with google(customer) as client:
            answer = await client.models.embed_content(
                model=model, contents=contents("one", "two"), config=config
            )
        row = await customer.one_row()
        sent = orjson.loads(customer.stack.simulator.log.exchanges[-1].body)
        assert [len(one.values) for one in answer.embeddings] == [8, 8]
        assert answer.usage_metadata.prompt_token_count == row["input_tokens"] == 2
        assert (row["sale"], row["cost"]) == (sale_of(in_fresh=2), cost_of(in_fresh=2))
        assert (row["outcome"], row["dialect"]) == ("completed", "gemini_embeddings")
        assert row["endpoint"] == "/v1/models/{model}:batchEmbedContents"
        assert {one["model"] for one in sent["requests"]} == {f"models/{COUNTING}"}
        assert {one["taskType"] for one in sent["requests"]} == {"RETRIEVAL_QUERY"}

    async def test_pays_our_estimate_where_google_counts_nothing(self, customer: Customer) -> None:
        model = await embeds(customer, "gemini", UNCOUNTED)
        async with google(customer) as client:
            await client.models.embed_content(model=model, contents="hello there")
        row = await customer.one_row()
        assert (row["outcome"], row["estimated"]) == ("usage_missing", True)
        assert row["sale"] == sale_of(in_fresh=4)

    async def test_gets_vectors_of_other_providers(self, customer: Customer) -> None:
        model = await embeds(customer, "openai", OPENAIS)
        config = types.EmbedContentConfig(output_dimensionality=8)
        async with google(customer) as client:
            answer = await client.models.embed_content(
                model=model, contents=contents("one", "two"), config=config
            )
        row = await customer.one_row()
        assert [len(one.values) for one in answer.embeddings] == [8, 8]
        assert answer.usage_metadata.prompt_token_count == row["input_tokens"] > 0
        assert row["outcome"] == "completed"

    async def test_is_told_what_other_providers_cannot_do(self, customer: Customer) -> None:
        model = await embeds(customer, "openai", OPENAIS)
        config = types.EmbedContentConfig(task_type="RETRIEVAL_QUERY")
        async with google(customer) as client:
            with pytest.raises(errors.ClientError) as refused:
                await client.models.embed_content(model=model, contents="one", config=config)
        assert refused.value.details["error"]["details"][1]["fieldViolations"][0]["field"] == "taskType"
        assert await customer.usage() == []

    async def test_is_told_that_a_chat_model_embeds_nothing(self, customer: Customer) -> None:
        async with google(customer) as client:
            with pytest.raises(errors.ClientError) as refused:
                await client.models.embed_content(model=customer.models["gemini"], contents="one")
        assert refused.value.code == 400
        assert refused.value.details["error"]["details"][0]["reason"] == "WRONG_ENDPOINT"


class TestOneContent:
    async def asked(self, customer: Customer, model: str, body: Any) -> Any:
        return await customer.send(
            orjson.dumps(body),
            path=f"/v1beta/models/{model}:embedContent",
            headers={"x-goog-api-key": customer.key},
        )

    @pytest.mark.parametrize(("kind", "upstream"), [("gemini", COUNTING), ("openai", OPENAIS)])
    async def test_is_answered_with_one_vector(self, customer: Customer, kind: str, upstream: str) -> None:
        model = await embeds(customer, kind, upstream)
        reply = await self.asked(
            customer, model, {"content": {"parts": [{"text": "one"}]}, "output_dimensionality": 8}
        )
        row = await customer.one_row()
        assert len(reply.json()["embedding"]["values"]) == 8
        assert as_nano(reply.headers["x-bursar-cost"]) == row["sale"] > 0
        assert row["endpoint"] == "/v1beta/models/{model}:embedContent"

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "content"),
            ({"content": {"parts": "x"}}, "content.parts"),
            ({"content": {"parts": [{"text": "x"}]}, "outputDimensionality": 0}, "outputDimensionality"),
            ({"content": {"parts": [{"text": "x"}]}, "taskType": 7}, "taskType"),
        ],
    )
    async def test_is_checked(self, customer: Customer, body: Any, field: str) -> None:
        model = await embeds(customer, "gemini", COUNTING)
        reply = await self.asked(customer, model, body)
        assert reply.status == 422
        assert reply.json()["error"]["details"][1]["fieldViolations"][0]["field"] == field

    async def test_costs_nothing_when_the_provider_fails(self, customer: Customer) -> None:
        model = await embeds(customer, "gemini", COUNTING)
        customer.fault("gemini", "status=500", count=None)
        reply = await self.asked(customer, model, {"content": {"parts": [{"text": "one"}]}})
        customer.stack.simulator.faults.clear()
        assert (reply.status, reply.json()["error"]["status"]) == (502, "UNAVAILABLE")
        assert {(row["sale"], row["cost"]) for row in await customer.usage()} == {(0, 0)}


class TestOpenAIsClient:
    async def test_gets_geminis_vectors(self, customer: Customer) -> None:
        model = await embeds(customer, "gemini", COUNTING)
        async with openai.AsyncOpenAI(
            api_key=customer.key, base_url=customer.stack.url, max_retries=0
        ) as client:
            answer = await client.embeddings.create(model=model, input=["one", "two"], dimensions=8)
        row = await customer.one_row()
        assert [len(one.embedding) for one in answer.data] == [8, 8]
        assert answer.usage.prompt_tokens == row["input_tokens"] == 2
        assert row["sale"] == sale_of(in_fresh=2)

    async def test_is_told_that_tokens_of_others_are_not_taken(self, customer: Customer) -> None:
        model = await embeds(customer, "gemini", COUNTING)
        async with openai.AsyncOpenAI(
            api_key=customer.key, base_url=customer.stack.url, max_retries=0
        ) as client:
            with pytest.raises(openai.UnprocessableEntityError) as refused:
                await client.embeddings.create(model=model, input=[1, 2, 3])
        assert (refused.value.code, refused.value.param) == ("unsupported_parameter", "input")
