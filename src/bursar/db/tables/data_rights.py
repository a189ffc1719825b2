"""What people and organisations ask of their data: copies, and that it goes."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA

from bursar.db.tables.columns import metadata, moment, references, text, uuid

_OPEN = sa.text("cancelled_at IS NULL AND done_at IS NULL")

data_export = sa.Table(
    "data_export",
    metadata,
    uuid("id", primary_key=True),
    uuid("organisation_id", references("organisation.id"), nullable=True),
    uuid("user_id", references("app_user.id"), nullable=True),
    text("state", server_default="queued"),
    moment("requested_at"),
    moment("ended_at", nullable=True),
    moment("expires_at", nullable=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=True),
    sa.Index("data_export_organisation_id_idx", "organisation_id", "id"),
    sa.Index("data_export_user_id_idx", "user_id", "id"),
    sa.Index(
        "data_export_queued_key",
        "organisation_id",
        "user_id",
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=sa.text("state = 'queued'"),
    ),
)

data_export_piece = sa.Table(
    "data_export_piece",
    metadata,
    uuid("export_id", references("data_export.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("content", BYTEA, nullable=False),
)

erasure = sa.Table(
    "erasure",
    metadata,
    uuid("id", primary_key=True),
    uuid("organisation_id", references("organisation.id"), nullable=True),
    uuid("user_id", references("app_user.id"), nullable=True),
    uuid("requested_by", nullable=True),
    moment("requested_at"),
    moment("due_at"),
    moment("cancelled_at", nullable=True),
    moment("done_at", nullable=True),
    sa.Index("erasure_open_organisation_key", "organisation_id", unique=True, postgresql_where=_OPEN),
    sa.Index("erasure_open_user_key", "user_id", unique=True, postgresql_where=_OPEN),
    sa.Index("erasure_due_idx", "due_at", postgresql_where=_OPEN),
)
