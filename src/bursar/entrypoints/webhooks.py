"""Sending customers' webhooks, as rounds of the worker."""

from collections.abc import Sequence

import structlog

from bursar.adapters.webhooks.pinned import PinnedSender
from bursar.db.engine import Database
from bursar.db.secrets import SecretBox
from bursar.entrypoints.rounds import Round
from bursar.features.webhooks.sending import Dispatcher
from bursar.features.webhooks.tasks import FORGOTTEN_PER_ROUND, forget
from bursar.rest.edge import Edge
from bursar.settings import Settings, secret_key_of

log = structlog.get_logger()


def webhook_rounds(settings: Settings, database: Database, edge: Edge) -> Sequence[Round]:
    sender = PinnedSender(allows_loopback=settings.webhooks_to_loopback)
    dispatcher = Dispatcher(database, sender, SecretBox(secret_key_of(settings)), edge)

    async def old_ones() -> bool:
        async with database.transaction() as tx:
            gone = await forget(tx, edge.now())
        if gone:
            log.info("webhooks.forgotten", number=gone)
        return gone == FORGOTTEN_PER_ROUND

    return [
        Round(name="webhooks", every_ms=settings.webhooks_every_ms, run=dispatcher.run),
        Round(name="webhook log", every_ms=settings.purge_every_ms, run=old_ones),
    ]
