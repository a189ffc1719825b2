"""How people and organisations are forgotten, wherever they left something."""

from alembic import op

from bursar.db.migrations.sqlfiles import execute_file

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL ROLE bursar_owner")
    execute_file("audited_later.sql")
    execute_file("erasure.sql")
    op.execute("RESET ROLE")


def downgrade() -> None:
    raise NotImplementedError("books are never migrated down: restore a backup")
