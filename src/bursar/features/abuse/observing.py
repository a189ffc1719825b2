"""SQL of what the rules look at, as the worker asks it. One statement for each, whoever it concerns.

Who opened accounts: those made in WINDOW and nothing else is read. What was used: each usage row once, when
its minutes are added up, and one probe of an index for each organisation that is not closed.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from bursar.core.abuse import RULES, SPIKE_FLOOR_MAJOR, STORM_FAILED_PERCENT, Observed, Rule
from bursar.core.ids import uuid7
from bursar.core.money import asset_scale
from bursar.db.engine import Transaction
from bursar.rest.fields import ms_of_moment
from bursar.rest.mail_domains import SHARED_DOMAINS

WINDOW: Final = timedelta(hours=24)
SLICE: Final = timedelta(hours=1)
"""Most usage added up at once; after a pause of the worker several such slices follow each other."""

SETTLED_AFTER: Final = timedelta(minutes=2)
"""Usage younger than this may still be on its way. What comes later yet is not counted here, only booked."""

BASELINE: Final = timedelta(days=7)
OBSERVED_MAX: Final = 1_000
"""Organisations a statement may name in one round; the most conspicuous come first."""

NEIGHBOURS_MAX: Final = 10

_ACCOUNTS: Final = """
    WITH account AS (
        SELECT m.organisation_id, u.id, split_part(u.email, '@', 2) AS domain,
            coalesce(s.user_agent, '') AS agent, coalesce(nullif(p.address, ''), s.address, '') AS address
        FROM app_user AS u
        JOIN membership AS m ON m.user_id = u.id AND m.role = 'owner'
        LEFT JOIN LATERAL (SELECT address, user_agent FROM session WHERE user_id = u.id
            ORDER BY created_at LIMIT 1) AS s ON true
        LEFT JOIN sign_up AS p ON p.user_id = u.id
        WHERE u.id >= :since
    ), placed AS (
        SELECT *, CASE WHEN address ~ '^[0-9.]+$' THEN address
            WHEN address ~ '^[0-9a-f:.]+$' THEN host(network(set_masklen(address::inet, 64))) END AS network
        FROM account
    ), shared AS (
        SELECT {key} AS key, count(DISTINCT id) AS value,
            (array_agg(DISTINCT organisation_id))[1:11] AS organisations
        FROM placed WHERE {counted} GROUP BY {key} HAVING count(DISTINCT id) >= :begins
    )
    SELECT DISTINCT placed.organisation_id, shared.value, shared.organisations
    FROM shared JOIN placed ON {key} = shared.key AND {counted}
    JOIN organisation AS o ON o.id = placed.organisation_id AND o.status <> 'closed'
    ORDER BY shared.value DESC, placed.organisation_id LIMIT :most
"""
_NETWORK: Final = _ACCOUNTS.format(key="network", counted="network IS NOT NULL")
_DEVICE: Final = _ACCOUNTS.format(
    key="network || ' ' || agent", counted="network IS NOT NULL AND agent <> ''"
)
_DOMAIN: Final = _ACCOUNTS.format(key="domain", counted="domain <> ALL (:shared_domains)")

_CARD: Final = """
    WITH fresh AS (SELECT DISTINCT fingerprint FROM card_fingerprint WHERE first_seen_at >= :from_when),
    shared AS (
        SELECT fingerprint, count(*) AS value, (array_agg(organisation_id))[1:11] AS organisations
        FROM card_fingerprint JOIN fresh USING (fingerprint) GROUP BY fingerprint HAVING count(*) >= :begins
    )
    SELECT c.organisation_id, shared.value, shared.organisations
    FROM shared JOIN card_fingerprint AS c USING (fingerprint)
    JOIN organisation AS o ON o.id = c.organisation_id AND o.status <> 'closed'
    ORDER BY shared.value DESC, c.organisation_id LIMIT :most
"""
_SPIKE: Final = """
    SELECT now.organisation_id, '{}'::uuid[] AS organisations,
        least(now.sale::numeric * :hours / greatest(coalesce(past.sale, 0), 1), 1000)::int AS value
    FROM abuse_hour AS now
    JOIN organisation AS o ON o.id = now.organisation_id AND o.status <> 'closed'
    JOIN unnest(CAST(:assets AS text[]), CAST(:floors AS bigint[])) AS floor (asset, units)
        ON floor.asset = o.currency AND now.sale >= floor.units
    LEFT JOIN LATERAL (SELECT sum(sale) AS sale FROM abuse_hour AS h
        WHERE h.organisation_id = now.organisation_id AND h.hour >= now.hour - CAST(:baseline AS interval)
            AND h.hour < now.hour) AS past ON true
    WHERE now.hour >= :hour AND now.sale::numeric * :hours >= :begins * coalesce(past.sale, 0)
    ORDER BY value DESC, now.organisation_id LIMIT :most
"""
_STORM: Final = """
    SELECT h.organisation_id, least(h.failures, 1000000)::int AS value, '{}'::uuid[] AS organisations
    FROM abuse_hour AS h JOIN organisation AS o ON o.id = h.organisation_id AND o.status <> 'closed'
    WHERE h.hour >= :hour AND h.failures >= :begins AND h.failures * 100 >= h.requests * :percent
    ORDER BY value DESC, h.organisation_id LIMIT :most
"""
_ADD_UP: Final = sa.text(
    """
    INSERT INTO abuse_hour (organisation_id, hour, sale, requests, failures)
    SELECT o.id, date_trunc('hour', u.started_at, 'UTC'), sum(u.sale), count(*),
        count(*) FILTER (WHERE u.status >= 400)
    FROM organisation AS o JOIN usage AS u ON u.organisation_id = o.id
    WHERE o.status <> 'closed' AND u.started_at >= :start AND u.started_at < :until
    GROUP BY 1, 2
    ON CONFLICT (organisation_id, hour) DO UPDATE SET sale = abuse_hour.sale + excluded.sale,
        requests = abuse_hour.requests + excluded.requests, failures = abuse_hour.failures + excluded.failures
    """
)


async def add_up(tx: Transaction, now: datetime) -> tuple[datetime, bool]:
    """Add a slice of usage to the hours it began in.

    Answers where the slice began, and whether another is waiting. Each slice is added once: the mark is
    locked, and moves in the same transaction.
    """
    end = now - SETTLED_AFTER
    first = sa.text("INSERT INTO abuse_mark (seen_until) VALUES (:first) ON CONFLICT DO NOTHING")
    await tx.execute(first, {"first": end - SLICE})
    start = (await tx.execute(sa.text("SELECT seen_until FROM abuse_mark FOR UPDATE"))).scalar_one()
    start = max(start, end - BASELINE)
    until = min(end, start + SLICE)
    if until > start:
        await tx.execute(_ADD_UP, {"start": start, "until": until})
        await tx.execute(sa.text("UPDATE abuse_mark SET seen_until = :until"), {"until": until})
    gone = {"before": end - BASELINE - timedelta(hours=2)}
    await tx.execute(sa.text("DELETE FROM abuse_hour WHERE hour < :before"), gone)
    return start, until < end


async def observe(tx: Transaction, now: datetime, *, used_since: datetime) -> list[Observed]:
    """All that the rules see. `used_since`: hours of usage that changed, the one it is in included."""
    opened = {"since": uuid7(ms_of_moment(now - WINDOW), 0)}
    used = {"hour": used_since.replace(minute=0, second=0, microsecond=0)}
    shared = {"shared_domains": sorted(SHARED_DOMAINS)}
    hours = int(BASELINE.total_seconds()) // 3600
    spike = {
        "assets": list(SPIKE_FLOOR_MAJOR),
        "floors": [major * 10 ** asset_scale(asset) for asset, major in SPIKE_FLOOR_MAJOR.items()],
        "hours": hours,
        "baseline": BASELINE,
    }
    questions: tuple[tuple[Rule, str, Mapping[str, Any]], ...] = (
        (Rule.ACCOUNTS_PER_NETWORK, _NETWORK, opened),
        (Rule.ACCOUNTS_PER_DEVICE, _DEVICE, opened),
        (Rule.ACCOUNTS_PER_DOMAIN, _DOMAIN, opened | shared),
        (Rule.ACCOUNTS_PER_CARD, _CARD, {"from_when": now - WINDOW}),
        (Rule.SPEND_SPIKE, _SPIKE, used | spike),
        (Rule.ERROR_STORM, _STORM, used | {"percent": STORM_FAILED_PERCENT}),
    )
    return [one for rule, question, values in questions for one in await _asked(tx, rule, question, values)]


async def _asked(tx: Transaction, rule: Rule, question: str, values: Mapping[str, Any]) -> list[Observed]:
    given = {**values, "begins": RULES[rule].begins, "most": OBSERVED_MAX}
    rows = (await tx.execute(sa.text(question), given)).all()
    return [
        Observed(
            organisation_id=row.organisation_id,
            rule=rule,
            value=row.value,
            organisations=_others(row.organisation_id, row.organisations),
        )
        for row in rows
    ]


def _others(one: UUID, organisations: list[UUID]) -> tuple[UUID, ...]:
    return tuple(other for other in organisations if other != one)[:NEIGHBOURS_MAX]
