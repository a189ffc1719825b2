"""Rates as several features show and take them, and how they are stored."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field

from bursar.rest.fields import Body

REQUESTS_MAX: Final = 1_000_000
TOKENS_MAX: Final = 1_000_000_000
CONCURRENT_MAX: Final = 100_000

Requests = Annotated[int, Field(ge=1, le=REQUESTS_MAX)]
Tokens = Annotated[int, Field(ge=1, le=TOKENS_MAX)]
Concurrent = Annotated[int, Field(ge=1, le=CONCURRENT_MAX)]

STORED: Final[Mapping[str, str]] = {
    "requests_per_minute": "requests_per_min",
    "requests_burst": "requests_burst",
    "tokens_per_minute": "tokens_per_min",
    "tokens_burst": "tokens_burst",
    "concurrent": "concurrent",
}
"""What is shown → what is stored (`bursar.core.limits.rules_of`)."""


class Rates(Body):
    """Limits by the minute and at once; `null` or absent: not limited."""

    requests_per_minute: Requests | None = None
    requests_burst: Requests | None = Field(
        default=None, description="Most requests at once; a minute's worth when absent."
    )
    tokens_per_minute: Tokens | None = Field(
        default=None, description="Input and output; reserved before the answer, put right after it."
    )
    tokens_burst: Tokens | None = Field(
        default=None, description="Most tokens at once; a minute's worth when absent."
    )
    concurrent: Concurrent | None = Field(default=None, description="Most requests under way at once.")


def stored_rates(rates: Rates) -> dict[str, Any]:
    """As the database keeps them."""
    return {kept: value for shown, kept in STORED.items() if (value := getattr(rates, shown)) is not None}


def shown_rates(stored: Mapping[str, Any]) -> dict[str, Any]:
    """As callers see them."""
    return {shown: stored.get(kept) for shown, kept in STORED.items()}
