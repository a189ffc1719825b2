"""What breadth needs: organisations' own provider credentials, where their requests may go."""

from alembic import op

from bursar.db.migrations.sqlfiles import execute_file

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL ROLE bursar_owner")
    execute_file("own_keys.sql")
    op.execute("RESET ROLE")


def downgrade() -> None:
    raise NotImplementedError("books are never migrated down: restore a backup")
