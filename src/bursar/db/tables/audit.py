"""The audit log."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA

from bursar.db.tables.columns import flag, metadata, moment, serial, text, uuid

audit_entry = sa.Table(
    "audit_entry",
    metadata,
    serial("id"),
    moment("at"),
    uuid("organisation_id", nullable=True),
    flag("internal"),
    uuid("person_id", nullable=True),
    text("actor_kind"),
    uuid("actor_id", nullable=True),
    text("db_role"),
    text("action"),
    text("subject"),
    text("subject_id"),
    text("changes"),
    text("actor_part", nullable=True),
    sa.Column("actor_salt", BYTEA, nullable=True),
    sa.Column("actor_digest", BYTEA, nullable=True),
    text("row_part", nullable=True),
    sa.Column("row_salt", BYTEA, nullable=True),
    sa.Column("row_digest", BYTEA, nullable=True),
    sa.Column("seq", sa.BigInteger, nullable=True),
    sa.Column("hash", BYTEA, nullable=True),
    sa.Column("mark", BYTEA, nullable=True),
    sa.UniqueConstraint("seq", name="audit_entry_seq_key"),
    sa.Index("audit_entry_unsealed_idx", "id", postgresql_where=sa.text("seq IS NULL")),
    sa.Index("audit_entry_organisation_id_idx", "organisation_id", "id"),
    sa.Index("audit_entry_subject_idx", "subject", "subject_id", "id"),
    sa.Index("audit_entry_actor_id_idx", "actor_id", "id", postgresql_where=sa.text("actor_id IS NOT NULL")),
    sa.Index(
        "audit_entry_person_id_idx", "person_id", "id", postgresql_where=sa.text("person_id IS NOT NULL")
    ),
    sa.Index("audit_entry_at_idx", "at"),
)
