"""Which PostgreSQL a program uses: the one it is told of, else the embedded one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from bursar.db.embedded import attach
from bursar.settings import Settings


@contextmanager
def database(settings: Settings, role: Literal["gateway", "api", "worker"] | None = None) -> Iterator[str]:
    """Yield the connection URL, the role's own if it has one.

    The embedded server is up inside the block and has the newest schema: nobody else looks after it. The
    schema of another server is changed by `bursar serve` and `bursar db migrate` only.

    Raises:
        EmbeddedPostgresFailed: the embedded one cannot run.
    """
    told = settings.dsn_of(role, "") if role else settings.database_url
    if told:
        yield told
        return
    from bursar.db.migrate import migrate

    with attach(settings.data_dir) as postgres:
        migrate(postgres.dsn)
        yield postgres.dsn
