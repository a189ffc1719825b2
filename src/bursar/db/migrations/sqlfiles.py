"""The SQL that the migrations run lives in files, so that it reads as SQL and diffs as SQL."""

from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic import op

SQL_DIR: Final = Path(__file__).parent / "sql"


def execute_file(name: str) -> None:
    """Run all statements of ``sql/<name>`` as they stand: no parameter markers, no colons to escape."""
    text = (SQL_DIR / name).read_text(encoding="utf-8")
    driver = op.get_bind().connection.driver_connection
    if driver is None:
        raise sa.exc.InvalidRequestError("migrations need a live connection; offline mode is not offered")
    driver.execute(text)
