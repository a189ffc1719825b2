"""Every wrong version of a function that moves money is noticed."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
import pytest
import sql_stories  # noqa: F401 -- registers its stories
import stories_of_budgets  # noqa: F401 -- registers its stories
import stories_of_flushes  # noqa: F401 -- registers its stories
import stories_of_leases  # noqa: F401 -- registers its stories
import stories_of_money  # noqa: F401 -- registers its stories
from budget_mutants import BUDGETS
from desk import Desk
from sql_mutants import MUTANTS as OTHERS
from sql_mutants import SqlMutant
from stories import STORIES

import bursar.db.migrations
from bursar.db.checks import check_books, is_clean
from bursar.db.connect import Role
from bursar.db.engine import Database
from scratch_database import ScratchDatabase

MUTANTS: Final = (*OTHERS, *BUDGETS)
SQL: Final = Path(bursar.db.migrations.__file__).parent / "sql"
FUNCTION: Final = re.compile(r"^CREATE (?:OR REPLACE )?FUNCTION .*?(?=^CREATE |\Z)", re.MULTILINE | re.DOTALL)
NOT_A_CATCH: Final = "42"
"""SQLSTATE class of syntax errors and unknown names: such a mutant proves nothing."""


def changed_functions(before: str, after: str) -> list[str]:
    """Those of `after` that `before` has otherwise."""
    known = set(FUNCTION.findall(before))
    return [function for function in FUNCTION.findall(after) if function not in known]


@contextmanager
def mutated(database: ScratchDatabase, mutant: SqlMutant) -> Iterator[None]:
    """The wrong functions in the true ones' place while the block lasts."""
    true = (SQL / mutant.file).read_text(encoding="utf-8")
    wrong = true.replace(mutant.old, mutant.new)
    replace_functions(database, changed_functions(true, wrong))
    try:
        yield
    finally:
        replace_functions(database, changed_functions(wrong, true))


def replace_functions(database: ScratchDatabase, functions: list[str]) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("SET ROLE bursar_owner")
        for function in functions:
            connection.execute(function.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1).encode())


async def is_clean_in(database: ScratchDatabase) -> bool:
    books = Database(database.url, Role.WORKER)
    findings = await check_books(books)
    await books.close()
    return is_clean(findings)


async def is_noticed(database: ScratchDatabase, story: str) -> bool:
    """By the story's own assertions, by a constraint of the schema, or by the books check afterwards."""
    try:
        with Desk(database) as desk:
            STORIES[story](desk)
    except (AssertionError, pytest.fail.Exception):
        return True
    except psycopg.Error as refusal:
        if (refusal.sqlstate or NOT_A_CATCH).startswith(NOT_A_CATCH):
            raise
        return True
    return not await is_clean_in(database)


class TestSqlMutants:
    @pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
    def test_still_fit_the_source(self, mutant: SqlMutant) -> None:
        true = (SQL / mutant.file).read_text(encoding="utf-8")
        assert true.count(mutant.old) == 1
        assert len(changed_functions(true, true.replace(mutant.old, mutant.new))) == 1

    def test_have_names_of_their_own(self) -> None:
        assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)

    @pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
    async def test_are_noticed(self, emptied: ScratchDatabase, mutant: SqlMutant) -> None:
        with mutated(emptied, mutant):
            assert await is_noticed(emptied, mutant.story)

    @pytest.mark.parametrize("story", sorted({mutant.story for mutant in MUTANTS}))
    async def test_true_functions_are_not(self, emptied: ScratchDatabase, story: str) -> None:
        assert not await is_noticed(emptied, story)
