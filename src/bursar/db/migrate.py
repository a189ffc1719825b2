"""Bring a database to the newest revision, from inside the program."""

from typing import Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from bursar.db.connect import administrator_engine

LOCK_KEY: Final = 0x6275727361720001
"""Advisory lock: two starting programs migrate one after the other ('bursar' + 1)."""


def alembic_config(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "bursar.db:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def migrate(url: str) -> None:
    """Apply every missing revision in one transaction. ``url`` must name somebody who may create roles."""
    engine = administrator_engine(url)
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": LOCK_KEY})
        connection.commit()
        try:
            command.upgrade(alembic_config(connection), "head")
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK_KEY})
    engine.dispose()
