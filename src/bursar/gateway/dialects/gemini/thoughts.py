"""Another provider's signed thoughts in the Gemini dialect, sealed in `thoughtSignature`.

Callers hand the field back; it is opaque bytes in base64 to every client. What we put there says that it is
ours; what Google put there is not, and means nothing to other providers.
"""

from base64 import b64decode, b64encode
from typing import Any, Final

import orjson

from bursar.core.chat import Thinking

_OURS: Final = b"bursar:"
_STANDARD: Final = str.maketrans("-_", "+/")


def sealed(thinking: Thinking) -> str | None:
    """The signature to hand out; None when there is nothing that must come back."""
    if not thinking.signature and thinking.redacted is None:
        return None
    kept = {"signature": thinking.signature, "redacted": thinking.redacted}
    return b64encode(_OURS + orjson.dumps(kept)).decode()


def opened(text: str, signature: object) -> Thinking:
    """The thought as it was signed; unsigned when the signature is not ours."""
    kept = _kept(signature)
    return Thinking(text=text) if kept is None else _read(text, kept)


def unsealed(contents: object) -> object:
    """Contents as Google may see them: without our seals, no signatures of its own."""
    if not isinstance(contents, list):
        return contents
    cleared = [_without_seals(content) for content in contents]
    return [
        content
        for content, came in zip(cleared, contents, strict=True)
        if content is came or content["parts"]
    ]


def _without_seals(content: Any) -> Any:
    parts = content.get("parts") if isinstance(content, dict) else None
    if not isinstance(parts, list):
        return content
    cleared = [_without_seal(part) for part in parts]
    left = [part for part, came in zip(cleared, parts, strict=True) if part is came or part.get("text")]
    return {**content, "parts": left} if left != parts else content


def _without_seal(part: Any) -> Any:
    if not isinstance(part, dict) or _kept(part.get("thoughtSignature")) is None:
        return part
    return {name: value for name, value in part.items() if name != "thoughtSignature"}


def _kept(signature: object) -> bytes | None:
    """What a seal of ours holds; None for any other signature."""
    if not isinstance(signature, str):
        return None
    bare = signature.translate(_STANDARD).rstrip("=")
    try:
        kept = b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except ValueError:  # not base64, or not even ASCII
        return None
    return kept.removeprefix(_OURS) if kept.startswith(_OURS) else None


def _read(text: str, kept: bytes) -> Thinking:
    try:
        said = orjson.loads(kept)
    except orjson.JSONDecodeError:
        return Thinking(text=text)
    if not isinstance(said, dict):
        return Thinking(text=text)
    redacted, signature = said.get("redacted"), said.get("signature")
    if isinstance(redacted, str):
        return Thinking(redacted=redacted)
    return Thinking(text=text, signature=signature if isinstance(signature, str) else "")
