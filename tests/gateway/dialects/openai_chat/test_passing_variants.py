"""Servers that copied OpenAI's chat dialect, passed through: their oddities end here."""

from typing import Any

import orjson
import pytest

from bursar.adapters.providers import Provider, ProviderFailure
from bursar.adapters.providers.azure_openai import AzureOpenAI
from bursar.adapters.providers.deepseek import DeepSeek
from bursar.adapters.providers.mistral import Mistral
from bursar.adapters.providers.openrouter import OpenRouter
from bursar.adapters.providers.xai import XAI
from bursar.adapters.providers.zhipu import Zhipu
from bursar.gateway.dialects import Asked, Exchange
from bursar.gateway.dialects.openai_chat import reading
from bursar.gateway.dialects.registry import DIALECTS
from bursar.gateway.exchange import open_exchange
from recorded import SECRET, attempt

USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
CHARGES = [
    (OpenRouter(), {"cost": 0.5, "cost_details": {"upstream_inference_cost": None}, "is_byok": False}),
    (XAI(), {"cost_in_usd_ticks": 5_000_000_000}),
]
BROKEN_OFF = [
    (DeepSeek(), "insufficient_system_resource", "overloaded"),
    (Zhipu(), "network_error", "server"),
    (OpenRouter(), "error", "server"),
]


def exchange(provider: Provider, *, stream: bool = True) -> Exchange:
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    call = reading.read(orjson.dumps(body))
    return open_exchange(call, provider, attempt("m").deployment, SECRET, None)


def frame(**chunk: Any) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def delta(finish: str | None = None, **said: Any) -> bytes:
    return frame(id="a", model="m", choices=[{"index": 0, "delta": said, "finish_reason": finish}])


def whole(finish: str = "stop", **rest: Any) -> bytes:
    message = {"role": "assistant", "content": "Hi"}
    return orjson.dumps({"id": "a", "choices": [{"message": message, "finish_reason": finish}], **rest})


class TestBrokenOff:
    @pytest.mark.parametrize(("provider", "reason", "kind"), BROKEN_OFF)
    def test_a_stream_ends_in_an_error_and_keeps_its_usage(
        self, provider: Provider, reason: str, kind: str
    ) -> None:
        asked = exchange(provider)
        asked.feed(delta(content="Hel"))
        before = asked.measured.delivered_tokens
        last = frame(
            id="a", choices=[{"index": 0, "delta": {"content": "lo"}, "finish_reason": reason}], usage=USAGE
        )
        assert asked.feed(last) == []
        assert asked.measured.error is not None
        assert (asked.measured.error.kind, asked.measured.terminal) == (kind, False)
        assert asked.measured.delivered_tokens == before
        assert asked.measured.usage is not None
        assert asked.measured.usage.output_tokens == USAGE["completion_tokens"]

    @pytest.mark.parametrize(("provider", "reason", "kind"), BROKEN_OFF)
    def test_a_whole_answer_is_none(self, provider: Provider, reason: str, kind: str) -> None:
        asked = exchange(provider, stream=False)
        with pytest.raises(ProviderFailure) as broken:
            asked.answer(200, whole(reason, usage=USAGE))
        assert (broken.value.kind, broken.value.retryable) == (kind, True)
        assert asked.measured.usage is not None


class TestAzure:
    def test_its_first_chunk_names_nothing(self) -> None:
        asked = exchange(AzureOpenAI())
        asked.feed(frame(id="", model="", object="", created=0, choices=[], prompt_filter_results=[]))
        asked.feed(delta(content="Hi") + delta("stop") + frame(id="a", choices=[], usage=USAGE))
        assert asked.measured.provider_request_id == "a"
        usage = orjson.loads(asked.tail(None)[0][6:])
        assert (usage["id"], usage["model"]) == ("a", "m")


class TestWhatTheOperatorPays:
    @pytest.mark.parametrize(("provider", "charged"), CHARGES)
    def test_is_not_told_in_whole_answers(self, provider: Provider, charged: dict[str, Any]) -> None:
        asked = exchange(provider, stream=False)
        answer = orjson.loads(asked.answer(200, whole(usage={**USAGE, **charged})))
        assert answer == orjson.loads(whole(usage=USAGE))
        assert asked.measured.usage is not None
        assert charged.items() <= orjson.loads(asked.measured.usage.raw or b"").items()

    @pytest.mark.parametrize(("provider", "charged"), CHARGES)
    def test_is_not_told_in_streams(self, provider: Provider, charged: dict[str, Any]) -> None:
        asked = exchange(provider)
        told = asked.feed(delta(content="Hi") + delta("stop") + frame(choices=[], usage={**USAGE, **charged}))
        assert not [name for name in charged if name.encode() in b"".join(told)]
        assert orjson.loads(asked.tail(None)[0][6:])["usage"] == USAGE


class TestWhatEmbeddingsCost:
    @pytest.mark.parametrize("vectors", [1, 3_000], ids=["short", "long"])
    @pytest.mark.parametrize("data_first", [True, False])
    def test_is_not_told(self, vectors: int, *, data_first: bool) -> None:
        raw = orjson.dumps({"model": "m", "input": "Hello"})
        call = DIALECTS["openai_embeddings"].read(raw, Asked(endpoint="/v1/embeddings"))
        asked = open_exchange(call, OpenRouter(), attempt("m").deployment, SECRET, None)
        data = {"data": [{"index": at, "embedding": [0.25] * 20} for at in range(vectors)]}
        usage = {"prompt_tokens": 3, "total_tokens": 3}
        charged = {"usage": {**usage, "cost": 0.5}}
        parts = (data, charged) if data_first else (charged, data)
        body = orjson.dumps({"object": "list", **parts[0], "model": "m", **parts[1], "id": "e"})
        told = orjson.loads(asked.answer(200, body))
        assert told == {"object": "list", "model": "m", "id": "e", **data, "usage": usage}
        assert asked.measured.usage is not None
        assert b'"cost":0.5' in (asked.measured.usage.raw or b"")


class TestWhatPicturesCost:
    def test_is_not_told(self) -> None:
        raw = orjson.dumps({"model": "m", "prompt": "A cat"})
        call = DIALECTS["openai_images"].read(raw, Asked(endpoint="/v1/images/generations"))
        asked = open_exchange(call, XAI(), attempt("m").deployment, SECRET, None)
        pictures = {"created": 1, "data": [{"b64_json": "aGk="}]}
        body = orjson.dumps({**pictures, "usage": {"cost_in_usd_ticks": 200_000_000}})
        assert orjson.loads(asked.answer(200, body)) == {**pictures, "usage": {}}


class TestMistral:
    def test_is_translated_though_it_looks_alike(self) -> None:
        asked = exchange(Mistral())
        told = asked.feed(delta(content="Hi") + frame(**orjson.loads(delta("stop")[6:]), usage=USAGE))
        assert b'"content":"Hi"' in b"".join(told)
        assert asked.measured.usage_final
