"""Own credentials and platform fees: who sees and writes what, and what gateways load."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from desk import Desk
from psycopg import errors
from samples import START, Customer, new_id

from bursar.db.books import PgBooks
from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.db.tables import own_credential, platform_fee
from scratch_database import ScratchDatabase

Add = Callable[..., UUID]


@pytest.fixture
def provider_id(desk: Desk) -> UUID:
    number = new_id()
    desk.operator.execute(
        "INSERT INTO provider (id, slug, name, kind, base_url, takes_own_keys, created_at)"
        " VALUES (%s, 's', 's', 'openai', 'http://x', true, %s)",
        [number, START],
    )
    return number


@pytest.fixture
def add(desk: Desk, provider_id: UUID) -> Add:
    def add(customer: Customer, *, active: bool = True, priority: int = 100) -> UUID:
        number = new_id()
        desk.operator.execute(
            "INSERT INTO own_credential (id, organisation_id, provider_id, name, sealed, hint, active,"
            " priority, created_at) VALUES (%s, %s, %s, 'n', 'sealed', 'h', %s, %s, %s)",
            [number, customer.organisation_id, provider_id, active, priority, START],
        )
        return number

    return add


class TestOwnCredentialRows:
    async def test_are_seen_by_their_organisation_alone(self, desk: Desk, api: Database, add: Add) -> None:
        mine, other = desk.customer(), desk.customer()
        number = add(mine)
        add(other)
        question = sa.select(own_credential.c.id)
        async with api.read(organisation=mine.organisation_id) as read:
            assert (await read.execute(question)).scalars().all() == [number]
        async with api.read() as read:
            assert (await read.execute(question)).all() == []
        async with api.read(operator=True) as read:
            assert len((await read.execute(question)).all()) == 2

    @pytest.mark.parametrize("options", [{}, {"operator": True}])
    async def test_show_what_is_sealed_to_nobody_here(
        self, desk: Desk, api: Database, add: Add, options: dict[str, bool]
    ) -> None:
        customer = desk.customer()
        add(customer)
        organisation: dict[str, Any] = {} if options else {"organisation": customer.organisation_id}
        async with api.read(**options, **organisation) as read:
            with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
                await read.execute(sa.select(own_credential.c.sealed))

    async def test_are_not_touched_by_others(self, desk: Desk, api: Database, add: Add) -> None:
        mine, other = desk.customer(), desk.customer()
        add(mine)
        async with api.transaction(organisation=other.organisation_id) as tx:
            changed = await tx.execute(sa.update(own_credential).values(active=False))
            removed = await tx.execute(sa.delete(own_credential))
            assert (changed.rowcount, removed.rowcount) == (0, 0)
        with pytest.raises(sa.exc.ProgrammingError, match="row-level security"):
            async with api.transaction(organisation=mine.organisation_id) as tx:
                await tx.execute(sa.update(own_credential).values(organisation_id=other.organisation_id))

    def test_are_read_and_never_written_by_gateways(
        self, desk: Desk, database: ScratchDatabase, add: Add
    ) -> None:
        add(desk.customer())
        with psycopg.connect(database.conninfo(Role.GATEWAY), autocommit=True) as gateway:
            assert gateway.execute("SELECT sealed FROM own_credential").fetchall() == [(b"sealed",)]
            for write in (b"DELETE FROM own_credential", b"UPDATE own_credential SET active = false"):
                with pytest.raises(errors.InsufficientPrivilege):
                    gateway.execute(write)

    def test_tell_gateways_when_they_change(self, desk: Desk, add: Add) -> None:
        customer = desk.customer()
        with desk.listening("bursar_changed") as heard:
            number = add(customer)
            desk.operator.execute("UPDATE own_credential SET active = false")
            desk.operator.execute("DELETE FROM own_credential")
        assert heard == [f"own_credential:{number}"] * 3


class TestPlatformFeeRows:
    async def test_of_everybody_and_its_own_are_seen_by_an_organisation(
        self, desk: Desk, api: Database
    ) -> None:
        mine, other = desk.customer(), desk.customer()
        for customer in (mine, other):
            desk.operator.execute(
                "INSERT INTO platform_fee (organisation_id, currency, percent, fixed, effective_from,"
                " created_at) VALUES (%s, 'USD', 1, 0, %s, %s)",
                [customer.organisation_id, START, START],
            )
        async with api.read(organisation=mine.organisation_id) as read:
            owners = (
                (await read.execute(sa.select(platform_fee.c.organisation_id).distinct())).scalars().all()
            )
        assert set(owners) == {None, mine.organisation_id}

    def test_are_only_added_to(self, database: ScratchDatabase) -> None:
        with psycopg.connect(database.url) as administrator:
            for verb in (
                b"UPDATE platform_fee SET percent = 0",
                b"DELETE FROM platform_fee",
                b"TRUNCATE platform_fee",
            ):
                with pytest.raises(psycopg.Error, match="append-only"), administrator.transaction():
                    administrator.execute(verb)

    @pytest.mark.parametrize("role", [Role.API, Role.GATEWAY, Role.WORKER])
    def test_are_added_by_operators_alone(self, database: ScratchDatabase, role: Role) -> None:
        with (
            psycopg.connect(database.conninfo(role)) as connection,
            pytest.raises(errors.InsufficientPrivilege),
        ):
            connection.execute(
                "INSERT INTO platform_fee (currency, percent, fixed, effective_from, created_at)"
                " VALUES ('USD', 0, 0, now(), now())"
            )

    def test_are_never_negative(self, desk: Desk) -> None:
        for percent, fixed in ((-1, 0), (0, -1), (1001, 0)):
            with pytest.raises(errors.CheckViolation):
                desk.operator.execute(
                    "INSERT INTO platform_fee (currency, percent, fixed, effective_from, created_at)"
                    " VALUES ('USD', %s, %s, now(), now())",
                    [percent, fixed],
                )

    def test_begin_once_at_a_moment(self, desk: Desk) -> None:
        add_fee = (
            "INSERT INTO platform_fee (currency, percent, fixed, effective_from, created_at)"
            " VALUES ('USD', 1, 0, %s, %s)"
        )
        desk.operator.execute(add_fee, [START, START])
        with pytest.raises(errors.UniqueViolation):
            desk.operator.execute(add_fee, [START, START])


class TestLoadedRules:
    async def test_come_for_organisations_that_have_some(self, desk: Desk, books: PgBooks, add: Add) -> None:
        plain, owner, narrowed = desk.customer(), desk.customer(), desk.customer()
        second, first = add(owner), add(owner, priority=1)
        add(plain, active=False)
        desk.operator.execute(
            "UPDATE organisation SET allowed_regions = '{eu}', own_keys_fall_back = true WHERE id = %s",
            [narrowed.organisation_id],
        )
        loaded = await books.load_snapshot()
        assert {row["id"] for row in loaded["rules"]} == {owner.organisation_id, narrowed.organisation_id}
        (rules,) = [row for row in loaded["rules"] if row["id"] == narrowed.organisation_id]
        assert (rules["allowed_regions"], rules["allowed_providers"]) == (["eu"], None)
        assert rules["own_keys_fall_back"] is True
        assert [row["id"] for row in loaded["own_credentials"]] == [first, second]

    async def test_say_whether_the_provider_takes_them(self, desk: Desk, books: PgBooks, add: Add) -> None:
        add(desk.customer())
        assert [row["is_taken"] for row in (await books.load_snapshot())["own_credentials"]] == [True]
        desk.operator.execute("UPDATE provider SET takes_own_keys = false")
        assert [row["is_taken"] for row in (await books.load_snapshot())["own_credentials"]] == [False]

    async def test_change_their_version_with_the_row(self, desk: Desk, books: PgBooks, add: Add) -> None:
        add(desk.customer())
        (before,) = (await books.load_snapshot())["own_credentials"]
        desk.operator.execute("UPDATE own_credential SET sealed = 'other'")
        (after,) = (await books.load_snapshot())["own_credentials"]
        assert before["version"] != after["version"]

    async def test_come_with_fees_in_whole_numbers(self, desk: Desk, books: PgBooks) -> None:
        desk.operator.execute(
            "INSERT INTO platform_fee (currency, percent, fixed, effective_from, created_at)"
            " VALUES ('USD', 2.3456, 0.000000000000000007, %s, %s)",
            [START + timedelta(days=400), START],
        )
        fees = (await books.load_snapshot())["fees"]
        assert (len(fees), {row["millionths"] for row in fees}) == (6, {50_000, 23_456})
        assert {int(row["fixed_atto"]) for row in fees} == {0, 7}
