"""Signing in elsewhere: sources, single sign-on, and who is linked to whom."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA

from bursar.db.tables.columns import flag, json, metadata, moment, references, text, uuid

identity_provider = sa.Table(
    "identity_provider",
    metadata,
    uuid("id", primary_key=True),
    text("slug"),
    text("name"),
    text("issuer"),
    text("client_id"),
    sa.Column("sealed", BYTEA, nullable=False),
    flag("active", server_default=sa.true()),
    moment("created_at"),
    sa.UniqueConstraint("slug", name="identity_provider_slug_key"),
)

sso_connection = sa.Table(
    "sso_connection",
    metadata,
    uuid("id", primary_key=True),
    uuid("organisation_id", references("organisation.id")),
    text("name"),
    text("issuer"),
    text("client_id"),
    sa.Column("sealed", BYTEA, nullable=False),
    text("role_claim", server_default=""),
    json("role_map", server_default="{}"),
    text("default_role", nullable=True),
    flag("vouches_for_email", server_default=sa.false()),
    flag("active", server_default=sa.true()),
    moment("created_at"),
    sa.UniqueConstraint("organisation_id", "id", name="sso_connection_organisation_id_key"),
)

sso_domain = sa.Table(
    "sso_domain",
    metadata,
    uuid("id", primary_key=True),
    uuid("organisation_id", references("organisation.id")),
    uuid("connection_id"),
    text("domain"),
    text("challenge"),
    flag("captures", server_default=sa.false()),
    moment("created_at"),
    moment("verified_at", nullable=True),
    sa.UniqueConstraint("organisation_id", "domain", name="sso_domain_organisation_id_key"),
    sa.ForeignKeyConstraint(
        ["organisation_id", "connection_id"],
        ["sso_connection.organisation_id", "sso_connection.id"],
        name="sso_domain_connection_fkey",
        ondelete="CASCADE",
    ),
    sa.Index(
        "sso_domain_verified_key",
        "domain",
        unique=True,
        postgresql_where=sa.text("verified_at IS NOT NULL"),
    ),
    sa.Index("sso_domain_connection_id_idx", "connection_id"),
)

linked_identity = sa.Table(
    "linked_identity",
    metadata,
    uuid("id", primary_key=True),
    uuid("user_id", references("app_user.id")),
    text("source"),
    text("subject"),
    text("email"),
    moment("created_at"),
    moment("used_at"),
    sa.UniqueConstraint("source", "subject", name="linked_identity_source_key"),
    sa.Index("linked_identity_user_id_idx", "user_id"),
)
