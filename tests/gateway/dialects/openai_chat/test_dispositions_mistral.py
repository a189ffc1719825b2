"""Every property of OpenAI's chat request meets its declared fate at Mistral, which is translated."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from test_dispositions import EXAMPLES, FUNCTION, HELLO, SCHEMA

from bursar.adapters.providers import Disposition
from bursar.adapters.providers.mistral import Mistral
from bursar.core.chat import BadRequest
from bursar.gateway.dialects.openai_chat import reading
from bursar.gateway.exchange import open_exchange
from recorded import SECRET, attempt, recorded_json

PROPERTIES = recorded_json("openai/chat_request_properties.json")["properties"]
CALL_LENGTH = 9
TOOLS = [{"type": "function", "function": {**FUNCTION, "strict": False}}]
DOCUMENT = {
    "type": "document_url",
    "document_url": "data:application/pdf;base64,JVBE",
    "document_name": "a.pdf",
}
PICTURE = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}
FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "answer", "schema": SCHEMA["schema"], "strict": True},
}
JSON = {"type": "json_object"}

Look = Callable[[dict[str, Any]], Any]


def at(name: str) -> Look:
    return lambda body: body.get(name)


def message(position: int, name: str = "content") -> Look:
    return lambda body: body["messages"][position].get(name)


def block(body: dict[str, Any]) -> Any:
    return body["messages"][0]["content"][0]


def called(body: dict[str, Any]) -> Any:
    return body["messages"][1]["tool_calls"][0]["function"]


def answered(body: dict[str, Any]) -> Any:
    calls, result = body["messages"][1:]
    same = calls["tool_calls"][0]["id"] == result["tool_call_id"]
    return same, len(result["tool_call_id"]), result["content"]


FUNCTION_CALL = {"name": "f", "arguments": "{}"}
KEPT: dict[str, tuple[Look, Any]] = {
    "frequency_penalty": (at("frequency_penalty"), 0.5),
    "function_call": (at("tool_choice"), "auto"),
    "functions": (at("tools"), TOOLS),
    "max_completion_tokens": (at("max_tokens"), 77),
    "max_tokens": (at("max_tokens"), 77),
    "messages": (message(0), "Hello"),
    "messages[].content": (message(0), "Hello"),
    "messages[].content[].file.file_data": (block, DOCUMENT),
    "messages[].content[].file.filename": (block, DOCUMENT),
    "messages[].content[].image_url.url": (block, PICTURE),
    "messages[].content[].type=file": (block, DOCUMENT),
    "messages[].content[].type=image_url": (block, PICTURE),
    "messages[].content[].type=refusal": (message(1), "No."),
    "messages[].content[].type=text": (message(0), "Hello"),
    "messages[].function_call": (called, FUNCTION_CALL),
    "messages[].refusal": (message(1), "No."),
    "messages[].role=assistant": (message(1, "role"), "assistant"),
    "messages[].role=developer": (message(1, "role"), "system"),
    "messages[].role=function": (answered, (True, CALL_LENGTH, "21")),
    "messages[].role=system": (message(1), "Be brief."),
    "messages[].role=tool": (answered, (True, CALL_LENGTH, "21")),
    "messages[].role=user": (message(0, "role"), "user"),
    "messages[].tool_call_id": (answered, (True, CALL_LENGTH, "21")),
    "messages[].tool_calls": (called, FUNCTION_CALL),
    "messages[].tool_calls[].type=function": (called, FUNCTION_CALL),
    "model": (at("model"), "mistral-medium-latest"),
    "parallel_tool_calls": (at("parallel_tool_calls"), False),
    "presence_penalty": (at("presence_penalty"), 0.5),
    "reasoning_effort": (at("reasoning_effort"), "high"),
    "response_format": (at("response_format"), FORMAT),
    "response_format.type=json_object": (at("response_format"), JSON),
    "response_format.type=json_schema": (at("response_format"), FORMAT),
    "response_format.type=text": (at("response_format"), None),
    "seed": (at("random_seed"), 7),
    "stop": (at("stop"), ["END"]),
    "stream": (at("stream"), True),
    "stream_options": (at("stream_options"), None),
    "stream_options.include_usage": (at("stream_options"), None),
    "temperature": (at("temperature"), 0.3),
    "tool_choice": (at("tool_choice"), "any"),
    "tool_choice=none": (at("tool_choice"), "none"),
    "tool_choice=auto": (at("tool_choice"), "auto"),
    "tool_choice=required": (at("tool_choice"), "any"),
    "tool_choice.type=allowed_tools": (at("tools"), TOOLS),
    "tool_choice.type=function": (at("tool_choice"), {"type": "function", "function": {"name": "f"}}),
    "tools": (at("tools"), TOOLS),
    "tools[].type=function": (at("tools"), TOOLS),
    "top_p": (at("top_p"), 0.9),
}
"""What arrives at Mistral of every property that is forwarded or translated."""


def asked(path: str) -> dict[str, Any]:
    return {"model": "best-model", "messages": [HELLO], **EXAMPLES[path]}


def sent(request: dict[str, Any]) -> dict[str, Any]:
    call = reading.read(orjson.dumps(request))
    exchange = open_exchange(call, Mistral(), attempt("mistral-medium-latest").deployment, SECRET, None)
    body = orjson.loads(exchange.body)
    assert isinstance(body, dict)
    return body


def rules(*dispositions: Disposition) -> list[str]:
    table = Mistral().dispositions
    return sorted(path for path in PROPERTIES if table[path].disposition in dispositions)


class TestMistral:
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

    @pytest.mark.parametrize("path", rules(Disposition.IGNORED))
    def test_is_left_out_without_a_trace(self, path: str) -> None:
        request = asked(path)
        name = path.split(".", maxsplit=1)[0].split("[", maxsplit=1)[0].split("=", maxsplit=1)[0]
        if name == "messages":
            text = orjson.dumps(request)
            for gone in (b',"detail":"low"', b',"prompt_cache_breakpoint":{"mode":"explicit"}'):
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
            for path, rule in sorted(Mistral().dispositions.items())
            if rule.disposition is Disposition.REFUSED
            for value in rule.neutral
        ],
    )
    def test_a_value_that_asks_for_nothing_is_accepted(self, path: str, value: Any) -> None:
        request = asked("messages")
        assert sent({**request, path: value}) == sent(request)
