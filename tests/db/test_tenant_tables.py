"""Every table that belongs to somebody, found in the catalogue and tried as the customers' role itself.

A new table is covered unasked: without row-level security it fails here. What the operators' role may is by
design everything of customers but their secrets; see SECURITY.md.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from bursar.db.connect import Role
from planted_rows import Plot, Table, of_somebody, plant, tables
from scratch_database import ScratchDatabase

# What every organisation may read: the shop window, and what belongs to none. Nothing here is anybody's own.
SHOWN_TO_ALL = {
    "model": "which models there are",
    "model_alias": "their other names",
    "provider": "who answers, without credentials",
    "route": "which provider serves which model",
    "price": "list prices",
    "idempotent_answer": "found by a key only its caller knows, and sealed",
}
# Functions that see around the policies, and what keeps them from telling others' rows.
TRUSTED: dict[str, str] = {}
MINE = Plot(organisation_id=UUID(int=0xA), user_id=UUID(int=0xAA))
# Somebody who has no rows at all: whatever he sees or changes is another's.
OTHER = UUID(int=0xB)
STANDINGS = {"nobody": ("", ""), "another": (str(OTHER), str(OTHER))}
REFUSED = "42501"
Connection = psycopg.Connection[Any]


@pytest.fixture
def administrator(database: ScratchDatabase) -> Iterator[Connection]:
    with psycopg.connect(database.url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def owned(administrator: Connection) -> list[Table]:
    """The tables that belong to somebody, each with a row of `MINE`."""
    found = plant(administrator, MINE)
    for table in found.values():
        assert touched(administrator, "SELECT FROM {}", table) == 1, table.name
    return list(found.values())


@pytest.fixture
def customer(database: ScratchDatabase) -> Iterator[Connection]:
    with psycopg.connect(database.conninfo(Role.API), autocommit=True) as connection:
        yield connection


def touched(connection: Connection, statement: str, table: Table, *columns: str, **values: Any) -> int | str:
    """How many rows a statement found or changed, or by which SQLSTATE it was refused; it is undone."""
    composed = sql.SQL(statement).format(*(sql.Identifier(name) for name in (table.name, *columns)))
    try:
        with connection.transaction(force_rollback=True):
            return connection.execute(composed, values or None).rowcount
    except psycopg.Error as error:
        return error.sqlstate or "?"


def become(connection: Connection, organisation: str, user: str) -> None:
    connection.execute(
        "SELECT set_config('bursar.organisation', %s, false), set_config('bursar.user', %s, false)",
        [organisation, user],
    )


def columns_to(verb: str, customer: Connection, table: Table) -> list[str]:
    """The columns which the customers' role may read, write or change."""
    asked = "SELECT name FROM unnest(%s::text[]) AS name WHERE has_column_privilege(%s, name, %s)"
    names = [name for name, column in table.columns.items() if not column.untouchable]
    return [name for (name,) in customer.execute(asked, [names, f'"{table.name}"', verb])]


def changes(customer: Connection, table: Table) -> Iterator[int | str]:
    """What comes of changing, removing and adding rows of `MINE`."""
    for column in columns_to("UPDATE", customer, table)[:1]:
        yield touched(customer, "UPDATE {0} SET {1} = DEFAULT", table, column)
    yield touched(customer, "DELETE FROM {}", table)
    row = MINE.rows[table.name]
    written = [name for name in columns_to("INSERT", customer, table) if name in row]
    if written:
        into = ", ".join(f"{{{number}}}" for number in range(1, len(written) + 1))
        values = ", ".join(f"%({name})s" for name in written)
        added = touched(
            customer,
            f"INSERT INTO {{0}} ({into}) VALUES ({values})",  # noqa: S608 - names of columns are identifiers
            table,
            *written,
            **row,
        )
        yield 0 if added == REFUSED else f"added: {added}"


@pytest.mark.broken_books
class TestEveryTable:
    def test_that_belongs_to_somebody_forces_row_level_security(self, administrator: Connection) -> None:
        question = "SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity"
        forced = {name for (name,) in administrator.execute(question)}
        assert set(of_somebody(tables(administrator))) - forced == set()

    def test_of_nobody_is_closed_to_customers_unless_named_here(self, administrator: Connection) -> None:
        administrator.execute("SET ROLE bursar_api")
        found = tables(administrator)
        others = [table for table in found.values() if table.name not in of_somebody(found)]
        assert {one.name for one in others if columns_to("SELECT", administrator, one)} <= set(SHOWN_TO_ALL)
        changed = [
            one.name
            for one in others
            for verb in ("INSERT", "UPDATE")
            if columns_to(verb, administrator, one)
        ]
        assert set(changed) == {"idempotent_answer"}

    @pytest.mark.parametrize("standing", STANDINGS)
    def test_gives_customers_nothing_of_others(
        self, customer: Connection, owned: list[Table], standing: str
    ) -> None:
        become(customer, *STANDINGS[standing])
        seen = {one.name: touched(customer, "SELECT FROM {}", one) for one in owned}
        assert {name: found for name, found in seen.items() if found not in {0, REFUSED}} == {}
        done = {one.name: list(changes(customer, one)) for one in owned}
        assert {name: got for name, got in done.items() if not set(got) <= {0, REFUSED}} == {}

    def test_shows_customers_their_own(self, customer: Connection, owned: list[Table]) -> None:
        """Or the test before this one would prove nothing."""
        become(customer, str(MINE.organisation_id), str(MINE.user_id))
        seen = {one.name: touched(customer, "SELECT FROM {}", one) for one in owned}
        assert {name for name, found in seen.items() if found not in {1, REFUSED}} == set()
        assert {"api_key", "wallet", "usage", "membership", "app_user", "session", "budget"} <= {
            name for name, found in seen.items() if found == 1
        }

    def test_lets_nobody_give_a_row_away(self, customer: Connection, owned: list[Table]) -> None:
        become(customer, str(MINE.organisation_id), str(MINE.user_id))
        move = "UPDATE {0} SET {1} = %(other)s"
        given = {
            one.name: touched(customer, move, one, str(one.owner_column), other=OTHER)
            for one in owned
            if one.owner_column
        }
        assert {name: got for name, got in given.items() if got not in {0, REFUSED}} == {}


class TestFunctions:
    def test_that_see_around_the_policies_are_not_for_customers_unless_named_here(
        self, administrator: Connection
    ) -> None:
        question = (
            "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
            " AND prorettype <> 'trigger'::regtype AND has_function_privilege('bursar_api', oid, 'EXECUTE')"
        )
        assert {name for (name,) in administrator.execute(question)} <= set(TRUSTED)
