"""What was used, by attempt and revision, and what waits beside it."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from bursar.db.tables.columns import flag, json, metadata, moment, references, serial, text, units, uuid

usage = sa.Table(
    "usage",
    metadata,
    uuid("request_id"),
    uuid("organisation_id"),
    uuid("wallet_id"),
    uuid("api_key_id"),
    uuid("lease_id", nullable=True),
    uuid("provider_id", nullable=True),
    uuid("credential_id", nullable=True),
    moment("started_at"),
    moment("finished_at"),
    units("posting", nullable=True),
    units("cost"),
    units("sale"),
    units("input_tokens"),
    units("output_tokens"),
    sa.Column("latency_ms", sa.Integer, nullable=False),
    sa.Column("first_byte_ms", sa.Integer, nullable=True),
    sa.Column("attempt", sa.SmallInteger, nullable=False),
    sa.Column("revision", sa.SmallInteger, nullable=False),
    sa.Column("status", sa.SmallInteger, nullable=False),
    flag("streamed"),
    flag("estimated"),
    flag("from_mark"),
    flag("late"),
    text("asset"),
    text("scope_class"),
    text("model"),
    text("provider_model"),
    text("endpoint"),
    text("dialect"),
    text("outcome"),
    text("error_code", nullable=True),
    text("service_tier", nullable=True),
    text("provider_request_id", nullable=True),
    text("end_user", nullable=True),
    text("content_hash"),
    sa.Column("flags", ARRAY(sa.Text), nullable=False),
    json("quantities"),
    json("price_ids"),
    text("raw_usage", nullable=True),
    uuid("project_id", nullable=True),
    uuid("team_id", nullable=True),
    sa.UniqueConstraint(
        "organisation_id", "started_at", "request_id", "attempt", "revision", name="usage_key"
    ),
    sa.Index("usage_unposted_idx", "wallet_id", "started_at", postgresql_where=sa.text("posting IS NULL")),
    postgresql_partition_by="RANGE (started_at)",
)

usage_mark = sa.Table(
    "usage_mark",
    metadata,
    uuid("request_id", primary_key=True),
    sa.Column("attempt", sa.SmallInteger, primary_key=True, autoincrement=False),
    uuid("process_id"),
    text("content_hash"),
    text("row"),
    moment("marked_at"),
    sa.Index("usage_mark_process_id_idx", "process_id"),
)

usage_quarantine = sa.Table(
    "usage_quarantine",
    metadata,
    serial("id"),
    text("content_hash"),
    text("reason"),
    text("detail"),
    uuid("process_id"),
    text("request_id", nullable=True),
    text("row"),
    moment("received_at"),
    moment("alarmed_at", nullable=True),
    moment("resolved_at", nullable=True),
    text("resolution", nullable=True),
    sa.UniqueConstraint("content_hash", name="usage_quarantine_content_hash_key"),
)

usage_month = sa.Table(
    "usage_month",
    metadata,
    sa.Column("month", sa.Date, primary_key=True),
    uuid("organisation_id", references("organisation.id"), primary_key=True),
    text("asset", primary_key=True),
    units("rows"),
    units("sale"),
    units("cost"),
)
