"""A message as SMTP carries it: RFC 5322 headers and two parts, text first, in 7-bit ASCII."""

from email.errors import MessageError
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from typing import Any, Final

from bursar.adapters.mail import Mail, MailRefused

WHOLE: Final = frozenset({"message-id", "x-original-message-id", "list-unsubscribe", "x-smtpapi"})
"""Headers of one word, however long: a line of a message may have 998 characters (RFC 5322, 2.1.1).

So may a subject: the longest name in the longest of ours has half of that.
"""


class _Wire(EmailPolicy):
    """Python 3.11 folds long headers wrongly: one long word is encoded, and blanks between words are lost."""

    def fold(self, name: str, value: Any) -> str:
        if name.lower() in WHOLE or (name.lower() == "subject" and value.isascii()):
            return f"{name}: {value}{self.linesep}"
        if name.lower() == "subject":
            return f"{name}: {self._encoded(str(value), name)}{self.linesep}"
        if name.lower() == "from" and not value.isascii():
            (sender,) = value.addresses
            encoded = self._encoded(sender.display_name, name)
            return f"{name}: {encoded}{self.linesep} <{sender.addr_spec}>{self.linesep}"
        return str(super().fold(name, value))

    def fold_binary(self, name: str, value: Any) -> bytes:
        return self.fold(name, value).encode("ascii")

    def _encoded(self, text: str, name: str) -> str:
        """RFC 2047, in words of at most 75 characters."""
        return Header(text, "utf-8", header_name=name).encode(linesep=self.linesep)


# Lines stay ASCII, whatever the text: no server on the way needs to change the message.
POLICY: Final = _Wire(linesep="\r\n", cte_type="7bit")


def written(mail: Mail) -> EmailMessage:
    """The message with its headers.

    Raises `MailRefused`: a header would hold a line break or another control character (header injection), or
    an address is none.
    """
    for header in (mail.subject, mail.sender, mail.sender_name, mail.to, mail.reply_to, mail.unsubscribe):
        if header is not None and not header.isprintable():
            raise MailRefused("a header would hold a control character")
    message = EmailMessage(POLICY)
    try:
        message["From"] = _address(mail.sender, mail.sender_name)
        message["To"] = _address(mail.to)
        message["Subject"] = mail.subject
        message["Date"] = mail.written_at
        message["Message-ID"] = mail.message_id
        message["X-Original-Message-ID"] = mail.message_id  # Amazon SES writes a Message-ID of its own
        if mail.reply_to is not None:
            message["Reply-To"] = _address(mail.reply_to)
    except (ValueError, IndexError, MessageError) as error:
        raise MailRefused("an address or a header is not valid") from error
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    if mail.unsubscribe is not None:
        message["List-Unsubscribe"] = f"<{mail.unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"  # RFC 8058
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message


def envelope_address(address: str) -> str:
    """An address in ASCII, its domain in Punycode.

    Raises `MailRefused`: what stands before the @ is not ASCII, which few servers take (RFC 6531).
    """
    local, _, domain = address.rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode()}" if local.isascii() else _unsendable()
    except UnicodeError as error:
        raise MailRefused("the address has a domain that cannot be") from error


def _unsendable() -> str:
    raise MailRefused("the address has letters before the @ that mail servers do not take")


def _address(address: str, name: str = "") -> Address:
    return Address(display_name=name, addr_spec=envelope_address(address))
