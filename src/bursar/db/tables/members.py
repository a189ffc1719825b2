"""Whom an organisation asked to join. Its members are `control.membership`."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA

from bursar.db.tables.columns import metadata, moment, references, text, uuid

invitation = sa.Table(
    "invitation",
    metadata,
    uuid("id", primary_key=True),
    uuid("organisation_id", references("organisation.id")),
    text("email"),
    text("role"),
    sa.Column("token_hash", BYTEA, nullable=False),
    uuid("invited_by", references("app_user.id"), nullable=True),
    uuid("operator_id", references("app_user.id"), nullable=True),
    uuid("operator_token_id", references("operator_token.id"), nullable=True),
    moment("created_at"),
    moment("sent_at"),
    sa.Column("sent_count", sa.Integer, nullable=False, server_default="1"),
    moment("expires_at"),
    moment("accepted_at", nullable=True),
    uuid("accepted_by", references("app_user.id"), nullable=True),
    moment("revoked_at", nullable=True),
    sa.UniqueConstraint("token_hash", name="invitation_token_hash_key"),
    sa.Index(
        "invitation_open_key",
        "organisation_id",
        "email",
        unique=True,
        postgresql_where=sa.text("accepted_at IS NULL AND revoked_at IS NULL"),
    ),
    sa.Index("invitation_organisation_id_idx", "organisation_id", "sent_at"),
    sa.Index("invitation_invited_by_idx", "invited_by", postgresql_where=sa.text("invited_by IS NOT NULL")),
    sa.Index(
        "invitation_operator_id_idx", "operator_id", postgresql_where=sa.text("operator_id IS NOT NULL")
    ),
    sa.Index(
        "invitation_operator_token_id_idx",
        "operator_token_id",
        postgresql_where=sa.text("operator_token_id IS NOT NULL"),
    ),
    sa.Index(
        "invitation_accepted_by_idx", "accepted_by", postgresql_where=sa.text("accepted_by IS NOT NULL")
    ),
)
