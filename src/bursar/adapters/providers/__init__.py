"""The port to model providers: build a request, read answers and streams, map usage, classify failures.

An adapter never touches a socket: it turns values into bytes and bytes into values, so the gateway owns
connections, time-outs and money. There are two ways through an adapter:

* the caller speaks the provider's dialect: `PassThrough.edit` changes only the model, the output bound and
  the usage flags of the request, and answers go back byte for byte;
* he speaks another: `Translator` builds from and reads into the canonical form of `core.chat`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

from bursar.core.chat import ChatAnswer, ChatEvent, ChatRequest
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
    def dialect(self) -> str:
        """The dialect the upstream speaks: `openai_chat`, `anthropic_messages`."""
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


class PassThrough(Provider, Protocol):
    """A provider whose dialect callers speak too: a caller's `dialect` equal to its own passes through."""

    def edit(self, raw: Mapping[str, Any], attempt: Attempt, *, stream: bool) -> UpstreamRequest:
        """The caller's own request with only model, output bound and usage flags changed."""
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


class Translator(Provider, Protocol):
    """A provider reached through the canonical form."""

    def build(self, request: ChatRequest, attempt: Attempt, *, stream: bool) -> UpstreamRequest:
        """The provider's own request. Raises `BadRequest` for what it cannot do."""
        ...

    def read_answer(self, body: bytes, request: ChatRequest) -> ChatAnswer:
        """A whole 2xx answer. Raises `ProviderFailure` when it is none."""
        ...

    def read_stream(self, request: ChatRequest, attempt: Attempt) -> StreamReader:
        """A reader for one stream that answers `request`."""
        ...
