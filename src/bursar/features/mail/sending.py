"""A round of sending: claim a mail, hand it over outside any transaction, record what came of it.

Two workers never send the same mail: a claim is taken under a row lock that the other one skips, and is left
alone until it runs out. It runs out only when its worker died; every try ends long before.
"""

import asyncio
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bursar.adapters.mail import Mail, MailFailed, MailRefused, ServerUnusable
from bursar.db.engine import Database
from bursar.features.mail import queries
from bursar.features.mail.office import PostOffice, State
from bursar.features.mail.rendering import render
from bursar.features.mail.unsubscribing import Wish, link_of
from bursar.rest.mails import KINDS

log = structlog.get_logger()

LANES: Final = 4
"""Mails under way at once in one worker."""

ROUND_S_MAX: Final = 10
"""After so long a round begins no mail: a worker that is told to stop waits for it."""

TRY_S_MAX: Final = 60
"""For all servers together; then nobody knows whether the mail was taken, and it is tried later."""

RECORD_PAUSES_S: Final = (0.2, 1, 2, 4, 8, 15, 30)
"""An outcome is worth a minute of waiting for the database."""

CLAIM_LIFE: Final = timedelta(seconds=600)
FIRST_PAUSE: Final = timedelta(seconds=15)
PAUSE_MAX: Final = timedelta(hours=1)
ATTEMPTS_MAX: Final = 24
"""With these pauses about 17 hours: longer than servers are away, shorter than anybody waits for a mail."""

SAID_LENGTH_MAX: Final = 300
ADDRESS: Final = re.compile(r"<?[^\s<>]+@[^\s<>]+>?")
LINK: Final = re.compile(r"https?://\S+")

KEPT: Final = timedelta(days=90)
"""How long the log tells that a mail was sent, or was not wanted."""

DEAD_KEPT: Final = timedelta(days=30)
"""How long a dead mail may be revived; until then its values are kept, sealed."""

PURGED_PER_ROUND: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one try. `said`: the server's words. `server`: the one that said it."""

    state: State
    said: str
    server: str | None = None


async def send_round(database: Database, office: PostOffice) -> bool:
    """Send what is due over a few lanes; True: there may be more. Without a server mails wait."""
    if not office.servers:
        return False
    end_s = asyncio.get_running_loop().time() + ROUND_S_MAX
    lanes = [_lane(database, office, end_s) for _ in range(LANES)]
    # Not a TaskGroup: when the database fails one lane, the others still end what a server may have taken.
    ended = await asyncio.gather(*lanes, return_exceptions=True)
    failures = [one for one in ended if isinstance(one, BaseException)]
    if failures:
        raise failures[0]
    return any(ended)


async def _lane(database: Database, office: PostOffice, end_s: float) -> bool:
    while asyncio.get_running_loop().time() < end_s:
        if not await send_one(database, office):
            return False
    return True


async def send_one(database: Database, office: PostOffice) -> bool:
    """Send the next mail that is due; False when there is none."""
    claim, now = office.edge.new_id(), office.edge.now()
    async with database.transaction() as tx:
        row = await queries.claim_next(tx, claim=claim, now=now, until=now + CLAIM_LIFE)
    if row is None:
        return False
    outcome = await _attempt(office, row)
    await _record(database, office, row, claim, outcome)
    return True


async def _attempt(office: PostOffice, row: sa.RowMapping) -> Outcome:
    try:
        mail = _written(office, row)
    except Exception as error:  # another secret key, or a bug of ours: trying again would not help
        log.exception("mail.unwritable", mail_id=str(row["id"]), template=row["template"])
        return Outcome(state="dead", said=f"cannot be written: {type(error).__name__}")
    try:
        async with asyncio.timeout(TRY_S_MAX):
            return await _handed_over(office, mail, row["attempts"])
    except TimeoutError:
        return Outcome(state="waiting", said="timed out; it may have been taken")
    except Exception as error:  # a bug of ours; it must not hold up this mail until its claim runs out
        log.exception("mail.try_failed", mail_id=str(row["id"]), template=row["template"])
        return Outcome(state="waiting", said=f"failed: {type(error).__name__}")


async def _handed_over(office: PostOffice, mail: Mail, attempt: int) -> Outcome:
    """Ask one server after the other, but only while it is certain that nothing was handed over."""
    outcome = Outcome(state="waiting", said="no mail server")
    for mailer in office.servers.in_order(attempt, office.edge.now()):
        try:
            return Outcome(state="sent", said=await mailer.send(mail), server=mailer.name)
        except ServerUnusable as failure:
            office.servers.shun(mailer, office.edge.now())
            log.warning("mail.server_unusable", server=mailer.name, said=without_secrets(failure.said))
            outcome = Outcome(state="waiting", said=failure.said, server=mailer.name)
        except MailRefused as failure:
            return Outcome(state="dead", said=failure.said, server=mailer.name)
        except MailFailed as failure:
            return Outcome(state="waiting", said=failure.said, server=mailer.name)
    return outcome


def _written(office: PostOffice, row: sa.RowMapping) -> Mail:
    """Raises `db.secrets.SealBroken`, or what shows a bug: values were checked when the mail was taken in."""
    values = KINDS[row["template"]].model_validate(office.opened(row["sealed"]))
    off = None
    if values.choice is not None:
        wish = Wish(unsubscribe=values.choice, recipient=row["recipient"], locale=row["locale"])
        off = link_of(wish, office.seal, office.brand.public_url)
    told = render(values, row["locale"], office.brand, unsubscribe=off)
    return Mail(
        message_id=row["message_id"],
        sender=office.brand.sender,
        sender_name=office.brand.name,
        reply_to=office.brand.support or None,
        to=row["recipient"],
        subject=told.subject,
        text=told.text,
        html=told.html,
        written_at=row["created_at"],
        unsubscribe=off,
    )


async def _record(
    database: Database, office: PostOffice, row: sa.RowMapping, claim: UUID, outcome: Outcome
) -> None:
    now, said = office.edge.now(), without_secrets(outcome.said)
    state: State = outcome.state
    if state == "waiting" and row["attempts"] >= ATTEMPTS_MAX:
        state = "dead"
    changes: dict[str, Any] = {"state": state, "said": said, "server": outcome.server}
    if state == "waiting":
        changes["due_at"] = now + pause_after(row["attempts"])
    else:
        changes["ended_at"] = now
    if state == "sent":
        changes["sealed"] = None
    is_ours = await _written_down(database, row["id"], claim, changes)
    told = {"mail_id": str(row["id"]), "template": row["template"], "attempts": row["attempts"]}
    tell = log.error if state == "dead" or not is_ours else log.info
    tell(f"mail.{state}" if is_ours else "mail.claim_lost", **told, server=outcome.server, said=said)


async def _written_down(database: Database, mail_id: UUID, claim: UUID, changes: dict[str, Any]) -> bool:
    """False: the claim is somebody else's. A database that is away for a moment costs no second copy."""
    for pause_s in RECORD_PAUSES_S:
        try:
            async with database.transaction() as tx:
                return await queries.record(tx, mail_id, claim, changes)
        except (DBAPIError, PoolTimeoutError, OSError) as error:
            log.warning("mail.not_recorded_yet", mail_id=str(mail_id), error=type(error).__name__)
            await asyncio.sleep(pause_s)
    async with database.transaction() as tx:
        return await queries.record(tx, mail_id, claim, changes)


def pause_after(attempts: int) -> timedelta:
    """Doubled each time, up to a limit."""
    doublings = min(attempts, ATTEMPTS_MAX) - 1
    return min(FIRST_PAUSE * (1 << doublings), PAUSE_MAX)


def without_secrets(said: str) -> str:
    """A server's words without addresses and links: it may quote the mail."""
    return LINK.sub("<link>", ADDRESS.sub("<address>", said))[:SAID_LENGTH_MAX]


async def purge(database: Database, now: datetime) -> bool:
    """Delete old lines of the log; True: there may be more."""
    async with database.transaction() as tx:
        gone = await queries.delete_ended(
            tx, before=now - KEPT, dead_before=now - DEAD_KEPT, limit=PURGED_PER_ROUND
        )
    if gone:
        log.info("mail.purged", number=gone)
    return gone == PURGED_PER_ROUND
