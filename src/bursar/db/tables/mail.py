"""Mails to be sent and those that were, who does not want which, and what was told unasked."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA

from bursar.db.tables.columns import metadata, moment, references, text, uuid

mail = sa.Table(
    "mail",
    metadata,
    uuid("id", primary_key=True),
    text("intent"),
    text("template"),
    text("locale"),
    text("recipient"),
    text("message_id"),
    sa.Column("sealed", BYTEA, nullable=True),
    text("state"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    moment("due_at"),
    uuid("claim", nullable=True),
    moment("claimed_until", nullable=True),
    text("server", nullable=True),
    text("said", nullable=True),
    moment("created_at"),
    moment("ended_at", nullable=True),
    sa.UniqueConstraint("intent", name="mail_intent_key"),
    sa.UniqueConstraint("message_id", name="mail_message_id_key"),
    sa.Index("mail_due_idx", "due_at", "id", postgresql_where=sa.text("state = 'waiting'")),
    sa.Index("mail_dead_idx", "id", postgresql_where=sa.text("state = 'dead'")),
    sa.Index("mail_ended_at_idx", "ended_at", postgresql_where=sa.text("ended_at IS NOT NULL")),
)

mail_refusal = sa.Table(
    "mail_refusal",
    metadata,
    text("recipient", primary_key=True),
    text("choice", primary_key=True),
    moment("created_at"),
)
"""Of addresses without an account; who has one says it in his profile."""

balance_notice = sa.Table(
    "balance_notice",
    metadata,
    uuid("lot_id", references("credit_lot.id"), primary_key=True),
    uuid("organisation_id", references("organisation.id")),
    moment("told_at"),
    sa.Index("balance_notice_organisation_id_idx", "organisation_id"),
)
