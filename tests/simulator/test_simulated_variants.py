"""Providers that copied OpenAI's chat dialect, as their references describe them."""

from typing import Any

import orjson
import pytest
from raw_http import OPENAI_KEY, Call, Raw, chat

SENT, CAME, REASONED, CACHED = 100, 3, 5, 40
SCRIPT = f'[[sim: input_tokens={SENT} reasoning={REASONED} cached={CACHED} text="one two three"]]'
TOTAL = SENT + CAME + REASONED
STREAMED = {"stream": True, "stream_options": {"include_usage": True}}


def path(variant: str) -> str:
    return f"/{variant}/v1/chat/completions"


def chunks_of(raw: Raw) -> list[dict[str, Any]]:
    return [orjson.loads(event[6:]) for event in raw.events if event.startswith(b"data: {")]


async def usages(call: Call, variant: str) -> list[dict[str, Any]]:
    """The usage of a whole answer and of a stream."""
    whole = orjson.loads((await call(path(variant), chat(SCRIPT))).body)["usage"]
    told = [
        chunk["usage"]
        for chunk in chunks_of(await call(path(variant), chat(SCRIPT, **STREAMED)))
        if chunk.get("usage")
    ]
    assert len(told) == 1
    return [whole, *told]


class TestUsage:
    async def test_xai_counts_reasoning_beside_the_output_and_states_its_price(self, call: Call) -> None:
        for usage in await usages(call, "xai"):
            assert (usage["prompt_tokens"], usage["completion_tokens"]) == (SENT, CAME)
            assert usage["completion_tokens_details"]["reasoning_tokens"] == REASONED
            assert usage["total_tokens"] == TOTAL
            assert usage["cost_in_usd_ticks"] > 0

    async def test_deepseek_splits_the_prompt(self, call: Call) -> None:
        for usage in await usages(call, "deepseek"):
            assert usage["prompt_cache_hit_tokens"] == CACHED
            assert usage["prompt_cache_hit_tokens"] + usage["prompt_cache_miss_tokens"] == SENT
            assert usage["completion_tokens"] == CAME + REASONED

    async def test_openrouter_tells_what_it_charged(self, call: Call) -> None:
        for usage in await usages(call, "openrouter"):
            assert usage["total_tokens"] == TOTAL
            assert usage["cost"] > 0

    async def test_faults_of_usage_stay(self, call: Call) -> None:
        for variant in ("xai", "deepseek", "openrouter"):
            raw = await call(path(variant), chat("[[sim: no_usage]]"))
            assert "usage" not in orjson.loads(raw.body)


class TestPatience:
    async def test_deepseek_sends_blank_lines_and_comments(self, call: Call) -> None:
        whole = await call(path("deepseek"), chat(SCRIPT))
        assert whole.body.startswith(b"\n\n\n{")
        streamed = await call(path("deepseek"), chat(SCRIPT, **STREAMED))
        assert streamed.events[0] == b": keep-alive"

    async def test_openrouter_sends_comments(self, call: Call) -> None:
        raw = await call(path("openrouter"), chat(SCRIPT, **STREAMED))
        assert raw.events[0] == b": OPENROUTER PROCESSING"
        said = [chunk["choices"][0]["delta"] for chunk in chunks_of(raw) if chunk["choices"]]
        assert len([delta for delta in said if delta.get("reasoning")]) == REASONED
        assert not [delta for delta in said if "reasoning_content" in delta]


class TestMistral:
    async def test_usage_comes_unasked_in_the_last_chunk_with_words(self, call: Call) -> None:
        chunks = chunks_of(await call(path("mistral"), chat(SCRIPT, stream=True)))
        assert all(chunk["choices"] for chunk in chunks)
        *before, last = chunks
        assert last["choices"][0]["finish_reason"] == "stop"
        assert last["usage"]["total_tokens"] == TOTAL
        assert not [chunk for chunk in before if chunk.get("usage")]

    async def test_reasons_in_chunks_of_the_content(self, call: Call) -> None:
        whole = orjson.loads((await call(path("mistral"), chat(SCRIPT))).body)
        thinking, text = whole["choices"][0]["message"]["content"]
        assert (thinking["type"], text) == ("thinking", {"type": "text", "text": "one two three"})

    @pytest.mark.parametrize("name", ["stream_options", "seed", "user"])
    async def test_refuses_what_it_does_not_know(self, call: Call, name: str) -> None:
        raw = await call(path("mistral"), chat("Hello", **{name: None}))
        assert raw.status == 422
        assert orjson.loads(raw.body)["detail"][0]["loc"] == ["body", name]


class TestAzure:
    async def test_the_deployment_is_in_the_path_and_the_key_in_its_header(self, call: Call) -> None:
        target = "/azure/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21"
        asked = {"messages": chat(SCRIPT)["messages"], **STREAMED}
        raw = await call(target, asked, headers={"api-key": OPENAI_KEY, "authorization": ""})
        first, *rest = chunks_of(raw)
        assert (first["id"], first["choices"]) == ("", [])
        assert first["prompt_filter_results"]
        assert {chunk["model"] for chunk in rest} == {"my-gpt"}

    async def test_the_version_must_be_said(self, call: Call) -> None:
        raw = await call("/azure/openai/deployments/my-gpt/chat/completions", chat(SCRIPT))
        assert raw.status == 404

    async def test_what_is_no_json_is_refused(self, call: Call) -> None:
        target = "/azure/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21"
        assert [(await call(target, body)).status for body in (b"{", b"[]")] == [400, 400]

    async def test_the_newer_api_has_neither(self, call: Call) -> None:
        raw = await call("/azure/openai/v1/chat/completions", chat(SCRIPT))
        assert orjson.loads(raw.body)["usage"]["total_tokens"] == TOTAL


class TestAllElse:
    @pytest.mark.parametrize("variant", ["xai", "deepseek", "mistral", "openrouter"])
    async def test_is_as_the_imitator_does_it(self, call: Call, variant: str) -> None:
        broken = await call(path(variant), b"{")
        assert broken.status == 400
        listed = await call(f"/{variant}/v1/models", None, method="GET")
        assert listed.status == 200
        failed = await call(path(variant), chat("[[sim: status=503]]"))
        assert failed.status == 503
        spoiled = await call(path(variant), chat("[[sim: garbage_event=1]]", stream=True))
        assert b"chatcmpl-broken" in spoiled.body
