"""What every mailer does, whatever takes its messages: the fake, a folder, and SMTP to a real server."""

import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from email.policy import SMTP
from pathlib import Path

import pytest
from letters import mail

from bursar.adapters.mail import Mailer, MailPostponed, MailRefused, ServerUnusable
from bursar.adapters.mail.fake import FakeMailer
from bursar.adapters.mail.folder import FolderMailer
from bursar.adapters.mail.smtp import SmtpMailer, SmtpServer
from smtp_world import HOST, SmtpWorld


@dataclass
class Scene:
    mailer: Mailer
    fake: FakeMailer | None = None
    world: SmtpWorld | None = None
    folder: Path | None = None

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
        if self.folder:
            self.folder.rmdir()
            self.folder.write_text("in the way")

    def arrived(self) -> list[tuple[str, str, str]]:
        if self.fake:
            return [(one.to, one.subject, one.message_id) for one in self.fake.sent]
        if self.folder:
            files = sorted(self.folder.glob("*.eml"))
            return [heads(message_from_bytes(file.read_bytes(), policy=SMTP)) for file in files]
        assert self.world
        return [heads(message) for message in self.world.received]


def heads(message: Message) -> tuple[str, str, str]:
    return message["to"], message["subject"], message["message-id"]


@pytest.fixture(params=["fake", "folder", "smtp"])
async def scene(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scene]:
    if request.param == "fake":
        fake = FakeMailer()
        yield Scene(fake, fake=fake)
        return
    if request.param == "folder":
        folder = tmp_path / "mail"
        folder.mkdir()
        yield Scene(FolderMailer(folder), folder=folder)
        return
    async with SmtpWorld() as world:
        mailer = SmtpMailer(SmtpServer(host=HOST, port=world.port, tls="none"))
        yield Scene(mailer, world=world)
        await mailer.close()


class TestMailer:
    async def test_hands_a_message_over(self, scene: Scene) -> None:
        assert (await scene.mailer.send(mail())).startswith("250")
        assert scene.arrived() == [("ana@shop.example", "Your receipt 영수증 收据", "<0190@bursar.example>")]
        await scene.mailer.close()

    async def test_tells_each_recipients_own_outcome(self, scene: Scene) -> None:
        if scene.folder:
            return  # a folder refuses nobody
        scene.refuse("gone@shop.example", "550 no such user")
        scene.refuse("full@shop.example", "452 mailbox full")
        with pytest.raises(MailRefused, match="550 no such user"):
            await scene.mailer.send(mail("gone@shop.example"))
        with pytest.raises(MailPostponed, match="452 mailbox full"):
            await scene.mailer.send(mail("full@shop.example"))
        await scene.mailer.send(mail("bo@shop.example", subject="Again"))
        assert scene.arrived() == [("bo@shop.example", "Again", "<0190@bursar.example>")]

    async def test_says_when_nothing_can_be_handed_over(self, scene: Scene) -> None:
        scene.stop()
        with pytest.raises(ServerUnusable):
            await scene.mailer.send(mail())
        assert scene.arrived() == []


class TestFolder:
    async def test_keeps_a_message_once_and_for_its_owner(self, tmp_path: Path) -> None:
        folder = tmp_path / "new" / "mail"
        mailer = FolderMailer(folder)
        await mailer.send(mail())
        await mailer.send(mail())
        (file,) = folder.iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
