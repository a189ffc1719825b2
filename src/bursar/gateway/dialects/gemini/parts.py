"""The Gemini API's contents, read into canonical turns.

Calls may come without ids; then the order of calls and answers of one function tells which belong together.
"""

from base64 import b64decode
from binascii import Error as NotBase64
from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Any, Final, Literal

import orjson

from bursar.core.chat import (
    Audio,
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
from bursar.gateway.dialects.bodies import wrong
from bursar.gateway.dialects.gemini.thoughts import opened

Role = Literal["system", "user", "assistant"]
_ROLES: Final[Mapping[str, Role]] = {
    "user": "user", "function": "user", "model": "assistant",
}  # fmt: skip
_SOUNDS: Final[Mapping[str, str]] = {
    "audio/mp3": "mp3", "audio/mpeg": "mp3", "audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav",
}  # fmt: skip
_BESIDE: Final = frozenset({"thought", "thoughtSignature", "partMetadata", "mediaResolution"})
"""What stands beside a part's own content; the last two change nothing that can be noticed."""


class Conversation:
    """Reads contents in order, and remembers which calls wait for their answers."""

    def __init__(self) -> None:
        self._calls = 0
        self._waiting: dict[str, deque[str]] = defaultdict(deque)

    def turns(self, raw: Mapping[str, Any]) -> tuple[Turn, ...]:
        """All turns of a request. Raises `BadRequest` for what has no canonical form, by the caller's name.

        A streamed answer comes back as one content for each of its chunks: neighbours of the model are one
        turn, its text and each of its thoughts in one piece again.
        """
        turns: list[tuple[Role, list[Part], str]] = []
        system = raw.get("systemInstruction")
        if system:
            turns.append(("system", self._parts(system, "systemInstruction"), "systemInstruction"))
        for position, content in enumerate(raw["contents"]):
            place = f"contents[{position}]"
            said = content.get("role") or "user"
            if said not in _ROLES:
                raise wrong(f"{place}.role", "user or model")
            role, parts = _ROLES[said], self._parts(content, place)
            if role == "assistant" and turns and turns[-1][0] == role:
                turns[-1][1].extend(parts)
            else:
                turns.append((role, parts, place))
        return tuple(
            Turn(role=role, parts=joined(parts) if role == "assistant" else tuple(parts), place=place)
            for role, parts, place in turns
        )

    def _parts(self, content: Mapping[str, Any], place: str) -> list[Part]:
        return [self._part(part, f"{place}.parts[{at}]") for at, part in enumerate(content["parts"])]

    def _part(self, part: Mapping[str, Any], place: str) -> Part:
        kinds = [name for name, value in part.items() if value is not None and name not in _BESIDE]
        if len(kinds) != 1:
            raise wrong(place, "an object with one kind of content")
        kind = kinds[0]
        match kind:
            case "text" if part.get("thought") is True:
                return opened(part["text"], part.get("thoughtSignature"))
            case "text":
                return Text(text=part["text"])
            case "inlineData":
                return _inline(part["inlineData"], f"{place}.inlineData")
            case "fileData":
                return _file(part["fileData"], f"{place}.fileData")
            case "functionCall":
                return self._call(part["functionCall"], f"{place}.functionCall")
            case "functionResponse":
                return self._result(part["functionResponse"], f"{place}.functionResponse")
        raise unsupported(f"{place}.{kind}", "it has no equivalent at this model's provider")

    def _call(self, call: Mapping[str, Any], place: str) -> ToolCall:
        name, arguments = call.get("name"), call.get("args") or {}
        if not isinstance(name, str):
            raise wrong(f"{place}.name", "a string")
        if not isinstance(arguments, Mapping):
            raise wrong(f"{place}.args", "an object")
        given = call.get("id")
        call_id = given if isinstance(given, str) and given else f"call_{self._calls}"
        self._calls += 1
        self._waiting[name].append(call_id)
        return ToolCall(id=call_id, name=name, arguments=orjson.dumps(arguments).decode())

    def _result(self, answered: Mapping[str, Any], place: str) -> ToolResult:
        name, response = answered.get("name"), answered.get("response")
        if not isinstance(name, str):
            raise wrong(f"{place}.name", "a string")
        if not isinstance(response, Mapping):
            raise wrong(f"{place}.response", "an object")
        waiting = self._waiting[name]
        given = answered.get("id")
        if isinstance(given, str) and given:
            if given in waiting:
                waiting.remove(given)
            call_id = given
        elif waiting:
            call_id = waiting.popleft()
        else:
            raise wrong(f"{place}.name", "the name of a function that was called before")
        shown = answered.get("parts") or ()
        if not isinstance(shown, list | tuple):
            raise wrong(f"{place}.parts", "an array of parts")
        pictures = [_picture(one, f"{place}.parts[{at}]") for at, one in enumerate(shown)]
        return ToolResult(call_id=call_id, parts=(Text(text=_output(response)), *pictures))


def joined(parts: list[Part]) -> tuple[Part, ...]:
    """Pieces of one text, and of one thought up to its signature, as one part each."""
    whole: list[Part] = []
    for part in parts:
        last = whole[-1] if whole else None
        if isinstance(part, Text) and isinstance(last, Text):
            whole[-1] = Text(text=last.text + part.text)
        elif isinstance(part, Thinking) and isinstance(last, Thinking) and _goes_on(last, part):
            whole[-1] = Thinking(text=last.text + part.text, signature=part.signature)
        else:
            whole.append(part)
    return tuple(whole)


def _goes_on(last: Thinking, then: Thinking) -> bool:
    return not last.signature and last.redacted is None and then.redacted is None


def _output(response: Mapping[str, Any]) -> str:
    """What a function gave: the text itself where that is all there is."""
    if len(response) == 1:
        (only,) = response.values()
        if set(response) <= {"output", "result"} and isinstance(only, str):
            return only
    return orjson.dumps(response).decode()


def _data(blob: Mapping[str, Any], place: str) -> tuple[str, str]:
    kind, data = blob.get("mimeType"), blob.get("data")
    if not isinstance(kind, str):
        raise wrong(f"{place}.mimeType", "a media type")
    if not isinstance(data, str):
        raise wrong(f"{place}.data", "base64")
    return kind.lower(), data.replace("-", "+").replace("_", "/")


def _inline(blob: Mapping[str, Any], place: str) -> Part:
    kind, data = _data(blob, place)
    if kind.startswith("image/"):
        return Image(media_type=kind, data=data)
    if kind.startswith("audio/"):
        if kind not in _SOUNDS:
            raise unsupported(f"{place}.mimeType", "sound may be MP3 or WAV")
        return Audio(data=data, format=_SOUNDS[kind])
    if kind.startswith("video/"):
        raise unsupported(f"{place}.mimeType", "the model's provider does not see films")
    if kind.startswith("text/plain"):
        return Text(text=_decoded(data, f"{place}.data"))
    name = blob.get("displayName")
    return File(media_type=kind, data=data, name=name if isinstance(name, str) else None)


def _decoded(data: str, place: str) -> str:
    try:
        return b64decode(data + "=" * (-len(data) % 4), validate=True).decode("utf-8")
    except (NotBase64, UnicodeDecodeError):
        raise wrong(place, "text in UTF-8, as base64") from None


def _file(file: Mapping[str, Any], place: str) -> Part:
    kind, uri = file.get("mimeType"), file.get("fileUri")
    if not isinstance(uri, str):
        raise wrong(f"{place}.fileUri", "an address")
    is_picture = not isinstance(kind, str) or kind.startswith("image/")
    if not uri.startswith(("https://", "http://")) or not is_picture:
        raise unsupported(f"{place}.fileUri", "only pictures can be given by address; send the content")
    return Image(url=uri)


def _picture(part: Any, place: str) -> Image:
    blob = part.get("inlineData") if isinstance(part, Mapping) else None
    read = _inline(blob, f"{place}.inlineData") if isinstance(blob, Mapping) else None
    if not isinstance(read, Image):
        raise unsupported(place, "a function's answer may hold pictures only")
    return read
