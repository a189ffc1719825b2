"""As whom the installation appears in mails."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    """What a mail shows of its sender.

    Attributes:
        color: of the name and of buttons, `#rrggbb`.
        sender: the address mails come from.
        support: where answers go and questions are asked; empty: nowhere.
        footer: a line at the end of each mail, such as the company's name and postal address; may be empty.
        public_url: where people reach the place, without a slash at its end.
    """

    name: str = "Bursar"
    color: str = "#1f4b99"
    sender: str = "no-reply@localhost.localdomain"
    support: str = ""
    footer: str = ""
    public_url: str = "http://localhost:8080"

    @property
    def domain(self) -> str:
        """Of the sender: mails are named and servers are greeted with it."""
        return self.sender.rpartition("@")[2]
