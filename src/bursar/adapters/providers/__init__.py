"""The port to model providers: build a request, read answers and streams, map usage, classify failures.

An adapter never touches a socket: it turns values into bytes and bytes into values, so the gateway owns
connections, time-outs and money. There are two ways through an adapter:

* the caller speaks a dialect of the provider's: `PassThrough.edit` changes only the model, the output bound
  and the usage flags of the request, and answers go back byte for byte;
* he speaks another: `Translator` builds from and reads into the canonical form of `core.chat`, `Embedder`
  into that of `core.embedding`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

from bursar.core.chat import ChatAnswer, ChatEvent, ChatRequest
from bursar.core.embedding import EmbeddingAnswer, EmbeddingRequest
from bursar.core.sse import Event
from bursar.core.usage import Usage

FailureKind = Literal[
    "auth", "billing", "rate_limited", "bad_request", "overloaded", "server", "not_found", "content"
]
USAGE_INCOMPLETE = "usage_incomplete"
"""Flag of a usage that counts only one side of the exchange: never the final word."""


class Disposition(StrEnum):
    """What happens to a request property on its way to a provider."""

    FORWARDED = "forwarded"
    TRANSLATED = "translated"
    REFUSED = "refused"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Rule:
    """The disposition of one property, why, and the values that mean the same as leaving it out."""

    disposition: Disposition
    why: str = ""
    neutral: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A model as one provider offers it.

    `base_url` has no trailing slash and includes the version (`https://api.openai.com/v1`);
    `output_tokens_max` is the model's own limit, used where a provider insists on a bound.
    """

    model: str
    provider_model: str
    base_url: str
    output_tokens_max: int


@dataclass(kw_only=True, eq=False)
class ProviderFailure(Exception):
    """A provider's error as the gateway sees it.

    `status`, `code` and `message` are what the caller may be shown: they never carry a credential, a host
    name or an address. Trouble between us and the provider (its keys, our bill) is told as a plain
    `provider_error`.
    """

    kind: FailureKind
    status: int
    code: str
    message: str
    retry_after_s: int | None = None
    retryable: bool = False
    param: str | None = None
    upstream_status: int = 0

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at one deployment with one credential; `max_tokens` bounds the output for the gateway."""

    deployment: Deployment
    secret: str = field(repr=False)
    max_tokens: int | None = None


def broken_answer(message: str) -> ProviderFailure:
    """A 200 that is not an answer, or a stream that stopped making sense."""
    return ProviderFailure(kind="server", status=502, code="provider_error", message=message, retryable=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamRequest:
    """What to POST: `path` is relative to the deployment's base URL."""

    path: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Provider(Protocol):
    """What every adapter offers. Adapters hold no state: one instance serves every request."""

    @property
    def kind(self) -> str:
        """The provider type as stored: `openai`, `anthropic`, `openai_compatible`."""
        ...

    @property
    def passes(self) -> "Mapping[str, PassThrough]":
        """The dialects this provider speaks that callers speak too, and the surface for each."""
        ...

    @property
    def translator(self) -> "Translator | None":
        """The way through the canonical form, for callers of every other dialect; None: there is none."""
        ...

    @property
    def embedder(self) -> "Embedder | None":
        """The way to embeddings through their canonical form; None: there is none."""
        ...

    @property
    def dispositions(self) -> Mapping[str, Rule]:
        """Every property of the OpenAI chat request and what becomes of it."""
        ...

    def failure(
        self, status: int, headers: Mapping[str, str], body: bytes, attempt: Attempt
    ) -> ProviderFailure:
        """Classify an error answer; `attempt` names what must never be shown.

        Status 200 means that the error came inside an answer that began well.
        """
        ...


class PassThrough(Protocol):
    """A surface of a provider whose dialect callers speak too: their requests pass through."""

    def edit(
        self, raw: Mapping[str, Any], attempt: Attempt, *, stream: bool, headers: Mapping[str, str]
    ) -> UpstreamRequest:
        """The caller's own request with only model, output bound and usage flags changed.

        `headers` are those of the caller's that belong to the dialect and go along.
        """
        ...

    def usage(self, raw: Mapping[str, Any], *, service_tier: str | None) -> Usage | None:
        """The provider's usage object in disjoint classes; `None` when it counts nothing."""
        ...


class StreamReader(Protocol):
    """Reads one stream of a translated provider, event by event."""

    @property
    def usage(self) -> Usage | None:
        """The latest usage, cumulative; `None` before any was reported."""
        ...

    @property
    def usage_final(self) -> bool:
        """Whether `usage` counts the output too: a figure sent before the output is a placeholder."""
        ...

    @property
    def terminal(self) -> bool:
        """The provider said that the answer is complete."""
        ...

    def read(self, event: Event) -> list[ChatEvent]:
        """What the event says. Raises `ProviderFailure` for error events and shapes that make no sense."""
        ...

    def end(self) -> list[ChatEvent]:
        """The connection closed: what is left to say where that is how an answer ends; see `terminal`."""
        ...


class Translator(Protocol):
    """The way to a provider through the canonical form."""

    def build(self, request: ChatRequest, attempt: Attempt, *, stream: bool) -> UpstreamRequest:
        """The provider's own request. Raises `BadRequest` for what it cannot do."""
        ...

    def read_answer(self, body: bytes, request: ChatRequest) -> ChatAnswer:
        """A whole 2xx answer. Raises `ProviderFailure` when it is none."""
        ...

    def read_stream(self, request: ChatRequest, attempt: Attempt) -> StreamReader:
        """A reader for one stream that answers `request`."""
        ...


class Embedder(Protocol):
    """The way to a provider's embeddings through the canonical form. Embeddings are always answered whole."""

    def build(self, request: EmbeddingRequest, attempt: Attempt) -> UpstreamRequest:
        """The provider's own request.

        Raises `BadRequest` (`unsupported(request.named("dimensions"), why)`) for what it cannot do.
        """
        ...

    def read_answer(self, body: bytes, request: EmbeddingRequest) -> EmbeddingAnswer:
        """A whole 2xx answer, one vector per input. Raises `ProviderFailure` when it is none."""
        ...
