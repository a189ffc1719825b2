"""Whatever is asked or answered, each adapter writes a request, refuses by name, or reports a failure."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_chat_round_trip import CHOICES, PATIENT, REQUESTS, TOOLS

from bursar.adapters.providers import ProviderFailure, UpstreamRequest
from bursar.adapters.providers.openai_chat import ChatServer
from bursar.core.chat import BadRequest, ChatRequest, Tool, ToolChoice
from bursar.core.sse import Event
from bursar.core.usage import Usage
from bursar.entrypoints.adapters import provider_adapters
from recorded import SECRET, attempt

SERVERS = [adapter for adapter in provider_adapters().values() if isinstance(adapter, ChatServer)]
every_server = pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.kind)
COUNTS = st.none() | st.integers(-3, 10**12) | st.floats(allow_nan=False) | st.text(max_size=3)
ODD = st.recursive(
    COUNTS | st.booleans(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
DETAILS = st.none() | ODD | st.fixed_dictionaries({"cached_tokens": COUNTS, "reasoning_tokens": COUNTS})
USAGES = st.fixed_dictionaries(
    {},
    optional={
        "prompt_tokens": COUNTS,
        "completion_tokens": COUNTS,
        "total_tokens": COUNTS,
        "prompt_tokens_details": DETAILS,
        "completion_tokens_details": DETAILS,
        "prompt_cache_hit_tokens": COUNTS,
        "prompt_cache_miss_tokens": COUNTS,
        "service_tier": ODD,
    },
)
SAID = ("content", "reasoning", "reasoning_content", "reasoning_details", "tool_calls", "refusal")
MESSAGES = st.fixed_dictionaries({}, optional=dict.fromkeys(SAID, ODD))
FINISHES = st.none() | st.sampled_from(["stop", "length", "error", "sensitive", "tool_calls"]) | ODD


def is_request(sent: UpstreamRequest) -> bool:
    body = orjson.loads(sent.body)
    return isinstance(body, dict) and sent.path.startswith("/") and SECRET.encode() not in sent.body


@every_server
class TestEveryServer:
    @settings(PATIENT, max_examples=40)
    @given(REQUESTS, TOOLS, CHOICES, st.booleans())
    def test_writes_a_request_or_refuses_by_name(
        self,
        server: ChatServer,
        request: ChatRequest,
        tools: tuple[Tool, ...],
        choice: ToolChoice | None,
        stream: bool,  # noqa: FBT001 - drawn
    ) -> None:
        asked = replace(request, tools=tools, tool_choice=choice)
        try:
            sent = server.build(asked, attempt("m"), stream=stream)
        except BadRequest as refused:
            assert refused.param  # noqa: PT017 - a refusal is one of two right answers
        else:
            assert is_request(sent)

    @settings(PATIENT, max_examples=40)
    @given(MESSAGES, FINISHES, USAGES)
    def test_reads_an_answer_or_reports_a_failure(
        self, server: ChatServer, message: Any, finish: Any, usage: Any
    ) -> None:
        choice = {"index": 0, "message": message, "delta": message, "finish_reason": finish}
        body = orjson.dumps({"id": "a", "choices": [choice], "usage": usage})
        reader = server.read_stream(REQUEST, attempt("m"))
        for read in (lambda: server.read_answer(body, REQUEST), lambda: reader.read(Event("", body))):
            try:
                read()
            except ProviderFailure as failure:
                assert SECRET not in failure.message  # noqa: PT017 - as above
        counted = server.usage(usage, service_tier=None)
        assert counted is None or is_sound(counted)


def is_sound(usage: Usage) -> bool:
    return all(quantity >= 0 for quantity in usage.quantities.values())


REQUEST = ChatRequest(turns=())
