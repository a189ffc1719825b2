"""Reading token counts that strangers wrote."""

from collections.abc import Mapping
from typing import Any

from bursar.core.usage import Meter

FLAG_MALFORMED = "usage_malformed"
FLAG_SUBSET_MISMATCH = "usage_subset_mismatch"
COUNT_MAX = 10**9
"""Above this no count is real: a hundred times the longest context. Sums of money stay within 64 bits."""
DIGITS_MAX = len(str(COUNT_MAX))


class CountReader:
    """Reads counts from a mapping that may hold anything; keeps the flags raised on the way."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw
        self.flags: list[str] = []

    def flag(self, name: str) -> None:
        if name not in self.flags:
            self.flags.append(name)

    def count(self, name: str, group: str | None = None) -> int:
        """A token count, 0 when absent; anything but a whole number ≥ 0 is flagged and read as 0."""
        source = self.raw if group is None else self.raw.get(group)
        if not source or not isinstance(source, dict):
            return 0
        value = source.get(name)
        if value is None or value == 0:
            return 0
        count = whole_number(value)
        if count is None:
            self.flag(FLAG_MALFORMED)
            return 0
        return count

    def optional(self, name: str) -> int | None:
        """The same at the top level; `None` when absent or malformed."""
        count = whole_number(self.raw.get(name))
        if count is None and self.raw.get(name) is not None:
            self.flag(FLAG_MALFORMED)
        return count


def whole_number(value: object) -> int | None:
    """A count as servers write it (7, 7.0, "7"); `None` for anything else: negative, broken or absurd."""
    if type(value) is int:  # nearly always; a bool is not one
        return value if 0 <= value <= COUNT_MAX else None
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) <= DIGITS_MAX else None
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= COUNT_MAX else None


def split(rest: Meter, whole: int, parts: dict[Meter, int], reader: CountReader) -> dict[Meter, int]:
    """`whole` cut into its parts and the rest; parts above the whole are flagged and cut to fit in order.

    Modal tokens that were served from cache are counted in both subsets and the API gives no split, so an
    overlap takes from the later part: the sum stays the provider's own.
    """
    left, cut = whole, {}
    for meter, part in parts.items():
        if not part:
            continue
        taken = min(part, left)
        if taken != part:
            reader.flag(FLAG_SUBSET_MISMATCH)
        cut[meter] = taken
        left -= taken
    return {rest: left, **cut}
