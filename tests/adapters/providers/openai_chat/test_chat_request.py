"""Canonical requests written in OpenAI's chat dialect."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from bursar.adapters.providers import Provider
from bursar.adapters.providers.openai import OpenAI
from bursar.adapters.providers.openai_chat.request import is_strict
from bursar.adapters.providers.openai_compatible import OpenAICompatible
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
    Turn,
)
from recorded import SECRET, attempt

HELLO = Turn(role="user", parts=(Text(text="Hi"),), place="messages[0]")
ASKED = ChatRequest(turns=(HELLO,))
THOUGHT = Turn(role="assistant", parts=(Thinking(text="hm", signature="s"), Text(text="Yes.")))


def written(
    request: ChatRequest = ASKED,
    provider: Provider | None = None,
    *,
    model: str = "gpt-5.6",
    max_tokens: int | None = None,
    stream: bool = False,
) -> dict[str, Any]:
    translator = (provider or OpenAI()).translator
    assert translator is not None
    sent = translator.build(request, attempt(model, max_tokens=max_tokens), stream=stream)
    body: dict[str, Any] = orjson.loads(sent.body)
    return body


def asking(**fields: Any) -> ChatRequest:
    return replace(ASKED, **fields)


def saying(*turns: Turn) -> ChatRequest:
    return replace(ASKED, turns=turns)


def refusal(request: ChatRequest, provider: Provider | None = None, *, model: str = "gpt-5.6") -> BadRequest:
    with pytest.raises(BadRequest) as refused:
        written(request, provider, model=model)
    return refused.value


class TestRequest:
    def test_goes_to_chat_completions_with_the_key(self) -> None:
        sent = OpenAI().build(ASKED, attempt("gpt-5.6"), stream=False)
        assert sent.path == "/chat/completions"
        assert sent.headers["authorization"] == f"Bearer {SECRET}"
        assert orjson.loads(sent.body) == {
            "model": "gpt-5.6",
            "messages": [{"role": "user", "content": "Hi"}],
        }

    def test_streams_ask_for_usage(self) -> None:
        body = written(stream=True)
        assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})

    @pytest.mark.parametrize(
        ("asked", "held", "sent"),
        [(None, None, None), (9, None, 9), (9, 5, 5), (None, 5, 5), (99_999, None, 64_000)],
    )
    @pytest.mark.parametrize(
        ("provider", "name"), [(OpenAI(), "max_completion_tokens"), (OpenAICompatible(), "max_tokens")]
    )
    def test_output_is_bounded_by_all_who_bound_it(
        self, provider: Provider, name: str, asked: int | None, held: int | None, sent: int | None
    ) -> None:
        assert written(asking(max_tokens=asked), provider, max_tokens=held).get(name) == sent

    def test_numbers_go_as_they_are(self) -> None:
        options = {"temperature": 0.1, "top_p": 1, "seed": 7, "frequency_penalty": 0, "presence_penalty": -2}
        assert options.items() <= written(asking(**options)).items()

    def test_the_end_user_goes_by_the_providers_name(self) -> None:
        assert written(asking(end_user="ann"))["safety_identifier"] == "ann"
        assert written(asking(end_user="ann"), OpenAICompatible())["user"] == "ann"

    def test_nothing_to_say_is_refused(self) -> None:
        assert refusal(saying(Turn(role="user", parts=(Text(text=""),)))).param == "messages"


class TestRefusals:
    @pytest.mark.parametrize(
        ("field", "value"), [("top_k", 5), ("n", 2), ("stop", tuple("abcde")), ("service_tier", "priority")]
    )
    def test_are_told_by_the_callers_name(self, field: str, value: Any) -> None:
        refused = refusal(asking(**{field: value}, names={field: "generationConfig.his"}))
        assert (refused.status, refused.code) == (422, "unsupported_parameter")
        assert refused.param == "generationConfig.his"
        assert "'generationConfig.his'" in refused.message

    def test_of_stored_files_and_documents_name_the_turn(self) -> None:
        stored = Turn(role="user", parts=(File(file_id="file-1"),), place="messages[3]")
        assert refusal(saying(stored)).param == "messages[3].content[].file.file_id"
        named = replace(saying(stored), names={"file_id": "content[].source.file_id"})
        assert refusal(named).param == "messages[3].content[].source.file_id"

    @pytest.mark.parametrize("thinking", [{"effort": "high"}, {"thinking_tokens": 2_000}])
    def test_of_reasoning_are_for_models_that_do_none(self, thinking: dict[str, Any]) -> None:
        names = {"effort": "output_config.effort", "thinking_tokens": "thinking.budget_tokens"}
        refused = refusal(asking(**thinking, names=names), model="gpt-4.1-mini")
        assert refused.param == names[next(iter(thinking))]

    def test_a_model_that_never_reasons_need_not_be_told_so(self) -> None:
        assert "reasoning_effort" not in written(asking(effort="none"), model="gpt-4.1-mini")
        assert "reasoning_effort" not in written(asking(thinking_tokens=0), model="gpt-4o")


class TestReasoning:
    @pytest.mark.parametrize(
        ("asked", "effort"),
        [
            ({"effort": "xhigh"}, "xhigh"),
            ({"thinking_tokens": 0}, "none"),
            ({"thinking_tokens": 1_024}, "low"),
            ({"thinking_tokens": 2_049}, "medium"),
            ({"thinking_tokens": 32_000}, "high"),
            ({"thinking_tokens": 9, "effort": "max"}, "max"),
        ],
    )
    def test_budgets_become_the_effort_that_spends_as_much(self, asked: dict[str, Any], effort: str) -> None:
        assert written(asking(**asked))["reasoning_effort"] == effort

    def test_goes_back_to_servers_that_take_it_back(self) -> None:
        (message,) = written(saying(THOUGHT), OpenAICompatible())["messages"]
        assert message == {
            "role": "assistant",
            "content": "Yes.",
            "reasoning_content": "hm",
            "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}],
        }

    def test_stays_away_from_openai_which_has_no_word_for_it(self) -> None:
        assert written(saying(THOUGHT))["messages"] == [{"role": "assistant", "content": "Yes."}]


class TestMessages:
    def test_words_apart_stay_apart(self) -> None:
        turn = Turn(role="system", parts=(Text(text="a"), Text(text="b")))
        texts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
        assert written(saying(turn))["messages"] == [{"role": "system", "content": texts}]

    @pytest.mark.parametrize(("model", "marked"), [("gpt-5.6-mini", True), ("gpt-4.1", False)])
    def test_prefixes_are_marked_for_models_that_take_marks(self, model: str, marked: bool) -> None:  # noqa: FBT001 - drawn
        turn = Turn(role="user", parts=(Text(text="a", cache=True), Text(text="b")))
        first = written(saying(turn), model=model)["messages"][0]["content"][0]
        assert ("prompt_cache_breakpoint" in first) == marked

    def test_pictures_and_documents_go_inline(self) -> None:
        turn = Turn(
            role="user",
            parts=(
                Image(media_type="image/png", data="aGk="),
                Image(url="https://x.test/a.png"),
                File(media_type="application/pdf", data="JVBE", name="a.pdf"),
            ),
        )
        assert written(saying(turn))["messages"][0]["content"] == [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
            {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
            {
                "type": "file",
                "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"},
            },
        ]

    def test_documents_of_plain_text_are_words(self) -> None:
        turn = Turn(role="user", parts=(File(media_type="text/plain", data="aGk=", name="a.txt"),))
        assert written(saying(turn))["messages"] == [{"role": "user", "content": "a.txt\n\nhi"}]
        broken = Turn(role="user", parts=(File(media_type="text/plain", data="/w=="),), place="contents[0]")
        assert refusal(saying(broken)).param == "contents[0].content[].file.file_data"

    def test_calls_and_their_results_keep_one_id_within_the_providers_length(self) -> None:
        long = "toolu_" + "x" * 60
        turns = (
            HELLO,
            Turn(role="assistant", parts=(ToolCall(id=long, name="f", arguments=""),)),
            Turn(role="user", parts=(ToolResult(call_id=long, parts=()),)),
        )
        _, called, answered = written(saying(*turns))["messages"]
        assert called["content"] is None
        assert called["tool_calls"][0]["id"] == answered["tool_call_id"]
        assert len(answered["tool_call_id"]) <= 40
        assert (called["tool_calls"][0]["function"]["arguments"], answered["content"]) == ("{}", "")

    def test_reasoning_in_a_users_mouth_is_refused(self) -> None:
        turn = Turn(role="user", parts=(Thinking(text="hm"),), place="messages[0]")
        assert refusal(saying(turn)).param == "messages[0]"


class TestTools:
    def test_are_functions(self) -> None:
        tools = (Tool(name="f", description="d", strict=True), Tool(name="g"))
        body = written(
            asking(tools=tools, tool_choice=ToolChoice(mode="named", name="g"), parallel_tools=False)
        )
        empty = {"type": "object", "properties": {}}
        assert body["tools"] == [
            {
                "type": "function",
                "function": {"name": "f", "description": "d", "parameters": empty, "strict": True},
            },
            {"type": "function", "function": {"name": "g", "parameters": empty}},
        ]
        assert body["tool_choice"] == {"type": "function", "function": {"name": "g"}}
        assert body["parallel_tool_calls"] is False

    def test_choices_without_tools_say_nothing(self) -> None:
        body = written(asking(tool_choice=ToolChoice(mode="auto"), parallel_tools=True))
        assert body.keys() == {"model", "messages"}


CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


class TestSchemas:
    @pytest.mark.parametrize(
        ("schema", "strict"),
        [
            (CLOSED, True),
            ({**CLOSED, "required": []}, False),
            ({**CLOSED, "additionalProperties": True}, False),
            ({"type": "object"}, False),
            ({"type": "array", "items": CLOSED}, True),
            ({"anyOf": [CLOSED, {"type": "object"}]}, False),
            ({"oneOf": [CLOSED]}, False),
            ({"type": "array", "items": True}, False),
        ],
    )
    def test_are_strict_when_the_provider_can_hold_to_them(
        self,
        schema: dict[str, Any],
        strict: bool,  # noqa: FBT001 - drawn
    ) -> None:
        assert is_strict(schema) is strict
        described = written(asking(json_schema=schema))["response_format"]["json_schema"]
        assert (described["schema"], described["strict"]) == (schema, strict)

    def test_any_json_at_all_is_asked_for_too(self) -> None:
        assert written(asking(json_object=True))["response_format"] == {"type": "json_object"}

    def test_of_endless_depth_are_not_strict(self) -> None:
        deep: dict[str, Any] = {"type": "string"}
        for _ in range(70):
            deep = {"type": "array", "items": deep}
        assert not is_strict(deep)
