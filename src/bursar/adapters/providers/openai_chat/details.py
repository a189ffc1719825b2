"""`reasoning_details`: reasoning as its maker signed or sealed it, which must come back as it was.

Source: OpenRouter's guide to reasoning tokens. What another provider signed means nothing there, so what came
in details travels in an envelope of our own, and only what is in one goes back.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from bursar.core.chat import Thinking

FIELD = "reasoning_details"
_TEXT, _SUMMARY, _ENCRYPTED = "reasoning.text", "reasoning.summary", "reasoning.encrypted"
_OURS = b"reasoning_details:"


def thoughts_in(message: Mapping[str, Any]) -> list[Thinking]:
    """The reasoning that a message or a delta tells in details; words without a signature are only words."""
    details = message.get(FIELD)
    thoughts = []
    for detail in details if isinstance(details, list) else ():
        kind = detail.get("type") if isinstance(detail, dict) else None
        if kind == _TEXT:
            text, signature = detail.get("text"), detail.get("signature")
            rest = {name: value for name, value in detail.items() if name != "text"}
            signed = _sealed(rest) if isinstance(signature, str) and signature else ""
            thoughts.append(Thinking(text=text if isinstance(text, str) else "", signature=signed))
        elif kind == _SUMMARY and isinstance(detail.get("summary"), str):
            thoughts.append(Thinking(text=detail["summary"]))
        elif kind == _ENCRYPTED:
            thoughts.append(Thinking(redacted=_sealed(detail)))
    return [thought for thought in thoughts if thought != Thinking()]


def details_of(thoughts: Iterable[Thinking]) -> list[dict[str, Any]]:
    """What came in details, as it came."""
    written = []
    for thought in thoughts:
        detail = _opened(thought.redacted if thought.redacted is not None else thought.signature)
        if detail is not None:
            written.append({**detail, "text": thought.text} if detail.get("type") == _TEXT else detail)
    return written


def _sealed(detail: Mapping[str, Any]) -> str:
    return base64.b64encode(_OURS + orjson.dumps(detail)).decode()


def _opened(envelope: str) -> dict[str, Any] | None:
    try:
        content = base64.b64decode(envelope, validate=True)
        detail = orjson.loads(content.removeprefix(_OURS)) if content.startswith(_OURS) else None
    except (binascii.Error, ValueError):
        return None
    return detail if isinstance(detail, dict) else None
