"""Mail, from the settings: the brand, and what the worker sends with."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bursar.adapters.mail import Mail, Mailer, MailFailed
from bursar.adapters.mail.folder import FolderMailer
from bursar.adapters.mail.smtp import SmtpMailer, SmtpServer
from bursar.core.brand import Brand
from bursar.db.engine import Database
from bursar.db.outbox import Handler
from bursar.db.secrets import SecretBox
from bursar.entrypoints.rounds import Round
from bursar.features.mail.intake import taking_in
from bursar.features.mail.office import PostOffice, Servers
from bursar.features.mail.rendering import render
from bursar.features.mail.samples import sample
from bursar.features.mail.sending import purge, send_round
from bursar.features.mail.unsubscribing import MAIL_REFUSED, refusing
from bursar.rest.edge import Edge, SystemClock
from bursar.rest.mails import TOPIC
from bursar.settings import Settings, secret_key_of


def brand_of(settings: Settings) -> Brand:
    return Brand(
        name=settings.brand_name,
        color=settings.brand_color,
        sender=settings.mail_from or Brand().sender,
        support=settings.mail_support,
        footer=settings.mail_footer,
        public_url=settings.public_url.rstrip("/"),
    )


def office_of(settings: Settings, edge: Edge) -> PostOffice:
    """Let its servers go when done: `office.servers.close()`."""
    return PostOffice(
        edge=edge,
        seal=SecretBox(secret_key_of(settings)),
        brand=brand_of(settings),
        servers=Servers(_mailers(settings)),
    )


def _mailers(settings: Settings) -> list[Mailer]:
    """The primary, then the fallback; the folder when there is no server; or nothing."""
    if not settings.smtp_host:
        return [FolderMailer(Path(settings.mail_dir))] if settings.mail_dir else []
    hello = brand_of(settings).domain
    primary = SmtpServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        tls=settings.smtp_tls,
        username=settings.smtp_username,
        password=settings.smtp_password.get_secret_value(),
        hello=hello,
    )
    fallback = SmtpServer(
        host=settings.smtp_fallback_host,
        port=settings.smtp_fallback_port,
        tls=settings.smtp_fallback_tls,
        username=settings.smtp_fallback_username,
        password=settings.smtp_fallback_password.get_secret_value(),
        hello=hello,
    )
    return [SmtpMailer(server) for server in (primary, fallback) if server.host]


def mail_handlers(office: PostOffice) -> Mapping[str, Handler]:
    """Topics of mail → what they set off."""
    return {TOPIC: taking_in(office), MAIL_REFUSED: refusing(office.edge)}


def mail_rounds(settings: Settings, database: Database, office: PostOffice) -> Sequence[Round]:
    return [
        Round(name="mail", every_ms=settings.mail_every_ms, run=lambda: send_round(database, office)),
        Round(
            name="old mail",
            every_ms=settings.purge_every_ms,
            run=lambda: purge(database, office.edge.now()),
        ),
    ]


class Tried(NamedTuple):
    """What came of a sample sent through one server."""

    server: str
    said: str
    is_taken: bool


async def try_servers(settings: Settings, to: str) -> list[Tried]:
    """Send a sample through each server of the settings, past the database and its queue."""
    edge = Edge(SystemClock())
    office = office_of(settings, edge)
    told = render(sample("welcome"), "en", office.brand)
    outcomes = []
    for mailer in office.servers.in_order(1, edge.now()):
        mail = Mail(
            message_id=office.message_id(edge.new_id()),
            sender=office.brand.sender,
            sender_name=office.brand.name,
            to=to,
            subject=told.subject,
            text=told.text,
            html=told.html,
            written_at=edge.now(),
        )
        try:
            outcomes.append(Tried(mailer.name, await mailer.send(mail), is_taken=True))
        except MailFailed as failure:
            outcomes.append(Tried(mailer.name, failure.said, is_taken=False))
    await office.servers.close()
    return outcomes
