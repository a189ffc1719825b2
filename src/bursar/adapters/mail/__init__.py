"""Mail: one message to one recipient, handed to a server that delivers it.

The port. `smtp` speaks to a real server, `folder` writes files, `fake` remembers; all pass the same tests
(`tests/adapters/mail`). A message has one recipient, so each recipient has an outcome of his own.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A message, ready to be sent.

    Attributes:
        message_id: as in its header, `<…@…>`; the same at every try, so that a second copy is recognisable.
        sender: address without a name.
        written_at: its `Date`; the same at every try.
        unsubscribe: a link that turns mails of this kind off with one POST (RFC 8058).
    """

    message_id: str
    sender: str
    sender_name: str
    to: str
    subject: str
    text: str
    html: str
    written_at: datetime
    reply_to: str | None = None
    unsubscribe: str | None = None


class MailFailed(Exception):
    """The message was not taken, or nobody knows. `said`: the server's words, or what happened."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


class MailRefused(MailFailed):
    """For good: asking again will not help (5xx, or a message that cannot be one)."""


class MailPostponed(MailFailed):
    """For now: the server takes it later (4xx)."""


class MailUncertain(MailFailed):
    """The connection was lost after the message was under way: it may have been taken, or not."""


class ServerUnusable(MailFailed):
    """No message was handed over: the server is away, silent, or wants neither us nor our sender."""


class Mailer(Protocol):
    """A way to a mail server. `name` stands in the delivery log."""

    name: str

    async def send(self, mail: Mail) -> str:
        """Hand the message over; returns what the server said when it took it.

        Raises:
            MailRefused: asking again will not help.
            MailPostponed: try again later.
            MailUncertain: it may have been taken; a second try may make a second copy.
            ServerUnusable: nothing was handed over; another server may take it at once.
        """
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...
