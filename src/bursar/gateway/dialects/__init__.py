"""What callers speak: one package reads a dialect's requests and writes its answers, frames and errors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, Protocol

from bursar.adapters.providers import Attempt, PassThrough, Provider, ProviderFailure
from bursar.core.chat import ChatAnswer, ChatEvent, ChatRequest
from bursar.core.embedding import EmbeddingAnswer, EmbeddingRequest
from bursar.core.estimate import tokens_of_text
from bursar.core.service import Service
from bursar.core.usage import Meter, Usage

EVENT_STREAM: Final = "text/event-stream; charset=utf-8"

FOLD_SIZE = 256 * 1024
"""Delivered output kept before it is counted and forgotten: counting is put off, memory stays bounded."""


class Asked(NamedTuple):
    """What a request says outside its body.

    `model` and `action`: from the path, where a dialect puts them there. `headers`: in lower case.
    """

    endpoint: str
    headers: Mapping[bytes, bytes] = MappingProxyType({})
    model: str | None = None
    action: str | None = None
    query: Mapping[str, str] = MappingProxyType({})


@dataclass(slots=True, kw_only=True)
class Memory:
    """What ties an answer to others, in a dialect whose callers may refer to earlier answers.

    `previous_id`: the answer that this one continues. `own_input`: what the caller sent this time.
    `response_id`: what our own answers are called. `keeps`: the answer is to be kept. `answer`: all of it,
    once it is complete. `bill`: what a stream that broke is charged, for its last event.
    """

    previous_id: str | None
    own_input: list[Any] = field(repr=False)
    response_id: str = ""
    keeps: bool = False
    answer: dict[str, Any] | None = field(default=None, repr=False)
    bill: Mapping[str, Any] | None = None


@dataclass(slots=True, kw_only=True)
class Call:
    """One request as the caller wrote it, checked.

    `endpoint` is what was called, as booked and shown. `raw` is his parsed body; `input_tokens` an estimate
    on the high side; `max_tokens` his own output bound. `include_usage`: a stream's last frames tell usage
    and cost. `headers`: those of his that go to a provider of the same dialect. `stream_type`: the content
    type of a streamed answer. `service`: what the model is asked to do. `counts`: what is held for beside
    text, such as pictures and the tokens they are drawn with, for all `n` of them. `brought_tokens`: input
    that tools run by the provider may bring in: held for, never charged unless used. `meters`: dearer classes
    of tokens it carries or may produce, such as sound. `variants`: what the price book may call this way of
    asking, after the model's name and a colon (`hd:1792x1024`), best first.
    `memory`: None in dialects whose answers cannot be referred to.
    """

    dialect: str
    endpoint: str
    model: str
    stream: bool
    include_usage: bool
    max_tokens: int | None
    n: int
    input_tokens: int
    end_user: str | None
    tools_present: bool
    raw: dict[str, Any] = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    scope_class: Literal["text", "image"] = "text"
    stream_type: str = EVENT_STREAM
    service: Service = Service.CHAT
    counts: Mapping[Meter, int] = field(default_factory=dict)
    brought_tokens: int = 0
    meters: frozenset[Meter] = frozenset()
    variants: tuple[str, ...] = ()
    memory: Memory | None = None


_NOTHING: Final[Mapping[Meter, int]] = MappingProxyType({})


class Measured:
    """What one attempt produced so far; the pipeline reads it, the exchange writes it.

    `usage` is the latest the provider reported (`None`: it reported none); until `usage_final` it counts
    the input only. `terminal` says whether the answer is known to be complete. `error` is a provider's
    error inside the stream: the exchange swallows such an event, the pipeline ends the answer with `cut`.
    `counted` is what the caller was handed beside text, such as pictures.
    """

    __slots__ = (
        "_delivered", "_read", "_unread", "_unread_size", "content_filtered", "counted", "error",
        "finish_reason", "output_started", "provider_request_id", "terminal", "usage", "usage_final",
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
        self.counted: Mapping[Meter, int] = _NOTHING
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


class Writer(Protocol):
    """Writes one canonical answer in a caller's dialect: whole, or event by event."""

    @property
    def keep_alive(self) -> bytes:
        """A frame that says nothing, for proxies that count silence as death."""
        ...

    def answer(self, answer: ChatAnswer) -> bytes:
        """The body of a whole answer."""
        ...

    def write(self, event: ChatEvent) -> bytes:
        """The frames of one event, possibly none; what tells the usage or the end waits for `tail`."""
        ...

    def tail(self, usage: Usage | None, cost: Mapping[str, Any] | None) -> list[bytes]:
        """The last frames, after settling.

        `usage`: the provider's final figures, None when it gave none. `cost`: what is told about the bill
        (`cost`, `currency`, `balance`, `input_tokens`, `output_tokens`).
        """
        ...

    def cut(self, code: str, message: str, status: int) -> list[bytes]:
        """An error event, then the end."""
        ...


class Dialect(Protocol):
    """One dialect: stateless, a single instance serves every request.

    It may also be a `ChatDialect`, an `EmbeddingDialect` or both: then providers of other dialects are
    reached through the canonical form.
    """

    @property
    def name(self) -> str: ...

    def read(self, body: bytes, asked: Asked) -> Call:
        """Check a request body. Raises `BadRequest` (422) naming the property that is wrong."""
        ...

    def passing(self, call: Call, provider: Provider, surface: PassThrough, attempt: Attempt) -> Exchange:
        """An exchange with a provider that speaks this dialect itself, through its `surface` for it."""
        ...

    def error_body(
        self,
        status: int,
        code: str,
        message: str,
        param: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> bytes:
        """A refusal in this dialect's error shape; `extra` adds fields."""
        ...


class ChatDialect(Dialect, Protocol):
    """A dialect whose chats can be translated."""

    def canonical(self, call: Call, provider: Provider) -> ChatRequest:
        """The canonical form. Raises `BadRequest` naming what neither it nor `provider` can express."""
        ...

    def writer(self, call: Call, *, created_s: int) -> Writer:
        """A writer for one answer; `created_s` is the unix time written into it."""
        ...


class EmbeddingDialect(Dialect, Protocol):
    """A dialect whose embedding requests can be translated."""

    def canonical_embedding(self, call: Call, provider: Provider) -> EmbeddingRequest:
        """The canonical form. Raises `BadRequest` naming what neither it nor `provider` can express."""
        ...

    def embedding_body(self, call: Call, answer: EmbeddingAnswer) -> bytes:
        """The body of a whole answer, with the usage in it where the dialect has a place for it."""
        ...
