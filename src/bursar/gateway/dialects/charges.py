"""What providers write of their own price into the usage: kept with our books, not told to callers."""

from collections.abc import Mapping
from typing import Any, Final, TypeGuard

CHARGES: Final = frozenset({"cost", "cost_details", "cost_in_usd_ticks", "is_byok"})
"""OpenRouter's and xAI's: what the operator pays is between them and him."""


def is_charged(usage: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(usage, dict) and not CHARGES.isdisjoint(usage)


def without_charges(usage: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in usage.items() if name not in CHARGES}
