"""Looking for abuse, as a round of the worker."""

from bursar.core.abuse import Thresholds
from bursar.db.engine import Database
from bursar.entrypoints.rounds import Round
from bursar.features.abuse.watching import Watch
from bursar.rest.edge import Edge
from bursar.settings import Settings


def abuse_round(settings: Settings, database: Database, edge: Edge) -> Round:
    thresholds = Thresholds(queue=settings.abuse_queue_score, suspend=settings.abuse_suspend_score)
    watch = Watch(database, edge, thresholds)
    return Round(name="abuse", every_ms=settings.abuse_every_ms, run=watch.run)
