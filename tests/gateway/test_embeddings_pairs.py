"""Callers of OpenAI's embeddings at a provider of another dialect: the same meaning, the same money."""

import base64
import struct
from typing import Any

import orjson
import pytest
from proving import Customer
from serving import EMBEDDING_PRICES, EMBEDDINGS, body, embeds, sold

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUNTED, UNCOUNTED = "gemini-embedding-2", "gemini-embedding-001"
"""The newer model tells its usage, the older does not."""


async def ask(customer: Customer, given: Any, provider_model: str = COUNTED, **fields: Any) -> Any:
    model = await embeds(customer, "gemini", provider_model=provider_model)
    return await customer.send(body(model, input=given, **fields), path=EMBEDDINGS)


def sent(customer: Customer) -> Any:
    return orjson.loads(customer.stack.simulator.log.exchanges[-1].body)


class TestAtGemini:
    async def test_vectors_come_in_the_order_of_the_inputs(self, customer: Customer) -> None:
        reply = await ask(customer, ["one", "two", "one"], dimensions=128)
        vectors = [entry["embedding"] for entry in reply.json()["data"]]
        assert (reply.status, reply.json()["object"]) == (200, "list")
        assert vectors[0] == vectors[2] != vectors[1]
        assert {len(vector) for vector in vectors} == {128}
        assert [one["content"]["parts"] for one in sent(customer)["requests"]] == [
            [{"text": text}] for text in ("one", "two", "one")
        ]

    async def test_packed_and_plain_are_the_same_numbers(self, customer: Customer) -> None:
        plain = await ask(customer, "one", dimensions=128)
        packed = await ask(customer, "one", dimensions=128, encoding_format="base64")
        (entry,) = packed.json()["data"]
        unpacked = struct.unpack("<128f", base64.b64decode(entry["embedding"]))
        assert list(unpacked) == pytest.approx(plain.json()["data"][0]["embedding"])

    async def test_usage_is_what_the_provider_measured(self, customer: Customer) -> None:
        reply = await ask(customer, "one two three")
        row = await customer.one_row()
        tokens = row["quantities"]["in_fresh"]
        assert reply.json()["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
        assert (row["outcome"], row["dialect"]) == ("completed", "openai_embeddings")
        assert row["sale"] == sold(EMBEDDING_PRICES, in_fresh=tokens)

    async def test_usage_is_our_estimate_where_it_told_none(self, customer: Customer) -> None:
        reply = await ask(customer, "abcdef", UNCOUNTED)
        row = await customer.one_row()
        assert reply.json()["usage"]["prompt_tokens"] == row["quantities"]["in_fresh"] == 3
        assert (row["outcome"], row["estimated"]) == ("usage_missing", True)

    @pytest.mark.parametrize(
        ("given", "fields", "param"),
        [
            ([1, 2, 3], {}, "input"),
            ([[1], [2]], {}, "input"),
            (["a"] * 101, {}, "input"),
            ("a", {"input_type": "query"}, "input_type"),
        ],
        ids=["tokens", "token arrays", "too many", "unknown"],
    )
    async def test_what_it_cannot_do_is_refused_by_the_callers_name(
        self, customer: Customer, given: Any, fields: dict[str, Any], param: str
    ) -> None:
        reply = await ask(customer, given, **fields)
        assert (reply.status, reply.error["param"]) == (422, param)
        assert await customer.usage() == []

    @pytest.mark.parametrize("script", ["status=500", "status=429", "garbage"])
    async def test_its_errors_come_in_openais_shape(self, customer: Customer, script: str) -> None:
        customer.stack.simulator.faults.add(script, count=1, provider="gemini")
        reply = await ask(customer, "one")
        assert reply.status >= 429
        assert reply.error["code"]
        row = await customer.one_row()
        assert (row["outcome"], row["sale"]) == ("provider_error_before_output", 0)


SINGLE, BATCH = "embedContent", "batchEmbedContents"


def content(text: str, **options: Any) -> dict[str, Any]:
    return {"content": {"parts": [{"text": text}]}, **options}


class TestAtOpenAIForCallersOfGemini:
    async def _ask(self, customer: Customer, action: str, asked: dict[str, Any], **provider: Any) -> Any:
        model = await embeds(customer, "openai", **provider)
        return await customer.send(orjson.dumps(asked), path=f"/v1beta/models/{model}:{action}")

    async def test_one_content_gets_one_vector(self, customer: Customer) -> None:
        reply = await self._ask(customer, SINGLE, content("one two", outputDimensionality=16))
        row = await customer.one_row()
        assert (reply.status, len(reply.json()["embedding"]["values"])) == (200, 16)
        assert sent(customer) == {
            "model": "text-embedding-3-small",
            "input": ["one two"],
            "encoding_format": "float",
            "dimensions": 16,
        }
        assert (row["outcome"], row["dialect"]) == ("completed", "gemini_embeddings")
        assert row["sale"] == sold(EMBEDDING_PRICES, in_fresh=row["quantities"]["in_fresh"])
        assert reply.json()["usageMetadata"]["promptTokenCount"] == row["input_tokens"]

    async def test_a_batch_gets_its_vectors_in_order(self, customer: Customer) -> None:
        asked = {"requests": [content(text) for text in ("one", "two", "one")]}
        vectors = [one["values"] for one in (await self._ask(customer, BATCH, asked)).json()["embeddings"]]
        assert vectors[0] == vectors[2] != vectors[1]

    @pytest.mark.parametrize("option", ["taskType", "title"])
    async def test_what_openai_cannot_do_is_refused_by_the_callers_name(
        self, customer: Customer, option: str
    ) -> None:
        asked = content("one", **{option: "RETRIEVAL_QUERY" if option == "taskType" else "A title"})
        reply = await self._ask(customer, SINGLE, asked)
        assert 400 <= reply.status < 500
        assert option in reply.json()["error"]["message"]
        assert await customer.usage() == []

    async def test_a_model_for_chats_is_refused_before_money_is_held(self, customer: Customer) -> None:
        path = f"/v1beta/models/{customer.models['openai']}:{SINGLE}"
        reply = await customer.send(orjson.dumps(content("one")), path=path)
        assert reply.status == 400
        assert f"{customer.models['openai']}:generateContent" in reply.json()["error"]["message"]
        assert await customer.usage() == []

    @pytest.mark.parametrize("script", ["status=500", "garbage", "fewer"])
    async def test_an_error_there_comes_in_googles_shape(self, customer: Customer, script: str) -> None:
        customer.fault("openai", script)
        reply = await self._ask(customer, SINGLE, content("one"))
        row = await customer.one_row()
        assert reply.status >= 500
        assert reply.json()["error"]["status"]
        assert (row["outcome"], row["sale"]) == ("provider_error_before_output", 0)
