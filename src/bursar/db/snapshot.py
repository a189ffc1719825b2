"""What a gateway loads: one consistent read of everything it decides by, as rows of plain values.

Times are unix milliseconds; prices are atto (10^-18 major units per unit of the meter). Grows with keys,
models and prices, a few hundred bytes each.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from bursar.core.fees import PLATFORM_FEE

Rows = Sequence[Mapping[str, Any]]

PRICES: Final = """
    SELECT id, provider_id, model, meter, currency, tier_from,
        (extract(epoch FROM effective_from) * 1000)::bigint AS effective_from_ms,
        trunc(cost * 1000000000000000000) AS cost_atto, trunc(sale * 1000000000000000000) AS sale_atto, source
    FROM price
"""

FEES: Final = """
    SELECT id, organisation_id, currency, trunc(percent * 10000)::bigint AS millionths,
        trunc(fixed * 1000000000000000000) AS fixed_atto,
        (extract(epoch FROM effective_from) * 1000)::bigint AS effective_from_ms
    FROM platform_fee
"""

QUESTIONS: Final[Mapping[str, LiteralString]] = {
    # A key without a wallet in its organisation's currency cannot pay, so it is not offered.
    "keys": """
        SELECT api_key.id, api_key.key_hash AS secret_sha256, api_key.organisation_id,
            wallet.id AS wallet_id, wallet.asset, organisation.outcome_policy, organisation.billing_type,
            organisation.store_responses,
            (extract(epoch FROM api_key.expires_at) * 1000)::bigint AS expires_at_ms,
            api_key.allowed_models, api_key.limits, api_key.allowed_addresses, api_key.project_id,
            project.team_id, api_key.created_by AS member_id
        FROM api_key
        LEFT JOIN project ON project.id = api_key.project_id
        JOIN organisation ON organisation.id = api_key.organisation_id AND organisation.status = 'active'
        JOIN wallet ON wallet.organisation_id = organisation.id AND wallet.asset = organisation.currency
        WHERE api_key.active AND api_key.revoked_at IS NULL""",
    "providers": """
        SELECT id, slug, name, kind, base_url, aborts_stop_billing, timeouts, region, breaker FROM provider
        WHERE active""",
    "credentials": """
        SELECT id, provider_id, sealed, hint, priority, limits, xmin::text AS version
        FROM provider_credential
        WHERE active ORDER BY provider_id, priority, id""",
    # Organisations that restrict where their requests go, or bring credentials of their own.
    "rules": """
        SELECT id, own_keys_fall_back, allowed_providers, allowed_regions FROM organisation
        WHERE allowed_providers IS NOT NULL OR allowed_regions IS NOT NULL
            OR EXISTS (SELECT FROM own_credential WHERE organisation_id = organisation.id AND active)""",
    "own_credentials": """
        SELECT own_credential.id, organisation_id, provider_id, sealed, priority,
            own_credential.xmin::text AS version, takes_own_keys AS is_taken
        FROM own_credential JOIN provider ON provider.id = provider_id
        WHERE own_credential.active ORDER BY organisation_id, provider_id, priority, own_credential.id""",
    "organisation_limits": "SELECT id, limits FROM organisation WHERE limits <> '{}'",
    # Of keys that are limited together: a member's are those he made.
    "group_limits": """
        SELECT 'member' AS kind, organisation_id, member_id AS id, limits FROM member_limit
        WHERE limits <> '{}'
        UNION ALL SELECT 'project', organisation_id, id, limits FROM project WHERE limits <> '{}'
        UNION ALL SELECT 'team', organisation_id, id, limits FROM team WHERE limits <> '{}'""",
    # A key's budgets go on to the keys it was rotated to: they count together.
    "budgets": """
        WITH RECURSIVE heir AS (
            SELECT id AS ancestor, id FROM api_key WHERE id IN (SELECT api_key_id FROM budget WHERE active)
            UNION SELECT heir.ancestor, api_key.id FROM heir JOIN api_key ON api_key.rotated_from = heir.id
        )
        SELECT budget.id, organisation_id, heir.id AS api_key_id, credential_id, provider_id, model, name,
            unit, asset, amount, period, member_id, project_id, team_id
        FROM budget LEFT JOIN heir ON heir.ancestor = budget.api_key_id WHERE active ORDER BY budget.id""",
    "fees": FEES,
    "models": """
        SELECT id, display_name, context_window, output_tokens_max, status, successor, capabilities,
            strategy, fallbacks, min_margin_percent,
            floor(extract(epoch FROM created_at))::bigint AS created_s
        FROM model ORDER BY id""",
    "aliases": "SELECT alias, model_id FROM model_alias ORDER BY alias",
    "routes": """
        SELECT id, model_id, provider_id, provider_model, priority, weight, credential_id, region,
            min_margin_percent
        FROM route
        WHERE active ORDER BY model_id, priority, weight DESC, id""",
    "prices": PRICES,
    "settings": "SELECT key, value FROM setting ORDER BY key",
}

USAGE: Final = """
    SELECT request_id, attempt, revision, wallet_id, api_key_id, provider_id, asset, scope_class, model,
        provider_model, endpoint, dialect, streamed, status, outcome, error_code, quantities, price_ids,
        input_tokens, output_tokens, estimated, flags, service_tier, cost, sale, latency_ms, first_byte_ms,
        provider_request_id, end_user, from_mark, late, raw_usage,
        (extract(epoch FROM started_at) * 1000)::bigint AS started_at_ms,
        (extract(epoch FROM finished_at) * 1000)::bigint AS finished_at_ms
    FROM usage
    WHERE organisation_id = %(organisation_id)s AND started_at = bursar_time_of(%(request_id)s)
        AND request_id = %(request_id)s
    ORDER BY attempt, revision
"""


async def load(connection: psycopg.AsyncConnection) -> dict[str, Rows]:
    """Answer every question of QUESTIONS from one snapshot of the database."""
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        return {name: await _rows(connection, question) for name, question in QUESTIONS.items()}


async def usage_of(
    connection: psycopg.AsyncConnection, organisation_id: UUID, request_id: UUID
) -> dict[str, Any] | None:
    """The newest attempt of a request: its newest revision's row, with ``cost`` and ``sale`` in full.

    ``prices`` and ``fees`` hold the rows it was rated by, ``attempts`` those of all attempts and revisions.
    """
    keys = {"organisation_id": organisation_id, "request_id": request_id}
    rows = await _rows(connection, USAGE, keys)
    if not rows:
        return None
    newest = rows[-1]
    revisions = [row for row in rows if row["attempt"] == newest["attempt"]]
    price_ids = {**newest["price_ids"]}
    fee_id = price_ids.pop(PLATFORM_FEE, None)
    return {
        **newest,
        "cost": sum(row["cost"] for row in revisions),
        "sale": sum(row["sale"] for row in revisions),
        "prices": await _rows(
            connection, PRICES + " WHERE id = ANY (%(ids)s)", {"ids": list(price_ids.values())}
        ),
        "fees": await _rows(connection, FEES + " WHERE id = %(id)s", {"id": fee_id}) if fee_id else [],
        "attempts": rows,
    }


async def _rows(
    connection: psycopg.AsyncConnection, query: LiteralString, parameters: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, parameters)
        return await cursor.fetchall()
