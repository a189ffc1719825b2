"""Mail, from the settings: the brand, and what the worker sends with."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bursar.adapters.mail import Mailer
from bursar.adapters.mail.folder import FolderMailer
from bursar.adapters.mail.smtp import SmtpMailer, SmtpServer
from bursar.core.brand import Brand
from bursar.db.engine import Database
from bursar.db.outbox import Handler
from bursar.db.secrets import SecretBox
from bursar.entrypoints.rounds import Round
from bursar.features.mail.intake import taking_in
from bursar.features.mail.office import PostOffice, Servers
from bursar.features.mail.sending import purge, send_round
from bursar.features.mail.unsubscribing import MAIL_REFUSED, refusing
from bursar.rest.edge import Edge
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
