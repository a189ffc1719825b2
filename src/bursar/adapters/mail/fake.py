"""A mail server that remembers what it took, and fails as it is told."""

from bursar.adapters.mail import Mail, MailFailed


class FakeMailer:
    """Takes every message but those to addresses in `failing`. `sent`: in the order of arrival."""

    def __init__(self, name: str = "fake") -> None:
        self.name = name
        self.sent: list[Mail] = []
        self.failing: dict[str, MailFailed] = {}
        self.is_down: MailFailed | None = None
        self.is_closed = False

    async def send(self, mail: Mail) -> str:
        failure = self.is_down or self.failing.get(mail.to)
        if failure is not None:
            raise failure
        self.sent.append(mail)
        return "250 taken"

    async def close(self) -> None:
        self.is_closed = True
