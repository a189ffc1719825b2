"""How each server that copied OpenAI's chat dialect differs, as sent to it and as read from it."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from bursar.adapters.providers import Provider, ProviderFailure
from bursar.adapters.providers.azure_openai import AzureOpenAI
from bursar.adapters.providers.deepseek import DeepSeek
from bursar.adapters.providers.mistral import Mistral
from bursar.adapters.providers.openai_chat import ChatServer
from bursar.adapters.providers.openai_compatible import servers
from bursar.adapters.providers.openrouter import OpenRouter
from bursar.adapters.providers.xai import XAI
from bursar.adapters.providers.zhipu import Zhipu
from bursar.core.chat import (
    BadRequest,
    ChatAnswer,
    ChatEvent,
    ChatRequest,
    File,
    Finish,
    Image,
    Started,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingDone,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from bursar.core.sse import Event
from bursar.core.usage import Meter
from recorded import SECRET, attempt

HELLO = Turn(role="user", parts=(Text(text="Hi"),), place="messages[0]")
ASKED = ChatRequest(turns=(HELLO,))
CALLED = Turn(
    role="assistant",
    parts=(
        Thinking(text="He wants the weather."),
        ToolCall(id="call_8Yw", name="weather", arguments='{"city":"Oslo"}'),
    ),
)
RESULT = Turn(role="user", parts=(ToolResult(call_id="call_8Yw", parts=(Text(text="5°C"),)),))
WEATHER = Tool(name="weather", parameters={"type": "object", "properties": {}})
PICTURE = Turn(role="user", parts=(Image(url="https://x.example/a.png"),), place="messages[0]")
PDF = File(data="JVBE", media_type="application/pdf", name="a.pdf")
KEPT = Turn(role="user", parts=(Text(text="Long.", cache=True), Text(text="Short.")))
SERVERS = {server.kind: server for server in servers()}
ALL: list[ChatServer] = [
    AzureOpenAI(), DeepSeek(), Mistral(), OpenRouter(), XAI(), Zhipu(), Zhipu("zai"), *SERVERS.values()
]  # fmt: skip


def written(
    server: ChatServer, request: ChatRequest = ASKED, *, model: str = "m", stream: bool = False
) -> Any:
    return orjson.loads(server.build(request, attempt(model), stream=stream).body)


def asking(**fields: Any) -> ChatRequest:
    return replace(ASKED, **fields)


def refused(server: ChatServer, request: ChatRequest) -> BadRequest:
    with pytest.raises(BadRequest) as refusal:
        written(server, request)
    assert (refusal.value.status, refusal.value.code) == (422, "unsupported_parameter")
    return refusal.value


def passed(server: ChatServer, *, base_url: str = "https://up.internal/v1", **properties: Any) -> Any:
    raw = {"model": "best-model", "messages": [{"role": "user", "content": "Hi"}], **properties}
    return orjson.loads(server.edit(raw, attempt("m", base_url=base_url), stream=False, headers={}).body)


def whole(server: ChatServer, message: dict[str, Any], finish: str = "stop", **rest: Any) -> ChatAnswer:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return server.read_answer(orjson.dumps({"id": "a", "model": "m", "choices": [choice], **rest}), ASKED)


def streamed(server: ChatServer, *chunks: dict[str, Any]) -> list[ChatEvent]:
    reader = server.read_stream(ASKED, attempt("m"))
    return [said for chunk in chunks for said in reader.read(Event(name="", data=orjson.dumps(chunk)))]


def delta(finish: str | None = None, **said: Any) -> dict[str, Any]:
    return {"id": "a", "model": "m", "choices": [{"index": 0, "delta": said, "finish_reason": finish}]}


def failure(
    server: Provider, status: int, code: str, headers: dict[str, str] | None = None
) -> ProviderFailure:
    body = orjson.dumps({"error": {"message": "No.", "code": code}})
    return server.failure(status, headers or {}, body, attempt("m"))


class TestEveryServer:
    @pytest.mark.parametrize("server", ALL, ids=lambda server: server.kind)
    def test_takes_the_key_and_the_providers_name_of_the_model(self, server: ChatServer) -> None:
        sent = server.build(ASKED, attempt("their-model"), stream=False)
        assert SECRET in sent.headers["authorization" if server.kind != "azure_openai" else "api-key"]
        assert SECRET.encode() not in sent.body
        assert orjson.loads(sent.body)["model"] == "their-model"

    @pytest.mark.parametrize("server", ALL, ids=lambda server: server.kind)
    def test_is_asked_for_usage_in_streams_where_it_must_be(self, server: ChatServer) -> None:
        options = written(server, stream=True).get("stream_options")
        assert options == (None if server.kind == "mistral" else {"include_usage": True})

    @pytest.mark.parametrize("server", ALL, ids=lambda server: server.kind)
    @pytest.mark.parametrize("tier", ["flex", "priority"])
    def test_sells_no_tier_without_a_price(self, server: ChatServer, tier: str) -> None:
        if tier in server.style.tiers:
            assert written(server, asking(service_tier=tier))["service_tier"] == tier
        else:
            assert refused(server, asking(service_tier=tier)).param == "service_tier"

    @pytest.mark.parametrize("server", ALL, ids=lambda server: server.kind)
    def test_a_round_of_tools_goes_back_whole(self, server: ChatServer) -> None:
        body = written(server, replace(ASKED, turns=(HELLO, CALLED, RESULT), tools=(WEATHER,)))
        _, said, result = body["messages"]
        assert said["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city":"Oslo"}'}
        assert result["tool_call_id"] == said["tool_calls"][0]["id"]
        assert (result["role"], result["content"]) == ("tool", "5°C")
        assert body["tools"][0]["function"]["name"] == "weather"

    @pytest.mark.parametrize("server", ALL, ids=lambda server: server.kind)
    @pytest.mark.parametrize("reason", ["error", "network_error", "insufficient_system_resource"])
    def test_an_answer_broken_off_is_a_failure(self, server: ChatServer, reason: str) -> None:
        with pytest.raises(ProviderFailure) as broken:
            whole(server, {"content": "Hel"}, reason)
        assert broken.value.retryable
        with pytest.raises(ProviderFailure) as cut:
            streamed(server, delta(content="Hel"), delta(reason))
        assert cut.value.kind == ("overloaded" if reason == "insufficient_system_resource" else "server")

    @pytest.mark.parametrize("server", ALL, ids=lambda server: server.kind)
    def test_an_error_with_status_200_is_a_failure_of_its_own_kind(self, server: ChatServer) -> None:
        with pytest.raises(ProviderFailure) as found:
            streamed(server, delta(content="Hel"), {"error": {"code": 429, "message": "sk-live slow down"}})
        assert (found.value.kind, found.value.upstream_status) == ("rate_limited", 429)
        assert "slow down" not in found.value.message


class TestAzure:
    @pytest.mark.parametrize(
        ("base_url", "path"),
        [
            (
                "https://r.openai.azure.com/openai",
                "/deployments/my%2Fgpt/chat/completions?api-version=2024-10-21",
            ),
            ("https://r.openai.azure.com/openai/v1", "/chat/completions"),
        ],
    )
    def test_the_deployment_is_in_the_path_of_the_dated_api(self, base_url: str, path: str) -> None:
        at = attempt("my/gpt", base_url=base_url)
        assert AzureOpenAI().build(ASKED, at, stream=True).path == path
        assert AzureOpenAI().edit({"messages": []}, at, stream=False, headers={}).path == path

    def test_embeddings_and_pictures_go_the_same_way(self) -> None:
        at = attempt("ada", base_url="https://r.openai.azure.com/openai")
        for surface, service in (
            ("openai_embeddings", "embeddings"),
            ("openai_images", "images/generations"),
        ):
            sent = AzureOpenAI().passes[surface].edit({"input": "x"}, at, stream=False, headers={})
            assert sent.path == f"/deployments/ada/{service}?api-version=2024-10-21"
            assert sent.headers["api-key"] == SECRET

    def test_keys_have_a_header_and_tokens_are_a_bearers(self) -> None:
        with_key = AzureOpenAI().build(ASKED, attempt("m"), stream=False).headers
        assert with_key == {"api-key": SECRET, "content-type": "application/json"}
        token = replace(attempt("m"), secret="eyJ0eXAi.x.y")
        assert (
            AzureOpenAI().build(ASKED, token, stream=False).headers["authorization"] == "Bearer eyJ0eXAi.x.y"
        )

    def test_the_first_chunk_of_its_filter_says_nothing(self) -> None:
        empty = {"id": "", "model": "", "object": "", "choices": [], "prompt_filter_results": [{"n": 0}]}
        said = streamed(AzureOpenAI(), empty, delta(role="assistant", content=""), delta(content="Hi"))
        assert said == [Started("a", "m"), TextDelta("Hi")]

    def test_a_prompt_that_was_filtered_is_the_callers_affair(self) -> None:
        found = failure(AzureOpenAI(), 400, "content_filter")
        assert (found.kind, found.retryable) == ("content", False)


class TestOpenRouter:
    def test_a_busy_budget_is_no_empty_account(self) -> None:
        busy = failure(OpenRouter(), 402, "in_flight_budget_exhausted", {"retry-after": "3"})
        assert (busy.kind, busy.status, busy.retry_after_s) == ("rate_limited", 503, 3)
        assert (busy.retryable, busy.upstream_status) == (True, 402)

    def test_an_empty_account_is_ours_to_fill(self) -> None:
        assert failure(OpenRouter(), 402, "402").kind == "billing"

    def test_other_models_than_the_priced_one_are_not_passed_on(self) -> None:
        assert "models" not in passed(OpenRouter(), models=["a/b", "c/d"])
        assert passed(OpenRouter(), provider={"sort": "price"})["provider"] == {"sort": "price"}

    @pytest.mark.parametrize("name", ["plugins", "web_search_options"])
    def test_searches_are_refused(self, name: str) -> None:
        with pytest.raises(BadRequest) as refusal:
            passed(OpenRouter(), **{name: [{"id": "web"}]})
        assert refusal.value.param == name
        assert passed(OpenRouter(), **{name: None})[name] is None

    @pytest.mark.parametrize(
        ("asked", "knob"),
        [
            ({"effort": "high"}, {"effort": "high"}),
            ({"thinking_tokens": 2_000}, {"max_tokens": 2_000}),
            ({"thinking_tokens": 0}, {"effort": "none"}),
            ({}, None),
        ],
    )
    def test_reasoning_goes_by_effort_or_by_tokens(self, asked: Any, knob: Any) -> None:
        assert written(OpenRouter(), asking(**asked)).get("reasoning") == knob

    @pytest.mark.parametrize(("minutes", "ttl"), [(None, {}), (5, {}), (60, {"ttl": "1h"})])
    def test_prefixes_worth_keeping_are_marked_as_anthropic_does(
        self, minutes: int | None, ttl: dict[str, str]
    ) -> None:
        body = written(OpenRouter(), asking(turns=(KEPT,), cache_minutes=minutes))
        assert body["messages"][0]["content"] == [
            {"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral", **ttl}},
            {"type": "text", "text": "Short."},
        ]

    def test_reasoning_goes_and_comes_as_reasoning(self) -> None:
        body = written(OpenRouter(), asking(turns=(HELLO, CALLED, RESULT)))
        assert body["messages"][1]["reasoning"] == "He wants the weather."
        answer = whole(OpenRouter(), {"reasoning": "Hm.", "content": "Yes."})
        assert answer.parts == (Thinking(text="Hm."), Text(text="Yes."))

    def test_what_it_charged_stays_beside_our_count(self) -> None:
        usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "cost": 0.000125}
        read = whole(OpenRouter(), {"content": "Yes."}, usage=usage).usage
        assert read is not None
        assert read.raw is not None
        assert orjson.loads(read.raw)["cost"] == usage["cost"]


class TestDeepSeek:
    @pytest.mark.parametrize(
        ("asked", "knobs"),
        [
            ({}, {}),
            ({"effort": "none"}, {"thinking": {"type": "disabled"}}),
            ({"thinking_tokens": 0}, {"thinking": {"type": "disabled"}}),
            ({"effort": "low"}, {"thinking": {"type": "enabled"}, "reasoning_effort": "high"}),
            ({"effort": "xhigh"}, {"thinking": {"type": "enabled"}, "reasoning_effort": "max"}),
        ],
    )
    def test_knows_two_efforts(self, asked: Any, knobs: Any) -> None:
        body = written(DeepSeek(), asking(**asked))
        assert {name: body[name] for name in ("thinking", "reasoning_effort") if name in body} == knobs

    def test_texts_are_one_string(self) -> None:
        assert written(DeepSeek(), asking(turns=(KEPT,)))["messages"][0]["content"] == "Long.\n\nShort."

    def test_reasoning_before_a_call_goes_back(self) -> None:
        body = written(DeepSeek(), asking(turns=(HELLO, CALLED, RESULT)))
        assert body["messages"][1]["reasoning_content"] == "He wants the weather."

    @pytest.mark.parametrize(
        ("request_", "param"),
        [
            (asking(seed=1), "seed"),
            (asking(top_k=1), "top_k"),
            (asking(json_schema={"type": "object"}), "json_schema"),
            (asking(turns=(PICTURE,)), "messages[0].content[].image_url"),
        ],
    )
    def test_what_it_cannot_do_is_refused(self, request_: ChatRequest, param: str) -> None:
        assert refused(DeepSeek(), request_).param == param

    def test_blank_lines_before_an_answer_are_patience(self) -> None:
        body = b"\n\n\n" + orjson.dumps(
            {"id": "a", "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}
        )
        assert DeepSeek().read_answer(body, ASKED).parts == (Text(text="Hi"),)

    @pytest.mark.parametrize(("misses", "flags"), [(60, ()), (50, ("usage_total_mismatch",))])
    def test_hits_and_misses_must_be_the_prompt(self, misses: int, flags: tuple[str, ...]) -> None:
        raw = {
            "prompt_tokens": 100, "completion_tokens": 9, "total_tokens": 109,
            "prompt_cache_hit_tokens": 40, "prompt_cache_miss_tokens": misses,
        }  # fmt: skip
        usage = DeepSeek().usage(raw, service_tier=None)
        assert usage is not None
        assert usage.flags == flags
        assert usage.quantities[Meter.CACHE_READ] == raw["prompt_cache_hit_tokens"]


class TestZhipu:
    def test_is_two_kinds_with_one_dialect(self) -> None:
        assert [Zhipu().kind, Zhipu("zai").kind] == ["zhipu", "zai"]
        assert written(Zhipu()) == written(Zhipu("zai"))

    @pytest.mark.parametrize(
        ("effort", "switch"), [(None, None), ("none", {"type": "disabled"}), ("low", {"type": "enabled"})]
    )
    def test_thinking_is_on_or_off(self, effort: Any, switch: Any) -> None:
        assert written(Zhipu(), asking(effort=effort)).get("thinking") == switch

    @pytest.mark.parametrize(
        ("fields", "param"),
        [
            ({"tools": (WEATHER,), "tool_choice": ToolChoice(mode="required")}, "tool_choice"),
            ({"stop": ("a", "b")}, "stop"),
            ({"presence_penalty": 0.5}, "presence_penalty"),
            ({"parallel_tools": True}, "parallel_tools"),
        ],
    )
    def test_what_it_cannot_do_is_refused(self, fields: dict[str, Any], param: str) -> None:
        assert refused(Zhipu(), asking(**fields)).param == param

    def test_sensitive_answers_were_filtered(self) -> None:
        assert whole(Zhipu(), {"content": ""}, "sensitive").finish is Finish.CONTENT_FILTER

    def test_searches_as_tools_are_refused(self) -> None:
        with pytest.raises(BadRequest) as refusal:
            passed(Zhipu(), tools=[{"type": "web_search", "web_search": {}}])
        assert refusal.value.param == "tools[0].type"


class TestMistral:
    def test_ids_of_calls_have_nine_letters_and_digits(self) -> None:
        calls = asking(turns=(HELLO, CALLED, RESULT))
        first, again = written(Mistral(), calls), written(Mistral(), calls)
        identity = first["messages"][1]["tool_calls"][0]["id"]
        assert (len(identity), identity.isalnum()) == (9, True)
        assert first == again
        known = ToolCall(id="aB3dE6gH9", name="f", arguments="")
        body = written(Mistral(), asking(turns=(HELLO, Turn(role="assistant", parts=(known,)))))
        assert body["messages"][1]["tool_calls"][0]["id"] == "aB3dE6gH9"

    def test_its_own_names(self) -> None:
        choice = ToolChoice(mode="required")
        body = written(Mistral(), asking(seed=7, tools=(WEATHER,), tool_choice=choice, end_user="ann"))
        assert (body["random_seed"], body["tool_choice"]) == (7, "any")
        assert not {"seed", "user", "safety_identifier"} & set(body)

    def test_reasoning_goes_and_comes_as_chunks(self) -> None:
        thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
        said = Turn(role="assistant", parts=(Thinking(text="Hm."), Text(text="Yes.")))
        body = written(Mistral(), asking(turns=(HELLO, said)))
        assert body["messages"][1]["content"] == [thinking, {"type": "text", "text": "Yes."}]
        answer = whole(Mistral(), {"content": [thinking, {"type": "text", "text": "Yes."}]})
        assert answer.parts == said.parts
        events = streamed(Mistral(), delta(content=[thinking]), delta(content="Yes."))
        assert events == [
            Started("a", "m"), ThinkingDelta("Hm."), ThinkingDone(Thinking(text="Hm.")), TextDelta("Yes.")
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("model", "effort", "knobs"),
        [
            ("magistral-medium-latest", "low", {"prompt_mode": "reasoning"}),
            ("mistral-small-latest", "low", {"reasoning_effort": "high"}),
            ("mistral-small-latest", "none", {}),
        ],
    )
    def test_reasoning_is_asked_for_by_model(self, model: str, effort: Any, knobs: dict[str, str]) -> None:
        body = written(Mistral(), asking(effort=effort), model=model)
        assert {k: v for k, v in body.items() if k in {"prompt_mode", "reasoning_effort"}} == knobs

    def test_documents_are_addresses(self) -> None:
        body = written(Mistral(), asking(turns=(Turn(role="user", parts=(PDF,)),)))
        assert body["messages"][0]["content"] == [
            {
                "type": "document_url",
                "document_url": "data:application/pdf;base64,JVBE",
                "document_name": "a.pdf",
            }
        ]

    def test_only_embeddings_pass_as_they_are(self) -> None:
        assert set(Mistral().passes) == {"openai_embeddings"}


class TestXAI:
    @pytest.mark.parametrize(
        ("properties", "param"),
        [
            ({"search_parameters": {"mode": "on"}}, "search_parameters"),
            ({"tools": [{"type": "live_search"}]}, "tools[0].type"),
            ({"logit_bias": {"1": 1}}, "logit_bias"),
        ],
    )
    def test_what_is_billed_apart_is_refused(self, properties: dict[str, Any], param: str) -> None:
        with pytest.raises(BadRequest) as refusal:
            passed(XAI(), **properties)
        assert refusal.value.param == param

    def test_reasoning_is_beside_the_output(self) -> None:
        raw = {
            "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115,
            "completion_tokens_details": {"reasoning_tokens": 100}, "cost_in_usd_ticks": 4_200,
        }  # fmt: skip
        usage = XAI().usage(raw, service_tier=None)
        assert usage is not None
        assert (usage.output_tokens, usage.flags) == (105, ())
        assert usage.raw is not None
        assert orjson.loads(usage.raw) == raw


class TestServersToldApartByData:
    def test_groq_speaks_text_and_pictures(self) -> None:
        assert refused(SERVERS["groq"], asking(turns=(Turn(role="user", parts=(PDF,)),)))
        assert written(SERVERS["groq"], asking(turns=(PICTURE,)))
        with pytest.raises(BadRequest):
            passed(SERVERS["groq"], service_tier="flex")

    @pytest.mark.parametrize("kind", ["together", "vllm", "openai_compatible"])
    def test_servers_of_open_models_sample_by_top_k(self, kind: str) -> None:
        assert written(SERVERS[kind], asking(top_k=5))["top_k"] == asking(top_k=5).top_k

    def test_ollama_lets_the_model_choose_tools(self) -> None:
        named = asking(tools=(WEATHER,), tool_choice=ToolChoice(mode="named", name="weather"))
        assert refused(SERVERS["ollama"], named).param == "tool_choice"
        assert refused(SERVERS["ollama"], asking(top_k=5)).param == "top_k"

    def test_reasoning_goes_back_by_each_servers_name(self) -> None:
        names = {}
        for kind, server in SERVERS.items():
            said = written(server, asking(turns=(HELLO, CALLED, RESULT)))["messages"][1]
            names[kind] = set(said) - {"role", "content", "tool_calls"}
        assert names == {
            "openai_compatible": {"reasoning_content"},
            "vllm": {"reasoning_content"},
            "ollama": {"reasoning"},
            "groq": set(),
            "together": set(),
        }
