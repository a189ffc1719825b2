"""OpenAI's Responses API."""

from bursar.adapters.providers import Attempt, PassThrough, Provider
from bursar.adapters.providers.openai_responses.rules import refuse_unsupported
from bursar.core.chat import ChatRequest
from bursar.gateway.dialects import Call, Exchange, Writer
from bursar.gateway.dialects.openai_chat.errors import error_body
from bursar.gateway.dialects.openai_responses.canonical import canonical
from bursar.gateway.dialects.openai_responses.dispositions import DISPOSITION
from bursar.gateway.dialects.openai_responses.passing import PassThroughExchange
from bursar.gateway.dialects.openai_responses.reading import DIALECT, read
from bursar.gateway.dialects.openai_responses.writing import ResponsesWriter


class OpenAIResponses:
    """`POST /v1/responses`."""

    name = DIALECT
    read = staticmethod(read)
    error_body = staticmethod(error_body)

    def canonical(self, call: Call, provider: Provider) -> ChatRequest:  # noqa: ARG002 - one table for all
        refuse_unsupported(call.raw, DISPOSITION)
        return canonical(call.raw)

    def writer(self, call: Call, *, created_s: int) -> Writer:
        return ResponsesWriter(call, created_s=created_s)

    def passing(self, call: Call, provider: Provider, surface: PassThrough, attempt: Attempt) -> Exchange:
        return PassThroughExchange(call, provider, surface, attempt)
