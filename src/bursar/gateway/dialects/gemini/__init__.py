"""The Gemini API's own dialect."""

from bursar.adapters.providers import Attempt, PassThrough, Provider
from bursar.core.chat import ChatRequest
from bursar.gateway.dialects import Call, Exchange, Writer
from bursar.gateway.dialects.gemini.canonical import canonical
from bursar.gateway.dialects.gemini.errors import error_body
from bursar.gateway.dialects.gemini.passing import PassThroughExchange
from bursar.gateway.dialects.gemini.reading import DIALECT, read
from bursar.gateway.dialects.gemini.writing import GeminiWriter


class Gemini:
    """`POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`."""

    name = DIALECT
    read = staticmethod(read)
    error_body = staticmethod(error_body)

    def canonical(self, call: Call, provider: Provider) -> ChatRequest:  # noqa: ARG002 - translators refuse themselves
        return canonical(call.raw)

    def writer(self, call: Call, *, created_s: int) -> Writer:  # noqa: ARG002 - this dialect tells no time
        return GeminiWriter(call)

    def passing(self, call: Call, provider: Provider, surface: PassThrough, attempt: Attempt) -> Exchange:
        return PassThroughExchange(call, provider, surface, attempt)
