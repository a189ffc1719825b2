"""One attempt at a provider that speaks the Responses API, for a caller who does: the same bytes in and out.

Withheld is only the event that ends the response: the usage in it is told once it is booked.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from bursar.adapters.providers import USAGE_INCOMPLETE, Attempt, PassThrough, Provider, broken_answer
from bursar.core.sse import Event, parse
from bursar.gateway.dialects import Call
from bursar.gateway.dialects.charges import is_charged, without_charges
from bursar.gateway.dialects.exchanges import FAILED, STREAM_MALFORMED, SseExchange
from bursar.gateway.dialects.openai_responses.response import (
    event_frame,
    failure_frames,
    name_ties,
    with_cost,
)

ENCRYPTED: Final = "reasoning.encrypted_content"
_DELTAS = (
    b"event: response.output_text.delta\n", b"event: response.function_call_arguments.delta\n",
    b"event: response.reasoning_summary_text.delta\n", b"event: response.reasoning_text.delta\n",
    b"event: response.custom_tool_call_input.delta\n", b"event: response.refusal.delta\n",
)  # fmt: skip
"""Frames that carry output and nothing that money or endings need: their text is read when somebody asks."""
_ITEM_DONE: Final = "response.output_item.done"
_WHOLE: Final = b"}\n\n"
_ENDINGS = {"response.completed", "response.incomplete"}
_ANSWERED = ("completed", "incomplete")
_FINISHES = {"max_output_tokens": "length", "content_filter": "content_filter"}


class PassThroughExchange(SseExchange):
    """Exchange whose both sides speak the Responses API."""

    def __init__(self, call: Call, provider: Provider, surface: PassThrough, attempt: Attempt) -> None:
        request = surface.edit(sent_of(call), attempt, stream=call.stream, headers=call.headers)
        super().__init__(call, provider, attempt, request)
        self._read_usage_of = surface.usage
        self._response: dict[str, Any] | None = None
        self._last: dict[str, Any] | None = None
        self._latest = b""
        self._items: dict[int, Any] = {}

    def answer(self, status: int, body: bytes) -> bytes:
        """The body itself, once it is known to be an answer."""
        try:
            response = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise broken_answer("The provider's answer is not JSON.") from None
        if not isinstance(response, dict):
            raise broken_answer("The provider's answer is not an object.")
        self._note(response)
        charged = _uncharge(response)
        if response.get("error"):
            self.measured.terminal = True  # it failed, but its usage is the last word
            raise self.error(status, {}, body)
        if response.get("status", "completed") not in _ANSWERED or not isinstance(
            response.get("output"), list
        ):
            raise broken_answer("The provider's answer is no finished response.")
        for item in response["output"]:
            self.measured.deliver(text_of_item(item))
        self._finish(response)
        return orjson.dumps(response) if charged or self._is_tied() else body

    def tail(self, cost: Mapping[str, Any] | None) -> list[bytes]:
        """The event that was withheld, with the cost in its usage."""
        if self._last is None:
            return []
        response = self._last["response"]
        response["usage"] = with_cost(response.get("usage"), cost)
        kind = self._last["type"]
        return [b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(self._last))]

    def cut(self, code: str, message: str, status: int = FAILED) -> list[bytes]:
        """`response.failed` and an error."""
        sequence = _sequence_of(self._latest) + 1
        return failure_frames(self._call, self._response, sequence, code=code, message=message, status=status)

    def _read_frame(self, frame: bytes) -> bytes:
        if frame.startswith(_DELTAS) and frame.endswith(_WHOLE):
            self._latest = frame
            self.measured.output_started = True
            self.measured.deliver_later(frame)
            return frame
        event = parse(frame)
        if event is None:
            return frame if frame.startswith(b":") and frame.isascii() else b""
        try:
            said = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            said = None
        if not isinstance(said, dict):
            self.measured.error = broken_answer(STREAM_MALFORMED)
            return b""
        return self._read_event(event, said, frame)

    def _read_event(self, event: Event, said: dict[str, Any], frame: bytes) -> bytes:
        kind = said.get("type") or event.name
        response = said.get("response")
        if kind == "error" or said.get("error"):
            error = said.get("error") or {**said, "type": None}
            self.measured.error = self.error(200, {}, orjson.dumps({"error": error}))
            return b""
        self._latest = frame
        if not isinstance(response, dict):
            self.measured.deliver(text_of_event(said))
            if kind == _ITEM_DONE and isinstance(said.get("output_index"), int):
                self._items[said["output_index"]] = said.get("item")
            return frame
        return self._read_response(kind, response, said, frame)

    def _read_response(
        self, kind: str, response: dict[str, Any], said: dict[str, Any], frame: bytes
    ) -> bytes:
        """An event that carries the response: it begins, goes on, or ends."""
        self._note(response)
        self._response = {**response, "output": response.get("output") or []}
        if kind == "response.failed":
            error = response.get("error") or {"message": "The provider failed.", "code": "server_error"}
            self.measured.error = self.error(200, {}, orjson.dumps({"error": error}))
            self.measured.terminal = self.measured.output_started  # its usage is the last word
            return b""
        if kind in _ENDINGS:
            _uncharge(response)
            said["type"] = kind
            self._last = said
            self._finish(response)
            return b""
        if not self._is_tied():
            return frame
        name_ties(self._call, response)
        return event_frame(
            kind, said.get("sequence_number", 0), **{k: v for k, v in said.items() if k not in _NUMBERED}
        )

    def _note(self, response: Mapping[str, Any]) -> None:
        """The response's id and its usage, when there is one."""
        identity = response.get("id")
        if self.measured.provider_request_id is None and isinstance(identity, str):
            self.measured.provider_request_id = identity
        usage = response.get("usage")
        if isinstance(usage, dict):
            tier = response.get("service_tier")
            read = self._read_usage_of(usage, service_tier=tier if isinstance(tier, str) else None)
            if read is not None:
                self.measured.report(read, final=USAGE_INCOMPLETE not in read.flags)

    def _finish(self, response: dict[str, Any]) -> None:
        """The answer is complete: why it ended, and, where it is kept, all of it.

        A stream's last event may leave the output out, which came in events before.
        """
        if response.get("output") is None and self._items:
            response["output"] = [self._items[index] for index in sorted(self._items)]
        details = response.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        output = response.get("output")
        calls = any(_is_call(item) for item in output) if isinstance(output, list) else False
        self.measured.finish(_FINISHES.get(str(reason), "tool_calls" if calls else "stop"))
        self.measured.terminal = True
        if self._is_tied():
            name_ties(self._call, response)
        if self._call.memory is not None:
            self._call.memory.answer = response

    def _is_tied(self) -> bool:
        memory = self._call.memory
        return memory is not None and (memory.keeps or memory.previous_id is not None)

    @staticmethod
    def _text_of(frames: bytes) -> str:
        return "".join(_delta_of(frame) for frame in frames.split(b"\n\n"))


_NUMBERED = frozenset({"type", "sequence_number"})


def sent_of(call: Call) -> dict[str, Any]:
    """What goes to the provider: reasoning that is kept must come back readable.

    It is asked for only where the caller speaks of reasoning: a model that does not reason refuses to be
    asked, and newer ones give it unasked.
    """
    raw = call.raw
    include = raw.get("include") or []
    keeps = call.memory is not None and call.memory.keeps
    if keeps and raw.get("reasoning") is not None and ENCRYPTED not in include:
        return {**raw, "include": [*include, ENCRYPTED]}
    return raw


def _uncharge(response: dict[str, Any]) -> bool:
    """Take the provider's own price out of the usage, once it is noted; whether there was one."""
    usage = response.get("usage")
    if not is_charged(usage):
        return False
    response["usage"] = without_charges(usage)
    return True


def _is_call(item: object) -> bool:
    return isinstance(item, dict) and item.get("type") in {"function_call", "custom_tool_call"}


def _delta_of(frame: bytes) -> str:
    event = parse(frame + b"\n\n") if frame else None
    if event is None:
        return ""
    try:
        said = orjson.loads(event.data)
    except orjson.JSONDecodeError:
        return event.data.decode("utf-8", "replace")
    return text_of_event(said) if isinstance(said, dict) else ""


def _sequence_of(frame: bytes) -> int:
    """The number of the last event passed on; -1 before any."""
    event = parse(frame) if frame else None
    if event is None:
        return -1
    try:
        said = orjson.loads(event.data)
    except orjson.JSONDecodeError:
        return -1
    number = said.get("sequence_number") if isinstance(said, dict) else None
    return number if isinstance(number, int) else -1


def text_of_event(said: Mapping[str, Any]) -> str:
    """The output an event brings: a delta, or the name of a call that begins."""
    delta = said.get("delta")
    if isinstance(delta, str):
        return delta
    item = said.get("item")
    if said.get("type") == "response.output_item.added" and isinstance(item, dict):
        name = item.get("name")
        return name if isinstance(name, str) else ""
    return ""


def text_of_item(item: object) -> str:
    """The output text of a finished item: content, refusal, summaries, calls."""
    if not isinstance(item, dict):
        return ""
    texts = [item.get("name"), item.get("arguments"), item.get("input")]
    for group in ("content", "summary"):
        parts = item.get(group)
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict):
                texts += [part.get("text"), part.get("refusal")]
    return "".join(text for text in texts if isinstance(text, str))
