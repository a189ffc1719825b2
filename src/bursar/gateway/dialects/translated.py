"""One attempt at a provider of another dialect than the caller's, through the canonical form."""

from collections.abc import Mapping
from typing import Any, assert_never

from bursar.adapters.providers import Attempt, Provider, ProviderFailure, Translator
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
from bursar.gateway.dialects import Call, ChatDialect
from bursar.gateway.dialects.exchanges import FAILED, SseExchange


class TranslatedExchange(SseExchange):
    """Exchange that reads the provider's words and writes the caller's."""

    def __init__(  # noqa: PLR0913 - both sides of one attempt
        self,
        dialect: ChatDialect,
        call: Call,
        provider: Provider,
        translator: Translator,
        attempt: Attempt,
        *,
        created_s: int,
    ) -> None:
        asked = dialect.canonical(call, provider)
        request = translator.build(asked, attempt, stream=call.stream)
        super().__init__(call, provider, attempt, request)
        self._asked = asked
        self._read_answer = translator.read_answer
        self._reader = translator.read_stream(asked, attempt)
        self._writer = dialect.writer(call, created_s=created_s)

    def answer(self, status: int, body: bytes) -> bytes:  # noqa: ARG002 - the protocol's signature
        """The provider's whole answer in the caller's dialect."""
        read = self._read_answer(body, self._asked)
        measured = self.measured
        measured.report(read.usage, final=True)
        for part in read.parts:
            measured.deliver(part.text if isinstance(part, Text | Thinking) else part.name + part.arguments)
        measured.finish(read.finish.value)
        measured.provider_request_id = measured.provider_request_id or read.id
        measured.terminal = True
        return self._writer.answer(read)

    def end(self) -> list[bytes]:
        """The upstream closed: for some providers that is the end of the answer."""
        frames = super().end()
        if self.measured.error is None and not self.measured.terminal:
            frames += [written for written in (self._take(self._reader.end()),) if written]
        return frames

    def tail(self, cost: Mapping[str, Any] | None) -> list[bytes]:
        """The usage in the caller's shape, and the end."""
        measured = self.measured
        return self._writer.tail(measured.usage if measured.usage_final else None, cost)

    def cut(self, code: str, message: str, status: int = FAILED) -> list[bytes]:
        """An error event and the end."""
        return self._writer.cut(code, message, status)

    def _read_frame(self, frame: bytes) -> bytes:
        event = parse(frame)
        if event is None:
            return self._writer.keep_alive if frame.startswith(b":") else b""
        if event.name == "ping":
            return self._writer.keep_alive
        try:
            said = self._reader.read(event)
        except ProviderFailure as failure:
            self.measured.error = failure
            return b""
        return self._take(said)

    def _take(self, said: list[ChatEvent]) -> bytes:
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
                measured.finish(finish.value)
            case ThinkingDone():
                pass  # its text was delivered in deltas
            case _:
                assert_never(event)
        return self._writer.write(event)

    @staticmethod
    def _text_of(frames: bytes) -> str:
        return frames.decode("utf-8", "replace")  # nothing is put off here
