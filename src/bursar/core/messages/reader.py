"""Which language a caller reads, from `Accept-Language` (RFC 9110, 12.5.4)."""

import re
from typing import Final

from bursar.core.messages.words import Language

HEADER_CHARACTERS_MAX: Final = 1000
"""Nobody reads so many languages; what comes after is not looked at."""

_RANGE: Final = re.compile(
    r"\s*(?P<language>[a-z]{1,8}|\*)(?:-[a-z0-9]{1,8})*\s*"
    r"(?:;\s*q=(?P<weight>0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*)?",
    re.IGNORECASE | re.ASCII,
)
_SPOKEN: Final[dict[str, Language]] = {"en": "en", "*": "en", "ko": "ko", "zh": "zh"}


def language_of(accept_language: str) -> Language:
    """The spoken language with the greatest weight, the first of equals; else English.

    Regions and scripts are not told apart: `zh-TW` reads `zh`. What is malformed is passed over.
    """
    best: Language = "en"
    most = 0
    for part in accept_language[:HEADER_CHARACTERS_MAX].split(","):
        found = _RANGE.fullmatch(part)
        spoken = None if found is None else _SPOKEN.get(found["language"].lower())
        if found is None or spoken is None:
            continue
        weight = _permille(found["weight"] or "1")
        if weight > most:
            best, most = spoken, weight
    return best


def _permille(weight: str) -> int:
    """`0.85` → 850."""
    whole, _, fraction = weight.partition(".")
    return int(whole) * 1000 + int(fraction.ljust(3, "0"))
