"""Every property of OpenAI's chat request meets its declared fate at the Gemini API."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from test_dispositions import EXAMPLES, HELLO, SCHEMA

from bursar.adapters.providers import Disposition, Rule
from bursar.adapters.providers.gemini import Gemini
from bursar.core.chat import BadRequest
from bursar.gateway.dialects.openai_chat import reading
from bursar.gateway.exchange import open_exchange
from recorded import SECRET, attempt, recorded_json

PROPERTIES = recorded_json("openai/chat_request_properties.json")["properties"]
MODEL = "gemini-2.5-flash"
DECLARED = [
    {"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object", "properties": {}}}]}
]
HELLO_PART = {"text": "Hello"}
BRIEF = {"parts": [{"text": "Be brief."}]}
RESULT = {"functionResponse": {"name": "f", "response": {"output": "21"}, "id": "c1"}}
CALL = {"functionCall": {"name": "f", "args": {}, "id": "c1"}}
PDF = {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}}
PICTURE = {"fileData": {"mimeType": "image/png", "fileUri": "https://x.example/a.png"}}
SOUND = {"inlineData": {"mimeType": "audio/wav", "data": "aGk="}}

Look = Callable[[dict[str, Any]], Any]


def first(body: dict[str, Any]) -> Any:
    return body["contents"][0]["parts"][0]


def second(body: dict[str, Any]) -> Any:
    return body["contents"][1]["parts"][0]


def last(body: dict[str, Any]) -> Any:
    return body["contents"][-1]["parts"][-1]


def config(name: str) -> Look:
    return lambda body: body["generationConfig"].get(name)


def calling(body: dict[str, Any]) -> Any:
    return body["toolConfig"]["functionCallingConfig"]


def function_result(body: dict[str, Any]) -> Any:
    return last(body)["functionResponse"]["response"]


KEPT: dict[str, tuple[Look, Any]] = {
    "frequency_penalty": (config("frequencyPenalty"), 0.5),
    "function_call": (calling, {"mode": "AUTO"}),
    "functions": (lambda body: body["tools"], DECLARED),
    "max_completion_tokens": (config("maxOutputTokens"), 77),
    "max_tokens": (config("maxOutputTokens"), 77),
    "messages": (first, HELLO_PART),
    "messages[].content": (first, HELLO_PART),
    "messages[].content[].file.file_data": (first, PDF),
    "messages[].content[].image_url.url": (first, PICTURE),
    "messages[].content[].type=file": (first, PDF),
    "messages[].content[].type=image_url": (first, PICTURE),
    "messages[].content[].type=input_audio": (first, SOUND),
    "messages[].content[].type=refusal": (second, {"text": "No."}),
    "messages[].content[].type=text": (first, HELLO_PART),
    "messages[].function_call": (lambda body: last(body)["functionCall"]["name"], "f"),
    "messages[].refusal": (second, {"text": "No."}),
    "messages[].role=assistant": (lambda body: body["contents"][1]["role"], "model"),
    "messages[].role=developer": (lambda body: body["systemInstruction"], BRIEF),
    "messages[].role=function": (function_result, {"output": "21"}),
    "messages[].role=system": (lambda body: body["systemInstruction"], BRIEF),
    "messages[].role=tool": (last, RESULT),
    "messages[].role=user": (lambda body: body["contents"][0]["role"], "user"),
    "messages[].tool_call_id": (last, RESULT),
    "messages[].tool_calls": (last, CALL),
    "messages[].tool_calls[].type=function": (last, CALL),
    "model": (lambda body: body["path"], f"/models/{MODEL}:generateContent"),
    "presence_penalty": (config("presencePenalty"), 0.5),
    "reasoning_effort": (config("thinkingConfig"), {"thinkingBudget": 1024, "includeThoughts": True}),
    "response_format": (config("responseJsonSchema"), SCHEMA["schema"]),
    "response_format.type=json_object": (config("responseMimeType"), "application/json"),
    "response_format.type=json_schema": (config("responseMimeType"), "application/json"),
    "response_format.type=text": (lambda body: "generationConfig" in body, False),
    "seed": (config("seed"), 7),
    "service_tier": (lambda body: body["serviceTier"], "standard"),
    "service_tier=auto": (lambda body: "serviceTier" in body, False),
    "service_tier=default": (lambda body: body["serviceTier"], "standard"),
    "service_tier=flex": (lambda body: body["serviceTier"], "flex"),
    "stop": (config("stopSequences"), ["END"]),
    "stream": (lambda body: body["path"], f"/models/{MODEL}:streamGenerateContent?alt=sse"),
    "stream_options": (lambda body: "stream_options" in body, False),
    "stream_options.include_usage": (lambda body: "stream_options" in body, False),
    "temperature": (config("temperature"), 0.3),
    "tool_choice": (calling, {"mode": "ANY"}),
    "tool_choice=none": (calling, {"mode": "NONE"}),
    "tool_choice=auto": (calling, {"mode": "AUTO"}),
    "tool_choice=required": (calling, {"mode": "ANY"}),
    "tool_choice.type=allowed_tools": (calling, {"mode": "AUTO"}),
    "tool_choice.type=function": (calling, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
    "tools": (lambda body: body["tools"], DECLARED),
    "tools[].type=function": (lambda body: body["tools"], DECLARED),
    "top_p": (config("topP"), 0.9),
}
"""What arrives at the Gemini API of every property that is forwarded or translated."""


def asked(path: str) -> dict[str, Any]:
    return {"model": "best-model", "messages": [HELLO], **EXAMPLES[path]}


def sent(request: dict[str, Any]) -> dict[str, Any]:
    call = reading.read(orjson.dumps(request))
    exchange = open_exchange(call, Gemini(), attempt(MODEL).deployment, SECRET, None)
    return {"path": exchange.path, **orjson.loads(exchange.body)}


def rules(*dispositions: Disposition) -> list[str]:
    table = Gemini().dispositions
    return sorted(
        path for path in PROPERTIES if table.get(path, Rule(Disposition.IGNORED)).disposition in dispositions
    )


class TestGemini:
    @pytest.mark.parametrize("path", rules(Disposition.FORWARDED, Disposition.TRANSLATED))
    def test_is_given(self, path: str) -> None:
        look, expected = KEPT[path]
        assert look(sent(asked(path))) == expected

    @pytest.mark.parametrize("path", rules(Disposition.REFUSED))
    def test_is_refused_by_name(self, path: str) -> None:
        with pytest.raises(BadRequest) as refused:
            sent(asked(path))
        assert (refused.value.status, refused.value.code) == (422, "unsupported_parameter")
        assert refused.value.param is not None
        named = path.split("=", maxsplit=1)[0].replace("[]", "[0]").split(".")[-1].split("[")[0]
        assert named in refused.value.param
        assert refused.value.param in refused.value.message

    @pytest.mark.parametrize("path", rules(Disposition.IGNORED))
    def test_is_left_out_without_a_trace(self, path: str) -> None:
        request = asked(path)
        name = path.split(".", maxsplit=1)[0].split("[", maxsplit=1)[0]
        if name == "messages":
            text = orjson.dumps(request)
            for gone in (
                b',"detail":"low"',
                b',"filename":"a.pdf"',
                b',"prompt_cache_breakpoint":{"mode":"explicit"}',
            ):
                text = text.replace(gone, b"")
            without = orjson.loads(text)
        else:
            without = {key: value for key, value in request.items() if key != name}
        assert without != request
        assert sent(request) == sent(without)

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (path, value)
            for path, rule in Gemini().dispositions.items()
            if rule.disposition is Disposition.REFUSED
            for value in rule.neutral
        ],
    )
    def test_a_value_that_asks_for_nothing_is_accepted(self, path: str, value: Any) -> None:
        request = asked("messages")
        assert sent({**request, path: value}) == sent(request)

    @pytest.mark.parametrize("unknown", ["top_k", "chat_template_kwargs", "thinking"])
    def test_unknown_fields_are_refused_by_name(self, unknown: str) -> None:
        with pytest.raises(BadRequest) as refused:
            sent({**asked("messages"), unknown: {"a": 1}})
        assert (refused.value.code, refused.value.param) == ("unsupported_parameter", unknown)
