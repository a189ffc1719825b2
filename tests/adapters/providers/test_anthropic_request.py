"""Canonical requests written for Anthropic's Messages API."""

from typing import Any

import orjson
import pytest

from bursar.adapters.providers.anthropic import Anthropic
from bursar.adapters.providers.anthropic.schema import DEPTH_MAX, closed
from bursar.core.chat import (
    Audio,
    BadRequest,
    ChatRequest,
    File,
    Image,
    Part,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from recorded import SECRET, attempt

OLD, MIDDLE, NEW = "claude-sonnet-4-5", "claude-sonnet-4-6", "claude-opus-5-5"
HELLO = Turn(role="user", parts=(Text(text="Hello"),))
WEATHER = Tool(name="get_weather", description="d", parameters={"type": "object", "properties": {"city": {}}})


def body(model: str = OLD, *, stream: bool = False, **asked: Any) -> dict[str, Any]:
    request = ChatRequest(**{"turns": (HELLO,), **asked})
    upstream = Anthropic().build(request, attempt(model), stream=stream)
    written = orjson.loads(upstream.body)
    assert isinstance(written, dict)
    return written


def blocks(*parts: Part, role: Any = "user") -> list[dict[str, Any]]:
    turn = Turn(role=role, parts=parts, place="messages[0]")
    content = body(turns=(turn,))["messages"][0]["content"]
    assert isinstance(content, list)
    return content


def refusal(**asked: Any) -> BadRequest:
    with pytest.raises(BadRequest) as refused:
        body(**asked)
    return refused.value


class TestEnvelope:
    def test_goes_to_messages_with_the_key_and_the_version(self) -> None:
        upstream = Anthropic().build(ChatRequest(turns=(HELLO,)), attempt(), stream=False)
        assert upstream.path == "/messages"
        assert upstream.headers == {
            "x-api-key": SECRET,
            "anthropic-version": "2023-06-01",
            "content-type": "application/json",
        }
        assert SECRET not in repr(upstream)

    def test_says_no_more_than_was_asked(self) -> None:
        assert body() == {
            "model": OLD,
            "max_tokens": 64_000,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
        }

    def test_asks_for_a_stream(self) -> None:
        assert body(stream=True)["stream"] is True

    @pytest.mark.parametrize(
        ("own", "gateway", "bound"),
        [(None, None, 64_000), (100, None, 100), (None, 50, 50), (100, 50, 50), (10**6, None, 64_000)],
    )
    def test_bounds_the_output_by_the_smallest_limit(
        self, own: int | None, gateway: int | None, bound: int
    ) -> None:
        request = ChatRequest(turns=(HELLO,), max_tokens=own)
        upstream = Anthropic().build(request, attempt(max_tokens=gateway), stream=False)
        assert orjson.loads(upstream.body)["max_tokens"] == bound

    def test_passes_the_end_user_and_the_stop_sequences(self) -> None:
        written = body(end_user="u-1", stop=("END", "###"))
        assert written["metadata"] == {"user_id": "u-1"}
        assert written["stop_sequences"] == ["END", "###"]

    def test_refuses_a_blank_stop_sequence(self) -> None:
        assert refusal(stop=("ok", "\n\n")).param == "stop"

    @pytest.mark.parametrize(("tier", "written"), [("auto", "auto"), ("default", "standard_only")])
    def test_names_the_tier_in_its_words(self, tier: str, written: str) -> None:
        assert body(service_tier=tier)["service_tier"] == written


class TestTurns:
    def test_system_turns_gather_in_order(self) -> None:
        written = body(
            turns=(
                Turn(role="system", parts=(Text(text="one"),)),
                HELLO,
                Turn(role="system", parts=(Text(text="two"), Text(text=""))),
            )
        )
        assert written["system"] == [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
        assert [message["role"] for message in written["messages"]] == ["user"]

    def test_neighbours_of_one_role_join(self) -> None:
        written = body(turns=(HELLO, Turn(role="user", parts=(Text(text="again"),))))
        assert [block["text"] for block in written["messages"][0]["content"]] == ["Hello", "again"]

    def test_tool_results_come_first_in_their_turn(self) -> None:
        call = Turn(role="assistant", parts=(ToolCall(id="c1", name="f", arguments="{}"),))
        result = Turn(role="user", parts=(ToolResult(call_id="c1", parts=(Text(text="21"),)),))
        written = body(turns=(HELLO, call, HELLO, result))
        assert [block["type"] for block in written["messages"][2]["content"]] == ["tool_result", "text"]

    def test_a_chat_without_words_is_refused(self) -> None:
        assert refusal(turns=(Turn(role="user", parts=(Text(text=""),)),)).param == "messages"

    def test_empty_turns_vanish(self) -> None:
        written = body(turns=(HELLO, Turn(role="assistant", parts=())))
        assert len(written["messages"]) == 1


class TestBlocks:
    def test_pictures_by_address_and_by_content(self) -> None:
        assert blocks(Image(url="https://x.example/a.png"), Image(media_type="image/png", data="aGk=")) == [
            {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
        ]

    def test_documents(self) -> None:
        assert blocks(File(media_type="application/pdf", data="JVBE", name="a.pdf")) == [
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
                "title": "a.pdf",
            }
        ]
        assert "title" not in blocks(File(media_type="application/pdf", data="JVBE"))[0]

    @pytest.mark.parametrize(
        ("part", "param"),
        [
            (Image(media_type="image/tiff", data="x"), "messages[0].content[].image_url.url"),
            (File(file_id="file-1"), "messages[0].content[].file.file_id"),
            (File(media_type="text/csv", data="x"), "messages[0].content[].file.file_data"),
            (Audio(data="x", format="wav"), "messages[0].content[].input_audio"),
        ],
    )
    def test_refuses_by_name_what_the_provider_cannot_read(self, part: Part, param: str) -> None:
        refused = refusal(turns=(Turn(role="user", parts=(part,), place="messages[0]"),))
        assert (refused.status, refused.code, refused.param) == (422, "unsupported_parameter", param)

    def test_thinking_goes_back_as_it_came(self) -> None:
        signed = Thinking(text="hm", signature="sig")
        assert blocks(
            signed, Thinking(redacted="data"), Thinking(text="unsigned"), Text(text="x"), role="assistant"
        ) == [
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "redacted_thinking", "data": "data"},
            {"type": "text", "text": "x"},
        ]

    def test_tool_calls_and_results(self) -> None:
        assert blocks(ToolCall(id="call:1", name="f", arguments='{"a":1}'), role="assistant") == [
            {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}}
        ]
        result = ToolResult(call_id="call:1", parts=(Text(text="ok"), Text(text="")))
        assert blocks(result) == [
            {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "ok"}]}
        ]

    def test_a_call_without_arguments_has_empty_input(self) -> None:
        assert blocks(ToolCall(id="", name="f", arguments=""), role="assistant")[0]["input"] == {}

    @pytest.mark.parametrize("arguments", ["{", "[1]"])
    def test_refuses_arguments_that_are_no_object(self, arguments: str) -> None:
        turn = Turn(
            role="assistant", parts=(ToolCall(id="c", name="f", arguments=arguments),), place="messages[1]"
        )
        assert refusal(turns=(turn,)).param == "messages[1].tool_calls[].function.arguments"

    @pytest.mark.parametrize(
        ("minutes", "mark"),
        [(None, {"type": "ephemeral"}), (5, {"type": "ephemeral"}), (30, {"type": "ephemeral", "ttl": "1h"})],
    )
    def test_cache_marks_live_long_enough(self, minutes: int | None, mark: dict[str, str]) -> None:
        turn = Turn(role="user", parts=(Text(text="long", cache=True), Text(text="short")))
        content = body(turns=(turn,), cache_minutes=minutes)["messages"][0]["content"]
        assert [block.get("cache_control") for block in content] == [mark, None]


class TestDocuments:
    def test_of_plain_text_are_text(self) -> None:
        part = File(media_type="text/plain", data="aMOpbGxv", name="a.txt")
        assert blocks(part) == [
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "héllo"},
                "title": "a.txt",
            }
        ]

    @pytest.mark.parametrize("encoded", ["not base64", "//8="])
    def test_of_text_that_is_none_are_refused(self, encoded: str) -> None:
        part = File(media_type="text/plain", data=encoded)
        refused = refusal(turns=(Turn(role="user", parts=(part,), place="messages.0"),))
        assert refused.code == "invalid_type"


class TestCallersNames:
    """Refusals speak the caller's language, whatever it is."""

    @pytest.mark.parametrize(
        ("asked", "field"),
        [
            ({"seed": 0}, "seed"),
            ({"frequency_penalty": 0.5}, "frequency_penalty"),
            ({"presence_penalty": -1}, "presence_penalty"),
            ({"json_object": True}, "json_object"),
            ({"n": 2}, "n"),
            ({"temperature": 1.5}, "temperature"),
            ({"stop": ("  ",)}, "stop"),
            ({"thinking_tokens": 64_000}, "thinking_tokens"),
            ({"effort": "high", "max_tokens": 100}, "effort"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_name_the_field(self, asked: dict[str, Any], field: str) -> None:
        refused = refusal(**asked, names={field: "theirs.own"})
        assert (refused.code, refused.param) == ("unsupported_parameter", "theirs.own")

    def test_name_the_place_of_a_part(self) -> None:
        turn = Turn(role="user", parts=(Audio(data="x", format="wav"),), place="contents[0]")
        refused = refusal(turns=(turn,), names={"audio": "parts[].inlineData"})
        assert refused.param == "contents[0].parts[].inlineData"

    @pytest.mark.parametrize(
        "asked", [{"frequency_penalty": 0}, {"presence_penalty": 0}, {"n": 1}, {"metadata": {"a": "b"}}]
    )
    def test_what_asks_for_nothing_is_let_pass(self, asked: dict[str, Any]) -> None:
        assert body(**asked) == body()


class TestTools:
    def test_are_described(self) -> None:
        assert body(tools=(WEATHER, Tool(name="now", strict=True)))["tools"] == [
            {
                "name": "get_weather",
                "description": "d",
                "input_schema": {"type": "object", "properties": {"city": {}}},
            },
            {"name": "now", "input_schema": {"type": "object", "properties": {}}, "strict": True},
        ]

    @pytest.mark.parametrize(
        ("choice", "written"),
        [
            (ToolChoice(mode="auto"), {"type": "auto"}),
            (ToolChoice(mode="none"), {"type": "none"}),
            (ToolChoice(mode="required"), {"type": "any"}),
            (ToolChoice(mode="named", name="get_weather"), {"type": "tool", "name": "get_weather"}),
        ],
    )
    def test_are_chosen(self, choice: ToolChoice, written: dict[str, str]) -> None:
        assert body(tools=(WEATHER,), tool_choice=choice)["tool_choice"] == written

    @pytest.mark.parametrize(
        ("choice", "written"),
        [
            (None, {"type": "auto", "disable_parallel_tool_use": True}),
            (ToolChoice(mode="required"), {"type": "any", "disable_parallel_tool_use": True}),
            (ToolChoice(mode="none"), {"type": "none"}),
        ],
    )
    def test_may_be_called_one_at_a_time(self, choice: ToolChoice | None, written: dict[str, Any]) -> None:
        assert body(tools=(WEATHER,), tool_choice=choice, parallel_tools=False)["tool_choice"] == written

    def test_of_the_past_are_named_but_cannot_be_called(self) -> None:
        said = Turn(role="assistant", parts=(ToolCall(id="1", name="f", arguments=""),) * 2)
        written = body(turns=(HELLO, said))
        assert written["tools"] == [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]
        assert written["tool_choice"] == {"type": "none"}

    def test_a_choice_without_tools_says_nothing(self) -> None:
        assert "tool_choice" not in body(tool_choice=ToolChoice(mode="auto"), parallel_tools=False)


class TestSampling:
    def test_is_passed_to_models_that_take_it(self) -> None:
        written = body(MIDDLE, temperature=0.2, top_p=0.9)
        assert (written["temperature"], written["top_p"]) == (0.2, 0.9)

    def test_above_one_is_refused(self) -> None:
        assert refusal(temperature=1.5).param == "temperature"

    def test_newer_models_take_none_but_one_says_nothing(self) -> None:
        assert refusal(model=NEW, temperature=0.2).param == "temperature"
        assert refusal(model=NEW, top_p=0.5).param == "top_p"
        assert "temperature" not in body(NEW, temperature=1, top_p=1.0)


class TestThinking:
    @pytest.mark.parametrize(
        ("effort", "written"),
        [("minimal", "low"), ("low", "low"), ("medium", "medium"), ("xhigh", "xhigh"), ("max", "max")],
    )
    def test_newer_models_decide_and_effort_steers(self, effort: str, written: str) -> None:
        asked = body(NEW, effort=effort)
        assert asked["thinking"] == {"type": "adaptive", "display": "summarized"}
        assert asked["output_config"] == {"effort": written}

    def test_none_switches_it_off(self) -> None:
        assert body(NEW, effort="none")["thinking"] == {"type": "disabled"}
        assert "thinking" not in body(OLD, effort="none")

    @pytest.mark.parametrize(
        ("effort", "budget"), [("minimal", 1024), ("low", 2000), ("high", 8000), ("max", 9500)]
    )
    def test_older_models_get_a_share_of_the_bound(self, effort: str, budget: int) -> None:
        assert body(OLD, effort=effort, max_tokens=10_000)["thinking"] == {
            "type": "enabled",
            "budget_tokens": budget,
        }

    def test_refuses_a_bound_too_small_to_think_in(self) -> None:
        assert refusal(effort="low", max_tokens=1024).param == "reasoning_effort"

    def test_a_tool_loop_begun_without_thinking_goes_on_without(self) -> None:
        call = ToolCall(id="c1", name="f", arguments="{}")
        result = Turn(role="user", parts=(ToolResult(call_id="c1", parts=()),))
        silent = Turn(role="assistant", parts=(call,))
        thoughtful = Turn(role="assistant", parts=(Thinking(text="hm", signature="s"), call))
        assert "thinking" not in body(OLD, effort="low", turns=(HELLO, silent, result))
        assert "thinking" in body(OLD, effort="low", turns=(HELLO, thoughtful, result))
        assert "thinking" in body(OLD, effort="low", turns=(HELLO, result))


class TestThinkingBudget:
    """A budget in tokens, as callers of other dialects ask for it."""

    def test_goes_to_older_models_as_it_is(self) -> None:
        thinking = body(thinking_tokens=5_000)["thinking"]
        assert thinking == {"type": "enabled", "budget_tokens": 5_000}
        assert body(thinking_tokens=9)["thinking"]["budget_tokens"] == 1_024
        assert "thinking" not in body(thinking_tokens=0)

    @pytest.mark.parametrize(("tokens", "effort"), [(1_024, "low"), (8_192, "medium"), (30_000, "high")])
    def test_is_an_effort_for_newer_models(self, tokens: int, effort: str) -> None:
        asked = body(NEW, thinking_tokens=tokens)
        assert asked["thinking"] == {"type": "adaptive", "display": "summarized"}
        assert asked["output_config"] == {"effort": effort}
        assert body(NEW, thinking_tokens=0)["thinking"] == {"type": "disabled"}

    def test_gives_way_to_an_effort(self) -> None:
        assert body(NEW, thinking_tokens=9, effort="max")["output_config"] == {"effort": "max"}


class TestTopK:
    def test_is_passed_to_models_that_take_it_and_refused_for_others(self) -> None:
        assert body(top_k=40)["top_k"] == 40
        with pytest.raises(BadRequest) as refused:
            body(NEW, top_k=40)
        assert refused.value.param == "top_k"


class TestSchema:
    def test_an_answers_format_is_sent_with_the_effort(self) -> None:
        written = body(
            NEW, effort="low", json_schema={"type": "object", "properties": {"a": {"type": "integer"}}}
        )
        assert written["output_config"] == {
            "format": {
                "type": "json_schema",
                "schema": {
                    "type": "object",
                    "properties": {"a": {"type": "integer"}},
                    "additionalProperties": False,
                },
            },
            "effort": "low",
        }

    def test_what_is_not_enforced_is_told(self) -> None:
        schema = {
            "type": "object",
            "$defs": {"n": {"type": "integer", "minimum": 1, "description": "count"}},
            "properties": {
                "n": {"$ref": "#/$defs/n"},
                "when": {"type": "string", "format": "date-time"},
                "code": {"type": "string", "format": "zip", "pattern": "^x"},
                "list": {
                    "type": "array",
                    "items": {"oneOf": [{"type": "string"}, {"const": 3}]},
                    "minItems": 1,
                },
                "many": {"allOf": [{"anyOf": [{"type": "null"}]}], "minItems": 5},
            },
            "required": ["n"],
        }
        read = closed(schema, "s")
        assert read["additionalProperties"] is False
        assert read["$defs"]["n"] == {"type": "integer", "description": 'count\n\n{"minimum":1}'}
        properties = read["properties"]
        assert properties["when"] == {"type": "string", "format": "date-time"}
        assert properties["code"] == {"type": "string", "description": '{"format":"zip","pattern":"^x"}'}
        assert properties["list"] == {
            "type": "array",
            "items": {"anyOf": [{"type": "string"}, {"const": 3}]},
            "minItems": 1,
        }
        assert properties["many"]["description"] == '{"minItems":5}'

    @pytest.mark.parametrize(
        ("schema", "param"),
        [
            ({"type": "object", "additionalProperties": True}, "s.additionalProperties"),
            ({"type": "array", "items": 7}, "s.items"),
            ({"properties": {"a": []}}, "s.properties.a"),
        ],
    )
    def test_refuses_by_name_what_cannot_be_closed(self, schema: dict[str, Any], param: str) -> None:
        with pytest.raises(BadRequest) as refused:
            closed(schema, "s")
        assert refused.value.param == param

    def test_has_an_end(self) -> None:
        schema: dict[str, Any] = {}
        for _ in range(DEPTH_MAX + 2):
            schema = {"type": "array", "items": schema}
        with pytest.raises(BadRequest):
            closed(schema, "s")
