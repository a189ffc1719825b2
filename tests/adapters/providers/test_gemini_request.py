"""Canonical requests, written for the Gemini API."""

import string
from base64 import b64encode
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.adapters.providers.gemini import Gemini
from bursar.adapters.providers.gemini.signatures import MARK, UNSIGNED, parted, signed_id
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

LITE = "gemini-2.5-flash-lite"
SIGNING = "gemini-3.8-flash"
TOOL = Tool(name="get_weather", description="d", parameters={"type": "object", "properties": {}})
BASE64 = st.binary(min_size=1, max_size=40).map(lambda raw: b64encode(raw).decode())


def user(*parts: Part) -> Turn:
    return Turn(role="user", parts=parts or (Text(text="Hi"),), place="messages[0]")


def said(*parts: Part) -> Turn:
    return Turn(role="assistant", parts=parts, place="messages[1]")


def body(
    model: str = LITE, *, turns: tuple[Turn, ...] = (user(),), bound: int | None = None, **asked: Any
) -> Any:
    request = ChatRequest(turns=turns, **asked)
    built = Gemini().build(request, attempt(model, max_tokens=bound), stream=False)
    return orjson.loads(built.body)


def config(model: str = LITE, **asked: Any) -> Any:
    return body(model, **asked).get("generationConfig", {})


def refused(model: str = LITE, **asked: Any) -> BadRequest:
    with pytest.raises(BadRequest) as refusal:
        body(model, **asked)
    assert refusal.value.status == 422
    return refusal.value


class TestTheRequest:
    def test_goes_to_the_models_own_path_with_the_key_in_a_header(self) -> None:
        request = ChatRequest(turns=(user(),))
        whole, stream = (Gemini().build(request, attempt(LITE), stream=stream) for stream in (False, True))
        assert whole.path == f"/models/{LITE}:generateContent"
        assert stream.path == f"/models/{LITE}:streamGenerateContent?alt=sse"
        assert whole.headers["x-goog-api-key"] == SECRET
        assert SECRET.encode() not in whole.body

    @pytest.mark.parametrize(
        ("name", "path"),
        [
            ("models/x", "/models/x:generateContent"),
            ("tunedModels/y", "/tunedModels/y:generateContent"),
            ("a b?c#d", "/models/a%20b%3Fc%23d:generateContent"),
        ],
    )
    def test_quotes_the_models_name(self, name: str, path: str) -> None:
        assert Gemini().build(ChatRequest(turns=(user(),)), attempt(name), stream=False).path == path


class TestContents:
    def test_of_a_whole_conversation(self) -> None:
        call = ToolCall(id="8f2b1a3c", name="get_weather", arguments='{"city":"Paris"}')
        turns = (
            Turn(role="system", parts=(Text(text="Be brief."),)),
            user(Text(text="Weather?")),
            Turn(role="system", parts=(Text(text="Be kind."),)),
            said(Thinking(text="hm"), Text(text="Let me look."), call),
            user(ToolResult(call_id="8f2b1a3c", parts=(Text(text="21"), Text(text="degrees")))),
            user(Text(text="Thanks")),
        )
        written = body(turns=turns)
        assert written["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]}
        called = {"id": "8f2b1a3c", "name": "get_weather", "args": {"city": "Paris"}}
        answered = {"id": "8f2b1a3c", "name": "get_weather", "response": {"output": "21\ndegrees"}}
        assert written["contents"] == [
            {"role": "user", "parts": [{"text": "Weather?"}]},
            {"role": "model", "parts": [{"text": "Let me look."}, {"functionCall": called}]},
            {"role": "user", "parts": [{"functionResponse": answered}]},
            {"role": "user", "parts": [{"text": "Thanks"}]},
        ]

    def test_put_all_results_of_a_step_together(self) -> None:
        calls = [ToolCall(id=f"call_r_{n}", name=f"f{n}", arguments="{}") for n in (0, 1)]
        results = [user(ToolResult(call_id=call.id, parts=(Text(text="x"),))) for call in calls]
        written = body(turns=(user(), said(*calls), *results))
        assert [len(content["parts"]) for content in written["contents"]] == [1, 2, 2]
        assert all("id" not in part["functionResponse"] for part in written["contents"][2]["parts"])

    def test_show_pictures_sound_and_documents(self) -> None:
        parts = (
            Image(media_type="image/png", data="aGk="),
            Image(url="https://x.example/a.jpg?size=1"),
            Image(url="https://x.example/a"),
            Audio(data="aGk=", format="mp3"),
            File(media_type="application/pdf", data="JVBE", name="a.pdf"),
        )
        assert body(turns=(user(*parts),))["contents"][0]["parts"] == [
            {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://x.example/a.jpg?size=1"}},
            {"fileData": {"fileUri": "https://x.example/a"}},
            {"inlineData": {"mimeType": "audio/mp3", "data": "aGk="}},
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
        ]

    def test_show_pictures_of_tools(self) -> None:
        result = ToolResult(call_id="c", parts=(Image(media_type="image/png", data="aGk="),))
        turns = (user(), said(ToolCall(id="c", name="f", arguments="")), user(result))
        answered = body(turns=turns)["contents"][2]["parts"][0]["functionResponse"]
        assert answered["parts"] == [{"inlineData": {"mimeType": "image/png", "data": "aGk="}}]

    def test_leave_out_empty_text(self) -> None:
        assert body(turns=(user(Text(text=""), Text(text="a")),))["contents"][0]["parts"] == [{"text": "a"}]

    @pytest.mark.parametrize(
        ("turns", "param"),
        [
            ((user(File(file_id="f-1")),), "messages[0].content[].file.file_id"),
            ((user(ToolResult(call_id="nobody", parts=())),), "messages[0].tool_call_id"),
            (
                (user(), said(ToolCall(id="c", name="f", arguments="{"))),
                "messages[1].tool_calls[].function.arguments",
            ),
            (
                (user(), said(ToolCall(id="c", name="f", arguments="[]"))),
                "messages[1].tool_calls[].function.arguments",
            ),
            ((Turn(role="system", parts=(Text(text="x"),)),), "messages"),
        ],
    )
    def test_that_cannot_be_sent_are_refused_by_name(self, turns: tuple[Turn, ...], param: str) -> None:
        assert refused(turns=turns).param == param


class TestSignatures:
    def turns(self, *ids: str) -> tuple[Turn, ...]:
        calls = [ToolCall(id=one, name="f", arguments="{}") for one in ids]
        results = [ToolResult(call_id=one, parts=(Text(text="x"),)) for one in ids]
        return (user(), said(*calls), user(*results))

    def test_go_back_where_they_came_from(self) -> None:
        written = body(SIGNING, turns=self.turns("8f__thought__CiQBVKhc-_8", "9d"))["contents"]
        assert [part.get("thoughtSignature") for part in written[1]["parts"]] == ["CiQBVKhc+/8=", None]
        assert [part["functionResponse"]["id"] for part in written[2]["parts"]] == ["8f", "9d"]
        assert MARK not in str(written)

    def test_that_are_missing_are_said_to_be(self) -> None:
        written = body(SIGNING, turns=self.turns("toolu_1", "toolu_2"))["contents"]
        assert [part.get("thoughtSignature") for part in written[1]["parts"]] == [UNSIGNED, None]

    def test_are_not_invented_for_models_that_do_not_ask(self) -> None:
        written = body(LITE, turns=self.turns("toolu_1"))["contents"]
        assert "thoughtSignature" not in written[1]["parts"][0]

    @given(
        call_id=st.text(alphabet=string.ascii_letters + string.digits + "-", min_size=1, max_size=20),
        signature=BASE64,
    )
    def test_survive_any_round_trip(self, call_id: str, signature: str) -> None:
        told = signed_id(call_id, signature)
        assert set(told) <= set(string.ascii_letters + string.digits + "_-")
        assert parted(told) == (call_id, signature)

    @pytest.mark.parametrize("signature", [None, "", "not base64!", "a b"])
    def test_that_are_none_leave_the_id_alone(self, signature: str | None) -> None:
        assert signed_id("c1", signature) == "c1"
        assert parted("c1") == ("c1", None)


class TestOptions:
    def test_have_their_own_names(self) -> None:
        asked = {"temperature": 1.5, "top_p": 0.9, "top_k": 7, "seed": 3, "stop": ("END",)}
        written = config(frequency_penalty=0.5, presence_penalty=-0.5, **asked)
        sampling = {"temperature": 1.5, "topP": 0.9, "topK": 7, "seed": 3, "stopSequences": ["END"]}
        assert written == {**sampling, "frequencyPenalty": 0.5, "presencePenalty": -0.5}

    @pytest.mark.parametrize(
        ("asked", "bound", "sent"),
        [
            ({}, None, None),
            ({"max_tokens": 77}, None, 77),
            ({"max_tokens": 77}, 50, 50),
            ({"max_tokens": 100_000}, None, 64_000),
            ({}, 50, 50),
        ],
    )
    def test_bound_the_output_by_the_smallest(
        self, asked: dict[str, Any], bound: int | None, sent: int | None
    ) -> None:
        assert config(bound=bound, **asked).get("maxOutputTokens") == sent

    def test_hold_the_answer_to_a_schema(self) -> None:
        schema = {"type": "object", "properties": {"a": {"type": "string"}}}
        assert config(json_schema=schema) == {
            "responseMimeType": "application/json",
            "responseJsonSchema": schema,
        }
        assert config(json_object=True) == {"responseMimeType": "application/json"}

    @pytest.mark.parametrize(
        ("asked", "param"),
        [
            ({"n": 2}, "n"),
            ({"seed": 2**31}, "seed"),
            ({"stop": tuple("abcdef")}, "stop_sequences"),
            ({"tools": (TOOL,), "parallel_tools": False}, "parallel_tools"),
            ({"service_tier": "priority"}, "service_tier"),
        ],
    )
    def test_that_cannot_be_had_are_refused_by_the_callers_name(
        self, asked: dict[str, Any], param: str
    ) -> None:
        refusal = refused(names={"stop": "stop_sequences"}, **asked)
        assert (refusal.code, refusal.param) == ("unsupported_parameter", param)

    @pytest.mark.parametrize(("tier", "sent"), [("auto", None), ("default", "standard"), ("flex", "flex")])
    def test_name_the_tier(self, tier: str, sent: str | None) -> None:
        assert body(service_tier=tier).get("serviceTier") == sent


class TestThinking:
    @pytest.mark.parametrize(
        ("model", "effort", "sent"),
        [
            ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
            ("gemini-2.5-flash", "low", {"thinkingBudget": 1024, "includeThoughts": True}),
            ("gemini-2.5-flash", "max", {"thinkingBudget": 24_576, "includeThoughts": True}),
            ("gemini-2.5-pro", "max", {"thinkingBudget": 32_768, "includeThoughts": True}),
            ("gemini-2.5-flash-lite", "minimal", {"thinkingBudget": 512, "includeThoughts": True}),
            ("gemini-2.0-flash", "none", {}),
            ("gemini-3-pro-preview", "medium", {"thinkingLevel": "HIGH", "includeThoughts": True}),
            ("gemini-3.1-pro-preview", "minimal", {"thinkingLevel": "LOW", "includeThoughts": True}),
            (SIGNING, "minimal", {"thinkingLevel": "MINIMAL", "includeThoughts": True}),
            (SIGNING, "xhigh", {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ],
    )
    def test_follows_the_effort(self, model: str, effort: str, sent: dict[str, Any]) -> None:
        assert config(model, effort=effort).get("thinkingConfig", {}) == sent

    @pytest.mark.parametrize(
        ("model", "tokens", "sent"),
        [
            ("gemini-2.5-flash", 0, 0),
            ("gemini-2.5-flash", 2_000, 2_000),
            ("gemini-2.5-pro", 5, 128),
            ("gemini-2.5-flash", 99_999, 24_576),
            (SIGNING, 2_000, 2_000),
        ],
    )
    def test_takes_a_budget(self, model: str, tokens: int, sent: int) -> None:
        assert config(model, thinking_tokens=tokens)["thinkingConfig"]["thinkingBudget"] == sent

    @pytest.mark.parametrize(
        ("model", "asked", "param"),
        [
            ("gemini-2.5-pro", {"effort": "none"}, "reasoning_effort"),
            (SIGNING, {"effort": "none"}, "reasoning_effort"),
            (SIGNING, {"thinking_tokens": 0}, "thinking.budget_tokens"),
            ("gemini-2.0-flash", {"effort": "low"}, "reasoning_effort"),
        ],
    )
    def test_that_cannot_be_had_is_refused(self, model: str, asked: dict[str, Any], param: str) -> None:
        names = {"effort": "reasoning_effort", "thinking_tokens": "thinking.budget_tokens"}
        assert refused(model, names=names, **asked).param == param


class TestTools:
    def test_are_declared(self) -> None:
        assert body(tools=(TOOL, Tool(name="bare")))["tools"] == [
            {
                "functionDeclarations": [
                    {"name": "get_weather", "description": "d", "parametersJsonSchema": TOOL.parameters},
                    {"name": "bare"},
                ]
            }
        ]

    @pytest.mark.parametrize(
        ("choice", "strict", "sent"),
        [
            (None, False, None),
            (None, True, {"mode": "VALIDATED"}),
            (ToolChoice(mode="auto"), False, {"mode": "AUTO"}),
            (ToolChoice(mode="auto"), True, {"mode": "VALIDATED"}),
            (ToolChoice(mode="none"), False, {"mode": "NONE"}),
            (ToolChoice(mode="required"), True, {"mode": "ANY"}),
            (ToolChoice(mode="named", name="f"), False, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        ],
    )
    def test_are_chosen_from(
        self, choice: ToolChoice | None, sent: dict[str, Any] | None, *, strict: bool
    ) -> None:
        written = body(tools=(Tool(name="f", strict=strict),), tool_choice=choice)
        assert written.get("toolConfig") == (None if sent is None else {"functionCallingConfig": sent})
