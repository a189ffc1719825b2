"""Thought signatures: how they travel with a tool call through dialects that know nothing of them.

The Gemini API signs a tool call's reasoning (`thoughtSignature`, base64, beside `functionCall`) and newer
models refuse the call when it comes back without. Every dialect hands a tool call's id back unchanged, so
the signature rides in the id: `<id>__thought__<signature>`, in letters that every provider takes in an id.
Source: https://ai.google.dev/gemini-api/docs/thought-signatures.
"""

import re

MARK = "__thought__"
UNSIGNED = "skip_thought_signature_validator"
"""What the API documents for a call that was made elsewhere, or whose signature was lost."""
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
_FOR_URLS = str.maketrans("+/", "-_")
_STANDARD = str.maketrans("-_", "+/")


def signed_id(call_id: str, signature: str | None) -> str:
    """The id told to the caller."""
    safe = _UNSAFE.sub("_", call_id)
    if not signature or _BASE64.fullmatch(signature) is None:
        return safe
    return f"{safe}{MARK}{signature.rstrip('=').translate(_FOR_URLS)}"


def parted(call_id: str) -> tuple[str, str | None]:
    """The id and the signature in it, in base64 of the standard alphabet; None when there is none."""
    bare, mark, signature = call_id.partition(MARK)
    if not mark or not signature:
        return call_id, None
    padding = "=" * (-len(signature) % 4)
    return bare, signature.translate(_STANDARD) + padding


OWN = "call_"
"""Ids we made up begin so: models that give none would not know them."""


def own_id(response_id: str, number: int) -> str:
    """An id for a call that came without; unique in a conversation as `response_id` is."""
    return f"{OWN}{response_id}_{number}"


def upstream_id(call_id: str) -> str | None:
    """The id as the API gave it; None when it gave none."""
    return None if call_id.startswith(OWN) else call_id
