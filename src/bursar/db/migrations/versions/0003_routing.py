"""What breadth needs: deployments, strategies, organisations' own credentials."""

from alembic import op

from bursar.db.migrations.sqlfiles import execute_file

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL ROLE bursar_owner")
    execute_file("routing.sql")
    op.execute("RESET ROLE")


def downgrade() -> None:
    raise NotImplementedError("books are never migrated down: restore a backup")
