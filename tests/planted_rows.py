"""A row in every table that has tenants or people, made from the catalogue: a new table gets one unasked.

For tests of who sees what. Checks do not hold in the scratch database afterwards, nor foreign keys for what
is planted, so that a row needs no story. Every text that is its own says MARK.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import psycopg
from psycopg import sql
from psycopg.rows import namedtuple_row
from psycopg.types.json import Jsonb

from bursar.core.ids import uuid7

MARK = "belongs-to-somebody-else"
MOMENT = datetime.now(UTC).replace(microsecond=0)
NAMES = UUID(int=0x1A)

COLUMNS = """
    SELECT c.relname AS table, a.attname AS name, format_type(a.atttypid, NULL) AS type,
        a.attnotnull AS needed,
        a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '' AS filled,
        a.attidentity = 'a' OR a.attgenerated <> '' AS untouchable,
        (SELECT (regexp_match(pg_get_constraintdef(k.oid), 'ARRAY\\[''([^'']*)'''))[1] FROM pg_constraint AS k
            WHERE k.conrelid = c.oid AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum] LIMIT 1) AS first_of,
        (SELECT f.confrelid::regclass::text FROM pg_constraint AS f
            WHERE f.conrelid = c.oid AND f.contype = 'f' AND a.attnum = ANY (f.conkey)
            ORDER BY cardinality(f.conkey) LIMIT 1) AS referred,
        EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary
            AND a.attnum = ANY (i.indkey)) AS is_key
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    ORDER BY c.relname, a.attnum
"""
CHECKS = """
    SELECT conrelid::regclass::text AS table, conname AS name FROM pg_constraint
    WHERE contype = 'c' AND connamespace = 'public'::regnamespace AND coninhcount = 0
"""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table as the catalogue tells it."""

    name: str
    columns: Mapping[str, Any]

    @property
    def tenant_column(self) -> str | None:
        """What names the organisation a row belongs to."""
        return (
            "id"
            if self.name == "organisation"
            else "organisation_id"
            if self.has("organisation_id")
            else None
        )

    @property
    def person_column(self) -> str | None:
        """What names the person a row belongs to."""
        return "id" if self.name == "app_user" else "user_id" if self.has("user_id") else None

    @property
    def owner_column(self) -> str | None:
        return self.tenant_column or self.person_column

    def is_of_one_of(self, owned: Collection[str]) -> bool:
        """It has no owner of its own, but always a row of these."""
        return any(column.needed and column.referred in owned for column in self.columns.values())

    def has(self, column: str) -> bool:
        return column in self.columns

    @property
    def key_columns(self) -> list[str]:
        return [name for name, column in self.columns.items() if column.is_key]


@dataclass(kw_only=True)
class Plot:
    """Whose rows are planted: an organisation and one of its people."""

    organisation_id: UUID
    user_id: UUID
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)

    def owner(self, table: Table) -> UUID:
        return self.organisation_id if table.tenant_column else self.user_id


def tables(administrator: psycopg.Connection[Any]) -> dict[str, Table]:
    """Every table but single partitions."""
    found: dict[str, dict[str, Any]] = {}
    with administrator.cursor(row_factory=namedtuple_row) as cursor:
        for column in cursor.execute(COLUMNS):
            found.setdefault(column.table, {})[column.name] = column
    return {name: Table(name=name, columns=columns) for name, columns in found.items()}


def of_somebody(every: Mapping[str, Table]) -> dict[str, Table]:
    """The tables whose rows belong to an organisation or a person, by way of others too."""
    owned = {name: table for name, table in every.items() if table.owner_column}
    return owned | {name: table for name, table in every.items() if table.is_of_one_of(owned)}


def plant(administrator: psycopg.Connection[Any], plot: Plot) -> dict[str, Table]:
    """Give the plot a row in every table that belongs to somebody; answer those tables.

    What they hold for everybody (the owner is NULL) goes, so that whatever is seen is somebody's.
    """
    owned = of_somebody(tables(administrator))
    administrator.execute("SET session_replication_role = replica")
    with administrator.cursor(row_factory=namedtuple_row) as cursor:
        for check in cursor.execute(CHECKS).fetchall():
            drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(
                sql.Identifier(check.table), sql.Identifier(check.name)
            )
            cursor.execute(drop)
    for table in owned.values():
        if table.owner_column:
            administrator.execute(
                sql.SQL("DELETE FROM {} WHERE {} IS NULL").format(
                    sql.Identifier(table.name), sql.Identifier(table.owner_column)
                )
            )
        plot.rows[table.name] = dict(values_of(table, plot))
        administrator.execute(*insertion(table.name, plot.rows[table.name]))
    administrator.execute("SET session_replication_role = origin")
    return owned


def insertion(table: str, row: Mapping[str, Any]) -> tuple[sql.Composed, list[Any]]:
    """A statement that writes one row, and leaves it when it is there."""
    statement = sql.SQL(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({}) ON CONFLICT DO NOTHING"
    ).format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() * len(row)),
    )
    return statement, list(row.values())


def values_of(table: Table, plot: Plot) -> Iterator[tuple[str, Any]]:
    """What a row needs: its owner, its key, and whatever may not be absent."""
    for name, column in table.columns.items():
        if name == table.tenant_column or column.referred == "organisation":
            if column.needed or name == table.tenant_column:
                yield name, plot.organisation_id
        elif name == table.person_column or column.referred == "app_user":
            if column.needed or name == table.person_column:
                yield name, plot.user_id
        elif column.is_key or (column.needed and not column.filled):
            yield name, value_of(column, plot)


SAMPLES: Mapping[str, Any] = {
    "bigint": 30_001,
    "integer": 30_001,
    "smallint": 30_001,
    "numeric": 1,
    "boolean": False,
    "jsonb": Jsonb({}),
    "json": Jsonb({}),
    "inet": "192.0.2.1",
    "date": MOMENT.date(),
    "timestamp with time zone": MOMENT,
}


def value_of(column: Any, plot: Plot) -> Any:
    """Something of the column's type; the key of another planted row where it refers to one."""
    if column.type == "uuid" and column.name == "request_id":
        return uuid7(int(MOMENT.timestamp() * 1000), plot.organisation_id.int % 2**74)
    if column.type == "uuid":
        of_row = column.referred or (column.table if column.is_key else f"{column.table}.{column.name}")
        return uuid5(NAMES, f"{plot.organisation_id} {of_row}")
    if column.type in {"text", "character varying"}:
        return column.first_of or f"{MARK}-{column.table}"
    if column.type == "bytea":
        return uuid5(NAMES, column.table).bytes + plot.organisation_id.bytes
    return [] if column.type.endswith("[]") else SAMPLES[column.type]
