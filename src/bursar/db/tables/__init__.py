"""SQLAlchemy's picture of the tables, kept in step with the migrations by `alembic check`."""

from bursar.db.tables.abuse import abuse_hour, abuse_mark, abuse_suspect, card_fingerprint
from bursar.db.tables.accounts import (
    one_time_token,
    recovery_code,
    session,
    sign_up,
    signing_key,
    trial_given,
)
from bursar.db.tables.audit import audit_entry
from bursar.db.tables.columns import metadata
from bursar.db.tables.control import (
    api_key,
    app_user,
    membership,
    model,
    model_alias,
    operator_token,
    organisation,
    outbox,
    price,
    provider,
    provider_credential,
    route,
    setting,
)
from bursar.db.tables.data_rights import data_export, data_export_piece, erasure
from bursar.db.tables.mail import balance_notice, mail, mail_refusal
from bursar.db.tables.members import invitation
from bursar.db.tables.money import (
    budget,
    budget_slice,
    credit_lot,
    hold,
    ledger_account,
    ledger_entry,
    ledger_transaction,
    lot_consumption,
    process,
    wallet,
)
from bursar.db.tables.own_keys import own_credential, platform_fee
from bursar.db.tables.projects import budget_notice, member_limit, project, team
from bursar.db.tables.responses import stored_response
from bursar.db.tables.rest import idempotent_answer
from bursar.db.tables.routing import credential_refusal, provider_health
from bursar.db.tables.sign_in import identity_provider, linked_identity, sso_connection, sso_domain
from bursar.db.tables.usage import usage, usage_mark, usage_month, usage_quarantine
from bursar.db.tables.viewing import viewing
from bursar.db.tables.webhooks import (
    webhook_attempt,
    webhook_delivery,
    webhook_endpoint,
    webhook_message,
    webhook_secret,
)

__all__ = [
    "abuse_hour",
    "abuse_mark",
    "abuse_suspect",
    "api_key",
    "app_user",
    "audit_entry",
    "balance_notice",
    "budget",
    "budget_notice",
    "budget_slice",
    "card_fingerprint",
    "credential_refusal",
    "credit_lot",
    "data_export",
    "data_export_piece",
    "erasure",
    "hold",
    "idempotent_answer",
    "identity_provider",
    "invitation",
    "ledger_account",
    "ledger_entry",
    "ledger_transaction",
    "linked_identity",
    "lot_consumption",
    "mail",
    "mail_refusal",
    "member_limit",
    "membership",
    "metadata",
    "model",
    "model_alias",
    "one_time_token",
    "operator_token",
    "organisation",
    "outbox",
    "own_credential",
    "platform_fee",
    "price",
    "process",
    "project",
    "provider",
    "provider_credential",
    "provider_health",
    "recovery_code",
    "route",
    "session",
    "setting",
    "sign_up",
    "signing_key",
    "sso_connection",
    "sso_domain",
    "stored_response",
    "team",
    "trial_given",
    "usage",
    "usage_mark",
    "usage_month",
    "usage_quarantine",
    "viewing",
    "wallet",
    "webhook_attempt",
    "webhook_delivery",
    "webhook_endpoint",
    "webhook_message",
    "webhook_secret",
]
