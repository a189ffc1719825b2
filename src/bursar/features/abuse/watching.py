"""The worker's round: observe, weigh, queue suspects for an operator, suspend the worst at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert

from bursar.core.abuse import (
    RULES,
    Observed,
    Rule,
    Thresholds,
    Verdict,
    heaviest,
    points,
    score,
    strongest,
    verdict,
)
from bursar.db.engine import Database, Transaction
from bursar.db.tables import abuse_suspect
from bursar.features.abuse import observing
from bursar.features.abuse.suspending import suspend
from bursar.rest.edge import Edge

log = structlog.get_logger()

CLEARED_FOR: Final = timedelta(days=30)
"""So long an operator's word holds for the rules he was shown; another rule makes a new suspect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What there is of an organisation: its undecided case, and the rules it was cleared of."""

    suspect_id: UUID | None = None
    status: str | None = None
    findings: tuple[Observed, ...] = ()
    cleared: frozenset[Rule] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that is found of an organisation, the strongest of each rule."""

    organisation_id: UUID
    found: Mapping[Rule, Observed]

    @property
    def values(self) -> dict[Rule, int]:
        return {rule: one.value for rule, one in self.found.items()}

    @property
    def score(self) -> int:
        return score(self.values)

    def as_json(self) -> list[dict[str, Any]]:
        return [
            {
                "rule": rule.value,
                "value": one.value,
                "points": points(rule, one.value),
                "organisations": [str(other) for other in one.organisations],
            }
            for rule, one in self.found.items()
        ]


class Watch:
    """Call `run` every minute, in the worker's role. Two at once do no harm."""

    def __init__(self, database: Database, edge: Edge, thresholds: Thresholds) -> None:
        self._database = database
        self._edge = edge
        self._thresholds = thresholds

    async def run(self) -> bool:
        """Look once; True when more usage waits to be added up.

        Grows with the accounts opened in the last day, the usage since the last look and the number of
        organisations that are not closed.
        """
        now = self._edge.now()
        async with self._database.transaction() as tx:
            used_since, is_more = await observing.add_up(tx, now)
            observed = await observing.observe(tx, now, used_since=used_since)
        for organisation_id, seen in _by_organisation(observed).items():
            async with self._database.transaction() as tx:
                await self._judge(tx, organisation_id, seen, now)
        return is_more

    async def _judge(
        self, tx: Transaction, organisation_id: UUID, seen: Sequence[Observed], now: datetime
    ) -> None:
        """Each in a transaction of its own, so that none waits for another's mail."""
        known = await _known(tx, organisation_id, now)
        found = strongest([*known.findings, *(one for one in seen if one.rule not in known.cleared)])
        case = Case(organisation_id=organisation_id, found=found)
        what = verdict(case.score, self._thresholds)
        if known.suspect_id is None and what is Verdict.NOTHING:
            return  # what only looks odd is not written down
        suspect_id = await self._write(tx, case, known.suspect_id, now)
        if suspect_id is not None and what is Verdict.SUSPEND and known.status in {None, "open"}:
            await self._suspend(tx, case, suspect_id, now)

    async def _write(
        self, tx: Transaction, case: Case, suspect_id: UUID | None, now: datetime
    ) -> UUID | None:
        """None: another worker was first; it judges too."""
        seen = {"score": case.score, "findings": case.as_json(), "last_seen_at": now}
        if suspect_id is not None:
            change = sa.update(abuse_suspect).where(abuse_suspect.c.id == suspect_id)
            await tx.execute(change.values(**seen))
            return suspect_id
        row = {
            **seen,
            "id": self._edge.new_id(),
            "organisation_id": case.organisation_id,
            "status": "open",
            "first_seen_at": now,
        }
        adding = insert(abuse_suspect).values(**row).on_conflict_do_nothing().returning(abuse_suspect.c.id)
        made: UUID | None = (await tx.execute(adding)).scalar_one_or_none()
        log.warning("abuse.suspected", organisation_id=str(case.organisation_id), score=case.score)
        return made

    async def _suspend(self, tx: Transaction, case: Case, suspect_id: UUID, now: datetime) -> None:
        why = RULES[heaviest(case.values)].told
        if await suspend(tx, case.organisation_id, suspect_id=suspect_id, why=why, now=now):
            change = sa.update(abuse_suspect).where(abuse_suspect.c.id == suspect_id)
            await tx.execute(change.values(status="suspended", suspended_at=now))
            log.warning("abuse.suspended", organisation_id=str(case.organisation_id))


async def _known(tx: Transaction, organisation_id: UUID, now: datetime) -> Known:
    question = (
        sa.select(abuse_suspect.c.id, abuse_suspect.c.status, abuse_suspect.c.findings)
        .where(
            abuse_suspect.c.organisation_id == organisation_id,
            sa.or_(
                abuse_suspect.c.status.in_(("open", "suspended")),
                sa.and_(abuse_suspect.c.status == "cleared", abuse_suspect.c.decided_at > now - CLEARED_FOR),
            ),
        )
        .with_for_update()
    )
    rows = (await tx.execute(question)).all()
    cleared = {Rule(one["rule"]) for row in rows if row.status == "cleared" for one in row.findings}
    for row in rows:
        if row.status != "cleared":
            return Known(
                suspect_id=row.id,
                status=row.status,
                findings=tuple(_observed(organisation_id, one) for one in row.findings),
                cleared=frozenset(cleared),
            )
    return Known(cleared=frozenset(cleared))


def _by_organisation(observed: Sequence[Observed]) -> dict[UUID, list[Observed]]:
    found: dict[UUID, list[Observed]] = {}
    for one in observed:
        found.setdefault(one.organisation_id, []).append(one)
    return found


def _observed(organisation_id: UUID, finding: Mapping[str, Any]) -> Observed:
    return Observed(
        organisation_id=organisation_id,
        rule=Rule(finding["rule"]),
        value=finding["value"],
        organisations=tuple(UUID(one) for one in finding["organisations"]),
    )
