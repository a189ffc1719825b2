"""Canonical turns as the messages of OpenAI's chat dialect.

Source: OpenAI's API reference, `ChatCompletionMessageParam`. A tool's message holds text alone, so pictures
that a tool answered with follow in a message of the user's.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from bursar.adapters.providers.openai_chat.details import FIELD, details_of
from bursar.adapters.providers.openai_chat.style import Style
from bursar.core.chat import (
    Audio,
    BadRequest,
    ChatRequest,
    File,
    Image,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
    unsupported,
)

TEXT_SEPARATOR = "\n\n"
"""Between texts that were apart, where a server takes one string only."""
PLAIN_TEXT = "text/plain"
PICTURE, SOUND = "content[].image_url", "content[].input_audio"
FILE, FILE_ID = "content[].file.file_data", "content[].file.file_id"
"""What refusals call a part of a turn, where the caller's dialect gave no name of its own."""
SHORT_CACHE_MINUTES = 5
"""Anthropic's usual life of a cached prefix."""
_HASH_LENGTH = 24


def messages_of(request: ChatRequest, style: Style, model: str) -> list[dict[str, Any]]:
    """The messages. Raises `BadRequest` for what the server cannot take."""
    written = _Writer(request, style, model)
    messages = [message for turn in _joined(request.turns) for message in written.messages(turn)]
    if not messages:
        raise BadRequest("A message with content is needed.", param=request.named("messages"))
    return messages


def _joined(turns: Iterable[Turn]) -> list[Turn]:
    """The turns, with tool results in the turn of the results before them: nothing may come between."""
    joined: list[Turn] = []
    for turn in turns:
        before = joined[-1] if joined else None
        if before is not None and _answers(before) and _answers(turn):
            joined[-1] = replace(before, parts=(*before.parts, *turn.parts))
        else:
            joined.append(turn)
    return joined


def _answers(turn: Turn) -> bool:
    return any(isinstance(part, ToolResult) for part in turn.parts)


def short_id(most: int) -> Callable[[str], str]:
    """Ids of tool calls within `most` characters; the same id always becomes the same."""

    def shortened(call_id: str) -> str:
        return call_id if len(call_id) <= most else f"call_{hashed(call_id)}"[:most]

    return shortened


def hashed(call_id: str) -> str:
    """Letters and digits that stand for an id."""
    return hashlib.sha256(call_id.encode()).hexdigest()[:_HASH_LENGTH]


class _Writer:
    """Writes the turns of one request."""

    def __init__(self, request: ChatRequest, style: Style, model: str) -> None:
        self._style = style
        self._names = request.names
        self._minutes = request.cache_minutes
        self._marks = style.cache_mark != "auto" and (
            not style.cache_marked or model.startswith(style.cache_marked)
        )

    def messages(self, turn: Turn) -> Iterable[dict[str, Any]]:
        if turn.role == "assistant":
            yield from self._said(turn)
            return
        rest: list[Part] = []
        for part in turn.parts:
            if isinstance(part, ToolResult):
                yield self._result(part, turn.place)
                rest += [inner for inner in part.parts if isinstance(inner, Image)]
            else:
                rest.append(part)
        content = self._content(rest, turn.place)
        if content is not None:
            yield {"role": turn.role, "content": content}

    def _said(self, turn: Turn) -> Iterable[dict[str, Any]]:
        calls = [self._call(part) for part in turn.parts if isinstance(part, ToolCall)]
        thoughts = [part for part in turn.parts if isinstance(part, Thinking)]
        rest: list[Part] = [part for part in turn.parts if not isinstance(part, ToolCall | Thinking)]
        content = self._content(rest, turn.place)
        message: dict[str, Any] = {"role": "assistant", "content": content}
        self._think(message, thoughts)
        if calls:
            message["tool_calls"] = calls
        elif content is None and len(message) > len(("role", "content")):
            message["content"] = ""
        if calls or message["content"] is not None:
            yield message

    def _think(self, message: dict[str, Any], thoughts: list[Thinking]) -> None:
        if not thoughts or self._style.thoughts == "dropped":
            return
        text = "".join(thought.text for thought in thoughts)
        if self._style.thoughts == "chunks":
            chunk = {"type": "thinking", "thinking": [{"type": "text", "text": text}]}
            said = message["content"]
            texts = [{"type": "text", "text": said}] if isinstance(said, str) else said or []
            message["content"] = [chunk, *texts] if text else said
            return
        if self._style.thoughts == "reasoning_details":
            details = details_of(thoughts)
            message |= {FIELD: details} if details else {"reasoning": text} if text else {}
            return
        if text:
            message[self._style.thoughts] = text
        if any(thought.signature or thought.redacted is not None for thought in thoughts):
            message["thinking_blocks"] = [thinking_block(thought) for thought in thoughts]

    def _call(self, call: ToolCall) -> dict[str, Any]:
        function = {"name": call.name, "arguments": call.arguments or "{}"}
        return {"id": self._style.call_id(call.id), "type": "function", "function": function}

    def _result(self, result: ToolResult, place: str) -> dict[str, Any]:
        texts: list[Part] = [part for part in result.parts if isinstance(part, Text)]
        content = self._content(texts, place)
        return {"role": "tool", "tool_call_id": self._style.call_id(result.call_id), "content": content or ""}

    def _content(self, parts: list[Part], place: str) -> str | list[dict[str, Any]] | None:
        """One string, or an array of parts; `None` when nothing is in it."""
        written = [block for part in parts if (block := self._part(part, place)) is not None]
        if not written:
            return None
        if len(written) == 1 and written[0].keys() == {"type", "text"}:
            text: str = written[0]["text"]
            return text
        if self._style.flat and all(block["type"] == "text" for block in written):
            return TEXT_SEPARATOR.join(block["text"] for block in written)
        return written

    def _part(self, part: Part, place: str) -> dict[str, Any] | None:
        block: dict[str, Any] | None
        match part:
            case Text(text=text):
                block = {"type": "text", "text": text} if text else None
            case Image():
                if not self._style.sees:
                    raise unsupported(self._named(place, "image", PICTURE), "the provider sees no pictures")
                block = {"type": "image_url", "image_url": {"url": _image_url(part)}}
            case Audio(data=sound, format=kind):
                if not self._style.hears:
                    raise unsupported(self._named(place, "audio", SOUND), "the provider does not hear")
                block = {"type": "input_audio", "input_audio": {"data": sound, "format": kind}}
            case File():
                block = self._file(part, place)
            case Thinking() | ToolCall() | ToolResult():
                raise BadRequest("Reasoning and tool calls are the assistant's.", param=place)
        if block is not None and self._marks and getattr(part, "cache", False):
            block |= self._mark()
        return block

    def _mark(self) -> dict[str, Any]:
        """OpenAI's mark keeps its usual life, for its usage would not tell a longer one's price."""
        if self._style.cache_mark == "prompt_cache_breakpoint":
            return {"prompt_cache_breakpoint": {"mode": "explicit"}}
        longer = (self._minutes or 0) > SHORT_CACHE_MINUTES
        return {"cache_control": {"type": "ephemeral", **({"ttl": "1h"} if longer else {})}}

    def _named(self, place: str, field: str, otherwise: str) -> str:
        return f"{place}.{self._names.get(field, otherwise)}"

    def _file(self, part: File, place: str) -> dict[str, Any]:
        if part.data is None:
            why = "files stored elsewhere cannot be read there"
            raise unsupported(self._named(place, "file_id", FILE_ID), why)
        if part.media_type == PLAIN_TEXT:
            return {"type": "text", "text": _plain_text(part, self._named(place, "file", FILE))}
        if not self._style.reads_files:
            raise unsupported(self._named(place, "file", FILE), "the provider reads no documents")
        address = f"data:{part.media_type};base64,{part.data}"
        if self._style.documents == "document_url":
            name = {"document_name": part.name} if part.name else {}
            return {"type": "document_url", "document_url": address, **name}
        return {"type": "file", "file": {"filename": part.name or "document", "file_data": address}}


def thinking_block(thinking: Thinking) -> dict[str, str]:
    """Reasoning with what its maker signed, as gateways hand it on."""
    if thinking.redacted is not None:
        return {"type": "redacted_thinking", "data": thinking.redacted}
    return {"type": "thinking", "thinking": thinking.text, "signature": thinking.signature}


def _image_url(image: Image) -> str:
    return image.url if image.url is not None else f"data:{image.media_type};base64,{image.data}"


def _plain_text(file: File, param: str) -> str:
    """A document of plain text is words like any other."""
    try:
        text = base64.b64decode(file.data or "", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise BadRequest(
            f"Invalid value for '{param}': expected UTF-8 text in base64.", param=param
        ) from None
    return f"{file.name}{TEXT_SEPARATOR}{text}" if file.name else text
