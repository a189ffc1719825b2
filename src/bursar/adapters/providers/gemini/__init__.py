"""Google's Gemini API: passed through to callers of its own dialect, translated for all others."""

from collections.abc import Mapping

import orjson

from bursar.adapters.providers import (
    Attempt,
    Embedder,
    PassThrough,
    ProviderFailure,
    Translator,
    UpstreamRequest,
)
from bursar.adapters.providers.failures import FOUND_IN_STREAM
from bursar.adapters.providers.gemini.answer import ResponseStream, read_response
from bursar.adapters.providers.gemini.dispositions import DISPOSITION
from bursar.adapters.providers.gemini.embedding import EMBEDDER, EMBEDDINGS
from bursar.adapters.providers.gemini.failures import failure_of
from bursar.adapters.providers.gemini.passing import COUNTS, GENERATE
from bursar.adapters.providers.gemini.paths import headers_for, path_of
from bursar.adapters.providers.gemini.request import generate_body
from bursar.core.chat import ChatAnswer, ChatRequest


class Gemini:
    """Provider type `gemini`."""

    kind = "gemini"
    dispositions = DISPOSITION

    @property
    def passes(self) -> Mapping[str, PassThrough]:
        return {"gemini": GENERATE, "gemini_embeddings": EMBEDDINGS, "gemini_token_counts": COUNTS}

    @property
    def translator(self) -> Translator:
        return self

    @property
    def embedder(self) -> Embedder:
        return EMBEDDER

    def build(self, request: ChatRequest, attempt: Attempt, *, stream: bool) -> UpstreamRequest:
        body = generate_body(request, attempt)
        action = "streamGenerateContent" if stream else "generateContent"
        return UpstreamRequest(
            path=path_of(attempt, action, sse=stream), headers=headers_for(attempt), body=orjson.dumps(body)
        )

    def read_answer(self, body: bytes, request: ChatRequest) -> ChatAnswer:  # noqa: ARG002 - the protocol's
        return read_response(body)

    def read_stream(self, request: ChatRequest, attempt: Attempt) -> ResponseStream:  # noqa: ARG002 - as above
        def failure(body: bytes) -> ProviderFailure:
            return self.failure(FOUND_IN_STREAM, {}, body, attempt)

        return ResponseStream(failure=failure)

    def failure(
        self, status: int, headers: Mapping[str, str], body: bytes, attempt: Attempt
    ) -> ProviderFailure:
        return failure_of(status, headers, body, attempt)
