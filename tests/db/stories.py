"""Small stories about the books that must end one way.

Each is told twice: by `test_stories` against the real functions, and by `test_mutants` against wrong ones,
where it must fail. They are written in `stories_of_*.py`.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final
from uuid import UUID

import psycopg
import pytest
from desk import Desk
from samples import Customer, usage_row

from bursar.core.booking import UsageRow

Story = Callable[[Desk], None]
STORIES: Final[dict[str, Story]] = {}

DAY: Final = timedelta(days=1)


def story(tell: Story) -> Story:
    STORIES[tell.__name__] = tell
    return tell


def sold(customer: Customer, lease_id: UUID | None, sale: int, **changes: object) -> UsageRow:
    """A row of this sale; it cost half."""
    return usage_row(customer, lease_id=lease_id, sale=sale, cost=sale // 2, **changes)


@contextmanager
def refused(sqlstate: str, detail: str | None = None) -> Iterator[None]:
    with pytest.raises(psycopg.Error) as refusal:
        yield
    assert (refusal.value.sqlstate, refusal.value.diag.message_detail) == (sqlstate, detail)


@contextmanager
def beside(work: Callable[[], object], *, waits: bool = False) -> Iterator[None]:
    """Run ``work`` while the block runs, and raise what it raised. ``waits``: it must not end on its own."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 -- raised again below
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(0.3)
    waited = thread.is_alive()
    yield
    thread.join(20)
    assert not thread.is_alive()
    if errors:
        raise errors[0]
    assert waited or not waits


def together(works: list[Callable[[], None]]) -> None:
    """Run all at once; raise the first error."""
    errors: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 -- raised again below
            errors.append(error)

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if errors:
        raise errors[0]
