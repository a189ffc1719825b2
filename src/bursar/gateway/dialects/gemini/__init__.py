"""The Gemini API's own dialect."""

from collections.abc import Mapping
from typing import Any

from bursar.adapters.providers import Attempt, PassThrough, Provider
from bursar.core.chat import ChatRequest
from bursar.gateway.dialects import Asked, Call, Exchange, Writer
from bursar.gateway.dialects.gemini.canonical import canonical
from bursar.gateway.dialects.gemini.errors import error_body
from bursar.gateway.dialects.gemini.passing import PassThroughExchange
from bursar.gateway.dialects.gemini.reading import DIALECT, read
from bursar.gateway.dialects.gemini.writing import GeminiWriter


class Gemini:
    """`POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`."""

    name = DIALECT

    def read(self, body: bytes, asked: Asked) -> Call:
        return read(body, asked)

    def canonical(self, call: Call, provider: Provider) -> ChatRequest:  # noqa: ARG002 - translators refuse themselves
        return canonical(call.raw)

    def writer(self, call: Call, *, created_s: int) -> Writer:  # noqa: ARG002 - this dialect tells no time
        return GeminiWriter(call)

    def passing(self, call: Call, provider: Provider, surface: PassThrough, attempt: Attempt) -> Exchange:
        return PassThroughExchange(call, provider, surface, attempt)

    def error_body(
        self,
        status: int,
        code: str,
        message: str,
        param: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> bytes:
        return error_body(status, code, message, param, extra)
