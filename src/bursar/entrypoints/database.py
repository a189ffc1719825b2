"""Which PostgreSQL a program uses: the one it is told of, else the embedded one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from bursar.db.embedded import attach
from bursar.settings import Settings


@contextmanager
def database(settings: Settings, role: Literal["gateway", "api", "worker"] | None = None) -> Iterator[str]:
    """Yield the connection URL, the role's own if it has one; the embedded server is up inside the block.

    Raises:
        EmbeddedPostgresFailed: the embedded one cannot run.
    """
    told = settings.dsn_of(role, "") if role else settings.database_url
    if told:
        yield told
        return
    with attach(settings.data_dir) as postgres:
        yield postgres.dsn
