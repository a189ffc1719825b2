"""The Gemini API's requests: reading, checking, estimating.

Source: https://ai.google.dev/api/generate-content. The model and what is asked of it stand in the path.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from bursar.core.estimate import tokens_of_bytes, tokens_of_text
from bursar.core.usage import Meter
from bursar.gateway.dialects import EVENT_STREAM, Asked, Call
from bursar.gateway.dialects.bodies import (
    NUMBER,
    Check,
    check_model,
    of_type,
    parse_object,
    require,
    within,
    wrong,
)
from bursar.gateway.dialects.gemini.naming import in_camel_case

DIALECT: Final = "gemini"
STREAM: Final = "streamGenerateContent"
COUNT: Final = "countTokens"
ARRAY_STREAM: Final = "application/json; charset=utf-8"
CANDIDATES_MAX: Final = 8
CONTENT_TOKENS: Final = 4
"""Role and separators around each content."""
IMAGE_TOKENS: Final = 5_000
"""One picture: above what providers count (Google ≈ 260 to 2,300, OpenAI ≈ 1,500, Anthropic < 4,800)."""
MEDIA_BYTES_PER_TOKEN: Final = 100
"""Base64 bytes of compressed sound or film per token, on the expensive side (32 and 300 tokens a second)."""
FILE_TOKENS: Final = 10_000
FILE_BYTES_PER_TOKEN: Final = 4
FILM_TOKENS: Final = 300_000
"""A film at an address: a quarter of an hour at 300 tokens a second; its length is unknown here."""
SOUND_TOKENS: Final = 30_000
"""Sound at an address: likewise, at 32 tokens a second."""
_INT32_MAX: Final = 2**31 - 1
_NOT_READ: Final = frozenset(
    {"contents", "generationConfig", "model", "safetySettings", "toolConfig", "labels"}
)
_OUTPUT: Final[Mapping[str, Meter]] = {"AUDIO": Meter.OUT_AUDIO, "IMAGE": Meter.OUT_IMAGE}
_TEXT: Final[frozenset[Meter]] = frozenset()
_FILM: Final = frozenset({Meter.IN_AUDIO, Meter.IN_VIDEO})
_CARRIED: Final[Mapping[str, frozenset[Meter]]] = {
    "audio/": frozenset({Meter.IN_AUDIO}),
    "video/": _FILM,
    "image/": frozenset({Meter.IN_IMAGE}),
    "application/": frozenset({Meter.IN_IMAGE}),  # a document is billed as pictures of its pages
    "text/": _TEXT,
}
_UNTOLD: Final = _FILM | {Meter.IN_IMAGE}
"""What media of no known kind may be."""


def read(body: bytes, asked: Asked) -> Call:
    """Check a request body. Raises `BadRequest` (422) naming the property that is wrong."""
    raw = in_camel_case(parse_object(body))
    name = asked.model or ""
    check_model("model", name)
    prompt = raw
    if asked.action == COUNT and isinstance(raw.get("generateContentRequest"), dict):
        prompt = raw["generateContentRequest"]
    check(prompt)
    config = prompt.get("generationConfig") or {}
    action = asked.action or "generateContent"
    return Call(
        dialect=DIALECT,
        endpoint=endpoint_of(asked, action),
        model=name,
        stream=action == STREAM,
        include_usage=True,
        max_tokens=config.get("maxOutputTokens"),
        n=config.get("candidateCount") or 1,
        input_tokens=estimate_input(prompt),
        end_user=None,
        tools_present=bool(prompt.get("tools")),
        raw=raw,
        stream_type=EVENT_STREAM if asked.query.get("alt") == "sse" else ARRAY_STREAM,
        meters=_meters(prompt),
    )


def endpoint_of(asked: Asked, action: str) -> str:
    """As booked: the path without the model's name, which has a column of its own."""
    version = "/v1beta" if asked.endpoint.startswith("/v1beta/") else "/v1"
    return f"{version}/models/{{model}}:{action}"


def check(raw: Mapping[str, Any]) -> None:
    """Types and ranges of what is known; unknown properties are left to whoever serves the request."""
    require(raw, "contents")
    for name, value in raw.items():
        checker = _CHECKS.get(name)
        if checker is not None and value is not None:
            checker(name, value)


def check_contents(name: str, value: Any) -> None:
    """A list of contents, each with parts that are objects."""
    if not isinstance(value, list) or not value:
        raise wrong(name, "a non-empty array of contents")
    for position, content in enumerate(value):
        check_content(f"{name}[{position}]", content)


def check_content(place: str, content: Any) -> None:
    """One content."""
    if not isinstance(content, dict):
        raise wrong(place, "an object")
    if not isinstance(content.get("role", ""), str | None):
        raise wrong(f"{place}.role", "a string")
    parts = content.get("parts")
    if not isinstance(parts, list):
        raise wrong(f"{place}.parts", "an array of parts")
    for position, part in enumerate(parts):
        where = f"{place}.parts[{position}]"
        if not isinstance(part, dict):
            raise wrong(where, "an object")
        for kind in ("inlineData", "fileData", "functionCall", "functionResponse"):
            if part.get(kind) is not None and not isinstance(part[kind], dict):
                raise wrong(f"{where}.{kind}", "an object")
        if part.get("text") is not None and not isinstance(part["text"], str):
            raise wrong(f"{where}.text", "a string")


def _check_config(name: str, value: Any) -> None:
    _OBJECT(name, value)
    for inner, given in value.items():
        checker = _CONFIG_CHECKS.get(inner)
        if checker is not None and given is not None:
            checker(f"{name}.{inner}", given)


def _check_stops(name: str, value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise wrong(name, "an array of strings")


def _check_objects(name: str, value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise wrong(name, "an array of objects")


def _check_tools(name: str, value: Any) -> None:
    _check_objects(name, value)
    for position, tool in enumerate(value):
        declared = tool.get("functionDeclarations")
        if declared is not None:
            _check_objects(f"{name}[{position}].functionDeclarations", declared)


_OBJECT: Final = of_type(dict, "an object")
_STRING: Final = of_type(str, "a string")
_CONFIG_CHECKS: Final[Mapping[str, Check]] = {
    "candidateCount": within(1, CANDIDATES_MAX, int),
    "maxOutputTokens": within(1, _INT32_MAX, int),
    "temperature": within(0, 2, NUMBER),
    "topP": within(0, 1, NUMBER),
    "topK": of_type(NUMBER, "a number"),
    "seed": of_type(int, "an integer"),
    "presencePenalty": within(-2, 2, NUMBER),
    "frequencyPenalty": within(-2, 2, NUMBER),
    "stopSequences": _check_stops,
    "responseMimeType": _STRING,
    "responseSchema": _OBJECT,
    "thinkingConfig": _OBJECT,
    "responseModalities": _check_stops,
}
_CHECKS: Final[Mapping[str, Check]] = {
    "contents": check_contents,
    "systemInstruction": check_content,
    "generationConfig": _check_config,
    "tools": _check_tools,
    "toolConfig": _OBJECT,
    "safetySettings": _check_objects,
    "cachedContent": _STRING,
    "serviceTier": _STRING,
    "labels": _OBJECT,
}


def _meters(raw: Mapping[str, Any]) -> frozenset[Meter]:
    """Dearer classes of tokens that the request carries, or asks for."""
    wanted = (raw.get("generationConfig") or {}).get("responseModalities") or ()
    found = {_OUTPUT[one.upper()] for one in wanted if one.upper() in _OUTPUT}
    for content in (*raw["contents"], raw.get("systemInstruction") or {}):
        for part in content.get("parts", ()):
            if len(part) > 1 or "text" not in part:
                found |= _carried(part)
    return frozenset(found)


def _carried(part: Any) -> frozenset[Meter]:
    """The classes of the media in one part; what a function answered may have parts of its own."""
    found = _TEXT
    if not isinstance(part, Mapping):
        return found
    for name in ("inlineData", "fileData"):
        media = part.get(name)
        if isinstance(media, Mapping):
            kind = _kind_of(media)
            known = (meters for start, meters in _CARRIED.items() if kind.startswith(start))
            found |= _FILM if _is_film(media) else next(known, _UNTOLD)
    answered = part.get("functionResponse")
    inner = answered.get("parts") if isinstance(answered, Mapping) else None
    for one in inner if isinstance(inner, list) else ():
        found |= _carried(one)
    return found


def _kind_of(media: Mapping[str, Any]) -> str:
    return str(media.get("mimeType") or "").lower()


def _is_film(media: Mapping[str, Any]) -> bool:
    uri = str(media.get("fileUri", "")).lower()
    return _kind_of(media).startswith("video/") or "youtube.com/" in uri or "youtu.be/" in uri


def estimate_input(raw: Mapping[str, Any]) -> int:
    """Input tokens on the high side: text by its characters, pictures, sound, files by bounded constants."""
    texts: list[str] = []
    tokens = CONTENT_TOKENS
    system = raw.get("systemInstruction")
    for content in [*([system] if system else ()), *raw["contents"]]:
        tokens += CONTENT_TOKENS
        for part in content["parts"]:
            tokens += part_tokens(part, texts)
    rest = {
        name: value for name, value in raw.items() if name not in {*_NOT_READ, "systemInstruction"} and value
    }
    schemas = _schemas(raw.get("generationConfig") or {})
    for known in (rest, schemas):
        if known:
            tokens += tokens_of_bytes(len(orjson.dumps(known)))
    return tokens + tokens_of_text("\n".join(texts))


def _schemas(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of the configuration the model reads."""
    return {name: config[name] for name in ("responseSchema", "responseJsonSchema") if config.get(name)}


def part_tokens(part: Mapping[str, Any], texts: list[str]) -> int:
    """The tokens of one part; its text goes to `texts`, to be counted together."""
    if isinstance(part.get("text"), str):
        texts.append(part["text"])
        signature = part.get("thoughtSignature")
        return tokens_of_bytes(len(signature)) if isinstance(signature, str) else 0
    if part.get("inlineData"):
        return _inline_tokens(part["inlineData"])
    if part.get("fileData"):
        return _file_tokens(part["fileData"])
    return tokens_of_bytes(len(orjson.dumps(part)))


def _inline_tokens(blob: Mapping[str, Any]) -> int:
    kind, data = _kind_of(blob), blob.get("data")
    size = len(data) if isinstance(data, str) else 0
    if kind.startswith("image/"):
        return IMAGE_TOKENS
    if kind.startswith(("audio/", "video/")):
        return 1 + size // MEDIA_BYTES_PER_TOKEN
    if kind.startswith("text/"):
        return tokens_of_bytes(size)
    return max(FILE_TOKENS, size // FILE_BYTES_PER_TOKEN)


def _file_tokens(file: Mapping[str, Any]) -> int:
    kind = _kind_of(file)
    if kind.startswith("image/"):
        return IMAGE_TOKENS
    if _is_film(file):
        return FILM_TOKENS
    return SOUND_TOKENS if kind.startswith("audio/") else FILE_TOKENS
