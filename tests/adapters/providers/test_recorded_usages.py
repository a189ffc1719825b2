"""What providers said of usage, read by us and by `genai-prices`: the same tokens, the same money.

The payloads, in tests/data/usages, are recorded ones (`source`, public) and a few made ones (`made`). Where
the two programs disagree, `differs` names what and why: a disagreement that is not there, or one more, fails.
Anthropic's streams keep each report of theirs in `frames`; we read these, the other program their last word.
Where the provider states what an answer cost (`cost`, `cost_in_usd_ticks`), our rating must be that figure.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import reduce
from typing import Any

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, Provider

from bursar.adapters.providers.anthropic.usage import merge
from bursar.adapters.providers.anthropic.usage import read_usage as read_anthropic
from bursar.adapters.providers.azure_openai import AzureOpenAI
from bursar.adapters.providers.deepseek import DeepSeek
from bursar.adapters.providers.gemini.usage import read_usage as read_gemini
from bursar.adapters.providers.mistral import Mistral
from bursar.adapters.providers.openai import OpenAI
from bursar.adapters.providers.openai_chat import ChatServer
from bursar.adapters.providers.openai_compatible import OpenAICompatible
from bursar.adapters.providers.openai_usage import FLAG_TOTAL_MISMATCH
from bursar.adapters.providers.openrouter import OpenRouter
from bursar.adapters.providers.xai import XAI
from bursar.adapters.providers.zhipu import Zhipu
from bursar.core.pricing import rate
from bursar.core.usage import Meter, Usage
from genai_quotes import INCLUSIVE, MOMENT, inclusive, price_keys, quote_of
from recorded import recorded_json

CHAT: Mapping[str, ChatServer] = {
    "openai": OpenAI(),
    "azure_openai": AzureOpenAI(),
    "xai": XAI(),
    "mistral": Mistral(),
    "deepseek": DeepSeek(),
    "zai": Zhipu("zai"),
    "openrouter": OpenRouter(),
    "groq": OpenAICompatible("groq"),
    "together": OpenAICompatible("together"),
    "ollama": OpenAICompatible("ollama"),
    "vllm": OpenAICompatible("vllm"),
}
LISTED = {"azure_openai": "openai"}
"""Whose price list is taken where the provider sells at another's prices."""
THEIR_NAMES = {"azure_openai": "azure", "xai": "x-ai", "gemini": "google"}
FLAVOURS = {"mistral": "default", "groq": "default", "anthropic": "default", "gemini": "default"}
READ_AS_OPENAI = ("together", "ollama", "vllm")
"""Whom the other program cannot read: its reader of OpenAI's shape, which they copy, is taken."""
UNPRICED = ("ollama", "vllm")
"""Servers of one's own, which no list prices: here only the counts are compared."""
KINDS = (*CHAT, "anthropic", "gemini")
PAYLOADS_MIN = 10
STREAMED_MIN = 2
TICKS = Decimal(10**10)
RECORDED = [(kind, payload) for kind in KINDS for payload in recorded_json(f"usages/{kind}.json")]
PAYLOADS = [pytest.param(*case, id=f"{case[0]}-{number}") for number, case in enumerate(RECORDED)]
PRICED = [case for case in RECORDED if {"cost", "cost_in_usd_ticks"} & {*case[1]["usage"]}]
COMPARED = ("input_tokens", "output_tokens", *INCLUSIVE)


def ours(kind: str, payload: Mapping[str, Any]) -> Usage:
    usage: Usage | None
    if kind == "anthropic":
        reports = payload.get("frames", [payload["usage"]])
        usage = read_anthropic(reduce(merge, reports), cache_life=Meter.CACHE_WRITE_5M)
    elif kind == "gemini":
        usage = read_gemini(payload["usage"])
    else:
        usage = CHAT[kind].usage(payload["usage"], service_tier=payload.get("tier"))
    assert usage is not None
    return usage


def named(name: str) -> Provider:
    return next(provider for provider in get_snapshot().providers if provider.id == name)


def listed(kind: str, payload: Mapping[str, Any]) -> tuple[Provider, ModelInfo]:
    """Who is priced: where the list has no such model, one of the same provider's stands in."""
    provider = named(LISTED.get(kind) or THEIR_NAMES.get(kind, kind))
    model = provider.find_model(payload.get("priced_as", payload["model"]))
    assert model is not None, payload["model"]
    return provider, model


def theirs(kind: str, payload: Mapping[str, Any]) -> genai_prices.Usage:
    body = {"model": payload["model"], "usage": payload["usage"]}
    if kind == "gemini":
        body = {"modelVersion": payload["model"], "usageMetadata": payload["usage"]}
    flavour = FLAVOURS.get(kind, "chat")
    reader = "openai" if kind in READ_AS_OPENAI else THEIR_NAMES.get(kind, kind)
    _, usage = named(reader).extract_usage(body, api_flavor=flavour)
    assert isinstance(usage, genai_prices.Usage)
    return usage


def our_price(model: ModelInfo, usage: Usage) -> Decimal:
    rating = rate(quote_of(model), usage, "USD")
    return Decimal(sum(line.cost_atto for line in rating.lines)).scaleb(-18)


def their_price(provider: Provider, model: ModelInfo, usage: genai_prices.Usage) -> Decimal:
    calculated = model.calc_price(usage, provider, genai_request_timestamp=MOMENT)
    requests = price_keys(model).get("requests_kcount")
    return calculated.total_price - (requests / 1_000 if isinstance(requests, Decimal) else 0)


def disagreements(kind: str, payload: Mapping[str, Any]) -> set[str]:
    usage, extracted = ours(kind, payload), theirs(kind, payload)
    counted = inclusive(usage.quantities)
    found = {
        name for name in COMPARED if (getattr(counted, name) or 0) != (getattr(extracted, name, None) or 0)
    }
    if kind not in UNPRICED:
        provider, model = listed(kind, payload)
        if our_price(model, usage) != their_price(provider, model, extracted):
            found.add("price")
    return found


class TestRecordedUsages:
    @pytest.mark.parametrize("kind", KINDS)
    def test_each_provider_has_ten_with_a_source(self, kind: str) -> None:
        payloads = recorded_json(f"usages/{kind}.json")
        recorded = [payload for payload in payloads if not payload.get("made")]
        assert len(recorded) >= PAYLOADS_MIN
        assert {payload["streamed"] for payload in recorded} == {True, False}
        assert sum(payload["streamed"] for payload in recorded) >= STREAMED_MIN
        assert all(payload["source"] for payload in payloads)
        assert len({payload["source"] for payload in payloads}) == len(payloads)

    @pytest.mark.parametrize(("kind", "payload"), PAYLOADS)
    def test_agree_with_the_other_program_or_say_why_not(self, kind: str, payload: dict[str, Any]) -> None:
        expected = payload.get("differs", {})
        assert disagreements(kind, payload) == set(expected)
        assert all(expected.values()), "each disagreement is explained"

    @pytest.mark.parametrize(("kind", "payload"), PAYLOADS)
    def test_the_classes_add_up_to_the_providers_own_total(self, kind: str, payload: dict[str, Any]) -> None:
        raw = payload["usage"]
        total = raw.get("total_tokens", raw.get("totalTokenCount"))
        usage = ours(kind, payload)
        counted = usage.input_tokens + usage.output_tokens
        assert list(usage.flags) == payload.get("flags", [])
        assert total in {None, counted} or FLAG_TOTAL_MISMATCH in usage.flags

    def test_a_streams_reports_end_in_its_usage(self) -> None:
        streams = [payload for payload in recorded_json("usages/anthropic.json") if payload["streamed"]]
        assert [reduce(merge, stream["frames"]) for stream in streams] == [
            stream["usage"] for stream in streams
        ]

    @pytest.mark.parametrize("kind", READ_AS_OPENAI)
    def test_a_stand_in_reads_only_where_there_is_no_reader(self, kind: str) -> None:
        known = {provider.id: provider for provider in get_snapshot().providers}
        assert not (kind in known and known[kind].extractors)
        assert (kind in known) == (kind not in UNPRICED)

    @pytest.mark.parametrize(("kind", "payload"), PRICED)
    def test_our_rating_is_what_the_provider_says_it_cost(self, kind: str, payload: dict[str, Any]) -> None:
        usage = ours(kind, payload)
        stated = payload["usage"].get("cost")
        cost = Decimal(repr(stated)) if stated is not None else payload["usage"]["cost_in_usd_ticks"] / TICKS
        rated = our_price(listed(kind, payload)[1], usage)
        assert (rated == cost) == ("cost_differs" not in payload)
        assert usage.raw is not None, "what the provider stated stays beside our rating"
