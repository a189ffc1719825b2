"""How many tokens a picture may take, and what the price book may call its kind: from size and quality.

Source: the cost table of OpenAI's public image generation guide. A square of 1024 pixels takes 272, 1,056 or
4,160 tokens at low, medium and high quality, and the other sizes as much by area (the wide ones 1 % less);
each partial picture of a stream takes 100. Models that leave the choice to themselves are held for at the
dearest.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from bursar.core.usage import Meter

PIXELS_PER_SQUARE: Final = 1024 * 1024
TOKENS_PER_SQUARE: Final = {"low": 272, "medium": 1_056, "standard": 1_056}
TOKENS_PER_SQUARE_MAX: Final = 4_160
PARTIAL_TOKENS: Final = 100
PIXELS_UNSAID: Final = 1536 * 1024
"""The largest size that models choose by themselves."""
PIXELS_MAX: Final = 2**24
"""All pictures of one answer together: two of 3840 x 2160, ten of 1536 x 1024. In base64 a pixel can take
four bytes, and an answer is held in memory whole."""
SIZE: Final = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", re.ASCII)
QUALITIES: Final = frozenset({"standard", "hd", "low", "medium", "high"})


def pixels(size: Any) -> int:
    """Of one picture."""
    found = SIZE.fullmatch(size) if isinstance(size, str) else None
    return PIXELS_UNSAID if found is None else int(found[1]) * int(found[2])


def counts(raw: Mapping[str, Any]) -> dict[Meter, int]:
    """What all pictures of a request may come to: how many, and the tokens they are drawn with."""
    number = raw.get("n") or 1
    rate = TOKENS_PER_SQUARE.get(raw.get("quality") or "", TOKENS_PER_SQUARE_MAX)
    each = -(-pixels(raw.get("size")) * rate // PIXELS_PER_SQUARE)
    partial = (raw.get("partial_images") or 0) * PARTIAL_TOKENS
    return {Meter.IMAGE: number, Meter.OUT_IMAGE: number * (each + partial)}


def variants(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """Quality and size as the price book may name them after the model, the most particular first.

    Only words that are known: a name that a caller makes up must not lead to another model's price.
    """
    quality, size = raw.get("quality"), raw.get("size")
    known_quality = quality if quality in QUALITIES else None
    known_size = size if isinstance(size, str) and SIZE.fullmatch(size) else None
    if known_quality and known_size:
        return f"{known_quality}:{known_size}", known_quality, known_size
    return tuple(name for name in (known_quality, known_size) if name)
