"""Another provider's signed thoughts in the Gemini dialect, sealed in `thoughtSignature`.

Callers hand the field back; it is opaque bytes in base64 to every client. What we put there says that it is
ours; what Google put there is not, and means nothing to other providers.
"""

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from typing import Final

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
    if isinstance(signature, str):
        bare = signature.translate(_STANDARD).rstrip("=")
        try:
            kept = b64decode(bare + "=" * (-len(bare) % 4), validate=True)
        except NotBase64:
            kept = b""
        if kept.startswith(_OURS):
            return _read(text, kept.removeprefix(_OURS))
    return Thinking(text=text)


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
