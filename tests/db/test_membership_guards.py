"""What the database refuses of members and invitations, whoever writes and however many at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from uuid import UUID

import psycopg
import pytest
from psycopg import errors
from samples import START, new_id

from bursar.db.connect import Role
from scratch_database import ScratchDatabase

ROLES = ("owner", "admin", "billing", "developer", "viewer")


class Books:
    """An organisation's members, written by hand as one of the program's roles."""

    def __init__(self, database: ScratchDatabase) -> None:
        self.database = database
        self.organisation_id = new_id()
        with self.connect() as connection:
            connection.execute(
                "INSERT INTO organisation (id, name, created_at) VALUES (%s, 'Acme', %s)",
                [self.organisation_id, START],
            )

    @contextmanager
    def connect(self, role: Role = Role.OPERATOR) -> Iterator[psycopg.Connection]:
        """Commits at the end, and is closed even when that is refused."""
        with closing(psycopg.connect(self.database.conninfo(role))) as connection:
            yield connection
            connection.commit()

    def person(self) -> UUID:
        user_id = new_id()
        with self.connect(Role.ACCOUNTS) as connection:
            connection.execute(
                "INSERT INTO app_user (id, email, created_at) VALUES (%s, %s, %s)",
                [user_id, f"{user_id.hex}@acme.example", START],
            )
        return user_id

    def join(self, connection: psycopg.Connection, user_id: UUID, role: str) -> None:
        connection.execute(
            "INSERT INTO membership (organisation_id, user_id, role, created_at) VALUES (%s, %s, %s, %s)",
            [self.organisation_id, user_id, role, START],
        )

    def member(self, role: str) -> UUID:
        user_id = self.person()
        with self.connect(Role.ACCOUNTS) as connection:
            self.join(connection, user_id, role)
        return user_id

    def invite(self, *, accepted_by: UUID | None = None) -> UUID:
        invitation_id = new_id()
        with self.connect() as connection:
            connection.execute(
                "INSERT INTO invitation (id, organisation_id, email, role, token_hash, created_at, sent_at,"
                " expires_at)"
                " VALUES (%s, %s, 'new@acme.example', 'viewer', sha256(%s::text::bytea), %s, %s, %s)",
                [invitation_id, self.organisation_id, str(invitation_id), START, START, START],
            )
        if accepted_by is not None:
            with self.connect(Role.ACCOUNTS) as connection:
                connection.execute(
                    "UPDATE invitation SET accepted_at = %s, accepted_by = %s WHERE id = %s",
                    [START, accepted_by, invitation_id],
                )
        return invitation_id

    def owners(self) -> int:
        with self.connect() as connection:
            row = connection.execute("SELECT count(*) FROM membership WHERE role = 'owner'").fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture
def books(database: ScratchDatabase) -> Books:
    return Books(database)


def demote(connection: psycopg.Connection, user_id: UUID, role: str = "admin") -> None:
    connection.execute("UPDATE membership SET role = %s WHERE user_id = %s", [role, user_id])


def leave(connection: psycopg.Connection, user_id: UUID) -> None:
    connection.execute("DELETE FROM membership WHERE user_id = %s", [user_id])


class TestOneOwner:
    def test_wherever_there_is_a_member(self, books: Books) -> None:
        for role in ROLES[1:]:
            with pytest.raises(errors.CheckViolation, match="no owner"):
                books.member(role)
        owner = books.member("owner")
        other = books.member("viewer")
        with pytest.raises(errors.UniqueViolation, match="membership_one_owner"):
            books.member("owner")
        for change in (demote, leave):
            with pytest.raises(errors.CheckViolation, match="no owner"), books.connect() as connection:
                change(connection, owner)
        with books.connect() as connection:  # a transfer: the role is away for a moment only
            demote(connection, owner)
            demote(connection, other, "owner")
        with books.connect() as connection:  # and all may go
            leave(connection, owner)
            leave(connection, other)
        assert books.owners() == 0

    def test_when_two_transactions_together_would_leave_none(self, books: Books) -> None:
        """Each alone is right: the last member leaves; another joins an organisation with an owner."""
        owner, new = books.member("owner"), books.person()
        with books.connect() as first, books.connect() as second, ThreadPoolExecutor(1) as beside:
            leave(first, owner)
            books.join(second, new, "viewer")
            first.execute("SET CONSTRAINTS ALL IMMEDIATE")  # the first has looked; it holds the organisation
            waiting = beside.submit(second.commit)
            first.commit()
            with pytest.raises(errors.CheckViolation, match="no owner"):
                waiting.result()
            second.rollback()

    def test_when_two_owners_are_made_at_once(self, books: Books) -> None:
        owner, ann, bob = books.member("owner"), books.member("admin"), books.member("admin")
        with books.connect() as first, books.connect() as second, ThreadPoolExecutor(1) as beside:
            demote(first, owner)
            demote(first, ann, "owner")
            waiting = beside.submit(demote, second, bob, "owner")
            first.commit()
            with pytest.raises(errors.UniqueViolation, match="membership_one_owner"):
                waiting.result()
            second.rollback()
        assert books.owners() == 1


class TestInvitations:
    def test_end_once(self, books: Books) -> None:
        ann, bob = books.member("owner"), books.member("viewer")
        invitation_id = books.invite(accepted_by=ann)
        again = "UPDATE invitation SET accepted_by = %s WHERE id = %s"
        with (
            pytest.raises(errors.CheckViolation, match="has ended"),
            books.connect(Role.ACCOUNTS) as connection,
        ):
            connection.execute(again, [bob, invitation_id])
        for change in ("revoked_at = sent_at", "expires_at = '2099-01-01'", "token_hash = sha256('x')"):
            with pytest.raises(errors.CheckViolation), books.connect() as connection:
                connection.execute(f"UPDATE invitation SET {change}")  # noqa: S608 - written just above
        with psycopg.connect(books.database.url) as owner:  # whom it named may be forgotten
            owner.execute("UPDATE invitation SET email = 'gone@invalid'")

    def test_ask_one_address_once_at_a_time(self, books: Books) -> None:
        ann = books.member("owner")
        books.invite(accepted_by=ann)
        books.invite()
        with pytest.raises(errors.UniqueViolation, match="invitation_open_key"):
            books.invite()


class TestACustomersSession:
    def test_makes_nobody_a_member_and_decides_no_status(self, books: Books) -> None:
        books.member("owner")
        new = books.person()
        with books.connect(Role.API) as api:
            for statement in (
                "UPDATE organisation SET status = 'active'",
                "UPDATE organisation SET billing_type = 'postpaid'",
                "UPDATE invitation SET accepted_at = now()",
                "UPDATE invitation SET email = 'thief@acme.example'",
                "SELECT token_hash FROM invitation",
                f"INSERT INTO organisation (id, name, created_at) VALUES ('{new_id()}', 'x', now())",  # noqa: S608 - an id
            ):
                api.execute(
                    "SELECT set_config('bursar.organisation', %s, false)", [str(books.organisation_id)]
                )
                with pytest.raises(errors.InsufficientPrivilege):
                    api.execute(statement)
                api.rollback()
            with pytest.raises(errors.InsufficientPrivilege):
                books.join(api, new, "viewer")
