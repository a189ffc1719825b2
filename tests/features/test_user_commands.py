"""`bursar user`: the first operator, and who lost his second factor."""

import psycopg
from test_commands import Bursar, bursar

from scratch_database import ScratchDatabase

__all__ = ["bursar"]
OPERATOR = "ops@harbour.example"


class TestUserCommands:
    def test_make_operators_and_help_them(self, bursar: Bursar, database: ScratchDatabase) -> None:
        made = bursar.json("user", "add", OPERATOR, "--name", "Ops", "--operator-role", "superadmin")
        assert made["link"] == f"http://localhost:8080/reset-password#token={made['token']}"
        assert bursar.refused("user", "add", OPERATOR.upper()) == "email_taken"
        wrong = ("user", "add", "x@y.example", "--operator-role", "king")
        assert bursar.refused(*wrong, fails=2) == "invalid_request"
        assert bursar.run("user", "add", "guest@harbour.example").stdout.startswith("http://localhost:8080/")
        listed = bursar.json("user", "list", "--operators")["items"]
        assert [(one["email"], one["operator_role"]) for one in listed] == [(OPERATOR, "superadmin")]
        assert len(bursar.json("user", "list")["items"]) == 2
        again = bursar.json("user", "password-link", OPERATOR)
        assert again["token"] != made["token"]
        with psycopg.connect(database.url) as connection:
            usable = connection.execute(
                "SELECT count(*) FROM one_time_token JOIN app_user ON app_user.id = user_id"
                " WHERE app_user.email = %s AND used_at IS NULL",
                [OPERATOR],
            ).fetchone()
            assert usable == (1,)
            connection.execute("UPDATE app_user SET totp_sealed = '', totp_confirmed_at = now()")
        assert bursar.json("user", "list")["items"][0]["two_factor"] is True
        assert bursar.json("user", "reset-2fa", OPERATOR)["two_factor"] is False
        assert bursar.refused("user", "reset-2fa", "nobody@harbour.example") == "person_not_found"
        assert bursar.json("user", "disable", OPERATOR)["status"] == "disabled"
        assert bursar.json("user", "enable", OPERATOR)["status"] == "active"
        kept = {bursar.json("user", "change-signing-key", *more)["id"] for more in ((), ("--at-once",))}
        with psycopg.connect(database.url) as connection:
            believed = connection.execute("SELECT id FROM signing_key WHERE retired_at IS NULL").fetchall()
        assert len(kept) == 2
        assert {key_id for (key_id,) in believed} < kept
