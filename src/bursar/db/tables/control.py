"""What is configured: customers, keys, providers, models, prices."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, UUID

from bursar.db.tables.columns import (
    PRICE,
    flag,
    json,
    metadata,
    moment,
    references,
    serial,
    text,
    units,
    uuid,
)

organisation = sa.Table(
    "organisation",
    metadata,
    uuid("id", primary_key=True),
    text("name"),
    text("billing_email", nullable=True),
    text("billing_type", server_default="prepaid"),
    text("currency", server_default="USD"),
    text("status", server_default="active"),
    json("outcome_policy", server_default="{}"),
    moment("created_at"),
    json("limits", server_default="{}"),
    flag("own_keys_fall_back", server_default=sa.false()),
    sa.Column("allowed_providers", ARRAY(UUID(as_uuid=True)), nullable=True),
    sa.Column("allowed_regions", ARRAY(sa.Text), nullable=True),
    flag("store_responses", server_default=sa.false()),
)

app_user = sa.Table(
    "app_user",
    metadata,
    uuid("id", primary_key=True),
    text("email"),
    text("name", server_default=""),
    text("status", server_default="active"),
    moment("created_at"),
    text("password_hash", nullable=True),
    moment("email_verified_at", nullable=True),
    text("operator_role", nullable=True),
    text("locale", server_default="en"),
    text("time_zone", server_default="UTC"),
    json("notifications", server_default="{}"),
    sa.Column("totp_sealed", BYTEA, nullable=True),
    moment("totp_confirmed_at", nullable=True),
    sa.Column("totp_step", sa.BigInteger, nullable=True),
    text("terms_version", nullable=True),
    text("privacy_version", nullable=True),
    moment("accepted_at", nullable=True),
    moment("erased_at", nullable=True),
    sa.Column("operator_addresses", ARRAY(sa.Text), nullable=True),
    sa.UniqueConstraint("email", name="app_user_email_key"),
)

membership = sa.Table(
    "membership",
    metadata,
    uuid("organisation_id", references("organisation.id"), primary_key=True),
    uuid("user_id", references("app_user.id"), primary_key=True),
    text("role"),
    moment("created_at"),
    sa.Index("membership_user_id_idx", "user_id"),
    sa.Index(
        "membership_one_owner", "organisation_id", unique=True, postgresql_where=sa.text("role = 'owner'")
    ),
)

api_key = sa.Table(
    "api_key",
    metadata,
    uuid("id", primary_key=True),
    uuid("organisation_id", references("organisation.id")),
    text("name"),
    sa.Column("key_hash", BYTEA, nullable=False),
    text("key_prefix"),
    flag("active", server_default=sa.true()),
    moment("created_at"),
    uuid("created_by", nullable=True),
    moment("expires_at", nullable=True),
    moment("revoked_at", nullable=True),
    sa.Column("allowed_models", ARRAY(sa.Text), nullable=True),
    json("limits", server_default='{"requests_per_min": 60}'),
    uuid("rotated_from", references("api_key.id"), nullable=True),
    sa.Column("allowed_addresses", ARRAY(sa.Text), nullable=True),
    uuid("project_id", nullable=True),
    sa.ForeignKeyConstraint(
        ["organisation_id", "project_id"],
        ["project.organisation_id", "project.id"],
        name="api_key_project_fkey",
    ),
    sa.UniqueConstraint("key_hash", name="api_key_key_hash_key"),
    sa.Index("api_key_organisation_id_idx", "organisation_id", "created_at"),
    sa.Index(
        "api_key_project_id_idx",
        "organisation_id",
        "project_id",
        postgresql_where=sa.text("project_id IS NOT NULL"),
    ),
)

operator_token = sa.Table(
    "operator_token",
    metadata,
    uuid("id", primary_key=True),
    text("name"),
    sa.Column("token_hash", BYTEA, nullable=False),
    text("token_prefix"),
    moment("created_at"),
    moment("expires_at", nullable=True),
    moment("revoked_at", nullable=True),
    text("role", server_default="superadmin"),
    sa.Column("allowed_addresses", ARRAY(sa.Text), nullable=True),
    sa.UniqueConstraint("token_hash", name="operator_token_token_hash_key"),
)

provider = sa.Table(
    "provider",
    metadata,
    uuid("id", primary_key=True),
    text("slug"),
    text("name"),
    text("kind"),
    text("base_url"),
    flag("active", server_default=sa.true()),
    flag("aborts_stop_billing", server_default=sa.true()),
    json("timeouts", server_default="{}"),
    moment("created_at"),
    text("region", nullable=True),
    json("breaker", server_default="{}"),
    flag("takes_own_keys", server_default=sa.false()),
    sa.UniqueConstraint("slug", name="provider_slug_key"),
)

provider_credential = sa.Table(
    "provider_credential",
    metadata,
    uuid("id", primary_key=True),
    uuid("provider_id", references("provider.id")),
    sa.Column("sealed", BYTEA, nullable=False),
    text("hint", server_default=""),
    flag("active", server_default=sa.true()),
    sa.Column("priority", sa.Integer, nullable=False, server_default="100"),
    moment("created_at"),
    json("limits", server_default="{}"),
    sa.UniqueConstraint("id", "provider_id", name="provider_credential_id_provider_key"),
    sa.Index("provider_credential_provider_id_idx", "provider_id"),
)

model = sa.Table(
    "model",
    metadata,
    text("id", primary_key=True),
    text("display_name"),
    sa.Column("context_window", sa.Integer, nullable=True),
    sa.Column("output_tokens_max", sa.Integer, nullable=True),
    text("status", server_default="active"),
    text("successor", nullable=True),
    json("capabilities", server_default="{}"),
    sa.Column("margin_percent", sa.Numeric(9, 4), nullable=True),
    moment("created_at"),
    text("strategy", server_default="priority"),
    sa.Column("fallbacks", ARRAY(sa.Text), nullable=False, server_default="{}"),
    sa.Column("min_margin_percent", sa.Numeric(9, 4), nullable=True),
)

model_alias = sa.Table(
    "model_alias",
    metadata,
    text("alias", primary_key=True),
    text("model_id", references("model.id")),
    sa.Index("model_alias_model_id_idx", "model_id"),
)

route = sa.Table(
    "route",
    metadata,
    uuid("id", primary_key=True),
    text("model_id", references("model.id")),
    uuid("provider_id", references("provider.id")),
    text("provider_model"),
    sa.Column("priority", sa.Integer, nullable=False, server_default="100"),
    sa.Column("weight", sa.Integer, nullable=False, server_default="1"),
    flag("active", server_default=sa.true()),
    moment("created_at"),
    uuid("credential_id", nullable=True),
    text("region", nullable=True),
    sa.Column("min_margin_percent", sa.Numeric(9, 4), nullable=True),
    sa.ForeignKeyConstraint(
        ["credential_id", "provider_id"],
        ["provider_credential.id", "provider_credential.provider_id"],
        name="route_credential_fkey",
    ),
    sa.UniqueConstraint(
        "model_id",
        "provider_id",
        "provider_model",
        "credential_id",
        "region",
        name="route_model_provider_key",
        postgresql_nulls_not_distinct=True,
    ),
    sa.Index("route_provider_id_idx", "provider_id"),
    sa.Index(
        "route_credential_id_idx", "credential_id", postgresql_where=sa.text("credential_id IS NOT NULL")
    ),
)

price = sa.Table(
    "price",
    metadata,
    serial("id"),
    uuid("provider_id", references("provider.id")),
    text("model"),
    text("meter"),
    text("currency"),
    units("tier_from", server_default="0"),
    moment("effective_from"),
    sa.Column("cost", PRICE, nullable=False),
    sa.Column("sale", PRICE, nullable=False),
    text("source"),
    moment("created_at"),
    sa.UniqueConstraint(
        "provider_id",
        "model",
        "meter",
        "currency",
        "tier_from",
        "effective_from",
        name="price_in_force_key",
    ),
)

setting = sa.Table("setting", metadata, text("key", primary_key=True), json("value"))

outbox = sa.Table(
    "outbox",
    metadata,
    serial("id"),
    text("topic"),
    uuid("organisation_id", nullable=True),
    json("payload"),
    moment("created_at"),
    moment("due_at"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    text("last_error", nullable=True),
    moment("handled_at", nullable=True),
    moment("parked_at", nullable=True),
    sa.Index(
        "outbox_due_idx", "due_at", "id", postgresql_where=sa.text("handled_at IS NULL AND parked_at IS NULL")
    ),
    sa.Index("outbox_handled_idx", "handled_at", postgresql_where=sa.text("handled_at IS NOT NULL")),
)
