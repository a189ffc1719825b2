"""What every mailer does, whatever takes its messages: the fake, and SMTP to a real server."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from letters import mail

from bursar.adapters.mail import Mailer, MailPostponed, MailRefused, ServerUnusable
from bursar.adapters.mail.fake import FakeMailer
from bursar.adapters.mail.smtp import SmtpMailer, SmtpServer
from smtp_world import HOST, SmtpWorld


@dataclass
class Scene:
    mailer: Mailer
    fake: FakeMailer | None = None
    world: SmtpWorld | None = None

    def refuse(self, address: str, answer: str) -> None:
        kind = MailRefused if answer.startswith("5") else MailPostponed
        if self.fake:
            self.fake.failing[address] = kind(answer)
        if self.world:
            self.world.refusing[address] = answer

    def stop(self) -> None:
        if self.fake:
            self.fake.is_down = ServerUnusable("away")
        if self.world:
            self.world.sender_answer = "421 closing"

    def arrived(self) -> list[tuple[str, str, str]]:
        if self.fake:
            return [(one.to, one.subject, one.message_id) for one in self.fake.sent]
        assert self.world
        return [(one["to"], one["subject"], one["message-id"]) for one in self.world.received]


@pytest.fixture(params=["fake", "smtp"])
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    if request.param == "fake":
        fake = FakeMailer()
        yield Scene(fake, fake=fake)
        return
    async with SmtpWorld() as world:
        mailer = SmtpMailer(SmtpServer(host=HOST, port=world.port, tls="none"))
        yield Scene(mailer, world=world)
        await mailer.close()


class TestMailer:
    async def test_hands_over_and_tells_each_recipients_own_outcome(self, scene: Scene) -> None:
        scene.refuse("gone@shop.example", "550 no such user")
        scene.refuse("full@shop.example", "452 mailbox full")
        assert (await scene.mailer.send(mail())).startswith("250")
        with pytest.raises(MailRefused, match="550 no such user"):
            await scene.mailer.send(mail("gone@shop.example"))
        with pytest.raises(MailPostponed, match="452 mailbox full"):
            await scene.mailer.send(mail("full@shop.example"))
        await scene.mailer.send(mail("bo@shop.example", subject="Again"))
        assert scene.arrived() == [
            ("ana@shop.example", "Your receipt 영수증 收据", "<0190@bursar.example>"),
            ("bo@shop.example", "Again", "<0190@bursar.example>"),
        ]

    async def test_says_when_the_server_takes_nothing_from_us(self, scene: Scene) -> None:
        scene.stop()
        with pytest.raises(ServerUnusable):
            await scene.mailer.send(mail())
        assert scene.arrived() == []
