"""Anthropic's request in the canonical form, and what is refused by the caller's own name for it."""

import base64
from typing import Any

import orjson
import pytest

from bursar.core.chat import (
    BadRequest,
    ChatRequest,
    File,
    Image,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from bursar.gateway.dialects.anthropic_messages import reading
from bursar.gateway.dialects.anthropic_messages.canonical import FAILED, canonical

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
TOOL: dict[str, Any] = {"name": "f", "input_schema": {"type": "object"}}
PICTURE: dict[str, Any] = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": "aGk="},
}


def asked(**properties: Any) -> ChatRequest:
    body = {"model": "m", "max_tokens": 9, "messages": HELLO, **properties}
    return canonical(reading.read(orjson.dumps(body)).raw)


def parts(*blocks: Any, role: str = "user") -> tuple[Any, ...]:
    """The canonical parts of a message with these blocks."""
    return asked(messages=[{"role": role, "content": list(blocks)}, *HELLO]).turns[0].parts


def refused(**properties: Any) -> BadRequest:
    with pytest.raises(BadRequest) as error:
        asked(**properties)
    return error.value


def refused_block(block: dict[str, Any]) -> BadRequest:
    return refused(messages=[{"role": "user", "content": [block]}])


class TestSettings:
    def test_keep_what_the_caller_wrote(self) -> None:
        request = asked(
            max_tokens=77,
            temperature=0.5,
            top_p=0.9,
            top_k=40,
            stop_sequences=["a", "b"],
            metadata={"user_id": "u-1"},
            service_tier="standard_only",
        )
        assert (request.max_tokens, request.temperature, request.top_p) == (77, 0.5, 0.9)
        assert (request.top_k, request.stop, request.end_user) == (40, ("a", "b"), "u-1")
        assert request.service_tier == "default"

    def test_say_nothing_the_caller_did_not(self) -> None:
        request = asked()
        assert (request.temperature, request.effort, request.thinking_tokens) == (None, None, None)
        assert (request.tools, request.tool_choice, request.parallel_tools) == ((), None, None)
        assert (request.cache_minutes, request.json_schema, request.service_tier) == (None, None, None)

    @pytest.mark.parametrize(
        ("thinking", "tokens"),
        [
            ({"type": "enabled", "budget_tokens": 2048}, 2048),
            ({"type": "disabled"}, 0),
            ({"type": "adaptive", "display": "summarized"}, None),
        ],
    )
    def test_thinking_is_a_budget_none_or_the_models_own(
        self, thinking: dict[str, Any], tokens: int | None
    ) -> None:
        assert asked(thinking=thinking).thinking_tokens == tokens

    def test_effort_and_schema_come_from_the_output_config(self) -> None:
        schema = {"type": "object", "properties": {}}
        config = {"effort": "xhigh", "format": {"type": "json_schema", "schema": schema}}
        request = asked(output_config=config)
        assert (request.effort, request.json_schema) == ("xhigh", schema)

    def test_are_named_as_the_caller_names_them(self) -> None:
        request = asked()
        assert request.named("stop") == "stop_sequences"
        assert request.named("thinking_tokens") == "thinking.budget_tokens"
        assert request.named("json_schema") == "output_config.format"
        assert request.named("top_k") == "top_k"

    @pytest.mark.parametrize(
        ("properties", "param"),
        [
            ({"thinking": {"type": "between_tools"}}, "thinking.type"),
            ({"thinking": {"type": "enabled", "budget_tokens": 9, "x": 1}}, "thinking.x"),
            ({"output_config": {"verbosity": "low"}}, "output_config.verbosity"),
            (
                {"output_config": {"effort": "low"}, "thinking": {"type": "disabled"}},
                "output_config.effort",
            ),
            ({"metadata": {"user_id": "u", "team": "t"}}, "metadata.team"),
            ({"speed": "fast"}, "speed"),
            ({"inference_geo": "us"}, "inference_geo"),
            ({"container": "c"}, "container"),
            ({"mcp_servers": [{"url": "x"}]}, "mcp_servers"),
            ({"context_management": {"edits": [1]}}, "context_management"),
            ({"diagnostics": {"previous_message_id": None}}, "diagnostics"),
            ({"of_tomorrow": 1}, "of_tomorrow"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_that_cannot_be_said_are_refused_by_name(self, properties: dict[str, Any], param: str) -> None:
        error = refused(**properties)
        assert (error.code, error.param, error.status) == ("unsupported_parameter", param, 422)

    @pytest.mark.parametrize(
        "properties",
        [
            {"speed": "standard"}, {"speed": None}, {"mcp_servers": []}, {"container": None},
            {"inference_geo": "global"}, {"context_management": {}}, {"of_tomorrow": False},
        ],
    )  # fmt: skip
    def test_that_ask_for_nothing_are_let_pass(self, properties: dict[str, Any]) -> None:
        assert asked(**properties) == asked()

    @pytest.mark.parametrize(
        ("properties", "param"),
        [
            ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
            ({"thinking": {"type": "enabled", "budget_tokens": True}}, "thinking.budget_tokens"),
            ({"output_config": {"effort": "huge"}}, "output_config.effort"),
            ({"output_config": {"format": {"type": "text"}}}, "output_config.format.type"),
            ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
            ({"service_tier": "gold"}, "service_tier"),
            ({"tool_choice": {}}, "tool_choice.type"),
            ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
            ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
            (
                {"tool_choice": {"type": "auto", "disable_parallel_tool_use": 1}},
                "tool_choice.disable_parallel_tool_use",
            ),
            ({"system": [PICTURE]}, "system"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_that_make_no_sense_are_named_too(self, properties: dict[str, Any], param: str) -> None:
        error = refused(**properties)
        assert (error.code, error.param) == ("invalid_type", param)


class TestTurns:
    def test_the_system_prompt_is_the_first(self) -> None:
        request = asked(system=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])
        assert [turn.role for turn in request.turns] == ["system", "user"]
        assert request.turns[0].parts == (Text(text="a"), Text(text="b"))
        assert asked(system="a").turns[0].parts == (Text(text="a"),)

    def test_keep_roles_order_and_places(self) -> None:
        talk = [
            *HELLO,
            {"role": "assistant", "content": "Hi"},
            {"role": "system", "content": "Now be brief."},
            *HELLO,
        ]
        turns = asked(messages=talk).turns
        assert [turn.role for turn in turns] == ["user", "assistant", "system", "user"]
        assert [turn.place for turn in turns] == [f"messages.{n}" for n in range(4)]

    def test_an_answer_that_was_begun_is_refused(self) -> None:
        error = refused(messages=[*HELLO, {"role": "assistant", "content": "Once upon"}])
        assert (error.code, error.param) == ("unsupported_parameter", "messages.1.role")

    def test_unknown_properties_of_messages_are_refused(self) -> None:
        assert refused(messages=[{"role": "user", "content": "x", "name": "n"}]).param == "messages.0.name"


class TestBlocks:
    def test_words_pictures_thoughts_and_calls(self) -> None:
        assert parts({"type": "text", "text": "x", "citations": None}) == (Text(text="x"),)
        assert parts(PICTURE) == (Image(media_type="image/png", data="aGk="),)
        link = {"type": "image", "source": {"type": "url", "url": "https://x.example/y.png"}}
        assert parts(link) == (Image(url="https://x.example/y.png"),)
        thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
        assert parts(thought, role="assistant") == (Thinking(text="hm", signature="s"),)
        redacted = {"type": "redacted_thinking", "data": "r"}
        assert parts(redacted, role="assistant") == (Thinking(redacted="r"),)
        call = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": [1]}, "caller": {"type": "direct"}}
        assert parts(call, role="assistant") == (ToolCall(id="t", name="f", arguments='{"a":[1]}'),)

    def test_documents_in_the_request(self) -> None:
        source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}
        document = {"type": "document", "source": source, "title": "T", "context": "C"}
        assert parts(document) == (
            Text(text="C"),
            File(media_type="application/pdf", data="JVBERg==", name="T"),
        )
        plain = {"type": "text", "media_type": "text/plain", "data": "héllo"}
        [file] = parts({"type": "document", "source": plain, "citations": {"enabled": False}})
        assert (file.media_type, base64.b64decode(file.data).decode()) == ("text/plain", "héllo")
        made = {"type": "content", "content": [{"type": "text", "text": "x"}, PICTURE]}
        document = {"type": "document", "source": made, "cache_control": {"type": "ephemeral"}}
        assert parts(document) == (
            Text(text="x"),
            Image(media_type="image/png", data="aGk=", cache=True),
        )

    def test_results_of_tools(self) -> None:
        result = {
            "type": "tool_result",
            "tool_use_id": "t",
            "content": [{"type": "text", "text": "x"}, PICTURE],
        }
        image = Image(media_type="image/png", data="aGk=")
        assert parts(result) == (ToolResult(call_id="t", parts=(Text(text="x"), image)),)
        assert parts({**result, "content": "x"}) == (ToolResult(call_id="t", parts=(Text(text="x"),)),)
        assert parts({"type": "tool_result", "tool_use_id": "t"}) == (ToolResult(call_id="t", parts=()),)

    def test_a_failed_tool_is_told_in_words(self) -> None:
        result = {"type": "tool_result", "tool_use_id": "t", "content": "no", "is_error": True}
        assert parts(result) == (ToolResult(call_id="t", parts=(Text(text=FAILED), Text(text="no"))),)

    @pytest.mark.parametrize(
        ("block", "param"),
        [
            ({"type": "of_tomorrow"}, "type"),
            ({"type": "search_result", "source": {"type": "x"}, "content": []}, "type"),
            ({"type": "server_tool_use", "id": "s", "name": "n", "input": {}}, "type"),
            ({"type": "text", "text": "x", "citations": [{"type": "char_location"}]}, "citations"),
            ({**PICTURE, "transformations": {"resize": "none"}}, "transformations"),
            ({"type": "image", "source": {"type": "file", "file_id": "f"}}, "source.file_id"),
            ({"type": "document", "source": {"type": "file", "file_id": "f"}}, "source.file_id"),
            ({"type": "document", "source": {"type": "url", "url": "u"}}, "source.url"),
            (
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "x"},
                    "citations": {"enabled": True},
                },
                "citations",
            ),
            (
                {"type": "tool_use", "id": "t", "name": "f", "input": {}, "caller": {"type": "code"}},
                "caller",
            ),
            (
                {
                    "type": "tool_result",
                    "tool_use_id": "t",
                    "content": [
                        {
                            "type": "document",
                            "source": {"type": "base64", "media_type": "application/pdf", "data": "x"},
                        }
                    ],
                },
                "content",
            ),
            ({"type": "text", "text": "x", "of_tomorrow": 1}, "of_tomorrow"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_that_cannot_be_said_are_refused_by_name(self, block: dict[str, Any], param: str) -> None:
        error = refused_block(block)
        assert (error.code, error.param) == ("unsupported_parameter", f"messages.0.content.0.{param}")

    @pytest.mark.parametrize(
        ("block", "param"),
        [
            ({"type": "text"}, "text"),
            ({"type": "image", "source": {"type": "ftp"}}, "source.type"),
            ({"type": "image", "source": {"type": "base64", "media_type": "image/png"}}, "source.data"),
            ({"type": "document", "source": {"type": "ftp"}}, "source.type"),
            ({"type": "document", "source": {"type": "base64", "data": "x"}}, "source.media_type"),
            ({"type": "document", "source": {"type": "text", "data": 7}}, "source.data"),
            ({"type": "thinking", "thinking": "x"}, "signature"),
            ({"type": "redacted_thinking"}, "data"),
            ({"type": "tool_use", "id": "t", "name": "f"}, "input"),
            ({"type": "tool_use", "id": 7, "name": "f", "input": {}}, "id"),
            ({"type": "tool_result"}, "tool_use_id"),
            ({"type": "tool_result", "tool_use_id": "t", "is_error": "x"}, "is_error"),
            ({"type": "text", "text": "x", "cache_control": {"type": "eternal"}}, "cache_control.type"),
            (
                {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "9h"}},
                "cache_control.ttl",
            ),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_that_make_no_sense_are_named_too(self, block: dict[str, Any], param: str) -> None:
        error = refused_block(block)
        assert (error.code, error.param) == ("invalid_type", f"messages.0.content.0.{param}")


class TestCacheMarks:
    def test_stay_on_their_parts_and_the_longest_life_counts(self) -> None:
        short, long = {"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}
        request = asked(
            system=[{"type": "text", "text": "a", "cache_control": long}],
            messages=[{"role": "user", "content": [{"type": "text", "text": "b", "cache_control": short}]}],
            tools=[{**TOOL, "cache_control": short}],
        )
        assert request.turns[0].parts == (Text(text="a", cache=True),)
        assert request.turns[1].parts == (Text(text="b", cache=True),)
        assert request.cache_minutes == 60
        assert asked(cache_control=short).cache_minutes == 5


class TestTools:
    def test_are_described(self) -> None:
        tool = {
            **TOOL,
            "type": "custom",
            "description": "does",
            "strict": True,
            "eager_input_streaming": True,
            "allowed_callers": ["direct"],
            "defer_loading": False,
        }
        assert asked(tools=[tool]).tools == (
            Tool(name="f", description="does", parameters={"type": "object"}, strict=True),
        )

    @pytest.mark.parametrize(
        ("choice", "expected"),
        [
            ({"type": "auto"}, (ToolChoice(mode="auto"), None)),
            ({"type": "any", "disable_parallel_tool_use": True}, (ToolChoice(mode="required"), False)),
            ({"type": "tool", "name": "f"}, (ToolChoice(mode="named", name="f"), None)),
            ({"type": "none", "disable_parallel_tool_use": False}, (ToolChoice(mode="none"), True)),
        ],
    )
    def test_are_chosen(self, choice: dict[str, Any], expected: tuple[ToolChoice, bool | None]) -> None:
        request = asked(tools=[TOOL], tool_choice=choice)
        assert (request.tool_choice, request.parallel_tools) == expected

    @pytest.mark.parametrize(
        ("tool", "code", "param"),
        [
            ({"type": "web_search_20260318", "name": "w"}, "unsupported_parameter", "tools.0.type"),
            ({"type": "web_fetch_20260318", "name": "w"}, "unsupported_parameter", "tools.0.type"),
            ({"type": "mcp_toolset", "mcp_server_name": "x"}, "unsupported_parameter", "tools.0.type"),
            ({"type": "bash_20250124", "name": "bash"}, "unsupported_parameter", "tools.0.type"),
            ({**TOOL, "input_examples": [{}]}, "unsupported_parameter", "tools.0.input_examples"),
            ({**TOOL, "defer_loading": True}, "unsupported_parameter", "tools.0.defer_loading"),
            (
                {**TOOL, "allowed_callers": ["code_execution_20260521"]},
                "unsupported_parameter",
                "tools.0.allowed_callers",
            ),
            ({"name": "f"}, "invalid_type", "tools.0.input_schema"),
            ({"input_schema": {}}, "invalid_type", "tools.0.name"),
            ({**TOOL, "description": 7}, "invalid_type", "tools.0.description"),
            ({**TOOL, "strict": 7}, "invalid_type", "tools.0.strict"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_of_others_are_refused_by_name(self, tool: dict[str, Any], code: str, param: str) -> None:
        error = refused(tools=[tool])
        assert (error.code, error.param) == (code, param)
