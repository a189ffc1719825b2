"""What every exchange shares: the request, the provider's stream cut into frames, failures classified."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Final

from bursar.adapters.providers import Attempt, Provider, ProviderFailure, UpstreamRequest, broken_answer
from bursar.core.sse import EventTooLarge, Framer
from bursar.gateway.dialects import Call, Measured

STREAM_MALFORMED: Final = "The provider's stream is malformed."
STREAM_EVENT_TOO_LARGE: Final = "An event of the provider's stream is too large."
FAILED: Final = 502


class OneAttempt(ABC):
    """What every `Exchange` begins with: the request, and how failures are classified."""

    def __init__(self, call: Call, provider: Provider, attempt: Attempt, request: UpstreamRequest) -> None:
        self.path = request.path
        self.headers = request.headers
        self.body = request.body
        self.measured = Measured(read=self._text_of)
        self._call = call
        self._provider = provider
        self._attempt = attempt

    def opened(self, headers: Mapping[str, str]) -> None:
        """Note the provider's request id."""
        self.measured.provider_request_id = headers.get("x-request-id") or headers.get("request-id")

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderFailure:
        """Classify an answer that is not 2xx."""
        return self._provider.failure(status, headers, body, self._attempt)

    @abstractmethod
    def answer(self, status: int, body: bytes) -> bytes:
        """The caller's body for a whole 2xx answer. Raises `ProviderFailure` when it is none."""

    @staticmethod
    def _text_of(frames: bytes) -> str:
        """The output text in frames whose reading was put off: here nothing is."""
        return frames.decode("utf-8", "replace")


class WholeExchange(OneAttempt):
    """An `Exchange` that is always answered whole: nothing ever streams."""

    def feed(self, chunk: bytes) -> list[bytes]:  # noqa: ARG002 - the protocol's signature
        """Nothing streams."""
        return []

    def end(self) -> list[bytes]:
        """Nothing streams."""
        return []

    def tail(self, cost: Mapping[str, Any] | None) -> list[bytes]:  # noqa: ARG002 - the protocol's signature
        """Nothing streams."""
        return []

    def cut(self, code: str, message: str, status: int = FAILED) -> list[bytes]:  # noqa: ARG002 - the same
        """Nothing streams."""
        return []


class SseExchange(OneAttempt):
    """The shared half of an `Exchange` whose upstream streams server-sent events."""

    def __init__(self, call: Call, provider: Provider, attempt: Attempt, request: UpstreamRequest) -> None:
        super().__init__(call, provider, attempt, request)
        self._framer = Framer()

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
    def tail(self, cost: Mapping[str, Any] | None) -> list[bytes]:
        """The last frames, after settling."""

    @abstractmethod
    def cut(self, code: str, message: str, status: int = FAILED) -> list[bytes]:
        """An error event, then the end."""

    @abstractmethod
    def _read_frame(self, frame: bytes) -> bytes:
        """Note what a provider's frame says; answer the bytes the caller gets for it, possibly none."""

    @staticmethod
    @abstractmethod
    def _text_of(frames: bytes) -> str:
        """The output text in frames whose reading was put off."""
