"""What gateways say of the providers' health."""

import sqlalchemy as sa

from bursar.db.tables.columns import metadata, moment, text, uuid

provider_health = sa.Table(
    "provider_health",
    metadata,
    uuid("process_id", primary_key=True),
    uuid("route_id", primary_key=True),
    uuid("credential_id", primary_key=True),
    uuid("provider_id"),
    text("model"),
    text("breaker"),
    sa.Column("calls", sa.Integer, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("latency_ms", sa.Integer, nullable=True),
    moment("cooling_until", nullable=True),
    moment("reported_at"),
    sa.Index("provider_health_provider_id_idx", "provider_id", "reported_at"),
)

credential_refusal = sa.Table(
    "credential_refusal",
    metadata,
    uuid("credential_id", primary_key=True),
    uuid("provider_id"),
    text("kind"),
    sa.Column("upstream_status", sa.Integer, nullable=False),
    moment("first_at"),
    moment("last_at"),
    moment("told_at"),
    moment("ended_at", nullable=True),
)
