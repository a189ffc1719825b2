"""The audit log, data exports and erasures."""

from alembic import op

from bursar.db.migrations.sqlfiles import execute_file

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL ROLE bursar_owner")
    execute_file("audit.sql")
    execute_file("data_rights.sql")
    op.execute("RESET ROLE")


def downgrade() -> None:
    raise NotImplementedError("books are never migrated down: restore a backup")
