"""Anthropic's Messages API, reached through the canonical form."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import orjson

from bursar.adapters.providers import (
    Attempt,
    Embedder,
    PassThrough,
    ProviderFailure,
    Translator,
    UpstreamRequest,
)
from bursar.adapters.providers.anthropic.answer import MessageStream, read_message
from bursar.adapters.providers.anthropic.dispositions import DISPOSITION
from bursar.adapters.providers.anthropic.messages import (
    MESSAGES_PATH,
    Messages,
    TokenCounts,
    request_headers,
)
from bursar.adapters.providers.anthropic.request import cache_control, message_body
from bursar.adapters.providers.failures import FOUND_IN_STREAM, classify, read_error
from bursar.core.chat import ChatAnswer, ChatRequest
from bursar.core.usage import Meter

_PASSES: Final[Mapping[str, PassThrough]] = MappingProxyType(
    {"anthropic_messages": Messages(), "anthropic_token_counts": TokenCounts()}
)


class Anthropic:
    """Provider type `anthropic`."""

    kind = "anthropic"
    passes = _PASSES
    embedder: Embedder | None = None
    dispositions = DISPOSITION

    @property
    def translator(self) -> Translator:
        return self

    def build(self, request: ChatRequest, attempt: Attempt, *, stream: bool) -> UpstreamRequest:
        body = message_body(request, attempt, stream=stream)
        headers = request_headers(attempt.secret, {})
        return UpstreamRequest(path=MESSAGES_PATH, headers=headers, body=orjson.dumps(body))

    def read_answer(self, body: bytes, request: ChatRequest) -> ChatAnswer:
        return read_message(body, cache_life=_cache_life(request))

    def read_stream(self, request: ChatRequest, attempt: Attempt) -> MessageStream:
        def failure(body: bytes) -> ProviderFailure:
            return self.failure(FOUND_IN_STREAM, {}, body, attempt)

        return MessageStream(cache_life=_cache_life(request), failure=failure)

    def failure(
        self, status: int, headers: Mapping[str, str], body: bytes, attempt: Attempt
    ) -> ProviderFailure:
        return classify(read_error(body), status, headers, attempt)


def _cache_life(request: ChatRequest) -> Meter:
    return Meter.CACHE_WRITE_1H if "ttl" in cache_control(request) else Meter.CACHE_WRITE_5M
