import asyncio
import socket
from dataclasses import replace
from email import message_from_bytes
from email.header import decode_header, make_header
from email.policy import SMTP

import pytest
from letters import mail

from bursar.adapters.mail import MailPostponed, MailRefused, MailUncertain, ServerUnusable
from bursar.adapters.mail.smtp import SmtpMailer, SmtpServer
from bursar.adapters.mail.writing import written
from smtp_world import HOST, PASSWORD, SmtpWorld, body_of
from tls_world import TlsWorld

WAIT_S_MAX = 10


def plain(world: SmtpWorld) -> SmtpServer:
    return SmtpServer(host=HOST, port=world.port, tls="none")


async def sent(server: SmtpServer) -> str:
    mailer = SmtpMailer(server)
    try:
        return await mailer.send(mail())
    finally:
        await mailer.close()


class TestMessage:
    async def test_has_both_parts_and_what_keeps_robots_quiet(self) -> None:
        async with SmtpWorld() as world:
            mailer = SmtpMailer(plain(world))
            long = "길다 " * 300
            await mailer.send(replace(mail(), text=f".hidden?\n{long}", unsubscribe="https://b.example/u/1"))
            await mailer.close()
        (message,) = world.received
        assert body_of(message, "plain").split() == [".hidden?", *long.split()]
        assert body_of(message, "html").strip() == "<p>Thank you.</p>"
        assert message["from"] == "Bursar <no-reply@bursar.example>"
        assert message["date"].datetime == mail().written_at
        assert message["x-original-message-id"] == message["message-id"] == mail().message_id
        assert message["auto-submitted"] == "auto-generated"
        assert message["list-unsubscribe"] == "<https://b.example/u/1>"
        assert message["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
        content = world.envelopes[0].content
        assert isinstance(content, bytes)
        assert content.isascii()
        assert max(map(len, content.splitlines())) < 998

    @pytest.mark.parametrize(
        "subject",
        [
            "아주 긴 제목 " * 12 + ".",
            "x é " * 30 + ".",
            "word " * 40 + ".",
            "a" * 200,
            "余额" * 60,
        ],
    )
    def test_keeps_every_character_of_a_long_header(self, subject: str) -> None:
        link = "https://bursar.example/u/" + "Ab9_-" * 90
        name = "Bücher & 서점 (Seoul), Ltd"
        message_id = f"<{'0' * 32}@{'long' * 15}.example>"
        sent = replace(mail(), subject=subject, sender_name=name, unsubscribe=link, message_id=message_id)
        content = written(sent).as_bytes()
        head = content.partition(b"\r\n\r\n")[0].split(b"\r\n")
        assert f"List-Unsubscribe: <{link}>".encode() in head
        assert f"Message-ID: {message_id}".encode() in head
        assert content.isascii()
        assert max(map(len, content.split(b"\r\n"))) < 998
        plain = message_from_bytes(content)  # decoded by older code than what wrote it
        assert str(make_header(decode_header(plain["subject"]))) == subject
        modern = message_from_bytes(content, policy=SMTP)
        assert modern["subject"] == subject
        (sender,) = modern["from"].addresses
        assert (sender.display_name, sender.addr_spec) == (name, "no-reply@bursar.example")

    @pytest.mark.parametrize(
        "changed",
        [
            replace(mail(), subject="Hello\r\nBcc: everybody@shop.example"),
            replace(mail(), to="ana@shop.example\r\nRCPT TO:<eve@shop.example>"),
            replace(mail(), to="ana@shop.example, eve@shop.example"),
            replace(mail(), sender_name="Bursar\nX-Evil: 1"),
            replace(mail(), reply_to="a@b.example\x00"),
            replace(mail(), unsubscribe="https://b.example>\r\nX-Evil: 1"),
            replace(mail(), to="아나@shop.example"),
            replace(mail(), to="nobody"),
        ],
    )
    async def test_is_refused_when_a_header_or_an_address_would_carry_more(self, changed: object) -> None:
        mailer = SmtpMailer(SmtpServer(host="nowhere.invalid", port=1))  # nothing is even connected
        with pytest.raises(MailRefused):
            await mailer.send(changed)  # type: ignore[arg-type] # each is a Mail

    async def test_goes_to_a_domain_in_any_script(self) -> None:
        async with SmtpWorld() as world:
            mailer = SmtpMailer(plain(world))
            await mailer.send(mail("ana@bücher.example"))
            await mailer.close()
        assert world.envelopes[0].rcpt_tos == ["ana@xn--bcher-kva.example"]


class TestTls:
    @pytest.mark.parametrize("how", ["starttls", "implicit"])
    async def test_carries_the_password_and_the_message(self, how: str) -> None:
        tls = TlsWorld()
        async with SmtpWorld(
            tls=tls.server("localhost"), is_implicit=how == "implicit", needs_login=True
        ) as world:
            server = SmtpServer(
                host="localhost",
                port=world.port,
                tls=how,  # type: ignore[arg-type] # one of two
                username="ana",
                password=PASSWORD,
                command_timeout_ms=5000,
                tls_context=tls.client(),
            )
            assert (await sent(server)).startswith("250")
            with pytest.raises(ServerUnusable, match="535"):
                await sent(replace(server, password="wrong"))
            with pytest.raises(ServerUnusable, match="certificate"):
                await sent(replace(server, tls_context=TlsWorld().client()))
        assert len(world.received) == 1

    async def test_nothing_is_said_in_the_clear_when_the_server_has_no_tls(self) -> None:
        async with SmtpWorld() as world:
            with pytest.raises(ServerUnusable, match="STARTTLS"):
                await sent(SmtpServer(host=HOST, port=world.port, username="ana", password=PASSWORD))
        assert world.received == []


class TestConnections:
    async def test_are_used_again_and_never_more_than_allowed(self) -> None:
        async with SmtpWorld() as world:
            mailer = SmtpMailer(replace(plain(world), connections_max=2))
            async with asyncio.TaskGroup() as group:
                for number in range(9):
                    group.create_task(mailer.send(mail(f"u{number}@shop.example")))
            await mailer.send(mail())
            await mailer.close()
        assert len(world.received) == 10
        assert world.connected == world.most_open == 2

    async def test_are_closed_when_idle_and_opened_anew(self) -> None:
        async with SmtpWorld() as world:
            mailer = SmtpMailer(replace(plain(world), idle_timeout_ms=20))
            await mailer.send(mail())
            async with asyncio.timeout(WAIT_S_MAX):
                while world.open:
                    await asyncio.sleep(0.005)
            await mailer.send(mail())
            await mailer.close()
        assert world.connected == len(world.received) == 2

    async def test_that_the_server_closed_meanwhile_lose_no_message(self) -> None:
        async with SmtpWorld() as world:
            mailer = SmtpMailer(plain(world))
            await mailer.send(mail())
            for protocol in world._protocols:
                protocol.transport.abort()
            await mailer.send(mail("bo@shop.example"))
            await mailer.close()
        assert [one["to"] for one in world.received] == ["ana@shop.example", "bo@shop.example"]


class TestFailures:
    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            ("554 rejected as spam", MailRefused),
            ("451 greylisted", MailPostponed),
            ("hang", MailUncertain),
            ("drop", MailUncertain),
            ("take and drop", MailUncertain),
        ],
    )
    async def test_after_the_message_are_told_apart(self, answer: str, kind: type[Exception]) -> None:
        async with SmtpWorld(answers=[answer]) as world:
            mailer = SmtpMailer(replace(plain(world), command_timeout_ms=100))
            with pytest.raises(kind):
                await mailer.send(mail())
            assert await mailer.send(mail())  # whatever happened, the next one goes
            await mailer.close()

    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            ("550 sender not verified", ServerUnusable),
            ("421 closing", ServerUnusable),
            ("454 throttling failure", MailPostponed),
            ("552 too long", MailRefused),
        ],
    )
    async def test_of_the_sender_are_ours_unless_they_are_about_the_message(
        self, answer: str, kind: type[Exception]
    ) -> None:
        async with SmtpWorld(sender_answer=answer) as world:
            with pytest.raises(kind, match=answer):
                await sent(plain(world))

    async def test_to_connect_or_to_hear_anything_make_the_server_unusable(self) -> None:
        with socket.create_server((HOST, 0)) as silent:
            port = silent.getsockname()[1]
            with pytest.raises(ServerUnusable):
                await sent(SmtpServer(host=HOST, port=port, tls="none", connect_timeout_ms=100))
        with pytest.raises(ServerUnusable):
            await sent(SmtpServer(host=HOST, port=port, tls="none", connect_timeout_ms=1000))

    async def test_a_cancelled_send_leaves_no_connection_behind(self) -> None:
        async with SmtpWorld(answers=["hang"]) as world:
            mailer = SmtpMailer(plain(world))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await mailer.send(mail())
            async with asyncio.timeout(WAIT_S_MAX):
                while world.open:
                    await asyncio.sleep(0.005)
            await mailer.close()


class TestSendgrid:
    async def test_is_told_to_track_nobody(self) -> None:
        tls = TlsWorld()
        async with SmtpWorld(tls=tls.server("localhost")) as world:
            server = SmtpServer(host="localhost", port=world.port, tls_context=tls.client())
            mailer = SmtpMailer(server)
            mailer._server = replace(server, host="smtp.sendgrid.net")
            connection = await SmtpMailer(server)._open()
            mailer._keep(connection)
            await mailer.send(mail())
            await mailer.close()
        assert '"enable":0' in world.received[0]["x-smtpapi"]
