"""What every provider kind does, asked by callers of every dialect: the contract behind docs/providers.md.

Each check sends what a caller would, looks at what reaches the provider, answers in the provider's own words
and looks at what reaches the caller and the meter. There is no network and no database in it.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import orjson

from bursar.adapters.providers import Provider, ProviderFailure
from bursar.adapters.providers.openai_usage import FLAG_TOTAL_MISMATCH
from bursar.core.chat import BadRequest
from bursar.core.usage import Meter
from bursar.entrypoints.adapters import provider_adapters
from bursar.gateway.dialects import Asked, Call, Exchange
from bursar.gateway.dialects.registry import CHAT_DIALECTS, DIALECTS
from bursar.gateway.exchange import open_exchange
from recorded import SECRET, attempt, recorded_json

RESPONSES = "openai_responses"
YES, REFUSED = "yes", "refused"
"""It works; or it is refused by name, before anything is sent."""
MODELS = {"anthropic": "claude-sonnet-4-5", "gemini": "gemini-2.5-flash", "mistral": "mistral-medium-latest"}
MODEL = "gpt-5.6"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
SCHEMA = {
    "type": "object", "properties": {"capital_city": {"type": "string"}},
    "required": ["capital_city"], "additionalProperties": False,
}  # fmt: skip
WORDS, THOUGHT = "Oslo is cold.", "He asks for Oslo."
SENT, CACHED, CAME = 12, 4, 5
FAILURES = {
    400: "bad_request", 401: "auth", 402: "billing", 403: "auth", 404: "not_found",
    429: "rate_limited", 500: "server", 503: "overloaded",
}  # fmt: skip

Body = dict[str, Any]


# What callers say.


def to_openai_chat(**more: Any) -> Body:
    return {"model": "m", "messages": [{"role": "user", "content": "Hello"}], **more}


def to_anthropic(**more: Any) -> Body:
    return {"max_tokens": 5_000, **to_openai_chat(**more)}


def to_gemini(**more: Any) -> Body:
    return {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}], **more}


def to_responses(**more: Any) -> Body:
    return {"model": "m", "input": "Hello", **more}


def _turn(*parts: Body) -> list[Body]:
    return [{"role": "user", "content": list(parts)}]


FUNCTION = {"name": "weather", "parameters": PARAMETERS}
DATA_URL = f"data:image/png;base64,{PNG}"
SOURCE = {"type": "base64", "media_type": "image/png", "data": PNG}
RESPONSE_SCHEMA = {"type": "json_schema", "name": "s", "schema": SCHEMA, "strict": True}
OPENAI_SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA, "strict": True}}
GEMINI_SCHEMA = {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}
THINKING = {"thinkingConfig": {"thinkingBudget": 2048, "includeThoughts": True}}
INLINE = {"inlineData": {"mimeType": "image/png", "data": PNG}}
ASKS: Mapping[str, Mapping[str, Body]] = {
    "openai_chat": {
        "chat": to_openai_chat(),
        "tools": to_openai_chat(tools=[{"type": "function", "function": FUNCTION}]),
        "vision": to_openai_chat(messages=_turn({"type": "image_url", "image_url": {"url": DATA_URL}})),
        "json_schema": to_openai_chat(response_format=OPENAI_SCHEMA),
        "reasoning": to_openai_chat(reasoning_effort="low"),
    },
    "anthropic_messages": {
        "chat": to_anthropic(),
        "tools": to_anthropic(tools=[{"name": "weather", "input_schema": PARAMETERS}]),
        "vision": to_anthropic(messages=_turn({"type": "image", "source": SOURCE})),
        "json_schema": to_anthropic(output_config={"format": {"type": "json_schema", "schema": SCHEMA}}),
        "reasoning": to_anthropic(thinking={"type": "enabled", "budget_tokens": 2048}),
    },
    "gemini": {
        "chat": to_gemini(),
        "tools": to_gemini(
            tools=[{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": PARAMETERS}]}]
        ),
        "vision": to_gemini(contents=[{"role": "user", "parts": [INLINE]}]),
        "json_schema": to_gemini(generationConfig=GEMINI_SCHEMA),
        "reasoning": to_gemini(generationConfig=THINKING),
    },
    "openai_responses": {
        "chat": to_responses(),
        "tools": to_responses(tools=[{"type": "function", **FUNCTION, "strict": False}]),
        "vision": to_responses(input=_turn({"type": "input_image", "image_url": DATA_URL, "detail": "auto"})),
        "json_schema": to_responses(text={"format": RESPONSE_SCHEMA}),
        "reasoning": to_responses(reasoning={"effort": "low"}),
    },
}


def call(dialect: str, body: Body, *, stream: bool = False) -> Call:
    action = "streamGenerateContent" if stream else "generateContent"
    asked = Asked(endpoint=f"/{dialect}", model="m" if dialect == "gemini" else None, action=action)
    streamed = {"stream": True} if stream and dialect != "gemini" else {}
    return DIALECTS[dialect].read(orjson.dumps({**body, **streamed}), asked)


def opened(provider: Provider, dialect: str, body: Body, *, stream: bool = False) -> Exchange:
    model = MODELS.get(provider.kind, MODEL)
    return open_exchange(
        call(dialect, body, stream=stream), provider, attempt(model).deployment, SECRET, None
    )


# What providers answer.


class OpenAIWords:
    """Answers in OpenAI's chat dialect."""

    usage: ClassVar[Body] = {
        "prompt_tokens": SENT, "completion_tokens": CAME, "total_tokens": SENT + CAME,
        "prompt_tokens_details": {"cached_tokens": CACHED},
    }  # fmt: skip

    def whole(self, kind: str, usage: Body | None = None) -> bytes:
        message: Body = {"role": "assistant", "content": WORDS}
        if kind == "reasoning":
            message["reasoning_content"] = THOUGHT
        if kind == "tools":
            function = {"name": "weather", "arguments": '{"city":"Oslo"}'}
            message |= {
                "content": None,
                "tool_calls": [{"id": "c", "type": "function", "function": function}],
            }
        finish = "tool_calls" if kind == "tools" else "stop"
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return orjson.dumps({"id": "a", "model": "m", "choices": [choice], "usage": usage or self.usage})

    def stream(self) -> bytes:
        def chunk(delta: Body, finish: str | None = None) -> Body:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            return {"id": "a", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}

        last = {"id": "a", "model": "m", "choices": [], "usage": self.usage}
        chunks = [chunk({"role": "assistant", "content": WORDS}), chunk({}, "stop"), last]
        return b"".join(b"data: " + orjson.dumps(one) + b"\n\n" for one in chunks) + b"data: [DONE]\n\n"

    def error(self, message: str) -> bytes:
        return orjson.dumps({"error": {"message": message, "type": "some_error", "code": None}})


class AnthropicWords:
    """Answers in Anthropic's dialect."""

    usage: ClassVar[Body] = {
        "input_tokens": SENT - CACHED, "cache_read_input_tokens": CACHED,
        "cache_creation_input_tokens": 0, "output_tokens": CAME,
    }  # fmt: skip

    def whole(self, kind: str, usage: Body | None = None) -> bytes:
        content: list[Body] = [{"type": "text", "text": WORDS}]
        if kind == "reasoning":
            content.insert(0, {"type": "thinking", "thinking": THOUGHT, "signature": "c2ln"})
        if kind == "tools":
            content = [{"type": "tool_use", "id": "c", "name": "weather", "input": {"city": "Oslo"}}]
        message = {"id": "a", "type": "message", "role": "assistant", "model": "m", "content": content}
        stop = "tool_use" if kind == "tools" else "end_turn"
        return orjson.dumps({**message, "stop_reason": stop, "usage": usage or self.usage})

    def stream(self) -> bytes:
        message = {"id": "a", "type": "message", "role": "assistant", "model": "m", "content": []}
        events = [
            {"type": "message_start", "message": {**message, "usage": {**self.usage, "output_tokens": 1}}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": WORDS}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": CAME}},
            {"type": "message_stop"},
        ]
        return b"".join(
            f"event: {event['type']}\n".encode() + b"data: " + orjson.dumps(event) + b"\n\n"
            for event in events
        )

    def error(self, message: str) -> bytes:
        return orjson.dumps({"type": "error", "error": {"type": "some_error", "message": message}})


class GeminiWords:
    """Answers in the Gemini API's dialect."""

    usage: ClassVar[Body] = {
        "promptTokenCount": SENT, "cachedContentTokenCount": CACHED,
        "candidatesTokenCount": CAME, "totalTokenCount": SENT + CAME,
    }  # fmt: skip

    def whole(self, kind: str, usage: Body | None = None) -> bytes:
        parts: list[Body] = [{"text": WORDS}]
        if kind == "reasoning":
            parts.insert(0, {"text": THOUGHT, "thought": True})
        if kind == "tools":
            parts = [{"functionCall": {"name": "weather", "args": {"city": "Oslo"}}}]
        candidate = {"index": 0, "content": {"role": "model", "parts": parts}, "finishReason": "STOP"}
        told = {"candidates": [candidate], "usageMetadata": usage or self.usage}
        return orjson.dumps({**told, "modelVersion": "m", "responseId": "a"})

    def stream(self) -> bytes:
        return b"data: " + self.whole("chat") + b"\r\n\r\n"

    def error(self, message: str) -> bytes:
        return orjson.dumps({"error": {"code": 0, "message": message, "status": "SOME_STATUS"}})


class ResponsesWords(OpenAIWords):
    """Answers in the dialect of OpenAI's responses."""

    usage: ClassVar[Body] = {
        "input_tokens": SENT, "output_tokens": CAME, "total_tokens": SENT + CAME,
        "input_tokens_details": {"cached_tokens": CACHED}, "output_tokens_details": {"reasoning_tokens": 0},
    }  # fmt: skip

    def whole(self, kind: str, usage: Body | None = None) -> bytes:
        return orjson.dumps(self._response(kind, usage or self.usage))

    def _response(self, kind: str, usage: Body) -> Body:
        text = {"type": "output_text", "text": WORDS, "annotations": []}
        output: list[Body] = [
            {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [text]}
        ]
        if kind == "reasoning":
            summary = [{"type": "summary_text", "text": THOUGHT}]
            output.insert(0, {"type": "reasoning", "id": "r", "summary": summary})
        if kind == "tools":
            called = {"type": "function_call", "id": "f", "call_id": "c", "status": "completed"}
            output = [{**called, "name": "weather", "arguments": '{"city":"Oslo"}'}]
        told = {"id": "resp_1", "object": "response", "status": "completed", "model": "m"}
        return {**told, "output": output, "usage": usage}

    def stream(self) -> bytes:
        delta = {"item_id": "m", "output_index": 0, "content_index": 0, "delta": WORDS}
        done = self._response("chat", self.usage)
        begun = {**done, "status": "in_progress", "output": [], "usage": None}
        events: list[Body] = [
            {"type": "response.created", "response": begun},
            {"type": "response.output_text.delta", **delta},
            {"type": "response.completed", "response": done},
        ]
        return b"".join(
            f"event: {event['type']}\n".encode() + b"data: " + orjson.dumps(event) + b"\n\n"
            for event in events
        )


Words = OpenAIWords | AnthropicWords | GeminiWords
WORDS_OF: Mapping[str, Words] = {"anthropic": AnthropicWords(), "gemini": GeminiWords()}
"""How a kind answers, where that is not as OpenAI does."""
USAGES_OF = {"zhipu": "zai"}
"""Whose recorded usages are a kind's own: the same API in another region."""
LACKS: Mapping[str, frozenset[str]] = {
    "anthropic": frozenset({"embeddings", "images"}),
    "xai": frozenset({"embeddings"}),
    "mistral": frozenset({"images"}),
    "deepseek": frozenset({"vision", "json_schema", "embeddings", "images"}),
    "zhipu": frozenset({"json_schema"}),
    "zai": frozenset({"json_schema"}),
    "groq": frozenset({"embeddings", "images"}),
    "ollama": frozenset({"images"}),
    "vllm": frozenset({"images"}),
}
"""What a kind's own API does not have: refusing it leaves nothing out."""


def words_of(provider: Provider, dialect: str) -> Words:
    if dialect == RESPONSES and dialect in provider.passes:
        return ResponsesWords()
    return WORDS_OF.get(provider.kind, OpenAIWords())


# The checks.


def _answered(provider: Provider, dialect: str, kind: str) -> tuple[Exchange, bytes]:
    exchange = opened(provider, dialect, ASKS[dialect][kind])
    return exchange, exchange.answer(200, words_of(provider, dialect).whole(kind))


def check_chat(provider: Provider, dialect: str) -> None:
    exchange, answer = _answered(provider, dialect, "chat")
    assert b"Hello" in exchange.body
    assert SECRET.encode() not in exchange.body
    assert WORDS.encode() in answer
    assert (exchange.measured.terminal, exchange.measured.usage_final) == (True, True)


def check_stream(provider: Provider, dialect: str) -> None:
    exchange = opened(provider, dialect, ASKS[dialect]["chat"], stream=True)
    told = b"".join(
        [*exchange.feed(words_of(provider, dialect).stream()), *exchange.end(), *exchange.tail(None)]
    )
    measured = exchange.measured
    assert measured.error is None
    assert WORDS.encode() in told
    assert (measured.terminal, measured.usage_final) == (True, True)
    assert measured.usage is not None
    assert (measured.usage.input_tokens, measured.usage.output_tokens) == (SENT, CAME)


def check_tools(provider: Provider, dialect: str) -> None:
    exchange, answer = _answered(provider, dialect, "tools")
    assert b"weather" in exchange.body
    assert b"city" in exchange.body
    assert b"weather" in answer
    assert b"Oslo" in answer


def check_vision(provider: Provider, dialect: str) -> None:
    assert PNG.encode() in opened(provider, dialect, ASKS[dialect]["vision"]).body


def check_json_schema(provider: Provider, dialect: str) -> None:
    assert b"capital_city" in opened(provider, dialect, ASKS[dialect]["json_schema"]).body


def check_reasoning(provider: Provider, dialect: str) -> None:
    exchange, answer = _answered(provider, dialect, "reasoning")
    plain = orjson.loads(opened(provider, dialect, ASKS[dialect]["chat"]).body)
    asked = orjson.loads(exchange.body)
    assert {name for name in asked if asked[name] != plain.get(name)}, "nothing asks for reasoning"
    assert THOUGHT.encode() in answer
    assert WORDS.encode() in answer


def check_caching(provider: Provider, dialect: str) -> None:
    exchange, _ = _answered(provider, dialect, "chat")
    usage = exchange.measured.usage
    assert usage is not None
    assert usage.quantity(Meter.CACHE_READ) == CACHED
    assert usage.quantity(Meter.IN_FRESH) == SENT - CACHED


def check_usage(provider: Provider, dialect: str) -> None:
    surface = RESPONSES if dialect == RESPONSES and dialect in provider.passes else provider.kind
    for payload in recorded_usages(surface):
        exchange = opened(provider, dialect, ASKS[dialect]["chat"])
        exchange.answer(200, words_of(provider, dialect).whole("chat", payload["usage"]))
        usage = exchange.measured.usage
        assert usage is not None
        raw = payload["usage"]
        total = raw.get("total_tokens", raw.get("totalTokenCount"))
        counted = usage.input_tokens + usage.output_tokens
        assert total in {None, counted} or FLAG_TOTAL_MISMATCH in usage.flags


def check_errors(provider: Provider, dialect: str) -> None:
    exchange = opened(provider, dialect, ASKS[dialect]["chat"])
    private = f"No: {SECRET} at up.internal"
    for status, kind in FAILURES.items():
        failure = exchange.error(status, {"retry-after": "7"}, words_of(provider, dialect).error(private))
        assert (failure.kind, failure.upstream_status) == (kind, status)
        assert SECRET not in failure.message
        assert "up.internal" not in failure.message
        assert failure.retry_after_s in {7, None}
    refused: ProviderFailure | None = None
    try:
        exchange.answer(200, b"<html>")
    except ProviderFailure as failure:
        refused = failure
    assert refused is not None, "no answer was taken for one"
    assert refused.retryable


def check_embeddings(provider: Provider, dialect: str) -> None:  # noqa: ARG001 - asked in one dialect
    exchange = opened(provider, "openai_embeddings", {"model": "m", "input": "Hello"})
    assert b"Hello" in exchange.body


def check_images(provider: Provider, dialect: str) -> None:  # noqa: ARG001 - as above
    exchange = opened(provider, "openai_images", {"model": "m", "prompt": "A cat"})
    assert b"A cat" in exchange.body


CHECKS: Mapping[str, Callable[[Provider, str], None]] = {
    "chat": check_chat,
    "stream": check_stream,
    "tools": check_tools,
    "vision": check_vision,
    "json_schema": check_json_schema,
    "reasoning": check_reasoning,
    "caching": check_caching,
    "usage": check_usage,
    "errors": check_errors,
    "embeddings": check_embeddings,
    "images": check_images,
}
CALLERS = tuple(CHAT_DIALECTS)


def recorded_usages(kind: str) -> list[Body]:
    """The payloads of a kind that somebody published."""
    try:
        payloads = recorded_json(f"usages/{USAGES_OF.get(kind, kind)}.json")
    except FileNotFoundError:
        return []
    return [payload for payload in payloads if not payload.get("made")]


def outcome(provider: Provider, capability: str, dialect: str) -> str:
    """`YES`, or `REFUSED` when the caller is told, by name, that there is no such thing. Raises otherwise."""
    try:
        CHECKS[capability](provider, dialect)
    except BadRequest as refused:
        if refused.code == BadRequest.UNSUPPORTED and refused.param:
            return REFUSED
        raise
    return YES


def met_at(provider: Provider, capability: str) -> str:
    """What callers meet who are translated, all the same; others' requests pass, and the provider decides."""
    passing = {outcome(provider, capability, dialect) for dialect in CALLERS if dialect in provider.passes}
    met = {outcome(provider, capability, dialect) for dialect in CALLERS if dialect not in provider.passes}
    assert len(met) == 1, "callers of different dialects meet different things"
    assert passing <= {YES, *met}
    return met.pop()


def outcomes() -> dict[str, dict[str, str]]:
    """Kind → capability → what callers meet there."""
    return {
        kind: {capability: met_at(provider, capability) for capability in CHECKS}
        for kind, provider in provider_adapters().items()
    }


def recorded_counts() -> dict[str, int]:
    """Kind → how many published usage payloads its meter is held to."""
    return {kind: len(recorded_usages(kind)) for kind in provider_adapters()}
