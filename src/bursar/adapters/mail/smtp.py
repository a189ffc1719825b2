"""Mail by SMTP (RFC 5321), over TLS from the start or from STARTTLS on; connections are used again."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)

from bursar.adapters.mail import Mail, MailFailed, MailPostponed, MailRefused, MailUncertain, ServerUnusable
from bursar.adapters.mail.writing import envelope_address, written

Tls = Literal["starttls", "implicit", "none"]

PERMANENT: Final = 500
SHUTTING_DOWN: Final = 421
TOO_LONG: Final = 552
MAILS_PER_CONNECTION_MAX: Final = 100
"""Servers end a connection after some number of messages; this is below the usual ones."""

TRACKING_OFF: Final = (
    '{"filters":{"clicktrack":{"settings":{"enable":0}},"opentrack":{"settings":{"enable":0}}}}'
)
"""SendGrid's header X-SMTPAPI: links stay as they are and no picture counts who opens the mail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """Where a server is and how it is spoken to.

    Attributes:
        tls: `starttls` and `implicit` send nothing before the certificate was verified; `none` is plain text.
        connect_timeout_ms: longest time until the server greets; short, for there may be another one.
        command_timeout_ms: longest silence after a command.
        idle_timeout_ms: a connection unused for so long is closed.
        tls_context: None: the system's authorities.
    """

    host: str
    port: int
    tls: Tls = "starttls"
    username: str = ""
    password: str = ""
    hello: str = "localhost"
    connections_max: int = 4
    connect_timeout_ms: int = 10_000
    command_timeout_ms: int = 30_000
    idle_timeout_ms: int = 15_000
    tls_context: ssl.SSLContext | None = None


class _Connection:
    """A connection to the server, and how many messages it carried."""

    def __init__(self, server: SmtpServer) -> None:
        self.mails = 0
        self.idle_since_s = 0.0
        self.client = SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username or None,
            password=server.password or None,
            local_hostname=server.hello,
            timeout=server.command_timeout_ms / 1000,
            use_tls=server.tls == "implicit",
            start_tls=server.tls == "starttls",
            tls_context=server.tls_context,
        )

    async def is_ready(self) -> bool:
        """Still open, and forgetting whatever was said before."""
        try:
            await self.client.rset()
        except (SMTPException, OSError):
            self.client.close()
            return False
        return True


class SmtpMailer:
    """Hands messages to one server over a few connections, each used for one message at a time."""

    def __init__(self, server: SmtpServer) -> None:
        self.name = f"{server.host}:{server.port}"
        self._server = server
        self._slots = asyncio.Semaphore(server.connections_max)
        self._idle: list[_Connection] = []
        self._sweeping: asyncio.TimerHandle | None = None

    async def send(self, mail: Mail) -> str:
        message = written(mail)
        if self._server.host.endswith("sendgrid.net"):
            message["X-SMTPAPI"] = TRACKING_OFF
        sender, to = envelope_address(mail.sender), envelope_address(mail.to)
        async with self._connection() as connection:
            client = connection.client
            try:
                await client.mail(sender)
                await client.rcpt(to)
            except (SMTPException, OSError) as error:
                raise _before_the_message(error) from error
            try:
                taken = await client.data(message.as_bytes())
            except (SMTPException, OSError) as error:
                raise _after_the_message(error) from error
            return f"{taken.code} {taken.message}"

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[_Connection]:
        """A connection for one message; kept afterwards unless it broke or carried enough."""
        async with self._slots:
            connection = await self._open()
            connection.mails += 1
            try:
                yield connection
            except (MailRefused, MailPostponed):
                self._keep(connection)
                raise
            except BaseException:  # in doubt, or cancelled in the middle of a command
                connection.client.close()
                raise
            self._keep(connection)

    async def _open(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if await connection.is_ready():
                return connection
        connection = _Connection(self._server)
        try:
            await connection.client.connect(timeout=self._server.connect_timeout_ms / 1000)
        except (SMTPException, OSError, ValueError) as error:
            raise ServerUnusable(_words(error)) from error
        return connection

    def _keep(self, connection: _Connection) -> None:
        if connection.mails >= MAILS_PER_CONNECTION_MAX or not connection.client.is_connected:
            connection.client.close()
            return
        connection.idle_since_s = asyncio.get_running_loop().time()
        self._idle.append(connection)
        if self._sweeping is None:
            self._sweep_later()

    def _sweep_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeping = loop.call_later(self._server.idle_timeout_ms / 1000, self._sweep)

    def _sweep(self) -> None:
        """Close what was unused for long; look again while something is kept."""
        oldest_s = asyncio.get_running_loop().time() - self._server.idle_timeout_ms / 1000
        for connection in self._idle:
            if connection.idle_since_s <= oldest_s:
                connection.client.close()
        self._idle = [one for one in self._idle if one.client.is_connected]
        self._sweeping = None
        if self._idle:
            self._sweep_later()

    async def close(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        while self._idle:
            client = self._idle.pop().client
            try:
                await client.quit()
            except (SMTPException, OSError):
                pass  # gone already
            finally:
                client.close()


def _before_the_message(error: Exception) -> MailFailed:
    """What a failure means while the server has only heard from whom and to whom.

    A refused sender is our own mistake and no word on the message, so another server may take it.
    """
    match error:
        case SMTPSenderRefused(code=code) if code >= PERMANENT and code != TOO_LONG:
            return ServerUnusable(_words(error))
        case SMTPResponseException(code=code) if code == SHUTTING_DOWN:
            return ServerUnusable(_words(error))
        case SMTPSenderRefused() | SMTPRecipientRefused():
            return _by_code(error)
    return ServerUnusable(_words(error))


def _after_the_message(error: Exception) -> MailFailed:
    return _by_code(error) if isinstance(error, SMTPDataError) else MailUncertain(_words(error))


def _by_code(error: SMTPResponseException) -> MailFailed:
    return (MailRefused if error.code >= PERMANENT else MailPostponed)(_words(error))


def _words(error: Exception) -> str:
    if isinstance(error, SMTPResponseException):
        return f"{error.code} {error.message}"
    cause = error.__cause__
    told = str(error) or type(error).__name__
    return told if cause is None or str(cause) in told else f"{told} {type(cause).__name__}: {cause}"
