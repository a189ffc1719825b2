"""People's sign-ups and sign-ins, the keys that sign access tokens, one-time links, recovery codes."""

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
    sa.Column("family_hash", BYTEA, nullable=False),
    sa.UniqueConstraint("refresh_hash", name="session_refresh_hash_key"),
    sa.UniqueConstraint("family_hash", name="session_family_hash_key"),
    sa.Index("session_user_id_idx", "user_id", "created_at"),
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

sign_up = sa.Table(
    "sign_up",
    metadata,
    uuid("id", primary_key=True),
    text("email"),
    text("password_hash", nullable=True),
    text("name"),
    text("organisation_name", nullable=True),
    text("locale"),
    text("time_zone"),
    text("terms_version"),
    text("privacy_version"),
    text("address", server_default=""),
    sa.Column("token_hash", BYTEA, nullable=True),
    moment("created_at"),
    moment("expires_at"),
    moment("used_at", nullable=True),
    uuid("user_id", references("app_user.id"), nullable=True),
    sa.UniqueConstraint("token_hash", name="sign_up_token_hash_key"),
    sa.Index("sign_up_email_idx", "email", "created_at"),
    sa.Index("sign_up_address_idx", "address", "created_at"),
    sa.Index("sign_up_expires_at_idx", "expires_at"),
)

trial_given = sa.Table(
    "trial_given",
    metadata,
    sa.Column("address_hash", BYTEA, primary_key=True),
    moment("given_at"),
)

one_time_token = sa.Table(
    "one_time_token",
    metadata,
    uuid("id", primary_key=True),
    uuid("user_id", references("app_user.id")),
    text("purpose"),
    sa.Column("token_hash", BYTEA, nullable=False),
    text("email", nullable=True),
    moment("created_at"),
    moment("expires_at"),
    moment("used_at", nullable=True),
    sa.UniqueConstraint("token_hash", name="one_time_token_token_hash_key"),
    sa.Index("one_time_token_user_id_idx", "user_id", "created_at"),
    sa.Index("one_time_token_expires_at_idx", "expires_at"),
)

recovery_code = sa.Table(
    "recovery_code",
    metadata,
    uuid("user_id", references("app_user.id"), primary_key=True),
    sa.Column("code_hash", BYTEA, primary_key=True),
    moment("created_at"),
    moment("used_at", nullable=True),
)
