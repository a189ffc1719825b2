"""Where organisations want their events, what was sent there, and what was answered."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA

from bursar.db.tables.columns import metadata, moment, references, text, uuid

webhook_endpoint = sa.Table(
    "webhook_endpoint",
    metadata,
    uuid("id", primary_key=True),
    uuid("organisation_id", references("organisation.id")),
    text("url"),
    text("description", server_default=""),
    sa.Column("event_types", ARRAY(sa.Text), nullable=True),
    text("status", server_default="active"),
    text("disabled_reason", nullable=True),
    moment("failing_since", nullable=True),
    moment("created_at"),
    sa.UniqueConstraint("organisation_id", "id", name="webhook_endpoint_organisation_key"),
)

webhook_secret = sa.Table(
    "webhook_secret",
    metadata,
    uuid("id", primary_key=True),
    uuid("organisation_id"),
    uuid("endpoint_id"),
    sa.Column("sealed", BYTEA, nullable=False),
    moment("created_at"),
    moment("expires_at", nullable=True),
    sa.ForeignKeyConstraint(
        ["organisation_id", "endpoint_id"],
        ["webhook_endpoint.organisation_id", "webhook_endpoint.id"],
        name="webhook_secret_endpoint_fkey",
        ondelete="CASCADE",
    ),
    sa.Index(
        "webhook_secret_in_force_key",
        "organisation_id",
        "endpoint_id",
        unique=True,
        postgresql_where=sa.text("expires_at IS NULL"),
    ),
    sa.Index("webhook_secret_endpoint_idx", "organisation_id", "endpoint_id", "created_at"),
)

webhook_message = sa.Table(
    "webhook_message",
    metadata,
    uuid("id", primary_key=True),
    uuid("organisation_id", references("organisation.id")),
    text("type"),
    text("body"),
    moment("created_at"),
    sa.UniqueConstraint("organisation_id", "id", name="webhook_message_organisation_key"),
    sa.Index("webhook_message_created_at_idx", "created_at"),
)

webhook_delivery = sa.Table(
    "webhook_delivery",
    metadata,
    uuid("id", primary_key=True),
    uuid("organisation_id"),
    uuid("endpoint_id"),
    uuid("message_id"),
    text("status", server_default="pending"),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    moment("due_at"),
    moment("created_at"),
    moment("ended_at", nullable=True),
    sa.UniqueConstraint("endpoint_id", "message_id", name="webhook_delivery_key"),
    sa.UniqueConstraint("organisation_id", "id", name="webhook_delivery_organisation_key"),
    sa.ForeignKeyConstraint(
        ["organisation_id", "endpoint_id"],
        ["webhook_endpoint.organisation_id", "webhook_endpoint.id"],
        name="webhook_delivery_endpoint_fkey",
        ondelete="CASCADE",
    ),
    sa.ForeignKeyConstraint(
        ["organisation_id", "message_id"],
        ["webhook_message.organisation_id", "webhook_message.id"],
        name="webhook_delivery_message_fkey",
        ondelete="CASCADE",
    ),
    sa.Index(
        "webhook_delivery_due_idx",
        "endpoint_id",
        "due_at",
        postgresql_where=sa.text("status = 'pending'"),
    ),
    sa.Index("webhook_delivery_endpoint_idx", "organisation_id", "endpoint_id", "id"),
    sa.Index("webhook_delivery_message_idx", "organisation_id", "message_id"),
)

webhook_attempt = sa.Table(
    "webhook_attempt",
    metadata,
    uuid("delivery_id", primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    uuid("organisation_id"),
    moment("at"),
    sa.Column("duration_ms", sa.Integer, nullable=False),
    sa.Column("status", sa.Integer, nullable=True),
    text("error", nullable=True),
    text("answer", server_default=""),
    sa.ForeignKeyConstraint(
        ["organisation_id", "delivery_id"],
        ["webhook_delivery.organisation_id", "webhook_delivery.id"],
        name="webhook_attempt_delivery_fkey",
        ondelete="CASCADE",
    ),
    sa.Index("webhook_attempt_delivery_idx", "organisation_id", "delivery_id"),
)
