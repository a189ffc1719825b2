"""Warning people of keys that expire, as a round of the worker."""

from collections.abc import Sequence

import structlog

from bursar.db.engine import Database
from bursar.entrypoints.rounds import Round
from bursar.features.keys.notices import WARN_EVERY_MS, tell_of_expiring_keys
from bursar.rest.edge import Edge
from bursar.settings import Settings

log = structlog.get_logger()


def key_rounds(settings: Settings, database: Database, edge: Edge) -> Sequence[Round]:
    public_url = settings.public_url.rstrip("/")

    async def warnings() -> bool:
        async with database.transaction() as tx:
            warned = await tell_of_expiring_keys(tx, edge.now(), public_url=public_url)
        if warned:
            log.info("keys.expiry_told", number=warned)
        return False  # who was just told of has no mail yet, and would be told of again

    return [Round(name="key_expiry", every_ms=WARN_EVERY_MS, run=warnings)]
