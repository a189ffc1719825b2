"""From the wish to the server: once per intent, later when it must be, visible when it fails."""

import asyncio

import psycopg
import pytest
from post import SECRET_LINK, TO, Post
from structlog.testing import capture_logs

from bursar.adapters.mail import Mail, MailPostponed, MailRefused, MailUncertain, ServerUnusable
from bursar.adapters.mail.fake import FakeMailer
from bursar.adapters.mail.smtp import SmtpMailer, SmtpServer
from bursar.features.mail.office import Servers
from bursar.features.mail.sending import (
    ATTEMPTS_MAX,
    CLAIM_LIFE,
    DEAD_KEPT,
    KEPT,
    PAUSE_MAX,
    RECORD_PAUSES_S,
    TRY_S_MAX,
    pause_after,
    purge,
    without_secrets,
)
from bursar.rest.mails import LowBalance
from smtp_world import HOST, SmtpWorld, body_of

WAIT_S_MAX = 30


class Stuck(FakeMailer):
    """Holds every message until it is let go."""

    def __init__(self) -> None:
        super().__init__("stuck")
        self.reached = asyncio.Event()
        self.release = asyncio.Event()

    async def send(self, mail: Mail) -> str:
        self.reached.set()
        await self.release.wait()
        return await super().send(mail)


class TestIntent:
    async def test_makes_one_mail_however_often_it_is_asked_for(
        self, post: Post, servers: list[FakeMailer]
    ) -> None:
        await post.ask("reset:1")
        await post.ask("reset:1")
        await post.work()
        await post.ask("reset:1")
        await post.ask("reset:2", to="bo@shop.example", locale="ko")
        await post.work()
        assert [(mail.to, mail.subject) for mail in servers[0].sent] == [
            (TO, "Choose a new password"),
            ("bo@shop.example", "비밀번호 재설정 안내"),
        ]
        assert servers[1].sent == []
        assert {row["state"] for row in post.rows()} == {"sent"}

    async def test_leaves_no_secret_behind_once_it_is_sent(
        self, post: Post, servers: list[FakeMailer]
    ) -> None:
        await post.ask("reset:1")
        await post.take_in()
        assert "s3cr3t" not in post.everything()  # sealed, while it waits
        with capture_logs() as logs:
            await post.work()
        assert SECRET_LINK in servers[0].sent[0].text
        assert post.row()["sealed"] is None
        assert "s3cr3t" not in post.everything() + str(logs)
        assert TO not in str(post.rows("outbox")) + str(logs)

    async def test_that_cannot_be_written_is_a_dead_letter_without_its_values(self, post: Post) -> None:
        asked = {"template": "reset_password", "to": TO, "locale": "en", "intent": "reset:1"}
        await post.ask_raw({**asked, "values": {"link": "s3cr3t", "other": "s3cr3t"}})
        await post.ask_raw({**asked, "intent": "odd:1", "template": "birthday", "values": {}})
        await post.ask_raw({**asked, "intent": "odd:2", "to": "s3cr3t", "values": {}})
        with capture_logs() as logs:
            await post.work()
        wrong, unknown = post.rows()
        assert wrong["said"] == "values: expires_at (missing), link (value_error), other (extra_forbidden)"
        assert unknown["said"] == "there is no such template"
        assert {wrong["state"], unknown["state"]} == {"dead"}
        (unreadable,) = [row for row in post.rows("outbox") if row["handled_at"] is None]
        assert unreadable["last_error"] == "MailUnreadable: to (value_error)"
        assert "s3cr3t" not in str(logs) + str(post.rows())


class TestOutcome:
    async def test_refused_for_good_is_a_dead_letter(self, post: Post, servers: list[FakeMailer]) -> None:
        servers[0].failing[TO] = MailRefused(
            f"550 <{TO}>: no such user, see https://help.example/?{SECRET_LINK}"
        )
        await post.ask("reset:1")
        await post.work()
        row = post.row()
        assert (row["state"], row["server"], row["attempts"]) == ("dead", "primary", 1)
        assert row["said"] == "550 <address>: no such user, see <link>"
        assert servers[1].sent == []  # another server would not make the mailbox exist

    async def test_postponed_is_tried_later_and_later_under_the_same_name(
        self, post: Post, servers: list[FakeMailer]
    ) -> None:
        servers[0].failing[TO] = MailPostponed("451 greylisted")
        await post.ask("reset:1")
        await post.work()
        before = post.row()
        assert (before["state"], before["attempts"], before["said"]) == ("waiting", 1, "451 greylisted")
        await post.work()
        assert post.row()["attempts"] == 1  # not due
        servers[0].failing.clear()
        post.later(pause_after(1).seconds + 1)
        await post.work()
        after = post.row()
        assert (after["state"], after["attempts"]) == ("sent", 2)
        (mail,) = servers[0].sent
        assert mail.message_id == before["message_id"] == after["message_id"]
        assert mail.written_at == before["created_at"]

    async def test_an_unusable_primary_costs_no_time(self, post: Post, servers: list[FakeMailer]) -> None:
        servers[0].is_down = ServerUnusable("connection refused")
        await post.ask("reset:1")
        await post.work()
        assert (post.row()["state"], post.row()["server"]) == ("sent", "fallback")
        assert post.row()["attempts"] == 1
        servers[0].is_down = None
        await post.ask("reset:2")
        await post.work()
        assert len(servers[1].sent) == 2  # the primary is left alone for a while
        post.later(61)
        await post.ask("reset:3")
        await post.work()
        assert len(servers[0].sent) == 1

    async def test_unknown_is_not_sent_by_another_server_at_once(
        self, post: Post, servers: list[FakeMailer]
    ) -> None:
        servers[0].failing[TO] = MailUncertain("connection lost")
        await post.ask("reset:1")
        await post.work()
        assert servers[1].sent == []
        assert (post.row()["state"], post.row()["said"]) == ("waiting", "connection lost")

    async def test_failing_for_too_long_is_a_dead_letter(self, post: Post, servers: list[FakeMailer]) -> None:
        servers[0].failing[TO] = servers[1].failing[TO] = MailPostponed("452 full")
        await post.ask("reset:1")
        await post.take_in()
        for _ in range(ATTEMPTS_MAX):
            assert post.row()["state"] == "waiting"
            assert await post.send_one()
            post.later(PAUSE_MAX.seconds + 1)
        assert (post.row()["state"], post.row()["attempts"]) == ("dead", ATTEMPTS_MAX)
        assert not await post.send_one()

    async def test_waits_while_there_is_no_server(self, post: Post) -> None:
        await post.ask("reset:1")
        await post.served_by().work()
        assert (post.row()["state"], post.row()["attempts"]) == ("waiting", 0)

    async def test_unforeseen_is_tried_later_and_holds_up_no_other(self, post: Post) -> None:
        class Broken(FakeMailer):
            async def send(self, mail: Mail) -> str:
                if mail.to == TO:
                    raise RuntimeError("a bug")
                return await super().send(mail)

        broken = Broken()
        for number in range(5):
            await post.ask(f"reset:{number}", to=f"u{number}@shop.example" if number else TO)
        await post.served_by(broken).work()
        assert len(broken.sent) == 4
        (failed,) = [row for row in post.rows() if row["state"] == "waiting"]
        assert (failed["recipient"], failed["said"]) == (TO, "failed: RuntimeError")
        assert (failed["claim"], failed["attempts"]) == (None, 1)

    async def test_sealed_with_another_key_is_a_dead_letter(self, post: Post) -> None:
        await post.ask("reset:1")
        await post.take_in()
        async with post.worker.transaction() as tx:
            await tx.exec_driver_sql("UPDATE mail SET sealed = '\\x00'")
        await post.work()
        assert (post.row()["state"], post.row()["said"]) == ("dead", "cannot be written: SealBroken")


class TestClaim:
    async def test_two_workers_never_send_the_same_mail(self, post: Post) -> None:
        stuck = Stuck()
        one, other = post.served_by(stuck), post.served_by(FakeMailer("other"))
        await post.ask("reset:1")
        await post.take_in()
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(one.send_one())
            await stuck.reached.wait()
            assert not await other.send_one()
            stuck.release.set()
        assert sending.result()
        assert post.row()["state"] == "sent"

    async def test_many_lanes_of_two_workers_send_each_mail_once(
        self, post: Post, servers: list[FakeMailer]
    ) -> None:
        for number in range(40):
            await post.ask(f"reset:{number:02}", to=f"u{number:02}@shop.example")
        await post.take_in()
        await asyncio.gather(post.work(), post.work())
        assert sorted(mail.to for mail in servers[0].sent) == [
            f"u{number:02}@shop.example" for number in range(40)
        ]

    async def test_of_a_worker_that_died_runs_out_and_the_copy_has_the_same_name(
        self, post: Post, servers: list[FakeMailer]
    ) -> None:
        """The one way to two copies: the server took it, and nobody wrote that down."""
        stuck = Stuck()
        await post.ask("reset:1")
        await post.take_in()
        dying = asyncio.create_task(post.served_by(stuck).send_one())
        await stuck.reached.wait()
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        assert not await post.send_one()
        post.later(CLAIM_LIFE.seconds + 1)
        assert await post.send_one()
        (mail,) = servers[0].sent
        assert mail.message_id == post.row()["message_id"]
        assert post.row()["attempts"] == 2

    async def test_that_ran_out_changes_nothing_any_more(self, post: Post, servers: list[FakeMailer]) -> None:
        stuck = Stuck()
        await post.ask("reset:1")
        await post.take_in()
        late = asyncio.create_task(post.served_by(stuck).send_one())
        await stuck.reached.wait()
        post.later(CLAIM_LIFE.seconds + 1)
        servers[0].failing[TO] = MailRefused("550 no")
        assert await post.send_one()
        stuck.release.set()
        with capture_logs() as logs:
            await late
        assert post.row()["state"] == "dead"
        assert "mail.claim_lost" in {line["event"] for line in logs}

    async def test_is_ended_by_an_outcome_even_if_the_database_is_away_for_a_moment(self, post: Post) -> None:
        stuck = Stuck()
        await post.ask("reset:1")
        await post.take_in()
        sending = asyncio.create_task(post.served_by(stuck).send_one())
        await stuck.reached.wait()
        with psycopg.connect(post.url, autocommit=True) as administrator, capture_logs() as logs:
            administrator.execute("ALTER TABLE mail RENAME TO mail_away")
            stuck.release.set()
            async with asyncio.timeout(WAIT_S_MAX):
                while not logs:
                    await asyncio.sleep(0.01)
            administrator.execute("ALTER TABLE mail_away RENAME TO mail")
            assert await sending
        assert logs[0]["event"] == "mail.not_recorded_yet"
        assert post.row()["state"] == "sent"
        assert len(stuck.sent) == 1

    def test_outlives_every_try(self) -> None:
        assert CLAIM_LIFE.seconds > 2 * (TRY_S_MAX + sum(RECORD_PAUSES_S))
        assert pause_after(1) < pause_after(2) < pause_after(ATTEMPTS_MAX) == PAUSE_MAX


class TestServers:
    def test_take_turns_once_the_first_has_failed_a_few_times(
        self, post: Post, servers: list[FakeMailer]
    ) -> None:
        both = Servers(servers)
        now = post.office.edge.now()
        assert [both.in_order(attempt, now)[0].name for attempt in range(1, 7)] == [
            "primary",
            "primary",
            "primary",
            "fallback",
            "primary",
            "fallback",
        ]


class TestRealServer:
    async def test_gets_a_mail_by_the_fallback_while_the_primary_drops_connections(self, post: Post) -> None:
        async with SmtpWorld(sender_answer="421 not now") as first, SmtpWorld() as second:
            mailers = [
                SmtpMailer(SmtpServer(host=HOST, port=world.port, tls="none")) for world in (first, second)
            ]
            balance = LowBalance(
                organisation="Acme & Söhne", balance="1.50", currency="USD", link=SECRET_LINK
            )
            await post.ask("low:1", balance, locale="zh")
            await post.served_by(*mailers).work()
            for mailer in mailers:
                await mailer.close()
        (message,) = second.received
        assert post.row()["server"] == f"{HOST}:{second.port}"
        assert message["message-id"] == post.row()["message_id"]
        assert message["subject"] == "Acme & Söhne 余额不足"
        assert "1.50 USD" in body_of(message, "plain")
        assert "Acme &amp; Söhne" in body_of(message, "html")
        assert message["list-unsubscribe"].startswith("<https://bursar.example/api/v1/mail/unsubscribe/")
        assert message["list-unsubscribe"].strip("<>") in body_of(message, "plain")

    async def test_that_took_a_mail_and_hung_up_gets_it_again_under_the_same_name(self, post: Post) -> None:
        async with SmtpWorld(answers=["take and drop", "451 later", "250 taken"]) as world:
            mailer = SmtpMailer(SmtpServer(host=HOST, port=world.port, tls="none"))
            await post.ask("reset:1")
            for _ in range(3):
                await post.served_by(mailer).work()
                post.later(600)
            await mailer.close()
        assert post.row()["state"] == "sent"
        assert len({message["message-id"] for message in world.received}) == 1
        assert len(world.received) == 2  # the honest bound: recognisable, not impossible


class TestLog:
    async def test_forgets_in_time(self, post: Post, servers: list[FakeMailer]) -> None:
        servers[0].failing["bo@shop.example"] = MailRefused("550 no")
        await post.ask("reset:1")
        await post.ask("reset:2", to="bo@shop.example")
        await post.work()
        now = post.office.edge.now()
        assert not await purge(post.worker, now)
        assert len(post.rows()) == 2
        await purge(post.worker, now + DEAD_KEPT * 1.01)
        assert post.row()["state"] == "sent"
        await purge(post.worker, now + KEPT * 1.01)
        assert post.rows() == []

    @pytest.mark.parametrize(
        ("said", "kept"),
        [
            ("550 5.1.1 <ana@shop.example>: no", "550 5.1.1 <address>: no"),
            ("554 see http://x.example/a?b=c now", "554 see <link> now"),
            ("x" * 400, "x" * 300),
        ],
    )
    def test_tells_no_address_and_no_link(self, said: str, kept: str) -> None:
        assert without_secrets(said) == kept
