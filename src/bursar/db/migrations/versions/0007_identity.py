"""What identity needs: people, roles, sign-ins."""

from alembic import op

from bursar.db.migrations.sqlfiles import execute_file

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_file("roles_accounts.sql")
    op.execute("SET LOCAL ROLE bursar_owner")
    execute_file("identity.sql")
    op.execute("RESET ROLE")


def downgrade() -> None:
    raise NotImplementedError("books are never migrated down: restore a backup")
