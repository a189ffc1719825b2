"""Requests in the Gemini API's dialect: read, estimated, and taken into the canonical form."""

import base64
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.adapters.providers.gemini import Gemini as GeminiProvider
from bursar.adapters.providers.openai import OpenAI
from bursar.core.chat import (
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
from bursar.core.usage import Meter
from bursar.gateway.dialects import Asked, Call
from bursar.gateway.dialects.gemini import Gemini
from bursar.gateway.dialects.gemini.naming import in_camel_case
from bursar.gateway.dialects.gemini.thoughts import opened, sealed, unsealed
from recorded import attempt

HELLO = {"role": "user", "parts": [{"text": "Hello"}]}
CALL = {"functionCall": {"name": "f", "args": {"a": 1}}}
FILM = {Meter.IN_AUDIO, Meter.IN_VIDEO}
WORDS = st.text(min_size=1, max_size=8)
NAMES_OF_THE_API = [
    "contents", "parts", "role", "text", "functionCall", "function_call", "name", "args", "tools",
    "inlineData", "functionResponse", "response", "generationConfig", "thinkingConfig", "mimeType",
    "data", "toolConfig", "functionCallingConfig", "mode", "allowedFunctionNames", "safetySettings",
    "responseSchema", "type",
    "functionDeclarations", "parameters", "thought", "thoughtSignature", "serviceTier",
]  # fmt: skip
NAMES = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)


def read(body: Any, *, action: str = "generateContent", **query: str) -> Call:
    asked = Asked(f"/v1beta/models/m:{action}", model="m", action=action, query=query)
    return Gemini().read(body if isinstance(body, bytes) else orjson.dumps(body), asked)


def canonical(*contents: dict[str, Any], **more: Any) -> ChatRequest:
    call = read({"contents": list(contents) or [HELLO], **more})
    return Gemini().canonical(call, OpenAI())


def said(role: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": role, "parts": list(parts)}


def refused(*contents: dict[str, Any], **more: Any) -> BadRequest:
    with pytest.raises(BadRequest) as refusal:
        canonical(*contents, **more)
    assert refusal.value.status == 422
    return refusal.value


class TestReading:
    def test_takes_model_and_action_from_the_path(self) -> None:
        whole, events = (
            read({"contents": [HELLO]}),
            read({"contents": [HELLO]}, action="streamGenerateContent", alt="sse"),
        )
        array = read({"contents": [HELLO]}, action="streamGenerateContent")
        assert (whole.model, whole.stream, whole.endpoint) == (
            "m",
            False,
            "/v1beta/models/{model}:generateContent",
        )
        assert (events.stream, events.stream_type) == (True, "text/event-stream; charset=utf-8")
        assert (array.stream, array.stream_type) == (True, "application/json; charset=utf-8")

    def test_reads_bounds_in_either_spelling(self) -> None:
        for config in (
            {"maxOutputTokens": 7, "candidateCount": 2},
            {"max_output_tokens": 7, "candidate_count": 2},
        ):
            for name in ("generationConfig", "generation_config"):
                call = read({"contents": [HELLO], name: config})
                assert (call.max_tokens, call.n) == (7, 2)

    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ({}, "contents"),
            ({"contents": []}, "contents"),
            ({"contents": "Hello"}, "contents"),
            ({"contents": [7]}, "contents[0]"),
            ({"contents": [{"role": "user"}]}, "contents[0].parts"),
            ({"contents": [{"parts": [7]}]}, "contents[0].parts[0]"),
            ({"contents": [{"parts": [{"text": 7}]}]}, "contents[0].parts[0].text"),
            ({"contents": [{"parts": [{"inlineData": "x"}]}]}, "contents[0].parts[0].inlineData"),
            ({"contents": [HELLO], "generationConfig": 7}, "generationConfig"),
            (
                {"contents": [HELLO], "generationConfig": {"maxOutputTokens": "7"}},
                "generationConfig.maxOutputTokens",
            ),
            (
                {"contents": [HELLO], "generationConfig": {"maxOutputTokens": 0}},
                "generationConfig.maxOutputTokens",
            ),
            (
                {"contents": [HELLO], "generationConfig": {"candidateCount": 9}},
                "generationConfig.candidateCount",
            ),
            (
                {"contents": [HELLO], "generationConfig": {"temperature": True}},
                "generationConfig.temperature",
            ),
            ({"contents": [HELLO], "tools": [7]}, "tools"),
            ({"contents": [HELLO], "tools": [{"functionDeclarations": 7}]}, "tools[0].functionDeclarations"),
            ({"contents": [HELLO], "systemInstruction": "Be brief."}, "systemInstruction"),
            ({"contents": [HELLO], "systemInstruction": {}, "system_instruction": {}}, "systemInstruction"),
        ],
    )
    def test_names_what_is_wrong(self, body: Any, param: str) -> None:
        with pytest.raises(BadRequest) as refusal:
            read(body)
        assert (refusal.value.status, refusal.value.param) == (422, param)

    def test_leaves_the_callers_own_names_alone(self) -> None:
        mine = {"snake_case": {"inner_name": 1}, "snakeCase": 2}
        body = {
            "function_call": {"name": "f", "args": mine},
            "generation_config": {"response_json_schema": {"properties": mine}},
        }
        assert in_camel_case(body) == {
            "functionCall": {"name": "f", "args": mine},
            "generationConfig": {"responseJsonSchema": {"properties": mine}},
        }

    @pytest.mark.parametrize(
        ("part", "least"),
        [
            ({"text": "word " * 300}, 300),
            ({"inlineData": {"mimeType": "image/png", "data": "x"}}, 2_300),
            ({"inlineData": {"mimeType": "audio/wav", "data": "x" * 10_000}}, 100),
            ({"inlineData": {"mimeType": "application/pdf", "data": "x"}}, 258),
            ({"inlineData": {"mimeType": "text/plain", "data": "x" * 900}}, 300),
            ({"fileData": {"mimeType": "image/png", "fileUri": "https://x.example/a"}}, 2_300),
            ({"fileData": {"fileUri": "https://www.youtube.com/watch?v=1"}}, 100_000),
            ({"fileData": {"mimeType": "audio/mp3", "fileUri": "https://x.example/a"}}, 28_800),
            ({"functionCall": {"name": "f", "args": {"a": "x" * 900}}}, 300),
        ],
    )
    def test_estimates_the_input_on_the_high_side(self, part: dict[str, Any], least: int) -> None:
        assert read({"contents": [said("user", part)]}).input_tokens >= least

    def test_notes_the_dearer_classes_it_may_use(self) -> None:
        sound = {"inlineData": {"mimeType": "audio/wav", "data": "aGk="}}
        call = read(
            {"contents": [said("user", sound)], "generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}}
        )
        assert call.meters == {Meter.IN_AUDIO, Meter.OUT_IMAGE}
        assert read({"contents": [HELLO]}).meters == frozenset()

    @pytest.mark.parametrize(
        ("part", "meters"),
        [
            ({"inlineData": {"mimeType": "AUDIO/mp3", "data": "aGk="}}, {Meter.IN_AUDIO}),
            ({"fileData": {"mimeType": "audio/mp3", "fileUri": "https://x.example/a"}}, {Meter.IN_AUDIO}),
            ({"file_data": {"mime_type": "Video/mp4", "file_uri": "https://x.example/a"}}, FILM),
            ({"inlineData": {"mimeType": "video/mp4", "data": "aGk="}}, FILM),
            ({"fileData": {"fileUri": "https://www.youtube.com/watch?v=1"}}, FILM),
            ({"fileData": {"fileUri": "https://x.example/a"}}, {*FILM, Meter.IN_IMAGE}),
            ({"fileData": {"mimeType": None, "fileUri": None}}, {*FILM, Meter.IN_IMAGE}),
            ({"inlineData": {"mimeType": "image/png", "data": "aGk="}}, {Meter.IN_IMAGE}),
            ({"inlineData": {"mimeType": "application/pdf", "data": "aGk="}}, {Meter.IN_IMAGE}),
            ({"inlineData": {"mimeType": "text/plain", "data": "aGk="}}, set()),
        ],
    )
    def test_notes_the_dearer_classes_it_carries(self, part: dict[str, Any], meters: set[Meter]) -> None:
        answered = {"functionResponse": {"name": "f", "response": {}, "parts": [part]}}
        for raw in (
            {"contents": [HELLO, said("user", part)]},
            {"contents": [said("user", answered)]},
            {"contents": [HELLO], "systemInstruction": {"parts": [part]}},
        ):
            assert read(raw).meters == meters

    def test_estimates_media_whatever_the_case_of_their_names(self) -> None:
        for kind in ("image/png", "audio/mp3", "video/mp4", "text/plain"):
            for blob in (
                {"inlineData": {"data": "x" * 90_000}},
                {"fileData": {"fileUri": "https://x.example"}},
            ):
                ((name, inner),) = blob.items()
                plain, loud = (
                    read({"contents": [said("user", {name: {**inner, "mimeType": one}})]}).input_tokens
                    for one in (kind, kind.upper())
                )
                assert plain == loud

    @given(st.binary(max_size=60))
    def test_of_any_bytes_is_a_call_or_a_refusal(self, body: bytes) -> None:
        with pytest.raises(BadRequest):
            read(body)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=4),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(NAMES_OF_THE_API),
                    inner,
                    max_size=5,
                )
            ),
            max_leaves=25,
        )
    )
    def test_of_any_json_is_understood_or_refused(self, body: Any) -> None:
        content = body if isinstance(body, dict) else {"parts": [body]}
        for asked in (body, {"contents": [content]}, {"contents": [HELLO], **content}):
            with suppress(BadRequest):  # anything else is a bug
                Gemini().canonical(read(asked), OpenAI())


class TestCanonical:
    def test_of_a_whole_conversation(self) -> None:
        asked = canonical(
            HELLO,
            said(
                "model",
                {"text": "Let me "},
                {"text": "look."},
                {"functionCall": {"id": "c1", "name": "f", "args": {}}},
            ),
            said("user", {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "21"}}}),
            systemInstruction={"parts": [{"text": "Be brief."}]},
        )
        assert asked.turns == (
            Turn(role="system", parts=(Text(text="Be brief."),), place="systemInstruction"),
            Turn(role="user", parts=(Text(text="Hello"),), place="contents[0]"),
            Turn(
                role="assistant",
                parts=(Text(text="Let me look."), ToolCall(id="c1", name="f", arguments="{}")),
                place="contents[1]",
            ),
            Turn(
                role="user", parts=(ToolResult(call_id="c1", parts=(Text(text="21"),)),), place="contents[2]"
            ),
        )

    def test_matches_answers_to_calls_without_ids_in_order(self) -> None:
        answers = [{"functionResponse": {"name": "f", "response": {"n": n}}} for n in (1, 2)]
        asked = canonical(HELLO, said("model", CALL, CALL), said("function", *answers))
        calls = [part.id for part in asked.turns[1].parts if isinstance(part, ToolCall)]
        results = [part for part in asked.turns[2].parts if isinstance(part, ToolResult)]
        assert calls == [part.call_id for part in results] == ["call_0", "call_1"]
        assert results[1].parts == (Text(text='{"n":2}'),)

    def test_reads_media(self) -> None:
        parts = [
            {"inlineData": {"mimeType": "image/PNG", "data": "a-_="}},
            {"fileData": {"fileUri": "https://x.example/a.png"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBE", "displayName": "a.pdf"}},
            {"inlineData": {"mimeType": "text/plain", "data": base64.b64encode("Grüße".encode()).decode()}},
        ]
        assert canonical(said("user", *parts)).turns[0].parts == (
            Image(media_type="image/png", data="a+/="),
            Image(url="https://x.example/a.png"),
            File(media_type="application/pdf", data="JVBE", name="a.pdf"),
            Text(text="Grüße"),
        )

    def test_reads_options(self) -> None:
        config = {
            "temperature": 0.5, "topP": 0.9, "topK": 40, "seed": 7, "stopSequences": ["END"],
            "maxOutputTokens": 9, "presencePenalty": 0.1, "frequencyPenalty": 0.2, "candidateCount": 1,
            "responseMimeType": "application/json", "thinkingConfig": {"thinkingBudget": 100},
            "mediaResolution": "MEDIA_RESOLUTION_LOW",
        }  # fmt: skip
        off = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
        asked = canonical(
            HELLO, generationConfig=config, safetySettings=off, serviceTier="standard", labels={"a": "b"}
        )
        assert (asked.temperature, asked.top_p, asked.top_k, asked.seed) == (0.5, 0.9, 40, 7)
        assert (asked.stop, asked.max_tokens, asked.json_object) == (("END",), 9, True)
        assert (asked.thinking_tokens, asked.effort, asked.service_tier) == (100, None, "default")
        assert asked.metadata == {"a": "b"}

    @pytest.mark.parametrize(
        ("config", "tokens", "effort"),
        [
            ({"thinkingBudget": -1, "includeThoughts": True}, None, None),
            ({"thinkingBudget": 0}, 0, None),
            ({"thinkingLevel": "LOW"}, None, "low"),
            ({"thinkingLevel": "high"}, None, "high"),
            ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, None, None),
        ],
    )
    def test_reads_thinking(self, config: dict[str, Any], tokens: int | None, effort: str | None) -> None:
        asked = canonical(HELLO, generationConfig={"thinkingConfig": config})
        assert (asked.thinking_tokens, asked.effort) == (tokens, effort)

    def test_writes_googles_schema_as_json_schema(self) -> None:
        own = {
            "type": "OBJECT",
            "properties": {
                "tags": {"type": "ARRAY", "items": {"type": "STRING"}, "minItems": "1"},
                "note": {"type": "STRING", "nullable": True},
                "kind": {"any_of": [{"type": "INTEGER"}, {"type": "NUMBER"}]},
            },
            "propertyOrdering": ["tags", "note"],
            "required": ["tags"],
        }
        assert canonical(HELLO, generationConfig={"responseSchema": own}).json_schema == {
            "type": "object",
            "properties": {
                "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                "note": {"type": ["string", "null"]},
                "kind": {"anyOf": [{"type": "integer"}, {"type": "number"}]},
            },
            "required": ["tags"],
        }

    @pytest.mark.parametrize(
        ("calling", "choice", "offered"),
        [
            ({"mode": "AUTO"}, ToolChoice(mode="auto"), ["f", "g"]),
            ({"mode": "NONE"}, ToolChoice(mode="none"), ["f", "g"]),
            ({"mode": "any"}, ToolChoice(mode="required"), ["f", "g"]),
            ({"mode": "ANY", "allowedFunctionNames": ["g"]}, ToolChoice(mode="named", name="g"), ["g"]),
            ({"mode": "ANY", "allowedFunctionNames": ["f", "g"]}, ToolChoice(mode="required"), ["f", "g"]),
            ({"mode": "VALIDATED"}, ToolChoice(mode="auto"), ["f", "g"]),
        ],
    )
    def test_reads_the_choice_among_tools(
        self, calling: dict[str, Any], choice: ToolChoice, offered: list[str]
    ) -> None:
        tools = [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}, {"name": "g"}]}]
        asked = canonical(HELLO, tools=tools, toolConfig={"functionCallingConfig": calling})
        assert asked.tool_choice == choice
        assert [tool.name for tool in asked.tools] == offered
        assert all(tool.strict is (True if calling["mode"] == "VALIDATED" else None) for tool in asked.tools)

    @pytest.mark.parametrize(
        ("more", "param"),
        [
            ({"cachedContent": "cachedContents/x"}, "cachedContent"),
            ({"store": True}, "store"),
            ({"somethingNew": 1}, "somethingNew"),
            ({"generationConfig": {"speechConfig": {"a": 1}}}, "generationConfig.speechConfig"),
            ({"generationConfig": {"candidateCount": 2}}, "generationConfig.candidateCount"),
            ({"generationConfig": {"responseMimeType": "text/x.enum"}}, "generationConfig.responseMimeType"),
            (
                {"generationConfig": {"thinkingConfig": {"thinkingLevel": "EXTREME"}}},
                "generationConfig.thinkingConfig.thinkingLevel",
            ),
            ({"safetySettings": [{"threshold": "BLOCK_LOW_AND_ABOVE"}]}, "safetySettings[0].threshold"),
            ({"tools": [{"googleSearch": {}}]}, "tools[0].googleSearch"),
            ({"tools": [{"url_context": {}}]}, "tools[0].urlContext"),
            (
                {"tools": [{"functionDeclarations": [{"name": "f", "behavior": "NON_BLOCKING"}]}]},
                "tools[0].functionDeclarations[0].behavior",
            ),
            ({"toolConfig": {"retrievalConfig": {}}}, "toolConfig.retrievalConfig"),
            (
                {"toolConfig": {"functionCallingConfig": {"mode": "MAYBE"}}},
                "toolConfig.functionCallingConfig.mode",
            ),
        ],
    )
    def test_refuses_by_name_what_cannot_be_said(self, more: dict[str, Any], param: str) -> None:
        assert refused(HELLO, **more).param == param

    @pytest.mark.parametrize(
        ("content", "param"),
        [
            (said("narrator", {"text": "x"}), "contents[0].role"),
            (
                said("user", {"inlineData": {"mimeType": "video/mp4", "data": "x"}}),
                "contents[0].parts[0].inlineData.mimeType",
            ),
            (said("user", {"inlineData": {"data": "x"}}), "contents[0].parts[0].inlineData.mimeType"),
            (
                said("user", {"fileData": {"fileUri": "gs://bucket/a.png"}}),
                "contents[0].parts[0].fileData.fileUri",
            ),
            (said("user", {"executableCode": {"code": "1"}}), "contents[0].parts[0].executableCode"),
            (
                said("user", {"functionResponse": {"name": "f", "response": {}}}),
                "contents[0].parts[0].functionResponse.name",
            ),
            (said("model", {"functionCall": {"args": {}}}), "contents[0].parts[0].functionCall.name"),
            (said("user", {"text": "a", "functionCall": {"name": "f"}}), "contents[0].parts[0]"),
        ],
    )
    def test_refuses_contents_by_their_place(self, content: dict[str, Any], param: str) -> None:
        assert refused(content).param == param


class TestThoughts:
    @given(text=WORDS, signature=WORDS)
    def test_go_out_sealed_and_come_back_as_they_were(self, text: str, signature: str) -> None:
        thinking = Thinking(text=text, signature=signature)
        kept = sealed(thinking)
        assert kept is not None
        assert opened(text, kept) == thinking
        for_urls = kept.replace("+", "-").replace("/", "_").rstrip("=")
        assert opened(text, for_urls) == thinking

    def test_go_to_google_without_their_seals(self) -> None:
        kept = sealed(Thinking(text="hm", signature="s"))
        asked, own = said("user", {"text": "a"}), {"text": "b", "thoughtSignature": "CiQBVKhc"}
        thought = {"text": "hm", "thought": True}
        ended = {"text": "", "thought": True, "thoughtSignature": kept}
        came = [asked, said("model", {**thought, "thoughtSignature": kept}, own), said("model", ended), asked]
        assert unsealed(came) == [asked, said("model", thought, own), asked]
        assert unsealed("a") == "a"

    def test_that_are_redacted_come_back_too(self) -> None:
        assert opened("", sealed(Thinking(redacted="EmwK"))) == Thinking(redacted="EmwK")

    @pytest.mark.parametrize(
        "signature", [None, 7, "", "CiQBVKhc", "not base64", "é", "YnVyc2FyOnt9eA==", "YnVyc2FyOls3XQ=="]
    )
    def test_signed_by_others_are_unsigned(self, signature: object) -> None:
        assert opened("hm", signature) == Thinking(text="hm")

    def test_of_a_stream_are_whole_again(self) -> None:
        kept = sealed(Thinking(text="First, think.", signature="s"))
        contents = [
            said("model", {"text": "First, ", "thought": True}),
            said("model", {"text": "think.", "thought": True}),
            said("model", {"text": "", "thought": True, "thoughtSignature": kept}),
            said("model", {"text": "Hel"}),
            said("model", {"text": "lo"}, {"functionCall": {"name": "f", "args": {}}}),
        ]
        assert canonical(HELLO, *contents).turns[1].parts == (
            Thinking(text="First, think.", signature="s"),
            Text(text="Hello"),
            ToolCall(id="call_0", name="f", arguments="{}"),
        )


PARTS: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, text=WORDS),
    st.builds(Image, media_type=st.just("image/png"), data=st.just("aGk=")),
    st.builds(File, media_type=st.just("application/pdf"), data=st.just("JVBE")),
)


class TestARoundTrip:
    """Written for the Gemini API and read as its caller's request, a chat keeps its meaning."""

    @given(
        words=st.lists(st.tuples(st.lists(PARTS, min_size=1, max_size=3), WORDS), min_size=1, max_size=3),
        tools=st.lists(NAMES, unique=True, max_size=2),
        sampling=st.fixed_dictionaries(
            {},
            optional={
                "temperature": st.sampled_from([0, 0.5, 2]),
                "top_p": st.sampled_from([0.1, 1]),
                "top_k": st.integers(1, 100),
                "seed": st.integers(0, 1000),
                "max_tokens": st.integers(1, 1000),
                "stop": st.lists(WORDS, max_size=3).map(tuple),
                "thinking_tokens": st.integers(1024, 20_000),
            },
        ),
    )
    def test_keeps_its_meaning(self, words: Any, tools: list[str], sampling: dict[str, Any]) -> None:
        turns: list[Turn] = []
        for number, (asked, answered) in enumerate(words):
            call = ToolCall(id=f"id-{number}", name="f", arguments='{"a":1}')
            turns += [
                Turn(role="user", parts=tuple(asked)),
                Turn(role="assistant", parts=(Text(text=answered), call)),
                Turn(role="user", parts=(ToolResult(call_id=call.id, parts=(Text(text=answered),)),)),
            ]
        request = ChatRequest(turns=tuple(turns), tools=tuple(Tool(name=name) for name in tools), **sampling)
        built = GeminiProvider().build(request, attempt("gemini-2.5-flash"), stream=False)
        back = Gemini().canonical(read(built.body), OpenAI())
        assert [(turn.role, turn.parts) for turn in back.turns] == [(turn.role, turn.parts) for turn in turns]
        assert [tool.name for tool in back.tools] == tools
        for name, value in sampling.items():
            assert getattr(back, name) == value
