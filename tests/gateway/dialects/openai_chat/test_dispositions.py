"""Every property of OpenAI's chat request has a declared fate at every provider type, and meets it.

The properties come from the published schema (tests/data/openai/chat_request_properties.json): one that is
added there and has no entry in a provider's table, or no example here, fails.
"""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from bursar.adapters.providers import Disposition, Provider, Rule
from bursar.adapters.providers.anthropic import Anthropic
from bursar.adapters.providers.azure_openai import AzureOpenAI
from bursar.adapters.providers.deepseek import DeepSeek
from bursar.adapters.providers.gemini import Gemini
from bursar.adapters.providers.mistral import Mistral
from bursar.adapters.providers.openai import OpenAI
from bursar.adapters.providers.openai_compatible import servers
from bursar.adapters.providers.openrouter import OpenRouter
from bursar.adapters.providers.xai import XAI
from bursar.adapters.providers.zhipu import Zhipu
from bursar.core.chat import BadRequest
from bursar.gateway.dialects.openai_chat import reading
from bursar.gateway.exchange import open_exchange
from recorded import SECRET, attempt, recorded_json

PROPERTIES = recorded_json("openai/chat_request_properties.json")["properties"]
PASSING: list[Provider] = [
    OpenAI(), AzureOpenAI(), XAI(), DeepSeek(), Zhipu(), OpenRouter(), *servers()
]  # fmt: skip
TOP_LEVEL_PROPERTIES = 37
HELLO = {"role": "user", "content": "Hello"}
FUNCTION = {"name": "f", "parameters": {"type": "object", "properties": {}}}
TOOLS = [{"type": "function", "function": FUNCTION}]
CUSTOM = {"type": "custom", "custom": {"name": "c"}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
SCHEMA = {"name": "s", "schema": {"type": "object", "properties": {}, "additionalProperties": False}}
PDF = {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"}}
LOW = {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}}
MARK = {"type": "text", "text": "Hello", "prompt_cache_breakpoint": {"mode": "explicit"}}


def said(*messages: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [HELLO, *messages]}


def shown(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


EXAMPLES: dict[str, dict[str, Any]] = {
    "audio": {"audio": {"voice": "alloy", "format": "mp3"}},
    "frequency_penalty": {"frequency_penalty": 0.5},
    "function_call": {"functions": [FUNCTION], "function_call": "auto"},
    "functions": {"functions": [FUNCTION]},
    "logit_bias": {"logit_bias": {"50256": -100}},
    "logprobs": {"logprobs": True},
    "max_completion_tokens": {"max_completion_tokens": 77},
    "max_tokens": {"max_tokens": 77},
    "messages": said(),
    "messages[].audio": said({"role": "assistant", "audio": {"id": "audio_1"}}),
    "messages[].content": said(),
    "messages[].content[].file.file_data": shown(PDF),
    "messages[].content[].file.file_id": shown({"type": "file", "file": {"file_id": "file-1"}}),
    "messages[].content[].file.filename": shown(PDF),
    "messages[].content[].image_url.detail": shown(LOW),
    "messages[].content[].image_url.url": shown(LOW),
    "messages[].content[].prompt_cache_breakpoint": shown(MARK),
    "messages[].content[].type=file": shown(PDF),
    "messages[].content[].type=image_url": shown(LOW),
    "messages[].content[].type=input_audio": shown(
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}
    ),
    "messages[].content[].type=refusal": said(
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}, HELLO
    ),
    "messages[].content[].type=text": shown({"type": "text", "text": "Hello"}),
    "messages[].function_call": said(
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}
    ),
    "messages[].name": {"messages": [{**HELLO, "name": "Ann"}]},
    "messages[].refusal": said({"role": "assistant", "refusal": "No."}, HELLO),
    "messages[].role=assistant": said({"role": "assistant", "content": "Hi"}, HELLO),
    "messages[].role=developer": said({"role": "developer", "content": "Be brief."}),
    "messages[].role=function": said(
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "21"},
    ),
    "messages[].role=system": said({"role": "system", "content": "Be brief."}),
    "messages[].role=tool": said(
        {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "c1", "content": "21"}
    ),
    "messages[].role=user": said(),
    "messages[].tool_call_id": said(
        {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "c1", "content": "21"}
    ),
    "messages[].tool_calls": said({"role": "assistant", "tool_calls": [CALL]}),
    "messages[].tool_calls[].type=custom": said(
        {
            "role": "assistant",
            "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "c", "input": "x"}}],
        }
    ),
    "messages[].tool_calls[].type=function": said({"role": "assistant", "tool_calls": [CALL]}),
    "metadata": {"metadata": {"order": "7"}},
    "modalities": {"modalities": ["text", "audio"]},
    "model": {"model": "best-model"},
    "moderation": {"moderation": {"model": "omni"}},
    "n": {"n": 2},
    "parallel_tool_calls": {"tools": TOOLS, "parallel_tool_calls": False},
    "prediction": {"prediction": {"type": "content", "content": "Hello"}},
    "presence_penalty": {"presence_penalty": 0.5},
    "prompt_cache_key": {"prompt_cache_key": "k"},
    "prompt_cache_options": {"prompt_cache_options": {"mode": "explicit", "ttl": "30m"}, **shown(MARK)},
    "prompt_cache_options.mode": {"prompt_cache_options": {"mode": "explicit"}},
    "prompt_cache_options.ttl": {"prompt_cache_options": {"ttl": "30m"}, **shown(MARK)},
    "prompt_cache_retention": {"prompt_cache_retention": "24h"},
    "reasoning_effort": {"reasoning_effort": "low"},
    "response_format": {"response_format": {"type": "json_schema", "json_schema": SCHEMA}},
    "response_format.type=json_object": {"response_format": {"type": "json_object"}},
    "response_format.type=json_schema": {"response_format": {"type": "json_schema", "json_schema": SCHEMA}},
    "response_format.type=text": {"response_format": {"type": "text"}},
    "safety_identifier": {"safety_identifier": "u-1"},
    "seed": {"seed": 7},
    "service_tier": {"service_tier": "default"},
    **{f"service_tier={tier}": {"service_tier": tier} for tier in PROPERTIES["service_tier"]["values"]},
    "stop": {"stop": ["END"]},
    "store": {"store": True},
    "stream": {"stream": True},
    "stream_options": {"stream": True, "stream_options": {"include_usage": True}},
    "stream_options.include_obfuscation": {"stream": True, "stream_options": {"include_obfuscation": False}},
    "stream_options.include_usage": {"stream": True, "stream_options": {"include_usage": False}},
    "temperature": {"temperature": 0.3},
    "tool_choice": {"tools": TOOLS, "tool_choice": "required"},
    **{
        f"tool_choice={choice}": {"tools": TOOLS, "tool_choice": choice}
        for choice in ("none", "auto", "required")
    },
    "tool_choice.type=allowed_tools": {
        "tools": TOOLS,
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": TOOLS}},
    },
    "tool_choice.type=custom": {"tools": TOOLS, "tool_choice": CUSTOM},
    "tool_choice.type=function": {
        "tools": TOOLS,
        "tool_choice": {"type": "function", "function": {"name": "f"}},
    },
    "tools": {"tools": TOOLS},
    "tools[].type=custom": {"tools": [CUSTOM]},
    "tools[].type=function": {"tools": TOOLS},
    "top_logprobs": {"top_logprobs": 3},
    "top_p": {"top_p": 0.9},
    "user": {"user": "u-1"},
    "verbosity": {"verbosity": "high"},
    "web_search_options": {"web_search_options": {"search_context_size": "low"}},
}
"""For every property a request that says it."""

Look = Callable[[dict[str, Any]], Any]


def first(body: dict[str, Any]) -> dict[str, Any]:
    block = body["messages"][0]["content"][0]
    assert isinstance(block, dict)
    return block


def last(body: dict[str, Any]) -> dict[str, Any]:
    block = body["messages"][-1]["content"][-1]
    assert isinstance(block, dict)
    return block


def second(body: dict[str, Any]) -> dict[str, Any]:
    block = body["messages"][1]["content"][0]
    assert isinstance(block, dict)
    return block


TEXT = {"type": "text", "text": "Hello"}
BRIEF = [{"type": "text", "text": "Be brief."}]
TOOL = [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]
RESULT = {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "21"}]}
USE = {"type": "tool_use", "id": "c1", "name": "f", "input": {}}
FORMAT = {"type": "json_schema", "schema": SCHEMA["schema"]}
DOCUMENT = {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}
PICTURE = {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}}
CACHE = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
KEPT_BY_ANTHROPIC: dict[str, tuple[Look, Any]] = {
    "function_call": (lambda body: body["tool_choice"], {"type": "auto"}),
    "functions": (lambda body: body["tools"], TOOL),
    "max_completion_tokens": (lambda body: body["max_tokens"], 77),
    "max_tokens": (lambda body: body["max_tokens"], 77),
    "messages": (first, TEXT),
    "messages[].content": (first, TEXT),
    "messages[].content[].file.file_data": (lambda body: first(body)["source"], DOCUMENT),
    "messages[].content[].file.filename": (lambda body: first(body)["title"], "a.pdf"),
    "messages[].content[].image_url.url": (first, PICTURE),
    "messages[].content[].prompt_cache_breakpoint": (lambda body: first(body)["cache_control"], CACHE),
    "messages[].content[].type=file": (lambda body: first(body)["type"], "document"),
    "messages[].content[].type=image_url": (first, PICTURE),
    "messages[].content[].type=refusal": (lambda body: second(body)["text"], "No."),
    "messages[].content[].type=text": (first, TEXT),
    "messages[].function_call": (lambda body: last(body)["name"], "f"),
    "messages[].refusal": (lambda body: second(body)["text"], "No."),
    "messages[].role=assistant": (lambda body: body["messages"][1]["role"], "assistant"),
    "messages[].role=developer": (lambda body: body["system"], BRIEF),
    "messages[].role=function": (lambda body: last(body)["content"], RESULT["content"]),
    "messages[].role=system": (lambda body: body["system"], BRIEF),
    "messages[].role=tool": (last, RESULT),
    "messages[].role=user": (lambda body: body["messages"][0]["role"], "user"),
    "messages[].tool_call_id": (last, RESULT),
    "messages[].tool_calls": (last, USE),
    "messages[].tool_calls[].type=function": (last, USE),
    "model": (lambda body: body["model"], "claude-sonnet-4-5"),
    "parallel_tool_calls": (lambda body: body["tool_choice"]["disable_parallel_tool_use"], True),
    "prompt_cache_options": (lambda body: first(body)["cache_control"], HOUR),
    "prompt_cache_options.ttl": (lambda body: first(body)["cache_control"], HOUR),
    "reasoning_effort": (lambda body: body["thinking"], {"type": "enabled", "budget_tokens": 12_800}),
    "response_format": (lambda body: body["output_config"], {"format": FORMAT}),
    "response_format.type=json_schema": (lambda body: body["output_config"], {"format": FORMAT}),
    "response_format.type=text": (lambda body: "output_config" in body, False),
    "safety_identifier": (lambda body: body["metadata"], {"user_id": "u-1"}),
    "service_tier": (lambda body: body["service_tier"], "standard_only"),
    "service_tier=auto": (lambda body: body["service_tier"], "auto"),
    "service_tier=default": (lambda body: body["service_tier"], "standard_only"),
    "stop": (lambda body: body["stop_sequences"], ["END"]),
    "stream": (lambda body: body["stream"], True),
    "stream_options": (lambda body: "stream_options" in body, False),
    "stream_options.include_usage": (lambda body: "stream_options" in body, False),
    "temperature": (lambda body: body["temperature"], 0.3),
    "tool_choice": (lambda body: body["tool_choice"], {"type": "any"}),
    "tool_choice=none": (lambda body: body["tool_choice"], {"type": "none"}),
    "tool_choice=auto": (lambda body: body["tool_choice"], {"type": "auto"}),
    "tool_choice=required": (lambda body: body["tool_choice"], {"type": "any"}),
    "tool_choice.type=allowed_tools": (lambda body: body["tool_choice"], {"type": "auto"}),
    "tool_choice.type=function": (lambda body: body["tool_choice"], {"type": "tool", "name": "f"}),
    "tools": (lambda body: body["tools"], TOOL),
    "tools[].type=function": (lambda body: body["tools"], TOOL),
    "top_p": (lambda body: body["top_p"], 0.9),
    "user": (lambda body: body["metadata"], {"user_id": "u-1"}),
}
"""What arrives at Anthropic of every property that is forwarded or translated."""


def asked(path: str) -> dict[str, Any]:
    return {"model": "best-model", "messages": [HELLO], **EXAMPLES[path]}


def sent(provider: Provider, request: dict[str, Any]) -> dict[str, Any]:
    call = reading.read(orjson.dumps(request))
    body = orjson.loads(open_exchange(call, provider, attempt().deployment, SECRET, None).body)
    assert isinstance(body, dict)
    return body


def rules(provider: Provider, *dispositions: Disposition) -> list[str]:
    return sorted(
        path
        for path in PROPERTIES
        if provider.dispositions.get(path, Rule(Disposition.IGNORED)).disposition in dispositions
    )


class TestTables:
    def test_the_schema_is_the_one_that_was_read(self) -> None:
        top_level = [path for path in PROPERTIES if not set(path) & set(".=[")]
        assert len(top_level) == TOP_LEVEL_PROPERTIES

    @pytest.mark.parametrize(
        "provider", [*PASSING, Anthropic(), Gemini(), Mistral()], ids=lambda provider: provider.kind
    )
    def test_every_property_has_a_disposition_and_an_example(self, provider: Provider) -> None:
        assert sorted(set(PROPERTIES) - set(provider.dispositions)) == []
        assert sorted(set(PROPERTIES) - set(EXAMPLES)) == []

    def test_nothing_is_ignored_or_refused_without_a_reason(self) -> None:
        bare = [
            (provider.kind, path)
            for provider in (*PASSING, Anthropic(), Gemini(), Mistral())
            for path, rule in provider.dispositions.items()
            if rule.disposition is not Disposition.FORWARDED and not rule.why
        ]
        assert bare == []

    def test_a_new_property_would_be_missed(self) -> None:
        grown = {*PROPERTIES, "temperament"}
        assert sorted(grown - set(Anthropic().dispositions)) == ["temperament"]


class TestPassThrough:
    @pytest.mark.parametrize("provider", PASSING, ids=lambda provider: provider.kind)
    @pytest.mark.parametrize("path", sorted(PROPERTIES))
    def test_forwards_all_but_what_it_must_edit(self, provider: Provider, path: str) -> None:
        request = asked(path)
        if provider.dispositions[path].disposition is Disposition.REFUSED:
            with pytest.raises(BadRequest) as refused:
                sent(provider, request)
            told = (refused.value.code, refused.value.param)
            assert told == ("unsupported_parameter", path.partition("=")[0])
            return
        expected = {**request, "model": "claude-sonnet-4-5"}
        if request.get("stream"):
            expected["stream_options"] = {**request.get("stream_options", {}), "include_usage": True}
        assert sent(provider, request) == expected

    @pytest.mark.parametrize("provider", PASSING, ids=lambda provider: provider.kind)
    def test_unknown_fields_pass(self, provider: Provider) -> None:
        request = {**asked("messages"), "top_k": 5, "chat_template_kwargs": {"thinking": True}}
        assert sent(provider, request) == {**request, "model": "claude-sonnet-4-5"}


class TestAnthropic:
    @pytest.mark.parametrize("path", rules(Anthropic(), Disposition.FORWARDED, Disposition.TRANSLATED))
    def test_is_given(self, path: str) -> None:
        look, expected = KEPT_BY_ANTHROPIC[path]
        assert look(sent(Anthropic(), asked(path))) == expected

    @pytest.mark.parametrize("path", rules(Anthropic(), Disposition.REFUSED))
    def test_is_refused_by_name(self, path: str) -> None:
        with pytest.raises(BadRequest) as refused:
            sent(Anthropic(), asked(path))
        assert (refused.value.status, refused.value.code) == (422, "unsupported_parameter")
        assert refused.value.param is not None
        named = path.split("=", maxsplit=1)[0].replace("[]", "[0]").split(".")[-1].split("[")[0]
        assert named in refused.value.param
        assert refused.value.param in refused.value.message

    @pytest.mark.parametrize("path", rules(Anthropic(), Disposition.IGNORED))
    def test_is_left_out_without_a_trace(self, path: str) -> None:
        request = asked(path)
        property_name = path.split(".", maxsplit=1)[0].split("[", maxsplit=1)[0]
        if property_name == "messages":
            without = orjson.loads(orjson.dumps(request).replace(b',"detail":"low"', b""))
        else:
            without = {name: value for name, value in request.items() if name != property_name}
        assert without != request
        assert sent(Anthropic(), request) == sent(Anthropic(), without)

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (path, value)
            for path, rule in Anthropic().dispositions.items()
            if rule.disposition is Disposition.REFUSED
            for value in rule.neutral
        ],
    )
    def test_a_value_that_asks_for_nothing_is_accepted(self, path: str, value: Any) -> None:
        request = asked("messages")
        assert sent(Anthropic(), {**request, path: value}) == sent(Anthropic(), request)

    @pytest.mark.parametrize("unknown", ["top_k", "chat_template_kwargs", "thinking"])
    def test_unknown_fields_are_refused_by_name(self, unknown: str) -> None:
        with pytest.raises(BadRequest) as refused:
            sent(Anthropic(), {**asked("messages"), unknown: {"a": 1}})
        assert (refused.value.code, refused.value.param) == ("unsupported_parameter", unknown)
