"""Requests that wait long for their first output leave a mark too: a crash must not lose the provider's bill.

The customer owes nothing for them; what the provider charges is booked as estimated (MONEY §3, "Marks").
"""

from typing import Final

from bursar.core.payer import Outcome
from bursar.gateway.runtime import Gateway
from bursar.gateway.settle import leave_mark
from bursar.gateway.ticket import Ticket

MARKED_AFTER_MS: Final = 1_000
"""Shorter requests leave none: two rows instead of one for each would cost more than it saves.

`bursar_insert_usage` relies on it: it looks for the mark of a whole answer only when that took so long.
"""


def mark_the_unanswered(gw: Gateway) -> None:
    """Call about once a second. Grows with the requests under way."""
    now_ms = gw.clock.monotonic_ms()
    for ticket in list(gw.under_way.values()):
        if not ticket.hold.is_open:
            gw.under_way.pop(ticket.request_id, None)  # ended on a byway
        elif now_ms - ticket.started_mono_ms >= MARKED_AFTER_MS and now_ms >= ticket.mark_due_ms:
            _mark(gw, ticket, now_ms)


def _mark(gw: Gateway, ticket: Ticket, now_ms: int) -> None:
    attempt = ticket.attempt
    if attempt is not None and attempt.sent and not attempt.exchange.measured.output_started:
        leave_mark(gw, ticket, attempt, Outcome.CRASHED_UNANSWERED)
        ticket.mark_due_ms = now_ms + gw.limits.mark_interval_ms
