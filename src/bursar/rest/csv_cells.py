"""What CSV files for spreadsheets are made of."""

from typing import Final

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is run by spreadsheets."""


def cell(value: object) -> str:
    """One value as text that no spreadsheet takes for a formula; a number stays one. None is empty."""
    text = "" if value is None else str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(FORMULA_STARTS) else text
