"""What the real providers refuse is refused here, in their words: a wrong translation must not pass."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from raw_http import CHAT, MESSAGES, Call, chat, exchange, message, request_bytes

from bursar.simulator import Simulator, SimulatorSettings, running

PROPERTIES = Path(__file__).parent.parent / "data" / "openai" / "chat_request_properties.json"
CALLING = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
USER = {"role": "user", "content": "Hi"}
TOOL = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {}}}},
}
STRICT = {"type": "function", "function": {**TOOL["function"], "strict": True}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": {"type": "object"}}}

OPENAI_REFUSALS: list[tuple[dict[str, Any], str, str | None, str | None]] = [
    (chat(thinking={}), "Unrecognized request argument supplied: thinking", None, None),
    (chat(max_tokens="5"), "expected an integer, but got a string", "max_tokens", "invalid_type"),
    (chat(max_tokens=0), "Expected a value >= 1, but got 0", "max_tokens", "integer_below_min_value"),
    (chat(temperature=3), "Expected a value <= 2, but got 3", "temperature", "integer_above_max_value"),
    (chat(temperature=2.5), "decimal above maximum", "temperature", "decimal_above_max_value"),
    (chat(stream=1), "expected a boolean", "stream", "invalid_type"),
    (chat(n=129), "Expected a value <= 128", "n", "integer_above_max_value"),
    (chat(stop=["a"] * 5), "array too long", "stop", "array_above_max_length"),
    (chat(messages=[]), "array too short", "messages", "array_below_min_length"),
    ({"model": "gpt-4o"}, "Missing required parameter: 'messages'", "messages", "missing_required_parameter"),
    (chat(messages=[{"role": "robot", "content": "x"}]), "Invalid value: 'robot'", "messages[0].role", None),
    (chat(messages=[{"role": "user"}]), "Missing required parameter", "messages[0].content", None),
    (chat(messages=[{**USER, "cache_control": {}}]), "Unknown parameter", "messages[0].cache_control", None),
    (chat(messages=[{"role": "user", "content": [{"type": "image"}]}]), "Invalid value: 'image'", None, None),
    (chat(messages=[USER, {"role": "assistant", "content": None}]), "got null", "messages[1].content", None),
    (
        chat(messages=[USER, {"role": "tool", "content": "x", "tool_call_id": "z"}]),
        "must be a response",
        None,
        None,
    ),
    (chat(messages=[USER, CALLING, USER]), "did not have response messages: call_1", None, None),
    (chat(messages=[USER, CALLING]), "did not have response messages: call_1", None, None),
    (chat(tools=[{"name": "f", "input_schema": {}}]), "Missing required parameter", "tools[0].type", None),
    (chat(tools=[STRICT]), "'additionalProperties' is required", None, "invalid_function_parameters"),
    (chat(tools=[TOOL], tool_choice={"type": "any"}), "Invalid value: 'any'", "tool_choice.type", None),
    (chat(tool_choice="auto"), "only allowed when 'tools'", "tool_choice", None),
    (chat(response_format=SCHEMA), "'additionalProperties' is required", "response_format", None),
    (chat(response_format={"type": "json_object"}), "must contain the word 'json'", "messages", None),
    (chat(stream_options={"include_usage": True}), "only allowed when 'stream'", "stream_options", None),
    (chat(top_logprobs=2), "only allowed when 'logprobs'", "top_logprobs", None),
    (chat(max_tokens=20_000), "supports at most 16384", "max_tokens", None),
    (chat(max_tokens=5, max_completion_tokens=5), "at the same time", "max_tokens", None),
    (chat(reasoning_effort="low"), "Unrecognized request argument", None, None),
    (chat(model="gpt-5-mini", max_tokens=5), "Use 'max_completion_tokens' instead", "max_tokens", None),
    (chat(model="gpt-5-mini", temperature=0.2), "Only the default (1)", "temperature", "unsupported_value"),
    (chat(model="gpt-5-mini", stop="x"), "not supported with this model", "stop", "unsupported_parameter"),
    (chat(web_search_options={}), "not supported with this model", "web_search_options", None),
    (chat(modalities=["audio"]), "does not support audio", "modalities", None),
    (chat("[[sim: no_such_word]]"), "unknown word 'no_such_word'", "messages", None),
    (chat("[[sim: status=200]]"), "status needs a number from 400 to 599", "messages", None),
]

TOOL_USE = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}
F = {"name": "f", "input_schema": {"type": "object"}}
SHORT = {"type": "ephemeral"}
MANUAL = {"type": "enabled", "budget_tokens": 1024}


def talk(*turns: tuple[str, Any], **fields: Any) -> dict[str, Any]:
    return message(messages=[{"role": role, "content": content} for role, content in turns], **fields)


def marked(count: int, ttl: str = "5m") -> list[dict[str, Any]]:
    return [
        {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": ttl}}
        for _ in range(count)
    ]


ANTHROPIC_REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"model": "claude-haiku-4-5", "messages": [USER]}, "max_tokens: Field required"),
    (message(response_format={}), "response_format: Extra inputs are not permitted"),
    (message(max_tokens="5"), "max_tokens: Input should be a valid integer"),
    (message(max_tokens=999_999), "max_tokens: 999999 > 128000"),
    (message(temperature=1.5), "temperature: Input should be less than or equal to 1"),
    (message(temperature=0.5, top_p=0.5), "cannot both be specified"),
    (message(model="claude-opus-5-5", temperature=0.5), "`temperature` is deprecated for this model"),
    (message(stream="yes"), "stream: Input should be a valid boolean"),
    (message(stop_sequences=[" "]), "each stop sequence must contain non-whitespace"),
    (message(messages=[]), "messages: List should have at least 1 items"),
    (talk(("tool", "x")), "messages.0.role: Input should be 'user', 'assistant' or 'system'"),
    (talk(("system", "x"), ("user", "Hi")), 'Unexpected role "system"'),
    (
        talk(("system", "x"), ("user", "Hi"), model="claude-opus-5-5"),
        "must immediately follow a `user` message",
    ),
    (talk(("assistant", "x"), ("user", "Hi")), 'first message must use the "user" role'),
    (talk(("user", "")), "all messages must have non-empty content"),
    (talk(("user", [{"type": "text", "text": ""}])), "text content blocks must be non-empty"),
    (talk(("user", [{"type": "image_url"}])), "messages.0.content.0: Input tag 'image_url' found"),
    (
        talk(("user", [{"type": "text", "text": "x", "index": 0}])),
        "messages.0.content.0.text.index: Extra inputs are not permitted",
    ),
    (talk(("user", "Hi"), ("assistant", "x")), "does not support assistant message prefill"),
    (
        talk(("user", "Hi"), ("assistant", "x "), model="claude-haiku-4-5"),
        "final assistant content cannot end with trailing whitespace",
    ),
    (
        talk(("user", "Hi"), ("assistant", [TOOL_USE]), ("user", "so?"), tools=[F]),
        "`tool_use` ids were found without `tool_result` blocks immediately after: toolu_1",
    ),
    (
        talk(
            ("user", "Hi"),
            ("assistant", [TOOL_USE]),
            ("user", [{"type": "text", "text": "x"}, RESULT]),
            tools=[F],
        ),
        "`tool_use` ids were found without `tool_result`",
    ),
    (talk(("user", [RESULT]), tools=[F]), "unexpected `tool_use_id` found in `tool_result` blocks: toolu_1"),
    (
        talk(("user", "Hi"), ("assistant", [{**TOOL_USE, "id": "a.b"}]), ("user", "x"), tools=[F]),
        "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
    ),
    (
        talk(("user", "Hi"), ("assistant", [{**TOOL_USE, "input": "{}"}]), ("user", "x"), tools=[F]),
        "messages.1.content.0.tool_use.input: Input should be a valid dictionary",
    ),
    (talk(("user", "Hi"), ("assistant", [TOOL_USE]), ("user", [RESULT])), "must define tools"),
    (message(tools=[{"type": "function", "function": {}}]), "tools.0: Input tag 'function' found"),
    (
        message(tools=[{"name": "a b", "input_schema": {"type": "object"}}]),
        "tools.0.custom.name: String should match",
    ),
    (message(tools=[{"name": "f", "input_schema": {}}]), "tools.0.custom.input_schema.type: Field required"),
    (message(tools=[F, F]), "Tool names must be unique"),
    (message(tool_choice={"type": "auto"}), "tool_choice may only be specified while providing tools"),
    (message(tools=[F], tool_choice="auto"), "tool_choice: Input should be a valid dictionary"),
    (message(tools=[F], tool_choice={"type": "tool", "name": "g"}), "Tool 'g' not found in provided tools"),
    (
        message(thinking={"type": "enabled", "budget_tokens": 5}),
        "budget_tokens: Input should be greater than",
    ),
    (message(thinking=MANUAL), "`max_tokens` must be greater than `thinking.budget_tokens`"),
    (
        message(model="claude-opus-5-5", thinking=MANUAL, max_tokens=2000),
        '"thinking.type.enabled" is not supported',
    ),
    (message(model="claude-haiku-4-5", thinking={"type": "adaptive"}), "adaptive thinking is not supported"),
    (
        message(thinking=MANUAL, max_tokens=2000, temperature=0.5),
        "may only be set to 1 when thinking is enabled",
    ),
    (
        message(thinking=MANUAL, max_tokens=2000, tools=[F], tool_choice={"type": "any"}),
        "Thinking may not be enabled when tool_choice forces tool use",
    ),
    (talk(("user", marked(5))), "A maximum of 4 blocks with cache_control may be provided. Found 5."),
    (talk(("user", marked(1) + marked(1, "1h"))), "ttl='1h' cache_control block must not come after"),
    (message(mcp_servers=[]), "mcp_servers: Extra inputs are not permitted"),
    (message("[[sim: no_such_word]]"), "unknown word 'no_such_word'"),
]


class TestOpenAI:
    @pytest.mark.parametrize(("body", "words", "param", "code"), OPENAI_REFUSALS)
    async def test_refuses_with_400(
        self, call: Call, body: dict[str, Any], words: str, param: str | None, code: str | None
    ) -> None:
        raw = await call(CHAT, body)
        error = orjson.loads(raw.body)["error"]
        assert raw.status == 400
        assert words in error["message"]
        assert error["type"] == "invalid_request_error"
        assert param is None or error["param"] == param
        assert code is None or error["code"] == code

    async def test_knows_every_documented_parameter(self, call: Call) -> None:
        documented = orjson.loads(PROPERTIES.read_bytes())["properties"]
        others = {name: None for name in documented if name.isidentifier()}
        assert (await call(CHAT, {**others, **chat()})).status == 200

    @pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"{}"])
    async def test_refuses_what_is_not_a_request(self, call: Call, body: bytes) -> None:
        assert (await call(CHAT, body)).status == 400

    @pytest.mark.parametrize(
        ("key", "code"),
        [
            ("", None),
            ("Bearer ", None),
            ("Bearer sk-ant-x", "invalid_api_key"),
            ("Bearer x", "invalid_api_key"),
        ],
    )
    async def test_refuses_a_bad_key(self, call: Call, key: str, code: str | None) -> None:
        raw = await call(CHAT, chat(), headers={"authorization": key})
        assert raw.status == 401
        assert orjson.loads(raw.body)["error"]["code"] == code

    async def test_does_not_repeat_a_key_in_full(self, call: Call) -> None:
        raw = await call(CHAT, chat(), headers={"authorization": "Bearer secret-secret-secret"})
        assert b"secret-secret" not in raw.body

    async def test_takes_only_the_keys_it_was_given(self) -> None:
        settings = SimulatorSettings(openai_keys=frozenset({"sk-good"}))
        async with running(settings) as simulator:
            statuses = []
            for key in ("sk-good", "sk-other"):
                headers = {"authorization": f"Bearer {key}", "connection": "close"}
                raw = await exchange(simulator, request_bytes(CHAT, chat(), headers=headers), quiet_s=20)
                statuses.append(raw.status)
        assert statuses == [200, 401]

    @pytest.mark.parametrize("name", ["gpt-nonesuch", "claude-haiku-4-5", "gpt-4o-mini-extra"])
    async def test_does_not_know_other_models(self, call: Call, name: str) -> None:
        raw = await call(CHAT, chat(model=name))
        assert raw.status == 404
        assert orjson.loads(raw.body)["error"]["code"] == "model_not_found"

    @pytest.mark.parametrize(("method", "path", "status"), [("GET", CHAT, 405), ("POST", "/v1/nowhere", 404)])
    async def test_refuses_other_methods_and_paths(
        self, call: Call, method: str, path: str, status: int
    ) -> None:
        assert (await call(path, b"", method=method)).status == status


class TestAnthropic:
    @pytest.mark.parametrize(("body", "words"), ANTHROPIC_REFUSALS)
    async def test_refuses_with_400(self, call: Call, body: dict[str, Any], words: str) -> None:
        raw = await call(MESSAGES, body)
        answer = orjson.loads(raw.body)
        assert raw.status == 400
        assert answer["type"] == "error"
        assert answer["error"]["type"] == "invalid_request_error"
        assert words in answer["error"]["message"]
        assert answer["request_id"] == raw.head["request-id"]

    @pytest.mark.parametrize(
        ("headers", "status", "words"),
        [
            ({"x-api-key": ""}, 401, "x-api-key header is required"),
            ({"x-api-key": "sk-openai"}, 401, "invalid x-api-key"),
            ({"anthropic-version": ""}, 400, "anthropic-version: header is required"),
            ({"anthropic-version": "2020-01-01"}, 400, "is not a valid version"),
        ],
    )
    async def test_refuses_bad_headers(
        self, call: Call, headers: dict[str, str], status: int, words: str
    ) -> None:
        raw = await call(MESSAGES, message(), headers=headers)
        assert raw.status == status
        assert words in orjson.loads(raw.body)["error"]["message"]

    async def test_takes_a_key_as_bearer_token(self, nearby: Simulator) -> None:
        content = request_bytes(MESSAGES, message(), headers={"x-api-key": "", "connection": "close"})
        content = content.replace(b"x-api-key: ", b"authorization: Bearer sk-ant-test")
        assert (await exchange(nearby, content, quiet_s=20)).status == 200

    @pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
    @pytest.mark.parametrize(("version", "status"), [("2023-06-01", 200), ("2026-10-21", 400)])
    async def test_takes_sampling_only_in_the_old_version(
        self, call: Call, name: str, version: str, status: int
    ) -> None:
        raw = await call(MESSAGES, message(**{name: 1}), headers={"anthropic-version": version})
        assert raw.status == status

    async def test_takes_beta_fields_only_with_a_beta_header(self, call: Call) -> None:
        headers = {"anthropic-beta": "mcp-client-2025-11-20"}
        assert (await call(MESSAGES, message(mcp_servers=[]), headers=headers)).status == 200

    async def test_takes_system_turns_on_models_that_know_them(self, call: Call) -> None:
        body = talk(("user", "Hi"), ("system", "Be brief."), ("user", "Go on"), model="claude-opus-5-5")
        assert (await call(MESSAGES, body)).status == 200

    async def test_joins_turns_of_one_role(self, call: Call) -> None:
        second = {**TOOL_USE, "id": "toolu_2"}
        answers = [("user", [RESULT]), ("user", [{**RESULT, "tool_use_id": "toolu_2"}])]
        body = talk(("user", "Hi"), ("assistant", [TOOL_USE, second]), *answers, tools=[F])
        assert (await call(MESSAGES, body)).status == 200

    async def test_does_not_know_retired_models(self, call: Call) -> None:
        raw = await call(MESSAGES, message(model="claude-3-opus-20240229"))
        assert raw.status == 404
        assert orjson.loads(raw.body)["error"]["type"] == "not_found_error"

    @pytest.mark.parametrize("path", ["/v1/messages/nowhere", "/anthropic/v1/nowhere"])
    async def test_does_not_know_other_paths(self, call: Call, path: str) -> None:
        assert (
            await call(path, b"{}", headers={"x-api-key": "sk-ant-x", "anthropic-version": "2023-06-01"})
        ).status == 404
