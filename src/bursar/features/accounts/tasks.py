"""What the worker does about accounts: mails with links, trial credit, clearing up.

Here, and not in the request, it is looked whether an address has an account: the request's answer and its
time tell nothing. Each handler's writes commit with the mark that its event is done, so its mail is asked for
once.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
import structlog

from bursar.core.lots import LotKind
from bursar.db.engine import Transaction
from bursar.db.ledger import Booking, NewLot, top_up
from bursar.db.outbox import Event, Handler
from bursar.db.tables import one_time_token, session, sign_up
from bursar.features.accounts import queries
from bursar.features.accounts.passwords import EMAIL_CHANGE_WANTED, LINK_PREFIX, RESET_WANTED
from bursar.features.accounts.sign_ups import SIGNED_UP, VERIFICATION_WANTED
from bursar.rest.account_opening import TRIAL_CREDIT
from bursar.rest.edge import Edge
from bursar.rest.mails import NOTIFICATION_REFUSED, ChangeEmail, ResetPassword, VerifyEmail, ask_for_mail
from bursar.rest.secret_text import issue

log = structlog.get_logger(__name__)

RESET_LIFE: Final = timedelta(hours=1)
KEPT_FOR: Final = timedelta(days=90)
"""Spent and expired sign-ups, links and sign-ins, for whoever looks into abuse."""

PURGED_PER_ROUND: Final = 1_000


def handlers(edge: Edge) -> Mapping[str, Handler]:
    """Topic of an event → what it sets off."""
    mails = Mails(edge)
    return {
        SIGNED_UP: mails.signed_up,
        VERIFICATION_WANTED: mails.verification_wanted,
        RESET_WANTED: mails.reset_wanted,
        EMAIL_CHANGE_WANTED: mails.email_change_wanted,
        TRIAL_CREDIT: grant_trial_credit,
        NOTIFICATION_REFUSED: turn_notification_off,
    }


class Mails:
    """Handlers that make a link, keep its hash and have it mailed."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def signed_up(self, tx: Transaction, event: Event) -> None:
        row = await queries.sign_up_by_id(tx, UUID(event.payload["sign_up_id"]))
        if row is None or row["used_at"] is not None:
            log.info("account.sign_up_gone", event_id=event.id)
        elif await queries.address_is_taken(tx, row["email"]):
            await queries.change_sign_up(tx, row["id"], {"used_at": self._edge.now(), "password_hash": None})
            await self._send_reset(tx, event, row["email"])
        else:
            await self._send_verification(tx, event, row)

    async def verification_wanted(self, tx: Transaction, event: Event) -> None:
        await queries.forget_event(tx, event.id)
        row = await queries.waiting_sign_up(tx, event.payload["email"], self._edge.now())
        if row is None:
            log.info("account.nothing_to_verify", event_id=event.id)
        else:
            await self._send_verification(tx, event, row)

    async def reset_wanted(self, tx: Transaction, event: Event) -> None:
        await queries.forget_event(tx, event.id)
        await self._send_reset(tx, event, event.payload["email"])

    async def email_change_wanted(self, tx: Transaction, event: Event) -> None:
        now, issued = self._edge.now(), issue(LINK_PREFIX)
        token = await queries.put_link(tx, UUID(event.payload["token_id"]), issued.digest, now)
        if token is None:
            log.info("account.email_change_void", event_id=event.id)
            return
        email = token["email"]
        if await queries.address_is_taken(tx, email):
            log.info("account.address_taken", event_id=event.id)
            return
        person = await queries.addressee(tx, token["user_id"])
        if person is None or person["status"] != "active":
            log.info("account.gone", event_id=event.id)
            return
        values = ChangeEmail(
            link=_link(event, "confirm-email", issued.secret),
            new_email=email,
            expires_at=token["expires_at"],
            name=person["name"] or None,
        )
        await ask_for_mail(
            tx, values, to=email, locale=person["locale"], intent=f"change_email:{event.id}", now=now
        )

    async def _send_verification(self, tx: Transaction, event: Event, row: sa.RowMapping) -> None:
        now, issued = self._edge.now(), issue(LINK_PREFIX)
        await queries.change_sign_up(tx, row["id"], {"token_hash": issued.digest})
        values = VerifyEmail(
            link=_link(event, "verify-email", issued.secret),
            expires_at=row["expires_at"],
            name=row["name"] or None,
        )
        await ask_for_mail(
            tx, values, to=row["email"], locale=row["locale"], intent=f"verify:{event.id}", now=now
        )

    async def _send_reset(self, tx: Transaction, event: Event, email: str) -> None:
        person = await queries.addressee(tx, email)
        if person is None or person["status"] != "active":
            log.info("password.reset_for_nobody", event_id=event.id)
            return
        now, issued = self._edge.now(), issue(LINK_PREFIX)
        token_id = self._edge.new_id()
        await queries.insert_token(
            tx, reset_token(token_id, person["id"], issued.digest, now=now, life=RESET_LIFE)
        )
        values = ResetPassword(
            link=_link(event, "reset-password", issued.secret),
            expires_at=now + RESET_LIFE,
            name=person["name"] or None,
        )
        await ask_for_mail(tx, values, to=email, locale=person["locale"], intent=f"reset:{token_id}", now=now)


def reset_token(
    token_id: UUID, user_id: UUID, digest: bytes, *, now: datetime, life: timedelta
) -> dict[str, object]:
    """A row of `one_time_token` that lets somebody set his password."""
    return {
        "id": token_id,
        "user_id": user_id,
        "purpose": "reset_password",
        "token_hash": digest,
        "created_at": now,
        "expires_at": now + life,
    }


async def turn_notification_off(tx: Transaction, event: Event) -> None:
    """What somebody refused by the link in a mail stands in his profile. Safe to run twice: it stays off."""
    recipient, choice = event.payload["recipient"], event.payload["choice"]
    if not await queries.turn_notification_off(tx, recipient, choice):
        log.info("account.no_such_address", event_id=event.id)


async def grant_trial_credit(tx: Transaction, event: Event) -> None:
    """Book what a new organisation gets. Safe to run twice: the books know the key."""
    told = event.payload
    booking = Booking(
        wallet_id=UUID(told["wallet_id"]),
        key=f"trial credit {told['wallet_id']}",
        now=datetime.fromisoformat(told["at"]),
        description="Trial credit",
    )
    lot = NewLot(lot_id=UUID(told["lot_id"]), amount=told["amount"], kind=LotKind.PROMO)
    await top_up(tx, booking, lot)


async def purge(tx: Transaction, now: datetime) -> int:
    """Delete sign-ups, links and sign-ins over for KEPT_FOR, some of each; answer how many."""
    gone = 0
    for table in (sign_up, one_time_token, session):
        old = sa.select(table.c.id).where(table.c.expires_at < now - KEPT_FOR).limit(PURGED_PER_ROUND)
        gone += len(
            (await tx.execute(sa.delete(table).where(table.c.id.in_(old)).returning(table.c.id))).all()
        )
    return gone


def _link(event: Event, page: str, token: str) -> str:
    """The token stands after `#`: browsers send that part to no server, so it is in no log."""
    return f"{event.payload['public_url']}/{page}#token={token}"
