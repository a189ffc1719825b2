"""Pictures and documents of Anthropic's blocks, in the canonical form."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from bursar.core.chat import File, Image, Part, Text, unsupported
from bursar.gateway.dialects.anthropic_messages.places import refuse_others, text_at
from bursar.gateway.dialects.bodies import wrong

PLAIN_TEXT: Final = "text/plain"
_SOURCE: Final = frozenset({"type", "media_type", "data", "url", "content"})
_NOT_KEPT: Final = "files stored elsewhere cannot be read by the provider"

Content = Callable[[Any, str], tuple[Part, ...]]
"""Reads blocks at a place."""


def image(source: Mapping[str, Any], place: str, *, cache: bool) -> Image:
    """A picture by address or in base64."""
    kind = source["type"]
    if kind == "file":
        raise unsupported(f"{place}.file_id", _NOT_KEPT)
    refuse_others(source, _SOURCE, f"{place}.")
    if kind == "url":
        return Image(url=text_at(source, "url", place), cache=cache)
    if kind != "base64":
        raise wrong(f"{place}.type", "base64, url or file")
    media_type, content = text_at(source, "media_type", place), text_at(source, "data", place)
    return Image(media_type=media_type, data=content, cache=cache)


def document_parts(block: Mapping[str, Any], place: str, read: Content, *, cache: bool) -> tuple[Part, ...]:
    """A document: a file, or the blocks it is made of after its title; its context goes before it."""
    title, context = (_optional(block, name, place) for name in ("title", "context"))
    before = () if context is None else (Text(text=context),)
    source = block["source"]
    inner = f"{place}.source"
    match source["type"]:
        case "file":
            raise unsupported(f"{inner}.file_id", _NOT_KEPT)
        case "url":
            raise unsupported(f"{inner}.url", "documents are taken in the request only, not by address")
        case "content":
            refuse_others(source, _SOURCE, f"{inner}.")
            named = () if title is None else (Text(text=title),)
            return _marked((*before, *named, *read(source["content"], f"{inner}.content")), cache=cache)
        case "text":
            text = text_at(source, "data", inner).encode("utf-8", "surrogatepass")
            content = base64.b64encode(text).decode()
        case "base64":
            content = text_at(source, "data", inner)
        case _:
            raise wrong(f"{inner}.type", "base64, text, content, url or file")
    refuse_others(source, _SOURCE, f"{inner}.")
    media_type = text_at(source, "media_type", inner)
    return (*before, File(media_type=media_type, data=content, name=title, cache=cache))


def _marked(parts: tuple[Part, ...], *, cache: bool) -> tuple[Part, ...]:
    last = parts[-1] if parts else None
    if not cache or not isinstance(last, Text | Image):
        return parts
    return (*parts[:-1], replace(last, cache=True))


def _optional(block: Mapping[str, Any], name: str, place: str) -> str | None:
    return None if block.get(name) is None else text_at(block, name, place)
