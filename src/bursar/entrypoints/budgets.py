"""Telling people that budgets run out, as a round of the worker."""

from collections.abc import Sequence

import structlog

from bursar.db.engine import Database
from bursar.entrypoints.rounds import Round
from bursar.features.budgets.tasks import ALERT_EVERY_MS, TOLD_PER_ROUND, tell_of_budgets
from bursar.rest.edge import Edge
from bursar.settings import Settings

log = structlog.get_logger()


def budget_rounds(settings: Settings, database: Database, edge: Edge) -> Sequence[Round]:
    public_url = settings.public_url.rstrip("/")

    async def alerts() -> bool:
        async with database.transaction() as tx:
            told = await tell_of_budgets(tx, edge.now(), public_url=public_url)
        if told:
            log.info("budgets.told", number=told)
        return told >= TOLD_PER_ROUND

    return [Round(name="budgets", every_ms=ALERT_EVERY_MS, run=alerts)]
