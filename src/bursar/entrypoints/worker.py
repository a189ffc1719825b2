"""`bursar worker`: posting, sweeping, sealing the audit log, partitions, events, purges, the books check.

Also the one switchboard from an event of the outbox to what it sets off.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

import structlog

from bursar.db import outbox as events
from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.db.outbox import PER_ROUND_MAX, Handler, deliver
from bursar.db.partitions import make_ahead
from bursar.db.posting import post_pending
from bursar.db.responses import PURGED_PER_ROUND, purge
from bursar.db.sweeping import Sweeper
from bursar.entrypoints.abuse import abuse_round
from bursar.entrypoints.actors import system_actor
from bursar.entrypoints.auditing import audit_rounds
from bursar.entrypoints.balances import balance_rounds
from bursar.entrypoints.books import check_round
from bursar.entrypoints.budgets import budget_rounds
from bursar.entrypoints.children import until_told
from bursar.entrypoints.key_expiry import key_rounds
from bursar.entrypoints.mailing import mail_handlers, mail_rounds, office_of
from bursar.entrypoints.rounds import Round, go_round
from bursar.entrypoints.serve import run_loop
from bursar.entrypoints.webhooks import webhook_rounds
from bursar.features.accounts import tasks as accounts
from bursar.features.mail.office import PostOffice
from bursar.features.providers.tasks import alarm_refused_credential
from bursar.features.webhooks.tasks import fanning_out
from bursar.rest.edge import Edge, SystemClock
from bursar.settings import Settings

log = structlog.get_logger()

HANDLERS: Final[Mapping[str, Handler]] = {
    "credential.refused": alarm_refused_credential,
    **accounts.handlers(Edge(SystemClock())),
    "webhook": fanning_out(Edge(SystemClock())),
}
"""Topic of an event → what it sets off; features add theirs here."""


def run_worker(settings: Settings, dsn: str, *, with_parent: bool) -> None:
    """Work until told to stop; what is under way is finished first."""
    run_loop(work(settings, dsn, with_parent=with_parent))


async def work(settings: Settings, dsn: str, *, with_parent: bool) -> None:
    database = Database(dsn, Role.WORKER, actor=system_actor())
    office = office_of(settings, Edge(SystemClock()))
    stop = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(go_round(rounds(settings, database, office), stop))
            log.info("worker.started", mail_servers=len(office.servers))
            await until_told(with_parent=with_parent)
            stop.set()
    finally:
        await office.servers.close()
        await database.close()
    log.info("worker.stopped")


def rounds(settings: Settings, database: Database, office: PostOffice) -> Sequence[Round]:
    edge = Edge(SystemClock())
    life = timedelta(milliseconds=settings.process_dead_ms)
    sweeper = Sweeper(database, SystemClock(), life=life)

    async def post() -> bool:
        posted = await post_pending(database, edge.now())
        if posted.failed:
            log.error("posting.stuck", wallets=[str(wallet) for wallet in posted.failed])
        return False

    async def sweep() -> bool:
        await sweeper.sweep()
        return False

    async def outbox() -> bool:
        handlers = {**HANDLERS, **mail_handlers(office)}
        return await deliver(database, handlers, edge.now()) == PER_ROUND_MAX

    async def partitions() -> bool:
        async with database.transaction() as tx:
            for month in await make_ahead(tx, edge.now().date()):
                log.info("partition.made", month=month.isoformat())
        return False

    return [
        Round(name="posting", every_ms=settings.post_every_ms, run=post),
        Round(name="sweeping", every_ms=settings.sweep_every_ms, run=sweep),
        Round(name="outbox", every_ms=settings.outbox_every_ms, run=outbox),
        Round(name="partitions", every_ms=settings.partitions_every_ms, run=partitions),
        *purge_rounds(settings, database, edge),
        *audit_rounds(settings, database, edge),
        *webhook_rounds(settings, database, edge),
        abuse_round(settings, database, edge),
        *budget_rounds(settings, database, edge),
        *key_rounds(settings, database, edge),
        *mail_rounds(settings, database, office),
        *balance_rounds(settings, database, edge),
        Round(name="books", every_ms=settings.check_every_ms, run=lambda: check_round(database, life)),
    ]


def purge_rounds(settings: Settings, database: Database, edge: Edge) -> Sequence[Round]:
    """What was kept for its time and no longer."""

    async def responses() -> bool:
        async with database.transaction() as tx:
            gone = await purge(tx, edge.now())
        if gone:
            log.info("responses.purged", number=gone)
        return gone == PURGED_PER_ROUND

    async def old_events() -> bool:
        async with database.transaction() as tx:
            return await events.purge(tx, edge.now()) == events.PURGED_PER_ROUND

    async def old_accounts() -> bool:
        async with database.transaction() as tx:
            return await accounts.purge(tx, edge.now()) >= accounts.PURGED_PER_ROUND

    return [
        Round(name="responses", every_ms=settings.purge_every_ms, run=responses),
        Round(name="events", every_ms=settings.purge_every_ms, run=old_events),
        Round(name="accounts", every_ms=settings.purge_every_ms, run=old_accounts),
    ]
