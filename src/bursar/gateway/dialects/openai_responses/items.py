"""The items of a response while they are built: what each event adds, and how an item looks in the end."""

from typing import Any, TypeVar

from bursar.adapters.providers.openai_responses.rules import REDACTED, SIGNED, kind_of
from bursar.core.chat import Thinking

Says = list[tuple[str, dict[str, Any]]]
"""Events without their numbers: type and members."""


class Item:
    """One item at its place in the output. `said` grows with the answer.

    `is_cut`: the answer ends before the item does.
    """

    prefix = ""

    def __init__(self, identity: str, index: int) -> None:
        self.place: dict[str, Any] = {"item_id": f"{self.prefix}_{identity}", "output_index": index}
        self.status = "in_progress"
        self.is_cut = False
        self.said: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self.said)

    def shown(self) -> dict[str, Any]:
        """The item as it is now."""
        raise NotImplementedError

    def close(self) -> Says:
        """The item is complete."""
        raise NotImplementedError

    def added(self) -> tuple[str, dict[str, Any]]:
        told = {"output_index": self.place["output_index"], "item": self.shown()}
        return "response.output_item.added", told

    def finished(self) -> tuple[str, dict[str, Any]]:
        self.status = "incomplete" if self.is_cut else "completed"
        told = {"output_index": self.place["output_index"], "item": self.shown()}
        return "response.output_item.done", told


AnyItem = TypeVar("AnyItem", bound=Item)


class MessageItem(Item):
    """What the model says; a refusal is a part of its own."""

    prefix = "msg"

    def __init__(self, identity: str, index: int) -> None:
        super().__init__(identity, index)
        self.refusal: str | None = None

    def shown(self) -> dict[str, Any]:
        content = [self._part()] if self.said else []
        if self.refusal is not None:
            content.append({"type": "refusal", "refusal": self.refusal})
        return {
            "id": self.place["item_id"],
            "type": "message",
            "status": self.status,
            "role": "assistant",
            "content": content,
        }

    def delta(self, text: str) -> Says:
        place = {**self.place, "content_index": 0}
        begins: Says = []
        if not self.said:
            empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            begins = [self.added(), ("response.content_part.added", {**place, "part": empty})]
        self.said.append(text)
        return [*begins, ("response.output_text.delta", {**place, "delta": text, "logprobs": []})]

    def refuse(self, refusal: str) -> Says:
        """A part that says why there is no (further) answer."""
        begins = [] if self.said else [self.added()]
        place = {**self.place, "content_index": 1 if self.said else 0}
        told = self._text_done()
        self.refusal = refusal
        part = {"type": "refusal", "refusal": refusal}
        return [
            *begins,
            *told,
            ("response.content_part.added", {**place, "part": {**part, "refusal": ""}}),
            ("response.refusal.delta", {**place, "delta": refusal}),
            ("response.refusal.done", {**place, "refusal": refusal}),
            ("response.content_part.done", {**place, "part": part}),
        ]

    def close(self) -> Says:
        told = self._text_done() if self.refusal is None else []
        return [*told, self.finished()]

    def _text_done(self) -> Says:
        if not self.said:
            return []
        place = {**self.place, "content_index": 0}
        return [
            ("response.output_text.done", {**place, "text": self.text, "logprobs": []}),
            ("response.content_part.done", {**place, "part": self._part()}),
        ]

    def _part(self) -> dict[str, Any]:
        return {"type": "output_text", "text": self.text, "annotations": [], "logprobs": []}


class ReasoningItem(Item):
    """What the model thinks, as a summary; what its provider signed or hid goes along, to come back so."""

    prefix = "rs"

    def __init__(self, identity: str, index: int) -> None:
        super().__init__(identity, index)
        self.sealed: str | None = None

    def shown(self) -> dict[str, Any]:
        summary = [{"type": "summary_text", "text": self.text}] if self.said else []
        item: dict[str, Any] = {"id": self.place["item_id"], "type": "reasoning", "summary": summary}
        if self.sealed is not None:
            item["encrypted_content"] = self.sealed
        return item

    def delta(self, text: str) -> Says:
        place = {**self.place, "summary_index": 0}
        begins: Says = []
        if not self.said:
            empty = {"type": "summary_text", "text": ""}
            begins = [self.added(), ("response.reasoning_summary_part.added", {**place, "part": empty})]
        self.said.append(text)
        return [*begins, ("response.reasoning_summary_text.delta", {**place, "delta": text})]

    def done(self, thinking: Thinking) -> Says:
        """The block is complete: `thinking` is all of it, told in deltas before or not at all."""
        begins = []
        if not self.said:
            begins = self.delta(thinking.text) if thinking.text else [self.added()]
        if thinking.redacted is not None:
            self.sealed = REDACTED + thinking.redacted
        elif thinking.signature:
            self.sealed = SIGNED + thinking.signature
        return [*begins, *self.close()]

    def close(self) -> Says:
        told: Says = []
        if self.said:
            place = {**self.place, "summary_index": 0}
            part = {"type": "summary_text", "text": self.text}
            told = [
                ("response.reasoning_summary_text.done", {**place, "text": self.text}),
                ("response.reasoning_summary_part.done", {**place, "part": part}),
            ]
        return [*told, self.finished()]


class CallItem(Item):
    """A function the model calls."""

    prefix = "fc"

    def __init__(self, identity: str, index: int) -> None:
        super().__init__(identity, index)
        self.call_id = ""
        self.name = ""

    def shown(self) -> dict[str, Any]:
        return {
            "id": self.place["item_id"],
            "type": "function_call",
            "status": self.status,
            "arguments": self.text,
            "call_id": self.call_id,
            "name": self.name,
        }

    def started(self, call_id: str, name: str) -> Says:
        self.call_id, self.name = call_id, name
        return [self.added()]

    def delta(self, arguments: str) -> Says:
        if not arguments:
            return []
        self.said.append(arguments)
        return [("response.function_call_arguments.delta", {**self.place, "delta": arguments})]

    def close(self) -> Says:
        told = [] if self.said or self.is_cut else self.delta("{}")  # callers parse it
        done = {**self.place, "name": self.name, "arguments": self.text}
        return [*told, ("response.function_call_arguments.done", done), self.finished()]


_PREFIXES = {"message": "msg", "function_call": "fc", "function_call_output": "fco", "reasoning": "rs"}


def listed(items: list[Any], response_id: str) -> list[dict[str, Any]]:
    """Input items as `input_items` lists them: with an id and a type, texts as parts."""
    shown = []
    for position, item in enumerate(items):
        kind = kind_of(item)
        made = f"{_PREFIXES.get(kind, 'item')}_{response_id.removeprefix('resp_')}_in{position}"
        listed_item = {**item, "id": item.get("id") or made, "type": kind}
        content = item.get("content")
        if isinstance(content, str):
            part = "output_text" if item.get("role") == "assistant" else "input_text"
            extra: dict[str, Any] = {"annotations": [], "logprobs": []} if part == "output_text" else {}
            listed_item["content"] = [{"type": part, "text": content, **extra}]
        shown.append(listed_item)
    return shown
