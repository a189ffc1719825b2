"""The migrations and SQLAlchemy's tables say the same."""

import psycopg
import pytest
from alembic import command

from bursar.db.connect import Role, administrator_engine
from bursar.db.migrate import alembic_config, migrate
from scratch_database import ScratchDatabase


class TestMigrations:
    def test_agree_with_the_tables(self, database: ScratchDatabase) -> None:
        engine = administrator_engine(database.url)
        with engine.connect() as connection:
            command.check(alembic_config(connection))  # raises, naming each difference
        engine.dispose()

    def test_run_twice_without_a_change(self, database: ScratchDatabase) -> None:
        migrate(database.url)
        with psycopg.connect(database.url) as connection:
            assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)

    def test_leave_every_table_to_the_owner_role(self, database: ScratchDatabase) -> None:
        with psycopg.connect(database.url) as connection:
            strangers = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
                " AND tableowner <> 'bursar_owner' AND tablename <> 'alembic_version'"
            ).fetchall()
        assert strangers == []

    @pytest.mark.parametrize("role", list(Role))
    def test_make_each_role_usable(self, database: ScratchDatabase, role: Role) -> None:
        with psycopg.connect(database.conninfo(role)) as connection:
            assert connection.execute("SELECT current_user").fetchone() == (role.value,)
