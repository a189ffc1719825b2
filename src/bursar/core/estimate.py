"""What a request may cost before it has run: token counts from characters, and the hold that covers them.

The counts are guesses made on the high side, so that holds seldom need extending; the bill is always the
provider's own figure. Byte-level tokenizers (GPT, Claude, Gemini, Llama) never make a token of less than one
byte, spend about one token on four letters of English, one on up to three digits, one to one and a half
on a CJK character and two to four on an emoji; the weights below stand above those averages.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from bursar.core.money import ATTO_DIGITS, asset_scale, atto_to_units, round_up
from bursar.core.pricing import MeterPrice, Quote
from bursar.core.usage import CACHE_WRITE_METERS, INPUT_METERS, OUTPUT_METERS, Meter

SIXTHS: Final = 6
"""Weights are counted in sixths of a token."""

BYTES_PER_TOKEN: Final = 3
"""For text seen only as UTF-8 bytes: three letters, or one CJK character."""

OUTPUT_UNBOUNDED: Final = 10**9
"""Answer of `affordable_output` when output is free: far above any model's limit."""

_LETTER, _DIGIT, _MARK, _TWO_BYTE, _THREE_BYTE, _FOUR_BYTE, _INNER = b"ldm234i"
_WEIGHTS: Final = {
    b"l": 2,  # three letters or blanks to a token
    b"d": 3,  # two digits to a token
    b"m": 6,  # a punctuation mark, a line break: one each
    b"2": 6,  # Cyrillic, Greek, Arabic, accented letters: one each
    b"3": 9,  # CJK, Hangul, Thai, Indic scripts: one and a half each
    b"4": 24,  # emoji and rare characters: one token per byte
}


def _class_of(byte: int) -> int:
    if byte >= 0xF0:  # noqa: PLR2004 - UTF-8 lead bytes, RFC 3629
        return _FOUR_BYTE
    if byte >= 0xE0:  # noqa: PLR2004 - same
        return _THREE_BYTE
    if byte >= 0xC0:  # noqa: PLR2004 - same
        return _TWO_BYTE
    if byte >= 0x80:  # noqa: PLR2004 - same
        return _INNER
    letter = chr(byte)
    if letter.isalpha() or letter == " ":
        return _LETTER
    return _DIGIT if letter.isdigit() else _MARK


_CLASSES: Final = bytes(_class_of(byte) for byte in range(256))


def tokens_of_text(text: str) -> int:
    """A count on the high side, by kind of character; cutting a text in two never lowers it."""
    classes = text.encode("utf-8", "surrogatepass").translate(_CLASSES)
    return round_up(sum(classes.count(kind) * weight for kind, weight in _WEIGHTS.items()), SIXTHS)


def tokens_of_bytes(n: int) -> int:
    """A count for so many UTF-8 bytes of text when looking at each character would cost too much."""
    return round_up(n, BYTES_PER_TOKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What a request may use beyond plain text in and out.

    ``meters``: token classes it carries or may produce (images, audio). ``counters``: how many calls,
    pictures, their tokens or seconds at most. ``may_write_cache``: the caller asks for it, or the model does
    so by itself.
    """

    may_write_cache: bool = False
    meters: frozenset[Meter] = frozenset()
    counters: Mapping[Meter, int] = field(default_factory=lambda: MappingProxyType({Meter.REQUEST: 1}))


PLAIN: Final = Reach()


def hold_amount(quote: Quote, input_tokens: int, output_tokens: int, asset: str, reach: Reach = PLAIN) -> int:
    """What to hold, rounded up: every token at the dearest price the request can reach."""
    input_atto, output_unit_atto = _dearest(quote, input_tokens, reach)
    return atto_to_units(input_atto + output_tokens * output_unit_atto, asset, round_up)


def output_amount(
    quote: Quote, input_tokens: int, output_tokens: int, asset: str, reach: Reach = PLAIN
) -> int:
    """What to hold for so much output of a request with so much input, rounded up."""
    _, output_unit_atto = _dearest(quote, input_tokens, reach)
    return atto_to_units(output_tokens * output_unit_atto, asset, round_up)


def affordable_output(quote: Quote, funds: int, input_tokens: int, asset: str, reach: Reach = PLAIN) -> int:
    """The most output tokens whose hold fits in ``funds``; 0 when not even the input fits."""
    input_atto, output_unit_atto = _dearest(quote, input_tokens, reach)
    left_atto = funds * 10 ** (ATTO_DIGITS - asset_scale(asset)) - input_atto
    if left_atto < 0:
        return 0
    return min(left_atto // output_unit_atto, OUTPUT_UNBOUNDED) if output_unit_atto else OUTPUT_UNBOUNDED


def output_bound(max_tokens: int | None, model_limit: int, n: int) -> int:
    """The most output a request can produce: the caller's limit or the model's, for each of ``n`` answers."""
    each = model_limit if max_tokens is None else min(max_tokens, model_limit)
    return each * n


def _dearest(quote: Quote, input_tokens: int, reach: Reach) -> tuple[int, int]:
    """All of the input and the counters, and one output token, in atto."""
    sheet = quote.sheet(input_tokens)
    place = (id(sheet), reach.may_write_cache, reach.meters)
    units = quote.memo.get(place)
    if units is None:
        units = quote.memo[place] = _dearest_units(sheet, reach)
    input_unit, output_unit = units
    counted = 0
    for meter, number in reach.counters.items():
        if meter in sheet:
            counted += number * sheet[meter].sale_atto
    return input_tokens * input_unit + counted, output_unit


def _dearest_units(sheet: Mapping[Meter, MeterPrice], reach: Reach) -> tuple[int, int]:
    meters = reach.meters | {Meter.IN_FRESH, Meter.OUT_TEXT, Meter.OUT_REASONING}
    if reach.may_write_cache:
        meters |= CACHE_WRITE_METERS
    return (
        max((sheet[meter].sale_atto for meter in meters & INPUT_METERS if meter in sheet), default=0),
        max((sheet[meter].sale_atto for meter in meters & OUTPUT_METERS if meter in sheet), default=0),
    )
