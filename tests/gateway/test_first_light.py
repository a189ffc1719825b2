"""The shortest way through the whole gateway, for each kind of provider."""

import openai
import pytest

from gateway_stack import MODELS, GatewayStack


@pytest.mark.parametrize("kind", MODELS)
class TestFirstLight:
    async def test_answers_and_books_a_plain_request(self, stack: GatewayStack, kind: str) -> None:
        client = openai.AsyncOpenAI(api_key=stack.key, base_url=stack.url, max_retries=0)
        raw = await client.chat.completions.with_raw_response.create(
            model=MODELS[kind], messages=[{"role": "user", "content": "Hello"}], max_tokens=50
        )
        answer = raw.parse()
        await client.close()
        rows = await stack.usage()
        assert answer.choices[0].message.content
        assert [row["outcome"] for row in rows] == ["completed"]
        assert rows[0]["input_tokens"] == answer.usage.prompt_tokens
        assert rows[0]["output_tokens"] == answer.usage.completion_tokens
        assert (await stack.wallet())["posted"] == 100 * 10**9 - rows[0]["sale"]

    async def test_streams_and_books(self, stack: GatewayStack, kind: str) -> None:
        client = openai.AsyncOpenAI(api_key=stack.key, base_url=stack.url, max_retries=0)
        stream = await client.chat.completions.create(
            model=MODELS[kind],
            messages=[{"role": "user", "content": "Hello"}],
            max_tokens=50,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        await client.close()
        rows = await stack.usage()
        assert [row["outcome"] for row in rows] == ["completed"]
        assert chunks[-1].usage is not None
        assert rows[0]["output_tokens"] == chunks[-1].usage.completion_tokens
        assert chunks[-1].usage.model_extra is not None
        assert "cost" in chunks[-1].usage.model_extra
