"""Canonical turns as Anthropic's messages and their content blocks.

Source: Anthropic's API reference and Python SDK 2.10, `ContentBlockParam`.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from bursar.core.chat import (
    Audio,
    BadRequest,
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

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
PDF: Final = "application/pdf"
PLAIN_TEXT: Final = "text/plain"
_OPENAI_PLACES: Final[Mapping[str, str]] = {
    "image": "content[].image_url.url",
    "file": "content[].file.file_data",
    "file_id": "content[].file.file_id",
    "audio": "content[].input_audio",
    "arguments": "tool_calls[].function.arguments",
}
"""What refusals call a part of a turn, where the caller's dialect gave no name of its own."""
_ID_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")


def messages_of(
    turns: Iterable[Turn], mark: dict[str, str], names: Mapping[str, str]
) -> list[dict[str, Any]]:
    """User and assistant turns, neighbours of one role joined, tool results first in theirs."""
    messages: list[dict[str, Any]] = []
    for turn in turns:
        blocks = blocks_of(turn, mark, names) if turn.role != "system" else []
        if not blocks:
            continue
        if messages and messages[-1]["role"] == turn.role:
            messages[-1]["content"] += blocks
        else:
            messages.append({"role": turn.role, "content": blocks})
    for message in messages:
        message["content"].sort(key=lambda block: block["type"] != "tool_result")
    if not messages:
        raise BadRequest(
            "A message with content from the user is needed.", param=names.get("turns", "messages")
        )
    return messages


def blocks_of(turn: Turn, mark: dict[str, str], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """The blocks of one turn; `mark` is what those worth caching carry."""
    writing = _Writing(turn.place, names)
    blocks = []
    for part in turn.parts:
        block = writing.block(part)
        if block is None:
            continue
        if getattr(part, "cache", False):
            block["cache_control"] = mark
        blocks.append(block)
    return blocks


def safe_id(call_id: str) -> str:
    """A tool call's id in the characters the API takes; ids of other providers may hold others."""
    return _ID_UNSAFE.sub("_", call_id) or "_"


class _Writing:
    """Writes the parts of one turn; refusals say where in the caller's request it is."""

    def __init__(self, place: str, names: Mapping[str, str]) -> None:
        self._place = place
        self._names = names

    def block(self, part: Part) -> dict[str, Any] | None:
        """One content block; `None` for empty text, which the API refuses."""
        match part:
            case Text(text=text):
                return {"type": "text", "text": text} if text else None
            case Image():
                return self._image(part)
            case File():
                return self._document(part)
            case Thinking():
                return _thinking(part)
            case ToolCall():
                return self._tool_use(part)
            case ToolResult(call_id=call_id, parts=parts):
                content = [block for inner in parts if (block := self.block(inner)) is not None]
                return {"type": "tool_result", "tool_use_id": safe_id(call_id), "content": content}
            case Audio():
                raise unsupported(self._param("audio"), "the provider does not hear")

    def _param(self, what: str) -> str:
        return f"{self._place}.{self._names.get(what, _OPENAI_PLACES[what])}"

    def _image(self, part: Image) -> dict[str, Any]:
        if part.url is not None:
            return {"type": "image", "source": {"type": "url", "url": part.url}}
        if part.media_type not in IMAGE_TYPES:
            raise unsupported(self._param("image"), "pictures may be JPEG, PNG, GIF or WebP")
        source = {"type": "base64", "media_type": part.media_type, "data": part.data}
        return {"type": "image", "source": source}

    def _document(self, part: File) -> dict[str, Any]:
        if part.data is None:
            raise unsupported(self._param("file_id"), "files stored elsewhere cannot be read by the provider")
        if part.media_type == PLAIN_TEXT:
            source = {"type": "text", "media_type": PLAIN_TEXT, "data": self._plain_text(part.data)}
        elif part.media_type == PDF:
            source = {"type": "base64", "media_type": PDF, "data": part.data}
        else:
            raise unsupported(self._param("file"), "documents may be PDF or plain text")
        block: dict[str, Any] = {"type": "document", "source": source}
        if part.name:
            block["title"] = part.name
        return block

    def _plain_text(self, encoded: str) -> str:
        try:
            return base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            param = self._param("file")
            raise BadRequest(
                f"Invalid value for '{param}': expected UTF-8 text in base64.",
                code="invalid_type",
                param=param,
            ) from None

    def _tool_use(self, part: ToolCall) -> dict[str, Any]:
        try:
            arguments = orjson.loads(part.arguments or "{}")
        except orjson.JSONDecodeError:
            arguments = None
        if not isinstance(arguments, dict):
            param = self._param("arguments")
            raise BadRequest(
                f"Invalid value for '{param}': expected a JSON object.", code="invalid_type", param=param
            )
        return {"type": "tool_use", "id": safe_id(part.id), "name": part.name, "input": arguments}


def _thinking(part: Thinking) -> dict[str, Any] | None:
    if part.redacted is not None:
        return {"type": "redacted_thinking", "data": part.redacted}
    if not part.signature:
        return None  # unsigned reasoning comes from elsewhere, the API takes back only its own
    return {"type": "thinking", "thinking": part.text, "signature": part.signature}
