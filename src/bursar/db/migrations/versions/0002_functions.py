"""The functions that move money: leases, flush, posting, returns, ledger, sweeping."""

from alembic import op

from bursar.db.migrations.sqlfiles import execute_file

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FILES = (
    "leases.sql",
    "flush.sql",
    "post.sql",
    "returns.sql",
    "ledger.sql",
    "sweep.sql",
    "function_access.sql",
)


def upgrade() -> None:
    op.execute("SET LOCAL ROLE bursar_owner")
    for name in FILES:
        execute_file(name)
    op.execute("RESET ROLE")


def downgrade() -> None:
    raise NotImplementedError("books are never migrated down: restore a backup")
