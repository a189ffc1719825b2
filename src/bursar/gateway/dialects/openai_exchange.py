"""What every exchange with an OpenAI-speaking caller shares: how streams end, how errors are told."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from bursar.adapters.providers import Attempt, Provider, ProviderFailure, UpstreamRequest, broken_answer
from bursar.core.sse import EventTooLarge, Framer, frame_of
from bursar.gateway.dialects import ChatCall, Measured
from bursar.gateway.dialects.openai_chat import error_body

DONE = b"data: [DONE]\n\n"
STREAM_MALFORMED = "The provider's stream is malformed."
STREAM_EVENT_TOO_LARGE = "An event of the provider's stream is too large."
_FAILED = 502


class OpenAIExchange(ABC):
    """The shared half of an `Exchange`; what differs by provider is in the subclasses."""

    def __init__(
        self, call: ChatCall, provider: Provider, attempt: Attempt, request: UpstreamRequest
    ) -> None:
        self.path = request.path
        self.headers = request.headers
        self.body = request.body
        self.measured = Measured(read=self._text_of)
        self._call = call
        self._provider = provider
        self._attempt = attempt
        self._framer = Framer()

    def opened(self, headers: Mapping[str, str]) -> None:
        """Note the provider's request id."""
        self.measured.provider_request_id = headers.get("x-request-id") or headers.get("request-id")

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderFailure:
        """Classify an answer that is not 2xx."""
        return self._provider.failure(status, headers, body, self._attempt)

    def feed(self, chunk: bytes) -> list[bytes]:
        """Frames ready for the caller."""
        try:
            frames = self._framer.feed(chunk)
        except EventTooLarge:
            self.measured.error = self.measured.error or broken_answer(STREAM_EVENT_TOO_LARGE)
            return []
        return self._pass_on(frames)

    def end(self) -> list[bytes]:
        """The upstream closed: frames from an event that lacked its blank line."""
        rest = self._framer.finish()
        return self._pass_on([rest]) if rest.strip() else []

    def tail(self, cost: Mapping[str, Any] | None) -> list[bytes]:
        """The usage chunk, if it was asked for, and the end marker."""
        if not self._call.include_usage:
            return [DONE]
        usage = {**self._usage_object(cost or {}), **(cost or {})}
        chunk = {"object": "chat.completion.chunk", **self._envelope(), "choices": [], "usage": usage}
        return [frame_of(orjson.dumps(chunk)), DONE]

    def cut(self, code: str, message: str, status: int = _FAILED) -> list[bytes]:
        """An error event and the end marker."""
        return [frame_of(error_body(status, code, message)), DONE]

    def _pass_on(self, frames: Iterable[bytes]) -> list[bytes]:
        passed = []
        for frame in frames:
            if self.measured.error or self.measured.terminal:
                break
            kept = self._read_frame(frame)
            if kept:
                passed.append(kept)
        return passed

    @abstractmethod
    def _read_frame(self, frame: bytes) -> bytes:
        """Note what a provider's frame says; answer the bytes the caller gets for it, possibly none."""

    @staticmethod
    @abstractmethod
    def _text_of(frames: bytes) -> str:
        """The output text in frames whose reading was put off."""

    @abstractmethod
    def _envelope(self) -> Mapping[str, Any]:
        """The fields that all chunks of this answer share."""

    def _usage_object(self, cost: Mapping[str, Any]) -> Mapping[str, Any]:
        """OpenAI's `usage` for the last chunk; `cost` may hold the estimate that was charged."""
        sent = int(cost.get("input_tokens", self._call.input_tokens))
        came = int(cost.get("output_tokens", self.measured.delivered_tokens))
        return {"prompt_tokens": sent, "completion_tokens": came, "total_tokens": sent + came}
