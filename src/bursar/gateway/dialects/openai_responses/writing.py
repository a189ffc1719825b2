"""Canonical answers and events, written as responses and the events that build them."""

from collections.abc import Mapping
from typing import Any, assert_never

import orjson

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
from bursar.core.usage import Usage
from bursar.gateway.dialects import Call
from bursar.gateway.dialects.openai_responses.items import (
    AnyItem,
    CallItem,
    Item,
    MessageItem,
    ReasoningItem,
    Says,
)
from bursar.gateway.dialects.openai_responses.response import (
    KEEP_ALIVE,
    begun,
    event_frame,
    failure_frames,
    usage_object,
    with_cost,
)

_INCOMPLETE = {Finish.LENGTH: "max_output_tokens", Finish.CONTENT_FILTER: "content_filter"}


class ResponsesWriter:
    """Writes one response: whole, or event by event.

    A call stays open until the answer ends: a provider may write several at once.
    """

    keep_alive = KEEP_ALIVE

    def __init__(self, call: Call, *, created_s: int) -> None:
        self._call = call
        self._created_s = created_s
        self._response: dict[str, Any] = {}
        self._sequence = 0
        self._items: list[Item] = []
        self._open: ReasoningItem | MessageItem | None = None
        self._calls: dict[int, CallItem] = {}
        self._finish = Finish.STOP

    def answer(self, answer: ChatAnswer) -> bytes:
        """A whole response."""
        self._begin(answer.id, answer.model)
        for index, part in enumerate(answer.parts):
            match part:
                case Text(text=text):
                    self._say(text)
                case Thinking():
                    self._close()
                    self._add(ReasoningItem).done(part)
                case ToolCall():
                    self._close()
                    self._call_started(ToolCallStarted(index, part.id, part.name))
                    self._calls[index].delta(part.arguments)
        self._end(answer.finish, answer.refusal)
        response = self._ended(None if answer.usage is None else usage_object(answer.usage))
        if answer.service_tier:
            response["service_tier"] = answer.service_tier
        return orjson.dumps(response)

    def write(self, event: ChatEvent) -> bytes:
        """The frames of one event; the last event of a response waits for `tail`."""
        match event:
            case Started(id=identity, model=model):
                return self._started(identity, model)
            case TextDelta(text=text):
                said = self._say(text)
            case ThinkingDelta(text=text):
                said = self._think(text)
            case ThinkingDone(thinking=thinking):
                said = self._thought(thinking)
            case ToolCallStarted():
                said = [*self._close(), *self._call_started(event)]
            case ToolCallDelta(index=index, arguments=arguments):
                item = self._calls.get(index)
                said = [] if item is None else item.delta(arguments)
            case Finished(finish=finish, refusal=refusal):
                said = self._end(finish, refusal)
            case _:
                assert_never(event)
        return self._framed(said)

    def tail(self, usage: Usage | None, cost: Mapping[str, Any] | None) -> list[bytes]:
        """The event that ends the response; the same when it is asked for again."""
        response = self._ended(with_cost(None if usage is None else usage_object(usage), cost))
        return [event_frame(f"response.{response['status']}", self._sequence, response=response)]

    def cut(self, code: str, message: str, status: int) -> list[bytes]:
        """`response.failed` with what came so far, and an error."""
        response = {**self._response, "output": self._output()} if self._response else None
        return failure_frames(self._call, response, self._sequence, code=code, message=message, status=status)

    # the response

    def _begin(self, identity: str, model: str) -> None:
        memory = self._call.memory
        own = memory.response_id if memory is not None and memory.response_id else f"resp_{identity}"
        self._response = begun(
            self._call, response_id=own, created_s=self._created_s, model=model or self._call.model
        )

    def _started(self, identity: str, model: str) -> bytes:
        if self._response:
            return b""
        self._begin(identity, model)
        told = {"response": self._response}
        return self._framed([("response.created", told), ("response.in_progress", told)])

    def _ended(self, usage: dict[str, Any] | None) -> dict[str, Any]:
        """The finished response; it is also what is kept, where one is."""
        if not self._response:
            self._begin("", "")
        reason = _INCOMPLETE.get(self._finish)
        response = {**self._response, "output": self._output(), "usage": usage}
        if reason is None:
            response |= {"status": "completed", "completed_at": self._created_s}
        else:
            response |= {"status": "incomplete", "incomplete_details": {"reason": reason}}
        memory = self._call.memory
        if memory is not None:
            if memory.answer is not None:  # asked for again: it could not be kept after all
                response["store"] = memory.answer["store"]
            memory.answer = response
        return response

    def _output(self) -> list[dict[str, Any]]:
        return [item.shown() for item in self._items]

    def _framed(self, said: Says) -> bytes:
        frames = []
        for kind, told in said:
            frames.append(event_frame(kind, self._sequence, **told))
            self._sequence += 1
        return b"".join(frames)

    # its items

    def _add(self, kind: type[AnyItem]) -> AnyItem:
        identity = f"{self._response['id'].removeprefix('resp_')}_{len(self._items)}"
        item = kind(identity, len(self._items))
        self._items.append(item)
        return item

    def _say(self, text: str) -> Says:
        if not text:
            return []
        said: Says = []
        if not isinstance(self._open, MessageItem):
            said += self._close()
            self._open = self._add(MessageItem)
        return [*said, *self._open.delta(text)]

    def _think(self, text: str) -> Says:
        if not text:
            return []
        said: Says = []
        if not isinstance(self._open, ReasoningItem):
            said += self._close()
            self._open = self._add(ReasoningItem)
        return [*said, *self._open.delta(text)]

    def _thought(self, thinking: Thinking) -> Says:
        said: Says = []
        if not isinstance(self._open, ReasoningItem):
            said += self._close()
            self._open = self._add(ReasoningItem)
        said += self._open.done(thinking)
        self._open = None
        return said

    def _call_started(self, event: ToolCallStarted) -> Says:
        item = self._calls[event.index] = self._add(CallItem)
        return item.started(event.id, event.name)

    def _close(self) -> Says:
        item, self._open = self._open, None
        return [] if item is None else item.close()

    def _end(self, finish: Finish, refusal: str | None) -> Says:
        """Close what is open; a refusal is the last part of the message."""
        self._finish = finish
        said: Says = []
        if refusal:
            if not isinstance(self._open, MessageItem):
                said += self._close()
                self._open = self._add(MessageItem)
            said += self._open.refuse(refusal)
        if finish in _INCOMPLETE and self._items:
            self._items[-1].is_cut = True
        said += self._close()
        for item in self._calls.values():
            said += item.close()
        self._calls.clear()
        return said
