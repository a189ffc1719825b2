"""Mail, from the settings: the brand, and what the worker sends with."""

from collections.abc import Mapping, Sequence

from pydantic import SecretStr

from bursar.adapters.mail import Mailer
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
from bursar.mail_settings import Tls
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
        servers=Servers(list(_mailers(settings))),
    )


def _mailers(settings: Settings) -> list[Mailer]:
    """The primary, then the fallback, as far as they are set."""
    hello = brand_of(settings).domain

    def mailer(host: str, port: int, tls: Tls, username: str, password: SecretStr) -> SmtpMailer:
        return SmtpMailer(
            SmtpServer(
                host=host,
                port=port,
                tls=tls,
                username=username,
                password=password.get_secret_value(),
                hello=hello,
            )
        )

    found: list[Mailer] = []
    if settings.smtp_host:
        one = settings
        found.append(mailer(one.smtp_host, one.smtp_port, one.smtp_tls, one.smtp_username, one.smtp_password))
    if settings.smtp_fallback_host:
        found.append(
            mailer(
                settings.smtp_fallback_host,
                settings.smtp_fallback_port,
                settings.smtp_fallback_tls,
                settings.smtp_fallback_username,
                settings.smtp_fallback_password,
            )
        )
    return found


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
