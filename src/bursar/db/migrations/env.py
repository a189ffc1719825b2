"""Alembic's entry: connects as the database's administrator, who must be able to create roles.

`bursar.db.migrate` hands over an open connection; from the command line BURSAR_DATABASE_URL names it.
"""

import os
from typing import Literal

import sqlalchemy as sa
from alembic import context
from sqlalchemy.sql.schema import SchemaItem

from bursar.db.connect import administrator_engine
from bursar.db.tables import metadata

Kind = Literal[
    "schema", "table", "column", "index", "unique_constraint", "foreign_key_constraint", "check_constraint"
]
PARTITION_PREFIX = "usage_2"


def is_ours(
    _item: SchemaItem,
    name: str | None,
    kind: Kind,
    reflected: bool,  # noqa: FBT001 -- alembic passes it by position
    _counterpart: SchemaItem | None,
) -> bool:
    """Leave out partitions, which the worker makes, and tables of the job queue."""
    if kind != "table" or not reflected or name is None:
        return True
    return not name.startswith((PARTITION_PREFIX, "procrastinate_"))


def run(connection: sa.Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, include_object=is_ours)
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    connection = context.config.attributes.get("connection")
    if connection is not None:
        run(connection)
        return
    engine = administrator_engine(os.environ["BURSAR_DATABASE_URL"])
    with engine.connect() as own:
        run(own)
    engine.dispose()


main()
