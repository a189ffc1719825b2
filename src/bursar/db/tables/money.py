"""The books. Signs and meanings are told where the tables are made, `migrations/sql/tables_money.sql`."""

import sqlalchemy as sa

from bursar.db.tables.columns import PRICE, flag, metadata, moment, references, serial, text, units, uuid

ledger_account = sa.Table(
    "ledger_account",
    metadata,
    serial("id"),
    text("asset"),
    text("kind"),
    uuid("owner", nullable=True),
    uuid("organisation_id", references("organisation.id"), nullable=True),
    sa.UniqueConstraint(
        "asset", "kind", "owner", name="ledger_account_key", postgresql_nulls_not_distinct=True
    ),
    sa.UniqueConstraint("id", "asset", name="ledger_account_asset_key"),
    sa.Index("ledger_account_organisation_id_idx", "organisation_id"),
)

wallet = sa.Table(
    "wallet",
    metadata,
    uuid("id", primary_key=True),
    uuid("organisation_id", references("organisation.id")),
    text("asset"),
    units("posted", server_default="0"),
    units("held", server_default="0"),
    units("owed", server_default="0"),
    units("overrun", server_default="0"),
    units("credit_limit", server_default="0"),
    moment("created_at"),
    sa.UniqueConstraint("organisation_id", "asset", name="wallet_organisation_asset_key"),
)

ledger_transaction = sa.Table(
    "ledger_transaction",
    metadata,
    serial("id"),
    text("kind"),
    text("source"),
    uuid("organisation_id", references("organisation.id")),
    uuid("wallet_id", references("wallet.id")),
    text("asset"),
    units("amount"),
    units("balance_after"),
    moment("occurred_at"),
    text("description", server_default=""),
    text("reference", nullable=True),
    text("content_hash", nullable=True),
    units("corrects", references("ledger_transaction.id"), nullable=True),
    uuid("request_id", nullable=True),
    sa.Column("attempt", sa.SmallInteger, nullable=True),
    sa.UniqueConstraint("kind", "source", name="ledger_transaction_source_key"),
    sa.UniqueConstraint("id", "organisation_id", name="ledger_transaction_organisation_key"),
    sa.Index("ledger_transaction_wallet_id_idx", "wallet_id", "id"),
    sa.Index(
        "ledger_transaction_request_id_idx", "request_id", postgresql_where=sa.text("request_id IS NOT NULL")
    ),
)

ledger_entry = sa.Table(
    "ledger_entry",
    metadata,
    serial("id"),
    units("transaction_id"),
    units("account_id"),
    uuid("organisation_id"),
    text("asset"),
    units("amount"),
    sa.ForeignKeyConstraint(
        ["transaction_id", "organisation_id"],
        ["ledger_transaction.id", "ledger_transaction.organisation_id"],
        name="ledger_entry_transaction_fkey",
    ),
    sa.ForeignKeyConstraint(
        ["account_id", "asset"],
        ["ledger_account.id", "ledger_account.asset"],
        name="ledger_entry_account_fkey",
    ),
    sa.Index("ledger_entry_transaction_id_idx", "transaction_id"),
    sa.Index("ledger_entry_account_id_idx", "account_id", "id"),
)

credit_lot = sa.Table(
    "credit_lot",
    metadata,
    uuid("id", primary_key=True),
    uuid("wallet_id", references("wallet.id")),
    uuid("organisation_id", references("organisation.id")),
    units("transaction_id", references("ledger_transaction.id")),
    text("kind"),
    text("scope_class", nullable=True),
    sa.Column("priority", sa.SmallInteger, nullable=False, server_default="100"),
    moment("effective_at"),
    moment("expires_at", nullable=True),
    sa.Column("cost_basis", PRICE, nullable=False, server_default="0"),
    moment("created_at"),
    sa.Column("seq", sa.BigInteger, sa.Identity(always=True), nullable=False),
    units("original"),
    units("remaining"),
    sa.Column("is_open", sa.Boolean, sa.Computed("remaining > 0", persisted=True)),
    sa.Index("credit_lot_open_idx", "wallet_id", postgresql_where=sa.text("is_open")),
    sa.Index("credit_lot_wallet_id_idx", "wallet_id", "seq"),
    sa.Index(
        "credit_lot_expires_at_idx",
        "expires_at",
        postgresql_where=sa.text("is_open AND expires_at IS NOT NULL"),
    ),
)

lot_consumption = sa.Table(
    "lot_consumption",
    metadata,
    serial("id"),
    uuid("lot_id", references("credit_lot.id")),
    units("transaction_id", references("ledger_transaction.id")),
    uuid("organisation_id", references("organisation.id")),
    units("amount"),
    units("returns_of", references("ledger_transaction.id"), nullable=True),
    sa.Index("lot_consumption_lot_id_idx", "lot_id"),
    sa.Index("lot_consumption_transaction_id_idx", "transaction_id"),
    sa.Index(
        "lot_consumption_returns_of_idx", "returns_of", postgresql_where=sa.text("returns_of IS NOT NULL")
    ),
)

process = sa.Table(
    "process",
    metadata,
    uuid("id", primary_key=True),
    text("kind"),
    text("host", server_default=""),
    text("state", server_default="alive"),
    moment("started_at"),
    moment("last_beat_at"),
    moment("closed_at", nullable=True),
)

hold = sa.Table(
    "hold",
    metadata,
    uuid("id", primary_key=True),
    uuid("organisation_id", references("organisation.id")),
    uuid("wallet_id", references("wallet.id")),
    text("kind"),
    text("scope_class"),
    uuid("process_id", references("process.id"), nullable=True),
    text("state", server_default="active"),
    units("amount"),
    units("granted", server_default="0"),
    units("spent", server_default="0"),
    units("burned", server_default="0"),
    units("op", server_default="0"),
    units("op_granted", server_default="0"),
    units("op_spendable", server_default="0"),
    text("op_state", server_default="active"),
    moment("created_at"),
    moment("expires_at", nullable=True),
    sa.Index("hold_wallet_open_idx", "wallet_id", postgresql_where=sa.text("state <> 'closed'")),
    sa.Index("hold_lease_idx", "process_id", "wallet_id", "scope_class"),
    sa.Index(
        "hold_lease_active_key",
        "process_id",
        "wallet_id",
        "scope_class",
        unique=True,
        postgresql_where=sa.text("state = 'active'"),
    ),
)

budget = sa.Table(
    "budget",
    metadata,
    uuid("id", primary_key=True),
    uuid("organisation_id", references("organisation.id"), nullable=True),
    uuid("api_key_id", references("api_key.id"), nullable=True),
    text("name"),
    text("asset", nullable=True),
    units("amount"),
    text("period"),
    flag("active", server_default=sa.true()),
    moment("created_at"),
    text("unit", server_default="money"),
    uuid("credential_id", references("provider_credential.id"), nullable=True),
    uuid("provider_id", references("provider.id"), nullable=True),
    text("model", nullable=True),
    uuid("member_id", references("app_user.id"), nullable=True),
    uuid("project_id", nullable=True),
    uuid("team_id", nullable=True),
    sa.ForeignKeyConstraint(
        ["organisation_id", "project_id"],
        ["project.organisation_id", "project.id"],
        name="budget_project_fkey",
    ),
    sa.ForeignKeyConstraint(
        ["organisation_id", "team_id"], ["team.organisation_id", "team.id"], name="budget_team_fkey"
    ),
    sa.Index("budget_credential_id_idx", "credential_id"),
    sa.Index("budget_member_id_idx", "member_id", postgresql_where=sa.text("member_id IS NOT NULL")),
    sa.Index(
        "budget_project_id_idx",
        "organisation_id",
        "project_id",
        postgresql_where=sa.text("project_id IS NOT NULL"),
    ),
    sa.Index(
        "budget_team_id_idx",
        "organisation_id",
        "team_id",
        postgresql_where=sa.text("team_id IS NOT NULL"),
    ),
    sa.Index("budget_provider_id_idx", "provider_id"),
    sa.Index("budget_organisation_id_idx", "organisation_id"),
    sa.Index("budget_api_key_id_idx", "api_key_id"),
)

budget_slice = sa.Table(
    "budget_slice",
    metadata,
    uuid("budget_id", references("budget.id"), primary_key=True),
    moment("period_start", primary_key=True),
    uuid("process_id", references("process.id"), primary_key=True),
    uuid("organisation_id", references("organisation.id"), nullable=True),
    units("granted"),
    units("spent", server_default="0"),
    units("op", server_default="0"),
    sa.Index("budget_slice_process_id_idx", "process_id"),
)
