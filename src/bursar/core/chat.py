"""The canonical form of a chat: what every dialect is read into and written from when it is translated.

A caller's dialect is read into `ChatRequest`, a provider adapter builds its own request from that; the
provider's answer is read into `ChatAnswer` (or a stream of `ChatEvent`), and the caller's dialect writes
it. What this form cannot say, translation refuses by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Literal

from bursar.core.usage import Usage


class BadRequest(ValueError):
    """The caller's request cannot be served as written; told to him in his own dialect's error shape.

    `param` is the property as he named it, `code` is stable, `status` an HTTP status.
    """

    UNSUPPORTED: ClassVar[str] = "unsupported_parameter"

    def __init__(
        self, message: str, *, code: str = "invalid_request", param: str | None = None, status: int = 422
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.message = message


def unsupported(param: str, why: str) -> BadRequest:
    """The refusal of a property that the model's provider has no equivalent for."""
    message = f"'{param}' is not supported by this model: {why}."
    return BadRequest(message, code=BadRequest.UNSUPPORTED, param=param)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Words; `cache` marks the end of a prefix worth caching."""

    text: str
    cache: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A picture: at `url`, or `data` in base64 of `media_type`."""

    url: str | None = None
    media_type: str | None = None
    data: str | None = None
    cache: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Audio:
    """Sound in base64; `format` as in OpenAI's `input_audio` (wav, mp3)."""

    data: str
    format: str
    cache: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A document: `data` in base64 of `media_type`, or `file_id` at the caller's provider."""

    media_type: str | None = None
    data: str | None = None
    name: str | None = None
    file_id: str | None = None
    cache: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """Reasoning made visible. `signature` and `redacted` are opaque and must go back as they came."""

    text: str = ""
    signature: str = ""
    redacted: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """The model calls a tool; `arguments` is JSON text, as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What a called tool answered."""

    call_id: str
    parts: tuple[Text | Image, ...]


Part = Text | Image | Audio | File | Thinking | ToolCall | ToolResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message. Tool results are parts of user turns, tool calls and thinking of assistant turns."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[Part, ...]
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function the caller runs; `parameters` is a JSON schema."""

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    strict: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolChoice:
    """Whether tools may, must or must not be called; `name` goes with `named`."""

    mode: Literal["auto", "none", "required", "named"]
    name: str | None = None


Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A chat to complete. `None` means the caller said nothing; numbers stay as he wrote them.

    `effort` and `thinking_tokens` (a budget, 0: none) both ask for reasoning; `json_object` for any JSON at
    all; `names` says what the caller called a field where that differs from its name here.
    """

    turns: tuple[Turn, ...]
    max_tokens: int | None = None
    temperature: Any = None
    top_p: Any = None
    stop: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    effort: Effort | None = None
    json_schema: Mapping[str, Any] | None = None
    cache_minutes: int | None = None
    end_user: str | None = None
    service_tier: str | None = None
    thinking_tokens: int | None = None
    json_object: bool = False
    top_k: Any = None
    seed: Any = None
    frequency_penalty: Any = None
    presence_penalty: Any = None
    n: int | None = None
    metadata: Mapping[str, Any] | None = None
    names: Mapping[str, str] = field(default_factory=dict)

    def named(self, name: str) -> str:
        """What the caller called the field `name`: a refusal must speak his language."""
        return self.names.get(name, name)


class Finish(StrEnum):
    """Why the output ended."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatAnswer:
    """A whole answer; `refusal` is the provider's explanation when it filtered the content."""

    id: str
    model: str
    parts: tuple[Text | Thinking | ToolCall, ...]
    finish: Finish
    usage: Usage | None
    refusal: str | None = None
    service_tier: str | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """The provider began to answer."""

    id: str
    model: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ThinkingDone:
    """One block of reasoning is complete, with what must go back unchanged."""

    thinking: Thinking


@dataclass(frozen=True, slots=True)
class ToolCallStarted:
    """The `index`-th tool call of the answer begins."""

    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """More of the `index`-th call's arguments (JSON text)."""

    index: int
    arguments: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The output ended; more usage may follow."""

    finish: Finish
    refusal: str | None = None


ChatEvent = Started | TextDelta | ThinkingDelta | ThinkingDone | ToolCallStarted | ToolCallDelta | Finished
