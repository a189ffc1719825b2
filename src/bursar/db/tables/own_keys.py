"""Organisations' own provider credentials, and the fee for requests that run on them."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA

from bursar.db.tables.columns import PRICE, flag, metadata, moment, references, serial, text, uuid

own_credential = sa.Table(
    "own_credential",
    metadata,
    uuid("id", primary_key=True),
    uuid("organisation_id", references("organisation.id")),
    uuid("provider_id", references("provider.id")),
    text("name"),
    sa.Column("sealed", BYTEA, nullable=False),
    text("hint"),
    flag("active", server_default=sa.true()),
    sa.Column("priority", sa.Integer, nullable=False, server_default="100"),
    moment("created_at"),
    moment("rotated_at", nullable=True),
    sa.Index("own_credential_organisation_id_idx", "organisation_id", "provider_id"),
    sa.Index("own_credential_provider_id_idx", "provider_id"),
)

platform_fee = sa.Table(
    "platform_fee",
    metadata,
    serial("id"),
    uuid("organisation_id", references("organisation.id"), nullable=True),
    text("currency"),
    sa.Column("percent", sa.Numeric(9, 4), nullable=False),
    sa.Column("fixed", PRICE, nullable=False),
    moment("effective_from"),
    moment("created_at"),
    sa.UniqueConstraint(
        "organisation_id",
        "currency",
        "effective_from",
        name="platform_fee_in_force_key",
        postgresql_nulls_not_distinct=True,
    ),
)
