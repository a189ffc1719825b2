"""A real SMTP server (aiosmtpd) in the test's own loop, which fails as it is told."""

import asyncio
import email
import ssl
import warnings
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

HOST = "127.0.0.1"
PASSWORD = "letter-opener"


@dataclass
class SmtpWorld:
    """Attributes to set before or between mails.

    `refusing`: what is answered to RCPT of an address. `answers`: what is answered to the messages, in turn;
    "hang" answers nothing, "drop" closes the connection instead, "take and drop" takes the message first.
    `connected`: how many connections were opened; `open`: how many are now.
    """

    tls: ssl.SSLContext | None = None
    is_implicit: bool = False
    needs_login: bool = False
    sender_answer: str = ""
    refusing: dict[str, str] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)
    received: list[EmailMessage] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    connected: int = 0
    open: int = 0
    most_open: int = 0
    hellos: list[str] = field(default_factory=list)
    port: int = 0

    async def __aenter__(self) -> Self:
        context = self.tls if self.is_implicit else None
        self._server = await asyncio.get_running_loop().create_server(self._protocol, HOST, 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        self._protocols: list[SMTP] = []
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for protocol in self._protocols:
            if protocol.transport is not None:
                protocol.transport.abort()
            handler = protocol._handler_coroutine
            if handler is not None:
                await asyncio.gather(handler, return_exceptions=True)
        await self._server.wait_closed()
        await asyncio.sleep(0)  # transports let go of their sockets in the loop's next turn

    def _protocol(self) -> SMTP:
        world = self

        class Counted(SMTP):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                if not self.session or not self.session.ssl:  # STARTTLS makes it anew
                    world.connected += 1
                    world.open += 1
                    world.most_open = max(world.most_open, world.open)
                super().connection_made(transport)

            def connection_lost(self, error: Exception | None) -> None:
                world.open -= 1
                super().connection_lost(error)

        with warnings.catch_warnings():
            # It warns of passwords in the clear, not knowing that these connections are TLS from the start.
            warnings.simplefilter("ignore")
            protocol = Counted(
                self,
                hostname="mail.test",
                tls_context=None if self.is_implicit else self.tls,
                require_starttls=self.tls is not None and not self.is_implicit,
                auth_required=self.needs_login,
                auth_require_tls=not self.is_implicit,
                authenticator=self._authenticate,
                loop=asyncio.get_running_loop(),
            )
        self._protocols.append(protocol)
        return protocol

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, what: Any
    ) -> AuthResult:
        assert isinstance(what, LoginPassword)
        return AuthResult(success=what.password == PASSWORD.encode(), handled=False)

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.hellos.append(hostname)
        return responses

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.sender_answer:
            return self.sender_answer
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refusing:
            return self.refusing[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        answer = self.answers.pop(0) if self.answers else "250 taken"
        if answer == "hang":
            await asyncio.Event().wait()
        if answer.startswith("250") or answer == "take and drop":
            assert isinstance(envelope.content, bytes)
            message = email.message_from_bytes(envelope.content, policy=POLICY)
            assert isinstance(message, EmailMessage)
            self.received.append(message)
            self.envelopes.append(envelope)
        if answer.endswith("drop"):
            server.transport.abort()
        return answer


def body_of(message: EmailMessage, kind: str) -> str:
    """A part's text: `plain` or `html`."""
    part = message.get_body((kind,))
    assert part is not None
    text = part.get_content()
    assert isinstance(text, str)
    return text
