"""To which addresses trial credit was given."""

from alembic import op

from bursar.db.migrations.sqlfiles import execute_file

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL ROLE bursar_owner")
    execute_file("trial_given.sql")
    op.execute("RESET ROLE")


def downgrade() -> None:
    raise NotImplementedError("books are never migrated down: restore a backup")
