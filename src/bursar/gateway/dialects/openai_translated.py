"""One attempt at a provider of another dialect for an OpenAI-speaking caller, through the canonical form."""

from collections.abc import Mapping
from typing import Any, assert_never

from bursar.adapters.providers import Attempt, ProviderFailure, Translator
from bursar.core.chat import (
    ChatEvent,
    Finished,
    Started,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingDone,
    ToolCallDelta,
    ToolCallStarted,
)
from bursar.core.sse import parse
from bursar.gateway.dialects import ChatCall
from bursar.gateway.dialects.openai_exchange import OpenAIExchange
from bursar.gateway.dialects.openai_request import canonical
from bursar.gateway.dialects.openai_rules import refuse_unsupported
from bursar.gateway.dialects.openai_write import ChunkWriter, answer_body, finish_reason, usage_object

KEEP_ALIVE = b": keep-alive\n\n"
"""While a model thinks in silence, the caller's proxies must not take the connection for dead."""


class TranslatedExchange(OpenAIExchange):
    """Exchange that reads the provider's words and writes OpenAI's."""

    def __init__(self, call: ChatCall, provider: Translator, attempt: Attempt, *, created_s: int) -> None:
        refuse_unsupported(call.raw, provider.dispositions)
        asked = canonical(call.raw)
        request = provider.build(asked, attempt, stream=call.stream)
        super().__init__(call, provider, attempt, request)
        self._asked = asked
        self._read_answer = provider.read_answer
        self._created_s = created_s
        self._functions = bool(call.raw.get("functions"))
        self._reader = provider.read_stream(asked, attempt)
        self._writer = ChunkWriter(
            created_s=created_s,
            model=call.model,
            include_usage=call.include_usage,
            functions=self._functions,
        )

    def answer(self, status: int, body: bytes) -> bytes:  # noqa: ARG002 - the protocol's signature
        """The provider's whole answer as a completion."""
        read = self._read_answer(body, self._asked)
        measured = self.measured
        measured.report(read.usage, final=True)
        for part in read.parts:
            measured.deliver(part.text if isinstance(part, Text | Thinking) else part.name + part.arguments)
        measured.finish(finish_reason(read.finish, functions=self._functions))
        measured.provider_request_id = measured.provider_request_id or read.id
        measured.terminal = True
        return answer_body(read, created_s=self._created_s, functions=self._functions)

    def _read_frame(self, frame: bytes) -> bytes:
        event = parse(frame)
        if event is None:
            return b""
        if event.name == "ping":
            return KEEP_ALIVE
        try:
            said = self._reader.read(event)
        except ProviderFailure as failure:
            self.measured.error = failure
            return b""
        self.measured.report(self._reader.usage, final=self._reader.usage_final)
        written = b"".join(self._tell(part) for part in said)
        self.measured.terminal = self._reader.terminal
        return written

    def _tell(self, event: ChatEvent) -> bytes:
        measured = self.measured
        match event:
            case Started(id=identity):
                measured.provider_request_id = measured.provider_request_id or identity
            case TextDelta(text=text) | ThinkingDelta(text=text):
                measured.deliver(text)
            case ToolCallStarted(name=name):
                measured.deliver(name)
            case ToolCallDelta(arguments=arguments):
                measured.deliver(arguments)
            case Finished(finish=finish):
                measured.finish(finish_reason(finish, functions=self._functions))
            case ThinkingDone():
                pass  # its text was delivered in deltas
            case _:
                assert_never(event)
        return self._writer.write(event)

    @staticmethod
    def _text_of(frames: bytes) -> str:
        return frames.decode("utf-8", "replace")  # nothing is put off here

    def _envelope(self) -> Mapping[str, Any]:
        return self._writer.envelope

    def _usage_object(self, cost: Mapping[str, Any]) -> Mapping[str, Any]:
        usage = self.measured.usage
        if usage is None or not self.measured.usage_final:
            return super()._usage_object(cost)
        return usage_object(usage)
