"""Tell the books what this process knows of providers: refusals at once, health every ten seconds.

Nothing waits for it, and what PostgreSQL cannot take now is told when it is back.
"""

import asyncio
from typing import Final

import orjson
import structlog

from bursar.gateway.runtime import Gateway

log = structlog.get_logger()

TELL_INTERVAL_S: Final = 1.0
REPORT_EVERY: Final = 10  # tellings


async def tell_books(gw: Gateway) -> None:
    """Tell for ever."""
    teller = Teller(gw)
    number = 0
    while True:
        await asyncio.sleep(TELL_INTERVAL_S)
        number += 1
        try:
            await teller.tell_refusals()
            if number % REPORT_EVERY == 0:
                await teller.report()
        except gw.books.unavailable as error:
            log.debug("health.not_told", error=str(error))
        except Exception:
            log.exception("health.telling_failed")


class Teller:
    """What was told last, so that a process without traffic says nothing over and over."""

    def __init__(self, gw: Gateway) -> None:
        self._gw = gw
        self._said_nothing = True

    async def tell_refusals(self) -> None:
        """Raises the books' `unavailable`; what was not told yet stays to be told."""
        books, routing = self._gw.books, self._gw.routing
        for credential_id, refusal in list(routing.refused.items()):
            await books.credential_refused(
                credential_id, refusal.provider_id, refusal.kind, refusal.upstream_status
            )
            if routing.refused.get(credential_id) is refusal:
                del routing.refused[credential_id]
        for credential_id in list(routing.accepted):
            await books.credential_accepted(credential_id)
            routing.accepted.discard(credential_id)

    async def report(self) -> None:
        """Replace what this process said before; raises the books' `unavailable`."""
        gw = self._gw
        rows = gw.routing.report(gw.clock.monotonic_ms())
        if not rows and self._said_nothing:
            return
        await gw.books.report_health(gw.process.process_id, orjson.dumps(rows))
        self._said_nothing = not rows
