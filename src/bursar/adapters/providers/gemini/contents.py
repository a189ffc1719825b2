"""Canonical turns, written as the Gemini API's contents.

Source: https://ai.google.dev/api/caching#Content and google-genai 3.3, `types.Part`. What a tool answered
goes back in one content of its own right after the calls, as many answers as calls.
"""

import mimetypes
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from bursar.adapters.providers.gemini.signatures import UNSIGNED, parted, upstream_id
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

_AUDIO_TYPES: Final[Mapping[str, str]] = {"mp3": "audio/mp3", "wav": "audio/wav"}


def system_parts(turns: Iterable[Turn]) -> list[dict[str, Any]]:
    """The system instruction, in order."""
    return [
        part
        for turn in turns
        if turn.role == "system"
        for one in turn.parts
        if (part := _part(one, turn.place)) is not None
    ]


def contents_of(turns: tuple[Turn, ...], *, signs: bool) -> list[dict[str, Any]]:
    """User and model contents; `signs`: the model insists on signed calls.

    Raises `BadRequest` for what the API cannot take.
    """
    names = {part.id: part.name for turn in turns for part in turn.parts if isinstance(part, ToolCall)}
    contents: list[dict[str, Any]] = []
    for turn in turns:
        if turn.role == "system":
            continue
        role = "model" if turn.role == "assistant" else "user"
        results = [_result(part, names, turn.place) for part in turn.parts if isinstance(part, ToolResult)]
        _add(contents, role, results, after_results=True)
        said = [part for one in turn.parts if (part := _part(one, turn.place)) is not None]
        if role == "model" and signs:
            _sign_first_call(said)
        _add(contents, role, said, after_results=False)
    if not contents:
        raise BadRequest("A message with content from the user is needed.", param="messages")
    return contents


def _add(
    contents: list[dict[str, Any]], role: str, parts: list[dict[str, Any]], *, after_results: bool
) -> None:
    """Neighbours of one role are one content; tool results stand alone."""
    if not parts:
        return
    last = contents[-1] if contents else None
    if (
        last is not None
        and last["role"] == role
        and ("functionResponse" in last["parts"][0]) is after_results
    ):
        last["parts"] += parts
    else:
        contents.append({"role": role, "parts": parts})


def _sign_first_call(parts: list[dict[str, Any]]) -> None:
    """A call whose signature was lost, or that another model made, says so: the API refuses it otherwise."""
    first = next((part for part in parts if "functionCall" in part), None)
    if first is not None and "thoughtSignature" not in first:
        first["thoughtSignature"] = UNSIGNED


def _part(part: Part, place: str) -> dict[str, Any] | None:
    """One part; `None` for what is written elsewhere or not at all."""
    match part:
        case Text(text=text):
            return {"text": text} if text else None
        case Image():
            return _image(part)
        case Audio(data=data, format=kind):
            return _inline(_AUDIO_TYPES.get(kind, f"audio/{kind}"), data)
        case File():
            return _file(part, place)
        case ToolCall():
            return _call(part, place)
        case ToolResult() | Thinking():
            return None  # results stand alone; thoughts are not taken back, their signatures ride in call ids


def _inline(media_type: str | None, data: str | None) -> dict[str, Any]:
    return {"inlineData": {"mimeType": media_type, "data": data}}


def _image(part: Image) -> dict[str, Any]:
    if part.url is None:
        return _inline(part.media_type, part.data)
    guessed = mimetypes.guess_type(part.url.partition("?")[0])[0]
    named = {"mimeType": guessed} if guessed else {}
    return {"fileData": {**named, "fileUri": part.url}}


def _file(part: File, place: str) -> dict[str, Any]:
    if part.data is None:
        raise unsupported(
            f"{place}.content[].file.file_id", "files stored elsewhere cannot be read by the provider"
        )
    return _inline(part.media_type, part.data)


def _call(part: ToolCall, place: str) -> dict[str, Any]:
    param = f"{place}.tool_calls[].function.arguments"
    try:
        arguments = orjson.loads(part.arguments or "{}")
    except orjson.JSONDecodeError:
        arguments = None
    if not isinstance(arguments, dict):
        raise BadRequest(
            f"Invalid value for '{param}': expected a JSON object.", code="invalid_type", param=param
        )
    call_id, signature = parted(part.id)
    known = upstream_id(call_id)
    called = {"name": part.name, "args": arguments, **({"id": known} if known else {})}
    return {"functionCall": called, **({"thoughtSignature": signature} if signature else {})}


def _result(part: ToolResult, names: Mapping[str, str], place: str) -> dict[str, Any]:
    name = names.get(part.call_id)
    if name is None:
        raise BadRequest("A tool's result must follow its call.", param=f"{place}.tool_call_id")
    call_id = upstream_id(parted(part.call_id)[0])
    texts = [one.text for one in part.parts if isinstance(one, Text)]
    pictures = [_image(one) for one in part.parts if isinstance(one, Image)]
    answered: dict[str, Any] = {"name": name, "response": {"output": "\n".join(texts)}}
    if call_id:
        answered["id"] = call_id
    if pictures:
        answered["parts"] = pictures
    return {"functionResponse": answered}
