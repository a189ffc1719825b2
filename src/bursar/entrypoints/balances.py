"""Telling people that balances run low, as a round of the worker."""

from collections.abc import Sequence

import structlog

from bursar.db.engine import Database
from bursar.entrypoints.rounds import Round
from bursar.features.wallet.low_balance import TELL_EVERY_MS, TOLD_PER_ROUND, tell_of_low_balances
from bursar.rest.edge import Edge
from bursar.settings import Settings

log = structlog.get_logger()


def balance_rounds(settings: Settings, database: Database, edge: Edge) -> Sequence[Round]:
    public_url = settings.public_url.rstrip("/")

    async def low_balances() -> bool:
        async with database.transaction() as tx:
            told = await tell_of_low_balances(tx, edge.now(), public_url=public_url)
        if told:
            log.info("balances.told", number=told)
        return told >= TOLD_PER_ROUND

    return [Round(name="balances", every_ms=TELL_EVERY_MS, run=low_balances)]
