"""Anthropic's messages."""

from bursar.adapters.providers import Attempt, PassThrough, Provider
from bursar.core.chat import ChatRequest
from bursar.gateway.dialects import Call, Exchange, Writer
from bursar.gateway.dialects.anthropic_messages.canonical import canonical
from bursar.gateway.dialects.anthropic_messages.errors import error_body
from bursar.gateway.dialects.anthropic_messages.passing import PassThroughExchange
from bursar.gateway.dialects.anthropic_messages.reading import DIALECT, read
from bursar.gateway.dialects.anthropic_messages.writing import MessageWriter


class AnthropicMessages:
    """`POST /v1/messages`."""

    name = DIALECT
    read = staticmethod(read)
    error_body = staticmethod(error_body)

    def canonical(self, call: Call, provider: Provider) -> ChatRequest:  # noqa: ARG002 - translators refuse themselves
        return canonical(call.raw)

    def writer(self, call: Call, *, created_s: int) -> Writer:  # noqa: ARG002 - this dialect tells no time
        return MessageWriter(call)

    def passing(self, call: Call, provider: Provider, surface: PassThrough, attempt: Attempt) -> Exchange:
        return PassThroughExchange(call, provider, surface, attempt)
