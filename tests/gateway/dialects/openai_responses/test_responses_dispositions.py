"""Every property of a request for a response has a declared fate at every provider type, and meets it.

The properties come from the published schema (tests/data/openai/responses_request_properties.json): one that
is added there and has no entry in a table, or no example here, fails.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pytest

from bursar.adapters.providers import Disposition, Provider, Rule
from bursar.adapters.providers.anthropic import Anthropic
from bursar.adapters.providers.openai import OpenAI
from bursar.adapters.providers.openai_compatible import OpenAICompatible
from bursar.adapters.providers.openai_responses.dispositions import DISPOSITION as AT_OPENAI
from bursar.core.chat import BadRequest
from bursar.gateway.dialects.openai_responses import reading
from bursar.gateway.dialects.openai_responses.dispositions import DISPOSITION as ELSEWHERE
from bursar.gateway.exchange import open_exchange
from recorded import SECRET, attempt, recorded_json

PROPERTIES = recorded_json("openai/responses_request_properties.json")["properties"]
TRANSLATING: list[Provider] = [Anthropic(), OpenAICompatible()]
TOP_LEVEL_PROPERTIES = 31
TABLES = {"openai": AT_OPENAI, "others": ELSEWHERE}
HELLO = {"role": "user", "content": "Hello"}
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "21"}
SCHEMA = {"type": "object", "properties": {}, "additionalProperties": False}
PDF = {"type": "input_file", "file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"}
IMAGE = {"type": "input_image", "image_url": "https://x.example/a.png", "detail": "low"}
SAID = {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed", "phase": "final_answer"}
THOUGHT = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "Hm."}],
    "encrypted_content": "bursar.signed.sig",
}
HOSTED = (
    "code_interpreter", "computer", "computer_use_preview", "file_search", "image_generation", "mcp",
    "programmatic_tool_calling", "tool_search", "web_search", "web_search_2025_08_26", "web_search_preview",
    "web_search_preview_2025_03_11", "apply_patch", "local_shell",
)  # fmt: skip


def said(*items: dict[str, Any]) -> dict[str, Any]:
    return {"input": [HELLO, *items]}


def shown(*parts: dict[str, Any], role: str = "user") -> dict[str, Any]:
    return {"input": [{"role": role, "content": list(parts)}, HELLO]}


def tool(**changed: Any) -> dict[str, Any]:
    return {"tools": [{**FUNCTION, **changed}]}


def result(*parts: dict[str, Any]) -> dict[str, Any]:
    return said(CALL, {**RESULT, "output": list(parts)})


OUTPUT_TEXT = {"type": "output_text", "text": "Hi", "annotations": [{"type": "x"}], "logprobs": [{"a": 1}]}
EXAMPLES: dict[str, dict[str, Any]] = {
    "background": {"background": True},
    "context_management": {"context_management": [{"type": "compaction", "compact_threshold": 2000}]},
    "conversation": {"conversation": "conv_1"},
    "include": {"include": ["reasoning.encrypted_content"]},
    "input": {"input": "Hello"},
    "input[].arguments": said(CALL, RESULT),
    "input[].call_id": said(CALL, RESULT),
    "input[].caller": said({**CALL, "caller": {"type": "direct"}}, RESULT),
    "input[].content": said(),
    "input[].content[].annotations": shown(OUTPUT_TEXT, role="assistant"),
    "input[].content[].detail": shown(IMAGE),
    "input[].content[].file_data": shown(PDF),
    "input[].content[].file_id": shown({"type": "input_file", "file_id": "file-1"}),
    "input[].content[].file_url": shown({"type": "input_file", "file_url": "https://x.example/a.pdf"}),
    "input[].content[].filename": shown(PDF),
    "input[].content[].image_url": shown(IMAGE),
    "input[].content[].logprobs": shown(OUTPUT_TEXT, role="assistant"),
    "input[].content[].prompt_cache_breakpoint": shown(
        {"type": "input_text", "text": "Hello", "prompt_cache_breakpoint": {"mode": "explicit"}}
    ),
    "input[].content[].refusal": shown({"type": "refusal", "refusal": "No."}, role="assistant"),
    "input[].content[].text": shown({"type": "input_text", "text": "Hello"}),
    "input[].content[].type=input_file": shown(PDF),
    "input[].content[].type=input_image": shown(IMAGE),
    "input[].content[].type=input_text": shown({"type": "input_text", "text": "Hello"}),
    "input[].content[].type=output_text": shown(OUTPUT_TEXT, role="assistant"),
    "input[].content[].type=refusal": shown({"type": "refusal", "refusal": "No."}, role="assistant"),
    "input[].encrypted_content": said(THOUGHT, CALL, RESULT),
    "input[].id": said({**SAID, "content": "Hi"}, HELLO),
    "input[].name": said(CALL, RESULT),
    "input[].namespace": said({**CALL, "namespace": "n"}, RESULT),
    "input[].output": said(CALL, RESULT),
    "input[].output[].type=input_file": result(PDF),
    "input[].output[].type=input_image": result({"type": "input_image", "image_url": IMAGE["image_url"]}),
    "input[].output[].type=input_text": result({"type": "input_text", "text": "21"}),
    "input[].phase": said({**SAID, "content": "Hi"}, HELLO),
    **{f"input[].role={role}": said({"role": role, "content": "Be brief."}, HELLO)
       for role in ("assistant", "developer", "system", "user")},
    "input[].status": said({**SAID, "content": "Hi"}, HELLO),
    "input[].summary": said(THOUGHT, CALL, RESULT),
    **{path: said({"type": path.partition("=")[2], "id": "x_1"}, HELLO)
       for path in PROPERTIES if path.startswith("input[].type=")},
    "input[].type=function_call": said(CALL, RESULT),
    "input[].type=function_call_output": said(CALL, RESULT),
    "input[].type=message": said({**SAID, "content": "Hi"}, HELLO),
    "input[].type=reasoning": said(THOUGHT, CALL, RESULT),
    "instructions": {"instructions": "Be brief."},
    "max_output_tokens": {"max_output_tokens": 77},
    "max_tool_calls": {"max_tool_calls": 3},
    "metadata": {"metadata": {"order": "7"}},
    "model": {"model": "best-model"},
    "moderation": {"moderation": {"model": "omni"}},
    "parallel_tool_calls": {**tool(), "parallel_tool_calls": False},
    "previous_response_id": {"previous_response_id": "resp_1"},
    "prompt": {"prompt": {"id": "pmpt_1"}},
    "prompt_cache_key": {"prompt_cache_key": "k"},
    "prompt_cache_options": {"prompt_cache_options": {"mode": "explicit", "ttl": "12h"}},
    "prompt_cache_options.mode": {"prompt_cache_options": {"mode": "explicit"}},
    "prompt_cache_options.ttl": {"prompt_cache_options": {"ttl": "12h"}},
    "prompt_cache_retention": {"prompt_cache_retention": "24h"},
    "reasoning": {"reasoning": {"effort": "low"}},
    "reasoning.context": {"reasoning": {"context": "all_turns"}},
    "reasoning.effort": {"reasoning": {"effort": "low"}},
    "reasoning.generate_summary": {"reasoning": {"generate_summary": "auto"}},
    "reasoning.mode": {"reasoning": {"mode": "pro"}},
    "reasoning.summary": {"reasoning": {"summary": "auto"}},
    "safety_identifier": {"safety_identifier": "u-1"},
    "service_tier": {"service_tier": "default"},
    **{f"service_tier={tier}": {"service_tier": tier} for tier in PROPERTIES["service_tier"]["values"]},
    "store": {"store": True},
    "stream": {"stream": True},
    "stream_options": {"stream": True, "stream_options": {"include_obfuscation": False}},
    "stream_options.include_obfuscation": {"stream": True, "stream_options": {"include_obfuscation": False}},
    "temperature": {"temperature": 0.3},
    "text": {"text": {"format": {"type": "json_schema", "name": "s", "schema": SCHEMA}}},
    "text.format": {"text": {"format": {"type": "json_schema", "name": "s", "schema": SCHEMA}}},
    "text.format.type=json_object": {"text": {"format": {"type": "json_object"}}},
    "text.format.type=json_schema": {
        "text": {"format": {"type": "json_schema", "name": "s", "schema": SCHEMA}}
    },
    "text.format.type=text": {"text": {"format": {"type": "text"}}},
    "text.verbosity": {"text": {"verbosity": "high"}},
    "tool_choice": {**tool(), "tool_choice": "required"},
    **{f"tool_choice={choice}": {**tool(), "tool_choice": choice} for choice in ("none", "auto", "required")},
    **{path: {**tool(), "tool_choice": {"type": path.partition("=")[2], "name": "f"}}
       for path in PROPERTIES if path.startswith("tool_choice.type=")},
    "tool_choice.type=allowed_tools": {
        **tool(),
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [FUNCTION]},
    },
    "tools": tool(),
    "tools[].allowed_callers": tool(allowed_callers=["direct"]),
    "tools[].defer_loading": tool(defer_loading=True),
    "tools[].description": tool(description="It f's."),
    "tools[].name": tool(),
    "tools[].output_schema": tool(output_schema=SCHEMA),
    "tools[].parameters": tool(),
    "tools[].strict": tool(strict=True, parameters=SCHEMA),
    **{f"tools[].type={kind}": {"tools": [{"type": kind, "name": "t"}]} for kind in HOSTED},
    "tools[].type=custom": {"tools": [{"type": "custom", "name": "c"}]},
    "tools[].type=function": tool(),
    "tools[].type=namespace": {"tools": [{"type": "namespace", "name": "n", "tools": [FUNCTION]}]},
    "tools[].type=shell": {"tools": [{"type": "shell", "environment": {"type": "local"}}]},
    "top_logprobs": {"top_logprobs": 3},
    "top_p": {"top_p": 0.9},
    "truncation": {"truncation": "auto"},
    "truncation=auto": {"truncation": "auto"},
    "truncation=disabled": {"truncation": "disabled"},
    "user": {"user": "u-1"},
    **{path: {"include": [path.partition("=")[2]]} for path in PROPERTIES if path.startswith("include[]=")},
}  # fmt: skip
"""For every property a request that says it."""

Look = Callable[[dict[str, Any]], Any]


def first(body: dict[str, Any]) -> dict[str, Any]:
    block = body["messages"][0]["content"][0]
    assert isinstance(block, dict)
    return block


def reply(body: dict[str, Any]) -> Any:
    return body["messages"][1]["content"]


TEXT = {"type": "text", "text": "Hello"}
USE = {"type": "tool_use", "id": "c1", "name": "f", "input": {}}
GIVEN = {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "21"}]}
BRIEF = [{"type": "text", "text": "Be brief."}]
TOOL = [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]
FORMAT = {"format": {"type": "json_schema", "schema": SCHEMA}}
PICTURE = {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}}
DOCUMENT = {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}
THINKING = {"type": "thinking", "thinking": "Hm.", "signature": "sig"}
KEPT_BY_ANTHROPIC: dict[str, tuple[Look, Any]] = {
    "include": (lambda body: "include" in body, False),
    "include[]=reasoning.encrypted_content": (lambda body: "include" in body, False),
    "input": (first, TEXT),
    "input[].arguments": (lambda body: reply(body)[0], USE),
    "input[].call_id": (lambda body: body["messages"][2]["content"][0], GIVEN),
    "input[].content": (first, TEXT),
    "input[].content[].file_data": (lambda body: first(body)["source"], DOCUMENT),
    "input[].content[].filename": (lambda body: first(body)["title"], "a.pdf"),
    "input[].content[].image_url": (first, PICTURE),
    "input[].content[].prompt_cache_breakpoint": (
        lambda body: first(body)["cache_control"],
        {"type": "ephemeral"},
    ),
    "input[].content[].refusal": (lambda body: first(body)["text"], "No."),
    "input[].content[].text": (first, TEXT),
    "input[].content[].type=input_file": (lambda body: first(body)["type"], "document"),
    "input[].content[].type=input_image": (first, PICTURE),
    "input[].content[].type=input_text": (first, TEXT),
    "input[].content[].type=output_text": (lambda body: first(body)["text"], "Hi"),
    "input[].content[].type=refusal": (lambda body: first(body)["text"], "No."),
    "input[].encrypted_content": (lambda body: reply(body)[0], THINKING),
    "input[].name": (lambda body: reply(body)[0]["name"], "f"),
    "input[].output": (lambda body: body["messages"][2]["content"][0], GIVEN),
    "input[].output[].type=input_image": (
        lambda body: body["messages"][2]["content"][0]["content"],
        [PICTURE],
    ),
    "input[].output[].type=input_text": (lambda body: body["messages"][2]["content"][0], GIVEN),
    "input[].role=assistant": (lambda body: body["messages"][1]["role"], "assistant"),
    "input[].role=developer": (lambda body: body["system"], BRIEF),
    "input[].role=system": (lambda body: body["system"], BRIEF),
    "input[].role=user": (lambda body: body["messages"][0]["role"], "user"),
    "input[].summary": (lambda body: reply(body)[0]["thinking"], "Hm."),
    "input[].type=function_call": (lambda body: reply(body)[0], USE),
    "input[].type=function_call_output": (lambda body: body["messages"][2]["content"][0], GIVEN),
    "input[].type=message": (lambda body: reply(body)[0]["text"], "Hi"),
    "input[].type=reasoning": (lambda body: reply(body)[0], THINKING),
    "instructions": (lambda body: body["system"], BRIEF),
    "max_output_tokens": (lambda body: body["max_tokens"], 77),
    "metadata": (lambda body: "metadata" in body, False),
    "model": (lambda body: body["model"], "claude-sonnet-4-5"),
    "parallel_tool_calls": (lambda body: body["tool_choice"]["disable_parallel_tool_use"], True),
    "previous_response_id": (lambda body: "previous_response_id" in body, False),
    "prompt_cache_options": (lambda body: "prompt_cache_options" in body, False),
    "prompt_cache_options.ttl": (lambda body: "prompt_cache_options" in body, False),
    "reasoning": (lambda body: body["thinking"]["type"], "enabled"),
    "reasoning.effort": (lambda body: body["thinking"]["type"], "enabled"),
    "safety_identifier": (lambda body: body["metadata"], {"user_id": "u-1"}),
    "service_tier": (lambda body: body["service_tier"], "standard_only"),
    "service_tier=auto": (lambda body: body["service_tier"], "auto"),
    "service_tier=default": (lambda body: body["service_tier"], "standard_only"),
    "store": (lambda body: "store" in body, False),
    "stream": (lambda body: body["stream"], True),
    "stream_options": (lambda body: "stream_options" in body, False),
    "temperature": (lambda body: body["temperature"], 0.3),
    "text": (lambda body: body["output_config"], FORMAT),
    "text.format": (lambda body: body["output_config"], FORMAT),
    "text.format.type=json_schema": (lambda body: body["output_config"], FORMAT),
    "text.format.type=text": (lambda body: "output_config" in body, False),
    "tool_choice": (lambda body: body["tool_choice"], {"type": "any"}),
    "tool_choice.type=allowed_tools": (lambda body: body["tool_choice"], {"type": "auto"}),
    "tool_choice.type=function": (lambda body: body["tool_choice"], {"type": "tool", "name": "f"}),
    "tool_choice=auto": (lambda body: body["tool_choice"], {"type": "auto"}),
    "tool_choice=none": (lambda body: body["tool_choice"], {"type": "none"}),
    "tool_choice=required": (lambda body: body["tool_choice"], {"type": "any"}),
    "tools": (lambda body: body["tools"], TOOL),
    "tools[].description": (lambda body: body["tools"][0]["description"], "It f's."),
    "tools[].name": (lambda body: body["tools"][0]["name"], "f"),
    "tools[].parameters": (lambda body: body["tools"], TOOL),
    "tools[].strict": (lambda body: body["tools"][0]["strict"], True),
    "tools[].type=function": (lambda body: body["tools"], TOOL),
    "top_p": (lambda body: body["top_p"], 0.9),
    "truncation=disabled": (lambda body: "truncation" in body, False),
    "user": (lambda body: body["metadata"], {"user_id": "u-1"}),
}
"""What arrives at Anthropic of every property that is translated."""
REFUSED_BY_ANTHROPIC = {"text.format.type=json_object"}
"""What the canonical form can say and that provider cannot do."""


def asked(path: str) -> dict[str, Any]:
    return {"model": "best-model", **said(), **EXAMPLES[path]}


def sent(provider: Provider, request: dict[str, Any]) -> dict[str, Any]:
    call = reading.read(orjson.dumps(request))
    body = orjson.loads(open_exchange(call, provider, attempt().deployment, SECRET, None).body)
    assert isinstance(body, dict)
    return body


def rule_of(table: Mapping[str, Rule], path: str) -> Rule | None:
    return table.get(path) or table.get(path.partition("=")[0])


def paths(table: Mapping[str, Rule], *dispositions: Disposition) -> list[str]:
    return sorted(
        path for path in PROPERTIES if (rule := rule_of(table, path)) and rule.disposition in dispositions
    )


def is_refused(table: Mapping[str, Rule], path: str) -> bool:
    rule = rule_of(table, path)
    return rule is not None and rule.disposition is Disposition.REFUSED


class TestTables:
    def test_the_schema_is_the_one_that_was_read(self) -> None:
        top_level = [path for path in PROPERTIES if not set(path) & set(".=[")]
        assert len(top_level) == TOP_LEVEL_PROPERTIES

    @pytest.mark.parametrize("name", TABLES)
    def test_say_what_becomes_of_every_property(self, name: str) -> None:
        assert [path for path in PROPERTIES if rule_of(TABLES[name], path) is None] == []

    def test_every_property_has_an_example(self) -> None:
        assert sorted(set(PROPERTIES) - set(EXAMPLES)) == []

    def test_nothing_is_ignored_or_refused_without_a_reason(self) -> None:
        bare = [
            (name, path)
            for name, table in TABLES.items()
            for path, rule in table.items()
            if rule.disposition is not Disposition.FORWARDED and not rule.why
        ]
        assert bare == []


class TestOpenAI:
    @pytest.mark.parametrize("path", sorted(path for path in PROPERTIES if not is_refused(AT_OPENAI, path)))
    def test_gets_all_but_what_must_be_edited(self, path: str) -> None:
        request = asked(path)
        expected = {**request, "model": "claude-sonnet-4-5", "store": False}
        expected.pop("previous_response_id", None)
        if isinstance(request["input"], list):  # signed by somebody else: OpenAI could not read it
            expected["input"] = [item for item in request["input"] if item is not THOUGHT]
        assert sent(OpenAI(), request) == expected

    @pytest.mark.parametrize("path", paths(AT_OPENAI, Disposition.REFUSED))
    def test_is_not_asked_for_what_costs_more_than_is_told(self, path: str) -> None:
        assert_refused(OpenAI(), path)

    def test_gets_unknown_fields_and_items(self) -> None:
        request = {**asked("input"), "input": [HELLO, {"type": "brand_new", "x": 1}], "brand_new": {"a": 1}}
        assert sent(OpenAI(), request) == {**request, "model": "claude-sonnet-4-5", "store": False}

    @pytest.mark.parametrize(
        ("tool", "param"),
        [
            ({"type": "brand_new"}, "tools[0].type"),
            ({"type": "shell"}, "tools[0].environment.type"),
            ({"type": "shell", "environment": {"type": "container_auto"}}, "tools[0].environment.type"),
            ({"type": "namespace", "tools": [FUNCTION, {"type": "web_search"}]}, "tools[0].tools[1].type"),
        ],
    )
    def test_runs_no_tools_that_may_be_billed_per_call(self, tool: dict[str, Any], param: str) -> None:
        with pytest.raises(BadRequest) as refused:
            sent(OpenAI(), {**asked("input"), "tools": [tool]})
        assert (refused.value.code, refused.value.param) == ("unsupported_parameter", param)

    def test_is_given_the_lower_bound(self) -> None:
        call = reading.read(orjson.dumps(asked("max_output_tokens")))
        for bound, expected in ((None, 77), (50, 50), (100, 77)):
            exchange = open_exchange(call, OpenAI(), attempt().deployment, SECRET, bound)
            assert orjson.loads(exchange.body)["max_output_tokens"] == expected


class TestOthers:
    @pytest.mark.parametrize(
        "path",
        sorted(set(paths(ELSEWHERE, Disposition.TRANSLATED, Disposition.FORWARDED)) - REFUSED_BY_ANTHROPIC),
    )
    def test_are_given(self, path: str) -> None:
        look, expected = KEPT_BY_ANTHROPIC[path]
        assert look(sent(Anthropic(), asked(path))) == expected

    @pytest.mark.parametrize("path", paths(ELSEWHERE, Disposition.TRANSLATED, Disposition.FORWARDED))
    def test_of_openais_chat_dialect_take_it_or_refuse_by_name(self, path: str) -> None:
        told = refusal_of(OpenAICompatible(), path)
        assert told is None or (told.code == "unsupported_parameter" and told.param)

    @pytest.mark.parametrize("path", sorted({*paths(ELSEWHERE, Disposition.REFUSED), *REFUSED_BY_ANTHROPIC}))
    def test_refuse_by_name(self, path: str) -> None:
        assert_refused(Anthropic(), path)

    @pytest.mark.parametrize("path", paths(ELSEWHERE, Disposition.IGNORED))
    def test_are_not_told_what_changes_nothing(self, path: str) -> None:
        request = asked(path)
        assert sent(Anthropic(), request) == sent(Anthropic(), without(path, request))

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (path, value)
            for path, rule in ELSEWHERE.items()
            if rule.disposition is Disposition.REFUSED
            for value in rule.neutral
        ],
    )
    def test_take_a_value_that_asks_for_nothing(self, path: str, value: Any) -> None:
        request = with_value(asked("input"), path, value)
        plain = asked("tools") if path.startswith("tools") else asked("input")
        assert sent(Anthropic(), request) == sent(Anthropic(), plain)

    @pytest.mark.parametrize("provider", TRANSLATING, ids=lambda provider: provider.kind)
    @pytest.mark.parametrize("unknown", ["top_k", "chat_template_kwargs", "thinking"])
    def test_refuse_unknown_fields_by_name(self, provider: Provider, unknown: str) -> None:
        with pytest.raises(BadRequest) as refused:
            sent(provider, {**asked("input"), unknown: {"a": 1}})
        assert (refused.value.code, refused.value.param) == ("unsupported_parameter", unknown)


def refusal_of(provider: Provider, path: str) -> BadRequest | None:
    try:
        sent(provider, asked(path))
    except BadRequest as refused:
        return refused
    return None


def assert_refused(provider: Provider, path: str) -> None:
    with pytest.raises(BadRequest) as refused:
        sent(provider, asked(path))
    assert (refused.value.status, refused.value.code) == (422, "unsupported_parameter")
    assert refused.value.param is not None
    named = path.partition("=")[0].removesuffix("[]").split(".")[-1].split("[")[0]
    assert named in refused.value.param
    assert refused.value.param in refused.value.message


def without(path: str, request: dict[str, Any]) -> dict[str, Any]:
    """The same request without this one thing said."""
    name, _, inner = path.partition(".")
    stripped: dict[str, Any]
    if path.startswith("input[]"):
        last = path.rsplit(".", maxsplit=1)[-1].removeprefix("input[]")
        stripped = orjson.loads(orjson.dumps(request))
        for item in stripped["input"]:
            for place in (item, *(part for part in item["content"] if isinstance(part, dict))):
                place.pop(last, None)
    elif path.startswith("tools[]"):
        stripped = {**request, "tools": [FUNCTION]}
    elif inner:
        rest = {key: value for key, value in request[name].items() if key != inner}
        stripped = {**request, name: rest}
    else:
        stripped = {key: value for key, value in request.items() if key != name}
    return stripped


def with_value(request: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    if path.startswith("tools[]"):
        return {**request, **tool(**{path.removeprefix("tools[]."): value})}
    name, _, inner = path.partition(".")
    return {**request, name: {inner: value} if inner else value}
