"""What callers speak: one module reads a dialect's requests and writes its answers, frames and errors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from bursar.adapters.providers import ProviderFailure
from bursar.core.estimate import tokens_of_text
from bursar.core.usage import Meter, Usage

FOLD_SIZE = 256 * 1024
"""Delivered output kept before it is counted and forgotten: counting is put off, memory stays bounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatCall:
    """One chat request as the caller wrote it, checked.

    `raw` is his parsed body; `input_tokens` an estimate on the high side; `max_tokens` his own output bound.
    """

    dialect: str
    model: str
    stream: bool
    include_usage: bool
    max_tokens: int | None
    n: int
    input_tokens: int
    end_user: str | None
    tools_present: bool
    raw: dict[str, Any] = field(repr=False)


class Measured:
    """What one attempt produced so far; the pipeline reads it, the exchange writes it.

    `usage` is the latest the provider reported (`None`: it reported none); until `usage_final` it counts
    the input only. `terminal` says whether the answer is known to be complete. `error` is a provider's
    error inside the stream: the exchange swallows such an event, the pipeline ends the answer with `cut`.
    """

    __slots__ = (
        "_delivered", "_read", "_unread", "_unread_size", "content_filtered", "error", "finish_reason",
        "output_started", "provider_request_id", "terminal", "usage", "usage_final",
    )  # fmt: skip

    def __init__(self, read: Callable[[bytes], str]) -> None:
        """Start empty; `read` takes the output text out of frames given to `deliver_later`."""
        self.usage: Usage | None = None
        self.usage_final = False
        self.terminal = False
        self.output_started = False
        self.finish_reason: str | None = None
        self.content_filtered = False
        self.provider_request_id: str | None = None
        self.error: ProviderFailure | None = None
        self._delivered = 0
        self._read = read
        self._unread: list[str | bytes] = []
        self._unread_size = 0

    @property
    def explicit_zero(self) -> bool:
        """The provider reported usage, it is zero and nothing about it is doubtful: nothing is owed."""
        usage = self.usage
        return (
            self.usage_final and usage is not None and not usage.flags and not any(usage.quantities.values())
        )

    @property
    def delivered_tokens(self) -> int:
        """Estimated tokens of all output handed to the caller: content, reasoning and tool calls."""
        self._fold()
        return self._delivered

    def report(self, usage: Usage | None, *, final: bool) -> None:
        """Note the provider's latest, cumulative usage."""
        self.usage = usage
        self.usage_final = final and usage is not None

    def best_usage(self, input_tokens: int) -> Usage:
        """The final usage, else the reported input (or `input_tokens`) and the delivered output."""
        if self.usage is not None and self.usage_final:
            return self.usage
        came = {Meter.OUT_TEXT: self.delivered_tokens}
        if self.usage is None:
            return Usage(quantities={Meter.IN_FRESH: input_tokens, **came}, estimated=True)
        return replace(self.usage, quantities={**self.usage.quantities, **came}, estimated=True)

    def deliver(self, text: str) -> None:
        """Count output text that goes to the caller."""
        if not text:
            return
        self.output_started = True
        self._keep(text)

    def deliver_later(self, frames: bytes) -> None:
        """Count the output text inside these frames, when somebody asks."""
        self._keep(frames)

    def finish(self, reason: str) -> None:
        """Note why the output ended, in the terms of OpenAI's `finish_reason`."""
        self.finish_reason = reason
        self.content_filtered = self.content_filtered or reason == "content_filter"

    def _keep(self, output: str | bytes) -> None:
        self._unread.append(output)
        self._unread_size += len(output)
        if self._unread_size > FOLD_SIZE:
            self._fold()

    def _fold(self) -> None:
        if self._unread:
            texts = (part if isinstance(part, str) else self._read(part) for part in self._unread)
            self._delivered += tokens_of_text("".join(texts))
            self._unread.clear()
            self._unread_size = 0


class Exchange(Protocol):
    """One attempt at one provider, both directions, without I/O.

    The pipeline posts `body` with `headers` to the deployment's base URL + `path`, then either calls `answer`
    with the whole body, or `feed` per chunk, `end` when the upstream closes, and `tail` or `cut` to finish.
    """

    path: str
    headers: dict[str, str]
    body: bytes
    measured: Measured

    def opened(self, headers: Mapping[str, str]) -> None:
        """Note the provider's response headers (its request id); names in lower case."""
        ...

    def answer(self, status: int, body: bytes) -> bytes:
        """The caller's body for a whole 2xx answer. Raises `ProviderFailure` when it is none."""
        ...

    def feed(self, chunk: bytes) -> list[bytes]:
        """Frames ready for the caller; usage and the end marker are withheld for `tail`.

        Never raises: what is wrong with the stream is in `measured.error`, and nothing after it is passed on.
        """
        ...

    def end(self) -> list[bytes]:
        """The upstream closed: frames from what was still buffered."""
        ...

    def tail(self, cost: Mapping[str, Any] | None) -> list[bytes]:
        """The last frames, after settling: the usage chunk with `cost` in it if it was asked for, the end."""
        ...

    def cut(self, code: str, message: str, status: int = 502) -> list[bytes]:
        """An error event in the caller's dialect, then the end; `status` is what it would have been."""
        ...

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderFailure:
        """Classify an answer that is not 2xx."""
        ...
