"""How this program's parts connect: one URL, one role each.

URLs are libpq's (``postgresql://user@host/name?…`` or ``key=value`` pairs).
"""

from enum import StrEnum

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict, make_conninfo

CONNECT_TIMEOUT_S = 5
"""A server that does not answer within this is away."""


class Role(StrEnum):
    """The database roles, made by the first migration. A session has exactly one."""

    OWNER = "bursar_owner"
    API = "bursar_api"
    ACCOUNTS = "bursar_accounts"
    OPERATOR = "bursar_operator"
    GATEWAY = "bursar_gateway"
    WORKER = "bursar_worker"


def conninfo_as(url: str, role: Role, *, application_name: str | None = None) -> str:
    """Return connection parameters that start the session in ``role``, keeping options already in the URL."""
    given = conninfo_to_dict(url)
    options = " ".join(filter(None, (str(given.get("options") or ""), f"-c role={role.value}")))
    return make_conninfo(
        url,
        options=options,
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=3,
        connect_timeout=given.get("connect_timeout") or CONNECT_TIMEOUT_S,
        application_name=application_name or given.get("application_name") or f"bursar {role.value}",
    )


def administrator_engine(url: str) -> sa.Engine:
    """A synchronous engine for migrations, as whoever the URL says."""
    return sa.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=sa.pool.NullPool
    )
