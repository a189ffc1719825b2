"""Who reads secrets and what is not theirs, asked of the catalogue; and which roles a program can take."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from bursar.db.connect import Role
from scratch_database import ScratchDatabase

# Columns of what is secret, by name: a new one is found unasked.
SECRETS = """
    SELECT c.relname, a.attname FROM pg_class AS c
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND a.attname ~ '(^|_)(sealed|password|secret)(_|$)'
"""
API, ACCOUNTS, OPERATOR, GATEWAY, WORKER = Role.API, Role.ACCOUNTS, Role.OPERATOR, Role.GATEWAY, Role.WORKER
PROGRAMS = (API, ACCOUNTS, OPERATOR, GATEWAY, WORKER)
READERS: dict[str, set[Role]] = {
    "app_user.password_hash": {ACCOUNTS},
    "app_user.totp_sealed": {ACCOUNTS},
    "sign_up.password_hash": {ACCOUNTS},
    "signing_key.sealed": {ACCOUNTS},
    "identity_provider.sealed": {ACCOUNTS},
    "sso_connection.sealed": {ACCOUNTS},
    "provider_credential.sealed": {GATEWAY},
    "own_credential.sealed": {GATEWAY},
    "webhook_secret.sealed": {WORKER},
    "mail.sealed": {WORKER},
}
"""Who may read a secret; a secret that is not named here is for nobody."""


@pytest.fixture
def administrator(database: ScratchDatabase) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.url, autocommit=True) as connection:
        yield connection


def readers_of(administrator: psycopg.Connection[Any], table: str, column: str) -> set[Role]:
    asked = "SELECT has_column_privilege(%s, %s, %s, 'SELECT')"
    return {
        role for role in PROGRAMS if administrator.execute(asked, [role, table, column]).fetchone() == (True,)
    }


class TestSecrets:
    def test_are_read_by_whom_they_serve_alone(self, administrator: psycopg.Connection[Any]) -> None:
        found = administrator.execute(SECRETS).fetchall()
        assert len(found) > 8
        read = {f"{table}.{column}": readers_of(administrator, table, column) for table, column in found}
        wrong = {name: roles for name, roles in read.items() if not roles <= READERS.get(name, set())}
        assert wrong == {}


class TestWhatIsNotTheirs:
    @pytest.mark.parametrize(
        ("column", "unseen_by"),
        [
            ("usage.cost", {API, ACCOUNTS}),
            ("usage_month.cost", {API, ACCOUNTS, GATEWAY}),
            ("session.refresh_hash", {API, OPERATOR, GATEWAY, WORKER}),
            ("session.csrf_hash", {API, OPERATOR, GATEWAY, WORKER}),
            ("operator_token.token_hash", {API, OPERATOR, GATEWAY, WORKER}),
            ("organisation.billing_email", {GATEWAY}),
            ("app_user.email", {GATEWAY}),
            ("wallet.posted", set()),
            ("ledger_entry.amount", {ACCOUNTS, GATEWAY}),
            ("provider_credential.hint", {API, ACCOUNTS}),
        ],
    )
    def test_is_not_read(
        self, administrator: psycopg.Connection[Any], column: str, unseen_by: set[Role]
    ) -> None:
        assert readers_of(administrator, *column.split(".")) & unseen_by == set()

    @pytest.mark.parametrize(
        ("role", "table"),
        [
            (WORKER, "provider"),
            (WORKER, "provider_credential"),
            (WORKER, "price"),
            (WORKER, "model"),
            (WORKER, "setting"),
            (WORKER, "operator_token"),
            (GATEWAY, "api_key"),
            (GATEWAY, "organisation"),
            (ACCOUNTS, "provider"),
            (ACCOUNTS, "price"),
            (ACCOUNTS, "operator_token"),
            (API, "organisation"),
            (API, "membership"),
        ],
    )
    def test_is_not_added_to(self, administrator: psycopg.Connection[Any], role: Role, table: str) -> None:
        asked = "SELECT has_any_column_privilege(%s, %s, 'INSERT'), has_table_privilege(%s, %s, 'TRUNCATE')"
        assert administrator.execute(asked, [role, table, role, table]).fetchone() == (False, False)

    @pytest.mark.parametrize(
        ("column", "writers"),
        [
            ("organisation.limits", {ACCOUNTS, OPERATOR, WORKER}),
            ("organisation.name", {API, ACCOUNTS, OPERATOR, WORKER}),
        ],
    )
    def test_is_not_changed(
        self, administrator: psycopg.Connection[Any], column: str, writers: set[Role]
    ) -> None:
        asked = "SELECT has_column_privilege(%s, %s, %s, 'UPDATE')"
        found = {
            role
            for role in PROGRAMS
            if administrator.execute(asked, [role, *column.split(".")]).fetchone() == (True,)
        }
        assert found <= writers


class TestRoles:
    def test_that_the_api_can_take_are_operator_and_accounts(
        self, administrator: psycopg.Connection[Any]
    ) -> None:
        """By design: one program serves customers, operators and sign-ins. Its own queries take neither."""
        taken = {
            (mine, other)
            for mine in PROGRAMS
            for other in Role
            if mine != other
            and administrator.execute("SELECT pg_has_role(%s, %s, 'SET')", [mine, other]).fetchone()
            == (True,)
        }
        assert taken == {(API, OPERATOR), (API, ACCOUNTS)}
        inherited = "SELECT pg_has_role('bursar_api', %s, 'USAGE')"
        for other in (OPERATOR, ACCOUNTS):
            assert administrator.execute(inherited, [other]).fetchone() == (False,)

    def test_can_none_log_in_nor_pass_by_the_policies(self, administrator: psycopg.Connection[Any]) -> None:
        loose = (
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'bursar\\_%'"
            " AND (rolcanlogin OR rolbypassrls OR rolsuper)"
        )
        assert administrator.execute(loose).fetchall() == []
