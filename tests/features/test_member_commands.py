"""`bursar member`, against a real database."""

import psycopg
import pytest
from test_commands import Bursar, bursar

from scratch_database import ScratchDatabase

__all__ = ["bursar"]  # the fixture


@pytest.fixture
def acme(bursar: Bursar, database: ScratchDatabase) -> str:
    """An organisation with an owner and a viewer, made by hand."""
    organisation_id = str(bursar.json("org", "create", "Acme")["id"])
    with psycopg.connect(database.url) as connection:
        for name, role in (("olga", "owner"), ("vic", "viewer")):
            user = connection.execute(
                "INSERT INTO app_user (id, email, created_at)"
                " VALUES (gen_random_uuid(), %s, now()) RETURNING id",
                [f"{name}@acme.example"],
            ).fetchone()
            assert user is not None
            connection.execute(
                "INSERT INTO membership (organisation_id, user_id, role, created_at)"
                " VALUES (%s, %s, %s, now())",
                [organisation_id, user[0], role],
            )
    return organisation_id


class TestMemberCommands:
    def test_change_who_belongs_and_as_what(self, bursar: Bursar, acme: str) -> None:
        changed = bursar.json("member", "role", "Acme", "Vic@acme.example", "billing")
        assert (changed["role"], changed["email"]) == ("billing", "vic@acme.example")
        assert bursar.refused("member", "role", "Acme", "olga@acme.example", "viewer") == "owner_stays"
        assert bursar.refused("member", "role", "Acme", "nobody@acme.example", "viewer") == "member_not_found"
        assert (
            bursar.refused("member", "role", "Acme", "vic@acme.example", "king", fails=2) == "invalid_request"
        )
        assert bursar.json("member", "transfer", acme, changed["user_id"])["role"] == "owner"
        roles = {one["email"]: one["role"] for one in bursar.json("member", "list", "Acme")["items"]}
        assert roles == {"olga@acme.example": "admin", "vic@acme.example": "owner"}
        assert (
            bursar.json("member", "remove", "Acme", "olga@acme.example", "--revoke-keys")["keys_revoked"] == 0
        )
        assert "vic@acme.example" in bursar.run("member", "list", "Acme").stdout

    def test_invite_and_think_better_of_it(self, bursar: Bursar, acme: str) -> None:
        made = bursar.json("member", "invite", "Acme", "New@acme.example", "viewer", "--locale", "zh")
        assert (made["email"], made["status"]) == ("new@acme.example", "open")
        assert bursar.refused("member", "invite", acme, "x@acme.example", "owner") == "role_not_given"
        assert bursar.refused("member", "resend", "Acme", made["id"]) == "invited_too_often"
        assert bursar.json("member", "revoke", "Acme", made["id"])["status"] == "revoked"
        assert bursar.refused("member", "resend", "Acme", made["id"]) == "invitation_ended"
        assert "revoked" in bursar.run("member", "invitations", "Acme").stdout
