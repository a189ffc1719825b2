"""OpenAI's chat completions."""

from bursar.adapters.providers import Attempt, PassThrough, Provider
from bursar.core.chat import ChatRequest
from bursar.gateway.dialects import Call, Exchange, Writer
from bursar.gateway.dialects.openai_chat.canonical import canonical
from bursar.gateway.dialects.openai_chat.errors import error_body
from bursar.gateway.dialects.openai_chat.passing import PassThroughExchange
from bursar.gateway.dialects.openai_chat.reading import DIALECT, read
from bursar.gateway.dialects.openai_chat.rules import refuse_unsupported
from bursar.gateway.dialects.openai_chat.writing import ChatWriter


class OpenAIChat:
    """`POST /v1/chat/completions`."""

    name = DIALECT
    read = staticmethod(read)
    error_body = staticmethod(error_body)

    def canonical(self, call: Call, provider: Provider) -> ChatRequest:
        refuse_unsupported(call.raw, provider.dispositions)
        return canonical(call.raw)

    def writer(self, call: Call, *, created_s: int) -> Writer:
        return ChatWriter(call, created_s=created_s)

    def passing(self, call: Call, provider: Provider, surface: PassThrough, attempt: Attempt) -> Exchange:
        return PassThroughExchange(call, provider, surface, attempt)
