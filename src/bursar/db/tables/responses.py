"""Answers that organisations asked to be kept."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA

from bursar.db.tables.columns import metadata, moment, references, text, uuid

stored_response = sa.Table(
    "stored_response",
    metadata,
    uuid("organisation_id", references("organisation.id"), primary_key=True),
    text("id", primary_key=True),
    text("previous_id", nullable=True),
    sa.Column("sealed", BYTEA, nullable=False),
    moment("created_at"),
    moment("expires_at"),
    sa.Index("stored_response_expires_at_idx", "expires_at"),
)
