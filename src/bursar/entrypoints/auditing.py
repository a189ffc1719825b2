"""The worker's rounds of the audit log and of what people ask of their data."""

from collections.abc import Sequence
from datetime import timedelta

from bursar.core.audit_chain import mark_key
from bursar.db.audit import SEALED_PER_ROUND, Sealer
from bursar.db.engine import Database
from bursar.entrypoints.rounds import Round
from bursar.features.data_rights import tasks
from bursar.rest.edge import Edge
from bursar.settings import Settings, secret_key_of


def audit_rounds(settings: Settings, database: Database, edge: Edge) -> Sequence[Round]:
    sealer = Sealer(database, mark_key(secret_key_of(settings)))
    life = timedelta(days=settings.export_life_days)

    async def seal() -> bool:
        return await sealer.run() == SEALED_PER_ROUND

    async def exports() -> bool:
        await tasks.expire_exports(database, edge.now())
        return await tasks.make_export(database, edge, life=life, public_url=settings.public_url.rstrip("/"))

    async def erasures() -> bool:
        return await tasks.erase_due(database, edge.now()) == tasks.ERASED_PER_ROUND

    return [
        Round(name="audit", every_ms=settings.seal_every_ms, run=seal),
        Round(name="exports", every_ms=settings.purge_every_ms, run=exports),
        Round(name="erasures", every_ms=settings.purge_every_ms, run=erasures),
    ]
