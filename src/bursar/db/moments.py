"""From the clock's milliseconds to PostgreSQL's moments, without rounding."""

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def moment_of(unix_ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=unix_ms)
