"""Which PostgreSQL a program uses: the one it is told of, else the embedded one."""

from collections.abc import Iterator
from contextlib import contextmanager

from bursar.db.embedded import attach
from bursar.settings import Settings


@contextmanager
def database(settings: Settings) -> Iterator[str]:
    """Yield the connection URL, keeping the embedded PostgreSQL up inside the block when there is no other.

    Raises:
        EmbeddedPostgresFailed: the embedded one cannot run.
    """
    if settings.database_url:
        yield settings.database_url
        return
    with attach(settings.data_dir) as postgres:
        yield postgres.dsn
