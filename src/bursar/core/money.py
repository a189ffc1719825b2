"""Exact money: integers inside, decimal strings at the edge, every rounding has a name.

An *amount* is an ``int`` counting an asset's smallest unit (USD: 10^-9). A *price* is an ``int`` counting
atto: 10^-18 of a major unit, for ONE unit of a meter (one token, one second, one call).
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar, Final

ASSET_SCALE: Final[Mapping[str, int]] = MappingProxyType({"USD": 9, "EUR": 9, "CNY": 9, "KRW": 7, "JPY": 7})
"""Digits after the decimal point that the ledger keeps, by asset."""

ATTO_DIGITS: Final = 18
"""Digits after the decimal point of a price (the database keeps ``NUMERIC(38,18)``)."""

AMOUNT_MAX: Final = 2**63 - 1
"""The ledger's columns are ``BIGINT``."""

PRICE_ATTO_MAX: Final = 10**38 - 1
"""Prices are ``NUMERIC(38,18)``: 38 digits in all."""

TEXT_LENGTH_MAX: Final = 64
"""No honest amount or price is longer; a limit keeps hostile text cheap."""

MILLION_DIGITS: Final = 6
CENT_DIGITS: Final = 2

_DECIMAL: Final = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?", re.ASCII)

Rounding = Callable[[int, int], int]


class AmountInvalid(ValueError):
    """The text is not an exact amount or price."""

    code: ClassVar[str] = "amount_invalid"
    status: ClassVar[int] = 422


class AssetUnknown(ValueError):
    """The ledger has no scale for this asset."""

    code: ClassVar[str] = "asset_unknown"
    status: ClassVar[int] = 422


def asset_scale(asset: str) -> int:
    """Digits kept for ``asset``; raises `AssetUnknown`."""
    scale = ASSET_SCALE.get(asset)
    if scale is None:
        raise AssetUnknown(f"unknown asset {asset[:TEXT_LENGTH_MAX]!r}; known: {', '.join(ASSET_SCALE)}")
    return scale


def round_half_even(numerator: int, denominator: int) -> int:
    """Nearest integer to the fraction; a tie goes to the even neighbour. ``denominator`` must be positive."""
    quotient, rest = divmod(numerator, denominator)
    twice = rest * 2
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient


def round_up(numerator: int, denominator: int) -> int:
    """Smallest integer not below the fraction: what a hold needs. ``denominator`` must be positive."""
    return -(-numerator // denominator)


def atto_to_units(total_atto: int, asset: str, rounding: Rounding) -> int:
    """An exact total in atto as an amount of ``asset``, rounded once by the rule given."""
    return rounding(total_atto, 10 ** (ATTO_DIGITS - asset_scale(asset)))


def parse_amount(text: str, asset: str) -> int:
    """Read plain decimal text exactly; a digit the ledger cannot keep raises `AmountInvalid`."""
    units = _parse_scaled(text, asset_scale(asset))
    if abs(units) > AMOUNT_MAX:
        raise AmountInvalid(f"{text} {asset} is more than the ledger can hold")
    return units


def format_amount(units: int, asset: str) -> str:
    """Plain decimal text: no exponent, no needless zeros, but cents always shown where there are cents."""
    scale = asset_scale(asset)
    return _format_scaled(units, scale, CENT_DIGITS if scale == ASSET_SCALE["USD"] else 0)


def parse_price(text: str) -> int:
    """Read a price per ONE unit as atto; negative or finer than 10^-18 raises `AmountInvalid`."""
    return _as_price(_parse_scaled(text, ATTO_DIGITS), text)


def format_price(atto: int) -> str:
    """A price per ONE unit as plain decimal text without needless zeros."""
    return _format_scaled(atto, ATTO_DIGITS, 0)


def format_exact(value: int, digits: int) -> str:
    """An exact figure that counts 10^-`digits` as plain decimal text without needless zeros."""
    return _format_scaled(value, digits, 0)


def parse_price_per_million(text: str) -> int:
    """Read a price per million units, as price lists print it, as atto per ONE unit."""
    return _as_price(_parse_scaled(text, ATTO_DIGITS - MILLION_DIGITS), text)


def format_price_per_million(atto: int) -> str:
    """The inverse of `parse_price_per_million`."""
    return _format_scaled(atto, ATTO_DIGITS - MILLION_DIGITS, 0)


def _as_price(atto: int, text: str) -> int:
    if not 0 <= atto <= PRICE_ATTO_MAX:
        raise AmountInvalid(f"{text} is not a price: it must be between 0 and 10^20")
    return atto


def _parse_scaled(text: str, scale: int) -> int:
    match = _DECIMAL.fullmatch(text) if len(text) <= TEXT_LENGTH_MAX else None
    if match is None:
        raise AmountInvalid(f"{text[:TEXT_LENGTH_MAX]!r} is not a plain decimal number")
    sign, whole, fraction = match.groups(default="")
    digits = fraction.rstrip("0")
    if len(digits) > scale:
        raise AmountInvalid(f"{text} has more than {scale} digits after the point")
    magnitude = int(whole + digits.ljust(scale, "0"))
    return -magnitude if sign else magnitude


def _format_scaled(units: int, scale: int, digits_min: int) -> str:
    whole, rest = divmod(abs(units), 10**scale)
    fraction = f"{rest:0{scale}d}".rstrip("0").ljust(digits_min, "0")
    sign = "-" if units < 0 else ""
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"
