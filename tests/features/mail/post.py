"""What tests of mail do: ask for mails, let the worker work, look at the rows."""

from dataclasses import dataclass, replace
from typing import Any

import psycopg
from control_client import SettableClock
from psycopg import sql
from psycopg.rows import dict_row

from bursar.adapters.mail import Mailer
from bursar.db.engine import Database
from bursar.db.outbox import deliver, publish
from bursar.features.mail.intake import taking_in
from bursar.features.mail.office import PostOffice, Servers
from bursar.features.mail.sending import send_one, send_round
from bursar.features.mail.unsubscribing import MAIL_REFUSED, refusing
from bursar.rest.mails import TOPIC, MailValues, ResetPassword, ask_for_mail

SECRET_LINK = "https://bursar.example/reset?token=s3cr3t"
TO = "ana@shop.example"


def reset() -> ResetPassword:
    return ResetPassword.model_validate({"link": SECRET_LINK, "expires_at": "2027-01-01T00:00:00Z"})


@dataclass(frozen=True)
class Post:
    worker: Database
    office: PostOffice
    clock: SettableClock
    url: str

    async def ask(
        self, intent: str, values: MailValues | None = None, *, to: str = TO, locale: Any = "en"
    ) -> None:
        async with self.worker.transaction() as tx:
            await ask_for_mail(
                tx, values or reset(), to=to, locale=locale, intent=intent, now=self.office.edge.now()
            )

    async def ask_raw(self, payload: dict[str, Any]) -> None:
        """As a caller would who knows nothing of the types."""
        async with self.worker.transaction() as tx:
            await publish(tx, TOPIC, payload, now=self.office.edge.now())

    async def take_in(self) -> None:
        handlers = {TOPIC: taking_in(self.office), MAIL_REFUSED: refusing(self.office.edge)}
        await deliver(self.worker, handlers, self.office.edge.now())

    async def work(self) -> None:
        """As the worker's rounds do, until nothing is due."""
        await self.take_in()
        while await send_round(self.worker, self.office):
            pass

    async def send_one(self) -> bool:
        return await send_one(self.worker, self.office)

    def later(self, seconds: int) -> None:
        self.clock.ahead_ms += seconds * 1000

    def served_by(self, *mailers: Mailer) -> "Post":
        return replace(self, office=replace(self.office, servers=Servers(mailers)))

    def rows(self, table: str = "mail") -> list[dict[str, Any]]:
        with psycopg.connect(self.url, row_factory=dict_row) as connection:
            question = sql.SQL("SELECT * FROM {} ORDER BY 1").format(sql.Identifier(table))
            return connection.execute(question).fetchall()

    def row(self) -> dict[str, Any]:
        (one,) = self.rows()
        return one

    def everything(self) -> str:
        """All that the database says of mails, as text."""
        return str(self.rows() + self.rows("outbox"))
