"""Pages: newest first, opaque cursors, bounded length.

A cursor names the last row of a page, so rows that arrive meanwhile neither repeat nor push others out.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from bursar.rest.problems import Invalid

PAGE_LIMIT_DEFAULT = 50
# A page of usage rows stays under 1 MiB of JSON.
PAGE_LIMIT_MAX = 200
# Longest cursor we ever issue is far below; a longer one is not ours.
CURSOR_LENGTH_MAX = 256
BIGINT_MAX = 2**63 - 1

Row = TypeVar("Row")
Item = TypeVar("Item")
Key = TypeVar("Key")


class CursorInvalid(Invalid):
    """The cursor was not issued by this listing."""

    code = "invalid_cursor"


class Page(BaseModel, Generic[Item]):
    """One page of a listing."""

    items: list[Item]
    next_cursor: str | None = Field(
        default=None, description="Send as `cursor` for the next page; absent on the last one."
    )


class PageAsked(BaseModel):
    """Which page the caller wants."""

    limit: int
    cursor: str | None

    def after(self, read: Callable[[str], Key]) -> Key | None:
        """The key of the last row already seen, or None on the first page.

        Raises:
            CursorInvalid: the cursor is not one of ours.
        """
        return None if self.cursor is None else read_cursor(self.cursor, read)


def page_asked(
    limit: Annotated[
        int, Query(ge=1, le=PAGE_LIMIT_MAX, description="Most items on the page.")
    ] = PAGE_LIMIT_DEFAULT,
    cursor: Annotated[
        str | None, Query(max_length=CURSOR_LENGTH_MAX, description="`next_cursor` of the page before.")
    ] = None,
) -> PageAsked:
    return PageAsked(limit=limit, cursor=cursor)


Paging = Annotated[PageAsked, Depends(page_asked)]


def write_cursor(key: object) -> str:
    """Wrap the key of the last row."""
    return base64.urlsafe_b64encode(str(key).encode()).decode().rstrip("=")


def read_cursor(cursor: str, read: Callable[[str], Key]) -> Key:
    """Unwrap a cursor; `read` parses the key and raises ValueError when it is none."""
    try:
        text = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode()
        return read(text)
    except (ValueError, binascii.Error, UnicodeError) as error:
        raise CursorInvalid("query.cursor: this is not a cursor of this listing.") from error


def bigint(text: str) -> int:
    """Read a row number. Raises ValueError unless it is a plain positive PostgreSQL bigint."""
    if not (text.isascii() and text.isdigit() and int(text) <= BIGINT_MAX):
        raise ValueError("not a row number")
    return int(text)


def uuid_key(text: str) -> UUID:
    """Read a row id. Raises ValueError unless it is a UUID."""
    return UUID(text)


def cut_page(
    rows: Sequence[Row], limit: int, key: Callable[[Row], object], show: Callable[[Row], Item]
) -> Page[Item]:
    """Make a page of `limit` items from up to `limit + 1` rows; the extra row says that there is more."""
    shown = rows[:limit]
    more = len(rows) > limit
    return Page(
        items=[show(row) for row in shown], next_cursor=write_cursor(key(shown[-1])) if more else None
    )
