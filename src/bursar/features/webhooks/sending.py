"""Deliveries: taken, sent outside of any transaction, and written down.

A worker that dies in between loses nothing: its claim ends and another sends again, under the same
`webhook-id`, by which a receiver knows a message it has had.
"""

import asyncio
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from bursar.adapters.webhooks import Answer, NotSent, Sender
from bursar.core.webhooks import GONE, OK_STATUSES, EventType, message_name, pause_ms, signed_headers
from bursar.db.engine import Database, Transaction
from bursar.db.secrets import SealBroken
from bursar.features.webhooks import waiting
from bursar.features.webhooks.waiting import Claimed
from bursar.rest.edge import Edge
from bursar.rest.mails import WebhookDisabled, ask_for_mail
from bursar.rest.secret_text import Seal
from bursar.rest.webhook_events import ask_for_webhook

log = structlog.get_logger()

PER_ROUND_MAX: Final = 50
PER_ENDPOINT_MAX: Final = 5
CLAIM_LIFE: Final = timedelta(minutes=2)
"""Far longer than the slowest answer that is waited for."""

DISABLED_AFTER: Final = timedelta(days=5)
"""What the specification gives as an example. Longer than a long weekend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one try. Without an answer, `error` says why."""

    at: datetime
    duration_ms: int
    answer: Answer | None = None
    error: str | None = None

    @property
    def is_delivered(self) -> bool:
        return self.answer is not None and self.answer.status in OK_STATUSES


class Dispatcher:
    """Call `run` every second or so, in the worker's role. Two at once share the work."""

    def __init__(self, database: Database, sender: Sender, seal: Seal, edge: Edge) -> None:
        self._database = database
        self._sender = sender
        self._seal = seal
        self._edge = edge

    async def run(self) -> bool:
        """Send what is due, at most PER_ROUND_MAX; True when there may be more."""
        now = self._edge.now()
        async with self._database.transaction() as tx:
            claimed = await waiting.claim(
                tx, now=now, until=now + CLAIM_LIFE, most=PER_ROUND_MAX, each=PER_ENDPOINT_MAX
            )
        async with asyncio.TaskGroup() as group:
            for one in claimed:
                group.create_task(self._deliver(one))
        return len(claimed) > 0

    async def _deliver(self, claimed: Claimed) -> None:
        try:
            outcome = await self._send(claimed)
            async with self._database.transaction() as tx:
                await self._record(tx, claimed, outcome)
        except Exception:  # the others go on; this one is taken again when the claim ends
            log.exception("webhook.not_recorded", delivery_id=str(claimed.id))

    async def _send(self, claimed: Claimed) -> Outcome:
        at, began_ms = self._edge.now(), self._edge.clock.monotonic_ms()
        answer, error = None, None
        try:
            body = claimed.body.encode()
            headers = signed_headers(
                (self._seal.open(sealed).decode() for sealed in claimed.secrets),
                message_id=message_name(claimed.message_id),
                timestamp_s=self._edge.now_ms() // 1000,
                body=body,
            )
            answer = await self._sender.send(claimed.url, body, headers)
        except NotSent as failure:
            error = str(failure)
        except SealBroken:
            error = "its secret cannot be opened: rotate it"
        duration_ms = self._edge.clock.monotonic_ms() - began_ms
        return Outcome(at=at, duration_ms=duration_ms, answer=answer, error=error)

    async def _record(self, tx: Transaction, claimed: Claimed, outcome: Outcome) -> None:
        now = self._edge.now()
        await waiting.insert_attempt(tx, _attempt(claimed, outcome))
        if outcome.is_delivered:
            await waiting.set_outcome(tx, claimed, status="delivered", ended_at=now)
            await waiting.mark_healthy(tx, claimed.endpoint_id)
            return
        since = await waiting.mark_failing(tx, claimed.endpoint_id, now)
        is_gone = outcome.answer is not None and outcome.answer.status == GONE
        pause = None if is_gone else self._pause(claimed, outcome)
        if pause is not None:
            await waiting.set_outcome(tx, claimed, due_at=now + pause)
            return
        await waiting.set_outcome(tx, claimed, status="failed", ended_at=now)
        if is_gone or (since is not None and since <= now - DISABLED_AFTER):
            await self._disable(tx, claimed, "gone" if is_gone else "failing", since or now)

    def _pause(self, claimed: Claimed, outcome: Outcome) -> timedelta | None:
        asked_s = None if outcome.answer is None else outcome.answer.retry_after_s
        pause = pause_ms(claimed.tries, jitter=secrets.randbelow(1_001), retry_after_s=asked_s)
        return None if pause is None else timedelta(milliseconds=pause)

    async def _disable(self, tx: Transaction, claimed: Claimed, reason: str, since: datetime) -> None:
        """The endpoint gets nothing more until somebody makes it active; its owner is told."""
        if not await waiting.disable(tx, claimed.endpoint_id, reason):
            return  # somebody else did, and told
        log.warning("webhook.disabled", endpoint_id=str(claimed.endpoint_id), reason=reason)
        now = self._edge.now()
        about = {"endpoint_id": str(claimed.endpoint_id), "url": claimed.url, "reason": reason}
        await ask_for_webhook(
            tx, EventType.WEBHOOK_DISABLED, about, organisation_id=claimed.organisation_id, now=now
        )
        owner = await waiting.owner_of(tx, claimed.organisation_id)
        if owner is None:
            log.info("webhook.nobody_to_tell", organisation_id=str(claimed.organisation_id))
            return
        await ask_for_mail(
            tx,
            WebhookDisabled(organisation=owner["organisation"], url=claimed.url[:300], since=since),
            to=owner["email"],
            locale=owner["locale"],
            intent=_disabled_intent(claimed.endpoint_id, now),
            now=now,
            organisation_id=claimed.organisation_id,
        )


def _disabled_intent(endpoint_id: UUID, now: datetime) -> str:
    return f"webhook_disabled:{endpoint_id}:{now.isoformat()}"


def _attempt(claimed: Claimed, outcome: Outcome) -> dict[str, object]:
    return {
        "delivery_id": claimed.id,
        "organisation_id": claimed.organisation_id,
        "number": claimed.attempts,
        "at": outcome.at,
        "duration_ms": outcome.duration_ms,
        "status": None if outcome.answer is None else outcome.answer.status,
        "error": outcome.error,
        "answer": "" if outcome.answer is None else outcome.answer.excerpt,
    }
