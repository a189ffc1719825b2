"""Whatever is asked, the simulator answers in a provider's shape and does not break."""

from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_http import ANTHROPIC_KEY, CHAT, MESSAGES, OPENAI_KEY, chat, message

from bursar.simulator.fault_queue import FaultQueue
from bursar.simulator.prompt_cache import PromptCache
from bursar.simulator.providers import Providers
from bursar.simulator.settings import SimulatorSettings
from bursar.simulator.wire import Request

TOOL_USE = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "x"}]}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
CLAUDE = message(
    messages=[
        {
            "role": "user",
            "content": [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}, IMAGE],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "x"}, TOOL_USE]},
        {"role": "user", "content": [RESULT]},
    ],
    system=[{"type": "text", "text": "s"}],
    tools=[{"name": "f", "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}],
    tool_choice={"type": "any"},
    thinking={"type": "adaptive"},
    output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}, "effort": "low"},
    stop_sequences=["x"],
    metadata={"user_id": "u"},
    stream=True,
)
CALLS = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
PICTURE = {"type": "image_url", "image_url": {"url": "http://x/y.png", "detail": "low"}}
SOUND = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
GPT = chat(
    model="sim-small",
    messages=[
        {"role": "system", "content": [{"type": "text", "text": "s"}]},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Hi f"}, PICTURE, SOUND, {"type": "file", "file": {}}],
        },
        {"role": "assistant", "content": None, "tool_calls": CALLS},
        {"role": "tool", "tool_call_id": "call_1", "content": "x"},
    ],
    tools=[
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": False}}
    ],
    tool_choice={"type": "function", "function": {"name": "f"}},
    response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    prediction={"type": "content", "content": [{"type": "text", "text": "p"}]},
    stop=["x"],
    n=2,
    logprobs=True,
    top_logprobs=2,
    stream=True,
    stream_options={"include_usage": True},
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, inner in inside for place in places(inner, (*path, key)))]


def replaced(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


def removed(value: Any, path: tuple[str | int, ...]) -> Any:
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = removed(value[path[0]], path[1:])
    return copy


def ask(path: str, body: Any) -> int:
    headers = {
        b"authorization": f"Bearer {OPENAI_KEY}".encode(),
        b"x-api-key": ANTHROPIC_KEY.encode(),
        b"anthropic-version": b"2023-06-01",
    }
    providers = Providers(SimulatorSettings(), FaultQueue(), PromptCache())
    request = Request("POST", path.encode(), headers, orjson.dumps(body), keep_alive=True)
    return providers.answer(request, path, "").status


class TestEveryRequest:
    def test_samples_are_good(self) -> None:
        assert (
            ask(CHAT, GPT)
            == ask(f"/compat{CHAT}", GPT)
            == ask(MESSAGES, {**CLAUDE, "tool_choice": {"type": "auto"}})
            == 200
        )

    @settings(max_examples=200, deadline=None)
    @given(st.sampled_from(places(GPT)), JSON)
    def test_of_openai_with_a_value_exchanged_is_answered(
        self, place: tuple[str | int, ...], value: Any
    ) -> None:
        body = replaced(GPT, place, value)
        assert ask(CHAT, body) in (200, 400, 404)
        assert ask(f"/compat{CHAT}", body) in (200, 400)

    @settings(max_examples=100, deadline=None)
    @given(st.sampled_from(places(GPT)[1:]))
    def test_of_openai_with_a_value_missing_is_answered(self, place: tuple[str | int, ...]) -> None:
        body = removed(GPT, place)
        assert ask(CHAT, body) in (200, 400)
        assert ask(f"/compat{CHAT}", body) in (200, 400)

    @settings(max_examples=200, deadline=None)
    @given(st.sampled_from(places(CLAUDE)), JSON)
    def test_of_anthropic_with_a_value_exchanged_is_answered(
        self, place: tuple[str | int, ...], value: Any
    ) -> None:
        assert ask(MESSAGES, replaced(CLAUDE, place, value)) in (200, 400, 404)

    @settings(max_examples=100, deadline=None)
    @given(st.sampled_from(places(CLAUDE)[1:]))
    def test_of_anthropic_with_a_value_missing_is_answered(self, place: tuple[str | int, ...]) -> None:
        assert ask(MESSAGES, removed(CLAUDE, place)) in (200, 400)
