"""People's sign-ins, and the keys that sign their access tokens."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA

from bursar.db.tables.columns import metadata, moment, references, text, uuid

session = sa.Table(
    "session",
    metadata,
    uuid("id", primary_key=True),
    uuid("user_id", references("app_user.id")),
    sa.Column("refresh_hash", BYTEA, nullable=False),
    sa.Column("previous_hash", BYTEA, nullable=True),
    moment("rotated_at", nullable=True),
    sa.Column("csrf_hash", BYTEA, nullable=False),
    text("user_agent", server_default=""),
    text("address", server_default=""),
    moment("created_at"),
    moment("used_at"),
    moment("expires_at"),
    moment("revoked_at", nullable=True),
    moment("two_factor_at", nullable=True),
    uuid("viewing_organisation_id", references("organisation.id"), nullable=True),
    moment("viewing_until", nullable=True),
    sa.UniqueConstraint("refresh_hash", name="session_refresh_hash_key"),
    sa.Index("session_user_id_idx", "user_id", "created_at"),
    sa.Index(
        "session_previous_hash_idx", "previous_hash", postgresql_where=sa.text("previous_hash IS NOT NULL")
    ),
    sa.Index(
        "session_viewing_idx",
        "viewing_organisation_id",
        postgresql_where=sa.text("viewing_organisation_id IS NOT NULL"),
    ),
)

signing_key = sa.Table(
    "signing_key",
    metadata,
    text("id", primary_key=True),
    sa.Column("public_key", BYTEA, nullable=False),
    sa.Column("sealed", BYTEA, nullable=False),
    moment("created_at"),
    moment("retired_at", nullable=True),
)
