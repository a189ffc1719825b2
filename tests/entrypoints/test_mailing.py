"""The worker's rounds send what was asked for, by the servers that the settings name."""

import asyncio
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from bursar.core.brand import Brand
from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.entrypoints.cli import app
from bursar.entrypoints.mailing import brand_of, office_of
from bursar.entrypoints.worker import rounds
from bursar.rest.edge import Edge, SystemClock
from bursar.rest.mails import ResetPassword, ask_for_mail
from bursar.settings import Settings
from scratch_database import ScratchDatabase
from smtp_world import HOST, PASSWORD, SmtpWorld, body_of

EDGE = Edge(SystemClock())
LINK = "https://bursar.example/reset?token=s3cr3t"


async def sent_by_the_worker(settings: Settings, database: ScratchDatabase) -> None:
    """Ask for a mail and let each round run once, as the worker starts them."""
    worker, office = Database(database.url, Role.WORKER), office_of(settings, EDGE)
    values = ResetPassword.model_validate({"link": LINK, "expires_at": "2027-01-01T00:00:00Z"})
    async with worker.transaction() as tx:
        await ask_for_mail(tx, values, to="ana@shop.example", locale="ko", intent="reset:1", now=EDGE.now())
    every = {one.name: one for one in rounds(settings, worker, office)}
    for name in ("outbox", "mail", "old mail"):
        assert await every[name].run() is False
    await office.servers.close()
    await worker.close()


class TestOffice:
    async def test_sends_by_the_fallback_when_the_first_server_wants_nothing(
        self, database: ScratchDatabase, tmp_path: Path
    ) -> None:
        async with SmtpWorld(sender_answer="421 no") as first, SmtpWorld() as second:
            settings = Settings(
                data_dir=tmp_path,
                mail_from="no-reply@kiwi.example",
                mail_support="help@kiwi.example",
                brand_name="Kiwi",
                smtp_host=HOST,
                smtp_port=first.port,
                smtp_tls="none",
                smtp_fallback_host=HOST,
                smtp_fallback_port=second.port,
                smtp_fallback_tls="none",
            )
            await sent_by_the_worker(settings, database)
        (message,) = second.received
        assert first.connected == 1
        assert message["from"] == "Kiwi <no-reply@kiwi.example>"
        assert message["reply-to"] == "help@kiwi.example"
        assert message["subject"] == "비밀번호 재설정 안내"
        assert LINK in body_of(message, "plain")
        assert second.hellos == ["kiwi.example"]

    async def test_writes_to_the_folder_when_there_is_no_server(
        self, database: ScratchDatabase, tmp_path: Path
    ) -> None:
        await sent_by_the_worker(Settings(data_dir=tmp_path, mail_dir=str(tmp_path / "mail")), database)
        (file,) = (tmp_path / "mail").iterdir()
        assert LINK in body_of(message_from_bytes(file.read_bytes(), policy=SMTP), "plain")  # type: ignore[arg-type]  # the policy makes it an EmailMessage


class TestTry:
    async def test_tells_of_each_server_what_it_said(self, tmp_path: Path) -> None:
        async with SmtpWorld(answers=["554 unverified"]) as first, SmtpWorld() as second:
            given = {
                "BURSAR_DATA_DIR": str(tmp_path),
                "BURSAR_MAIL_FROM": "no-reply@kiwi.example",
                "BURSAR_SMTP_HOST": HOST,
                "BURSAR_SMTP_PORT": str(first.port),
                "BURSAR_SMTP_TLS": "none",
                "BURSAR_SMTP_FALLBACK_HOST": HOST,
                "BURSAR_SMTP_FALLBACK_PORT": str(second.port),
                "BURSAR_SMTP_FALLBACK_TLS": "none",
            }
            words = ["mail", "test", "ana@shop.example"]
            done = await asyncio.to_thread(CliRunner().invoke, app, words, env=given)
            nobody = await asyncio.to_thread(
                CliRunner().invoke, app, words, env={"BURSAR_DATA_DIR": str(tmp_path)}
            )
        assert done.exit_code == 1
        assert f"{HOST}:{first.port}: 554 unverified" in done.stderr
        assert f"{HOST}:{second.port}: 250 taken" in done.stdout
        assert second.received[0]["subject"] == "Welcome to Bursar"
        assert (nobody.exit_code, nobody.stderr) == (1, "no mail server is set: BURSAR_SMTP_HOST\n")


class TestSettings:
    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"smtp_host": "smtp.example"}, "BURSAR_MAIL_FROM"),
            ({"smtp_fallback_host": "smtp.example", "mail_from": "a@b.example"}, "BURSAR_SMTP_HOST"),
            (
                {
                    "smtp_host": "10.0.0.5",
                    "mail_from": "a@b.example",
                    "smtp_tls": "none",
                    "smtp_username": "ana",
                    "smtp_password": PASSWORD,
                },
                "needs TLS",
            ),
            ({"mail_from": "nobody"}, "e-mail"),
            ({"brand_color": "red"}, "brand_color"),
        ],
    )
    def test_refuse_what_would_not_work_or_would_leak(self, given: dict[str, Any], said: str) -> None:
        with pytest.raises(ValidationError, match=said):
            Settings(**given)

    def test_let_a_password_go_to_this_machine_in_the_clear(self) -> None:
        given = {"mail_from": "a@b.example", "smtp_tls": "none", "smtp_password": PASSWORD}
        for host in ("localhost", "127.0.0.1", "::1"):
            assert Settings.model_validate({**given, "smtp_host": host}).smtp_host == host

    def test_without_any_are_the_plain_brand_and_no_server(self) -> None:
        assert len(office_of(Settings(), EDGE).servers) == 0
        assert brand_of(Settings()) == Brand()
