"""Strangers' bytes on both sides: a bad shape is a refusal or the provider's failure, never a crash."""

from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bursar.adapters.providers import Provider, ProviderFailure
from bursar.adapters.providers.anthropic import Anthropic
from bursar.adapters.providers.openai import OpenAI
from bursar.core.chat import BadRequest
from bursar.gateway.dialects import Exchange
from bursar.gateway.dialects.openai_chat import reading
from bursar.gateway.exchange import open_exchange
from recorded import SECRET, attempt

SAID_KEYS = st.sampled_from([
    "type", "index", "delta", "content_block", "message", "usage", "id", "text", "input",
    "stop_reason", "thinking", "partial_json", "name", "signature", "data", "stop_details", "error",
    "content", "model", "iterations", "choices", "finish_reason", "tool_calls", "function",
    "prompt_tokens", "completion_tokens",
])  # fmt: skip
SAID_WORDS = st.sampled_from([
    "message_start", "content_block_start", "content_block_delta", "content_block_stop",
    "message_delta", "text", "message_stop", "error", "text_delta", "thinking_delta",
    "input_json_delta", "tool_use", "thinking", "end_turn",
])  # fmt: skip
ATOMS = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False)
SAID = st.recursive(
    ATOMS | SAID_WORDS | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SAID_KEYS, inner, max_size=5),
    max_leaves=8,
)
EVENTS = st.fixed_dictionaries(
    {"type": SAID_WORDS},
    optional=dict.fromkeys(("index", "delta", "content_block", "message", "usage", "error", "choices"), SAID),
)
ASKED_KEYS = st.sampled_from([
    "role", "content", "type", "text", "image_url", "url", "file", "file_data", "tool_calls",
    "tool_call_id", "id", "function", "name", "arguments", "parameters", "mode", "tools",
    "allowed_tools", "json_schema", "schema", "properties", "items", "anyOf", "thinking_blocks",
    "refusal", "ttl", "input_audio", "function_call",
])  # fmt: skip
ASKED_WORDS = st.sampled_from([
    "user", "assistant", "tool", "system", "function", "text", "image_url", "file", "refusal",
    "allowed_tools", "json_schema", "data:image/png;base64,aGk=", "{}", "auto", "required",
    "input_audio", "thinking", "30m",
])  # fmt: skip
ASKED = st.recursive(
    ATOMS | ASKED_WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ASKED_KEYS, inner, max_size=4),
    max_leaves=8,
)
CALLS = st.lists(
    st.fixed_dictionaries(
        {"id": st.just("c1") | ASKED, "type": st.just("function") | ASKED},
        optional={"function": st.fixed_dictionaries({"name": st.just("f") | ASKED, "arguments": ASKED})},
    ),
    max_size=2,
)
PARTS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["text", "image_url", "file", "refusal", "input_audio"])},
        optional=dict.fromkeys(("text", "image_url", "file", "refusal", "input_audio"), ASKED),
    ),
    max_size=3,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "tool", "system", "function", "developer"])},
        optional={
            "content": st.text(max_size=5) | PARTS | ASKED,
            "tool_calls": CALLS | ASKED,
            **dict.fromkeys(("tool_call_id", "function_call", "refusal", "thinking_blocks"), ASKED),
        },
    ),
    min_size=1,
    max_size=4,
)
OPTION_NAMES = (
    "tools", "functions", "tool_choice", "response_format", "stop", "stream_options", "prompt_cache_options",
    "function_call", "reasoning_effort",
)  # fmt: skip
OPTIONS = st.fixed_dictionaries({}, optional=dict.fromkeys(OPTION_NAMES, ASKED))
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""These strategies nest deeply; how fast this machine draws from them is not what is tested."""
PROVIDERS = st.sampled_from([OpenAI(), Anthropic()])


def opened(provider: Provider, messages: Any, **properties: Any) -> Exchange:
    call = reading.read(orjson.dumps({"model": "m", "messages": messages, **properties}))
    return open_exchange(call, provider, attempt().deployment, SECRET, None)


def exchange(provider: Provider, **properties: Any) -> Exchange:
    return opened(provider, [{"role": "user", "content": "Hello"}], **properties)


class TestProvidersWords:
    @settings(PATIENT, max_examples=200)
    @given(PROVIDERS, st.lists(EVENTS, max_size=4))
    def test_no_stream_breaks_the_reader(self, provider: Provider, events: list[Any]) -> None:
        asked = exchange(provider, stream=True)
        for event in events:
            asked.feed(b"data: " + orjson.dumps(event) + b"\n\n")
        asked.end()
        assert asked.measured.delivered_tokens >= 0
        assert asked.tail({})[-1] == b"data: [DONE]\n\n"

    @settings(PATIENT, max_examples=200)
    @given(PROVIDERS, SAID | EVENTS)
    def test_no_answer_breaks_the_reader(self, provider: Provider, body: Any) -> None:
        asked = exchange(provider)
        try:
            answered = asked.answer(200, orjson.dumps(body))
        except ProviderFailure as failure:
            status, said = failure.status, failure.message
        else:
            status, said = 200, orjson.loads(answered)["choices"]
        assert (status == 200) == isinstance(said, list)

    @settings(PATIENT, max_examples=100)
    @given(PROVIDERS, st.integers(300, 599), SAID)
    def test_no_error_breaks_the_classifier(self, provider: Provider, status: int, body: Any) -> None:
        failure = exchange(provider).error(status, {}, orjson.dumps(body))
        assert (failure.status >= 400, bool(failure.message)) == (True, True)


class TestCallersWords:
    @settings(PATIENT, max_examples=300)
    @given(PROVIDERS, MESSAGES, OPTIONS)
    def test_no_request_breaks_the_translation(
        self, provider: Provider, messages: list[Any], options: dict[str, Any]
    ) -> None:
        try:
            status, sent = 200, orjson.loads(opened(provider, messages, **options).body)["messages"]
        except BadRequest as refused:
            status, sent = refused.status, []
        assert status == (200 if sent else 422)
