"""The Gemini API's whole answers and streams, read into the canonical form.

Source: https://ai.google.dev/api/generate-content. A stream has no closing mark: it is complete when its
connection ends after a reason for the end was told. Parts without a canonical form (pictures, code the
provider ran) pass without a trace; what they cost is in the usage. The signature of an answer's text, which
the API only recommends to send back, is dropped; that of a tool call rides in its id (see `signatures`).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from bursar.adapters.providers import USAGE_INCOMPLETE, ProviderFailure, broken_answer
from bursar.adapters.providers.gemini.signatures import own_id, signed_id
from bursar.adapters.providers.gemini.usage import counts_output, read_usage
from bursar.core.chat import (
    ChatAnswer,
    ChatEvent,
    Finish,
    Finished,
    Started,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingDone,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
)
from bursar.core.sse import Event
from bursar.core.usage import Usage

FINISH: Mapping[str, Finish] = {
    "STOP": Finish.STOP,
    "MAX_TOKENS": Finish.LENGTH,
    **dict.fromkeys(
        (
            "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "LANGUAGE",
            "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION",
        ),
        Finish.CONTENT_FILTER,
    ),
}  # fmt: skip
"""Other reasons (a malformed call, no picture) end what nothing filtered; they are told in words."""
SILENT = frozenset({"STOP", "MAX_TOKENS"})


def read_response(body: bytes) -> ChatAnswer:
    """A whole answer. Raises `ProviderFailure` when the body is none."""
    response = parsed(body)
    candidate, blocked = first_candidate(response), block_reason(response)
    if candidate is None and blocked is None:
        raise broken_answer("The provider's answer has no candidates.")
    raw, response_id = response.get("usageMetadata"), text_at(response, "responseId")
    parts = tuple(_joined(parts_of(candidate), response_id))
    finish, refusal = ending(candidate, blocked, calls=any(isinstance(part, ToolCall) for part in parts))
    usage = final_usage(raw, spoke=bool(parts)) if isinstance(raw, Mapping) else None
    return ChatAnswer(
        id=response_id,
        model=text_at(response, "modelVersion"),
        parts=parts,
        finish=finish,
        usage=usage,
        refusal=refusal,
        service_tier=usage.service_tier if usage else None,
    )


def final_usage(raw: Mapping[str, Any], *, spoke: bool) -> Usage | None:
    """The usage of an answer that is over; None when it counts but one side of the exchange."""
    usage = read_usage(raw)
    if usage is None or USAGE_INCOMPLETE in usage.flags or (spoke and not counts_output(raw)):
        return None
    return usage


def parsed(content: bytes) -> dict[str, Any]:
    """The JSON object of an answer or an event. Raises `ProviderFailure` when it is none."""
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise broken_answer("The provider's answer is not JSON.") from None
    if not isinstance(found, dict):
        raise broken_answer("The provider's answer is not an object.")
    return found


def text_at(source: Mapping[str, Any], name: str) -> str:
    """The string at `name`, empty when there is none."""
    value = source.get(name)
    return value if isinstance(value, str) else ""


def first_candidate(response: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The answer itself; translated requests ask for one."""
    listed = response.get("candidates")
    first = listed[0] if isinstance(listed, list) and listed else None
    if first is not None and not isinstance(first, Mapping):
        raise broken_answer("The provider's answer holds a malformed candidate.")
    return first


def block_reason(response: Mapping[str, Any]) -> str | None:
    """Why the prompt was blocked; None when it was not."""
    feedback = response.get("promptFeedback")
    reason = feedback.get("blockReason") if isinstance(feedback, Mapping) else None
    return reason if isinstance(reason, str) and reason else None


def parts_of(candidate: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    """The parts of a candidate's content; raises `ProviderFailure` when they make no sense."""
    content = candidate.get("content") if candidate is not None else None
    listed = content.get("parts") if isinstance(content, Mapping) else None
    for part in listed if isinstance(listed, list) else ():
        if not isinstance(part, Mapping):
            raise broken_answer("The provider's answer holds a malformed part.")
        yield part


def ending(
    candidate: Mapping[str, Any] | None, blocked: str | None, *, calls: bool
) -> tuple[Finish, str | None]:
    """Why the output ended, and the words for it where it did not end as usual."""
    if candidate is None:
        return Finish.CONTENT_FILTER, f"The prompt was blocked: {blocked}."
    reason = text_at(candidate, "finishReason")
    finish = FINISH.get(reason, Finish.STOP)
    if calls and finish is Finish.STOP:
        finish = Finish.TOOL_CALLS
    if reason in SILENT or not reason:
        return finish, None
    return finish, text_at(candidate, "finishMessage") or f"The answer was ended: {reason}."


def tool_call(part: Mapping[str, Any], response_id: str, number: int) -> ToolCall | None:
    """The `number`-th call of an answer, its signature in its id; None for a part that is no call."""
    called = part.get("functionCall")
    if not isinstance(called, Mapping):
        return None
    call_id = text_at(called, "id") or own_id(response_id, number)
    return ToolCall(
        id=signed_id(call_id, text_at(part, "thoughtSignature")),
        name=text_at(called, "name"),
        arguments=orjson.dumps(called.get("args") or {}).decode(),
    )


def _joined(parts: Iterator[Mapping[str, Any]], response_id: str) -> Iterator[Text | Thinking | ToolCall]:
    """Neighbours of one kind are one part."""
    said: list[str] = []
    thinks = False
    calls = 0
    for part in parts:
        text, is_thought = text_at(part, "text"), part.get("thought") is True
        if said and (is_thought != thinks or not text):
            yield _spoken(said, thinks=thinks)
            said = []
        if text:
            said.append(text)
            thinks = is_thought
        call = tool_call(part, response_id, calls)
        if call is not None:
            calls += 1
            yield call
    if said:
        yield _spoken(said, thinks=thinks)


def _spoken(texts: list[str], *, thinks: bool) -> Text | Thinking:
    text = "".join(texts)
    return Thinking(text=text) if thinks else Text(text=text)


class ResponseStream:
    """Reads the events of one stream; see the port's `StreamReader`."""

    def __init__(self, *, failure: Callable[[bytes], ProviderFailure]) -> None:
        """Start; `failure` classifies the body of an error event."""
        self.usage: Usage | None = None
        self.usage_final = False
        self.terminal = False
        self._failure = failure
        self._response_id = ""
        self._started = False
        self._ended = False
        self._spoke = False
        self._calls = 0
        self._thoughts: list[str] = []

    def read(self, event: Event) -> list[ChatEvent]:
        """What the event says. Raises `ProviderFailure` for error events and broken ones."""
        response = parsed(event.data)
        if "error" in response:
            raise self._failure(event.data)
        said: list[ChatEvent] = []
        if not self._started:
            self._started = True
            self._response_id = text_at(response, "responseId")
            said.append(Started(self._response_id, text_at(response, "modelVersion")))
        candidate, blocked = first_candidate(response), block_reason(response)
        for part in parts_of(candidate):
            said += self._part(part)
        if (candidate is None and blocked is not None) or (candidate and text_at(candidate, "finishReason")):
            said += [*self._thought_done(), Finished(*ending(candidate, blocked, calls=self._calls > 0))]
            self._ended = True
        self._take_usage(response.get("usageMetadata"))
        return said

    def end(self) -> list[ChatEvent]:
        """The connection closed: that ends an answer for which a reason was told."""
        self.terminal = self._ended
        return []

    def _part(self, part: Mapping[str, Any]) -> list[ChatEvent]:
        text = text_at(part, "text")
        if text and part.get("thought") is True:
            self._spoke = True
            self._thoughts.append(text)
            return [ThinkingDelta(text)]
        said: list[ChatEvent] = []
        if text:
            said.append(TextDelta(text))
        call = tool_call(part, self._response_id, self._calls)
        if call is not None:
            said += [
                ToolCallStarted(self._calls, call.id, call.name),
                ToolCallDelta(self._calls, call.arguments),
            ]
            self._calls += 1
        self._spoke = self._spoke or bool(said)
        return [*self._thought_done(), *said] if said else []

    def _thought_done(self) -> list[ChatEvent]:
        if not self._thoughts:
            return []
        thinking = Thinking(text="".join(self._thoughts))
        self._thoughts.clear()
        return [ThinkingDone(thinking)]

    def _take_usage(self, raw: object) -> None:
        """The last report wins; it is final once the answer has ended and its output is counted."""
        if isinstance(raw, Mapping):
            read = read_usage(raw)
            if read is not None:
                self.usage = read
                self.usage_final = self._ended and final_usage(raw, spoke=self._spoke) is not None
