"""What is observed of organisations' use, who is suspected of abuse, and what was decided."""

import sqlalchemy as sa

from bursar.db.tables.columns import json, metadata, moment, references, text, units, uuid

abuse_hour = sa.Table(
    "abuse_hour",
    metadata,
    uuid("organisation_id", references("organisation.id"), primary_key=True),
    sa.Column("hour", sa.DateTime(timezone=True), primary_key=True),
    units("sale"),
    units("requests"),
    units("failures"),
    sa.Index("abuse_hour_hour_idx", "hour"),
)

abuse_mark = sa.Table(
    "abuse_mark",
    metadata,
    sa.Column("id", sa.Boolean, primary_key=True, server_default=sa.true()),
    moment("seen_until"),
)

card_fingerprint = sa.Table(
    "card_fingerprint",
    metadata,
    uuid("organisation_id", references("organisation.id"), primary_key=True),
    text("fingerprint", primary_key=True),
    moment("first_seen_at"),
    sa.Index("card_fingerprint_fingerprint_idx", "fingerprint"),
    sa.Index("card_fingerprint_first_seen_at_idx", "first_seen_at"),
)

abuse_suspect = sa.Table(
    "abuse_suspect",
    metadata,
    uuid("id", primary_key=True),
    uuid("organisation_id", references("organisation.id")),
    text("status"),
    sa.Column("score", sa.Integer, nullable=False),
    json("findings"),
    moment("first_seen_at"),
    moment("last_seen_at"),
    moment("suspended_at", nullable=True),
    moment("decided_at", nullable=True),
    uuid("decided_by", nullable=True),
    text("reason", nullable=True),
    sa.Index(
        "abuse_suspect_undecided_key",
        "organisation_id",
        unique=True,
        postgresql_where=sa.text("status IN ('open', 'suspended')"),
    ),
    sa.Index("abuse_suspect_organisation_id_idx", "organisation_id", "decided_at"),
    sa.Index("abuse_suspect_status_idx", "status", "id"),
)
