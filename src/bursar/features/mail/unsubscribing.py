"""Turning a kind of mail off with the link in it (RFC 2369, RFC 8058), without signing in.

The link holds, sealed, for which address and which kind; nobody can make one for somebody else.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

import orjson
import structlog
from pydantic import BaseModel, ValidationError

from bursar.core.messages import Language
from bursar.db.engine import Transaction
from bursar.db.outbox import Event, Handler, publish
from bursar.db.secrets import SealBroken
from bursar.features.mail import queries
from bursar.rest.edge import Edge
from bursar.rest.mails import NOTIFICATION_REFUSED
from bursar.rest.problems import NotFound
from bursar.rest.secret_text import Seal

log = structlog.get_logger()

MAIL_REFUSED: Final = "mail.refused"
PATH: Final = "/api/v1/mail/unsubscribe/"
TOKEN_LENGTH_MAX: Final = 1_000


class UnsubscribeLinkInvalid(NotFound):
    code = "unsubscribe_link_invalid"

    def __init__(self) -> None:
        super().__init__("This link to turn mails off is not valid.")


class Wish(BaseModel):
    """`unsubscribe`: the choice to turn off; the name says what was sealed, and for what."""

    unsubscribe: str
    recipient: str
    locale: Language


def link_of(wish: Wish, seal: Seal, public_url: str) -> str:
    sealed = seal.seal(wish.model_dump_json().encode())
    return f"{public_url}{PATH}{urlsafe_b64encode(sealed).decode().rstrip('=')}"


def wish_of(token: str, seal: Seal) -> Wish:
    """Raises `UnsubscribeLinkInvalid`."""
    try:
        sealed = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        return Wish.model_validate(orjson.loads(seal.open(sealed)))
    except (SealBroken, ValidationError, ValueError) as error:
        raise UnsubscribeLinkInvalid from error


async def turn_off(tx: Transaction, wish: Wish, *, edge: Edge) -> None:
    """Announce it: the profile, if the address has an account, is the accounts' to change."""
    told = {"recipient": wish.recipient, "choice": wish.unsubscribe}
    for topic in (NOTIFICATION_REFUSED, MAIL_REFUSED):
        await publish(tx, topic, told, now=edge.now())


def refusing(edge: Edge) -> Handler:
    """The handler of `mail.refused`."""

    async def refuse(tx: Transaction, event: Event) -> None:
        """Safe to run twice: what is refused stays so."""
        await queries.refuse(tx, event.payload["recipient"], event.payload["choice"], edge.now())
        log.info("mail.refused", choice=event.payload["choice"])

    return refuse
