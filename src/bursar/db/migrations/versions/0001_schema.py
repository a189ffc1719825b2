"""All tables of the books and of what is configured, their guards and who may touch them."""

from datetime import UTC, date, datetime

import sqlalchemy as sa
from alembic import op

from bursar.db.migrations.sqlfiles import execute_file

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

FILES = (
    "tables_control.sql",
    "tables_money.sql",
    "tables_usage.sql",
    "guards.sql",
    "access.sql",
    "tables_rest.sql",
    "partitions.sql",
)
# The month before the migration (late replays), its own, and two ahead; the worker keeps it so.
MONTHS_AROUND = (-1, 0, 1, 2)


def upgrade() -> None:
    execute_file("roles.sql")
    op.execute("SET LOCAL ROLE bursar_owner")
    for name in FILES:
        execute_file(name)
    for month in months_around(datetime.now(UTC).date()):
        op.execute(sa.text("SELECT bursar_make_partition(:month)").bindparams(month=month))
    op.execute("RESET ROLE")


def months_around(today: date) -> list[date]:
    serials = [today.year * 12 + today.month - 1 + offset for offset in MONTHS_AROUND]
    return [date(serial // 12, serial % 12 + 1, 1) for serial in serials]


def downgrade() -> None:
    raise NotImplementedError("books are never migrated down: restore a backup")
