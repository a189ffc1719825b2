"""Answers already given to requests that carried an Idempotency-Key."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA

from bursar.db.tables.columns import metadata, moment, text, uuid

idempotent_answer = sa.Table(
    "idempotent_answer",
    metadata,
    uuid("caller", primary_key=True),
    text("key", primary_key=True),
    text("content_hash"),
    sa.Column("answer", BYTEA, nullable=True),
    moment("created_at"),
    sa.Index("idempotent_answer_created_at_idx", "created_at"),
)
