"""How bytes reach a provider and come back. The port; one HTTP client per module beside it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait, in milliseconds.

    `connect_ms`: TCP and TLS; `first_byte_ms`: from sending to the response's headers; `idle_ms`: between two
    reads of the body.
    """

    connect_ms: int = 5_000
    first_byte_ms: int = 120_000
    idle_ms: int = 60_000


class UpstreamError(Exception):
    """The provider could not be reached or broke off.

    Attributes:
        sent: False when certainly nothing of the request left this machine.
        timed_out: the provider was silent, rather than failing.
    """

    def __init__(self, message: str, *, sent: bool, timed_out: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.timed_out = timed_out


class UpstreamTooLarge(UpstreamError):
    """The provider's answer is larger than anything we are ready to hold."""


class Answer(Protocol):
    """A response whose body has not been read. Call `close` unless it was read to its end."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]:
        """Case-insensitive."""
        ...

    async def read(self, limit_bytes: int) -> bytes:
        """The whole body; raises `UpstreamTooLarge` past the limit, `UpstreamError` when it breaks off."""
        ...

    async def chunk(self) -> bytes:
        """The next bytes as they came; empty at the end. Not reading pauses the provider."""
        ...

    def close(self) -> None:
        """Close the socket now, so that the provider stops."""
        ...


def not_interested() -> None:
    """Whoever asks does not need to know when the request left."""


class Upstream(Protocol):
    async def open(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeouts: Timeouts,
        *,
        on_send: Callable[[], object] = not_interested,
    ) -> Answer:
        """POST and wait for the response's headers. Redirects are answers, not followed.

        A request is sent twice only when a kept-alive connection was closed before the provider saw it. An
        answer that is compressed all the same, though none is asked for, is refused.

        `on_send` is called when the request is about to leave; cancelled before that, it never leaves.

        Raises:
            UpstreamError: no connection, no answer in time, or broken before the headers.
        """
        ...

    async def close(self) -> None: ...
