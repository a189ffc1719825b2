"""Who sees and does what: row-level security, grants, guards. Always as the role itself."""

import psycopg
import pytest
import sqlalchemy as sa
from desk import Desk, one
from psycopg import errors
from samples import START, Customer, new_id
from stories import sold

from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.db.tables import ledger_account, ledger_entry, metadata, organisation, wallet
from scratch_database import ScratchDatabase

MONEY = ("wallet", "hold", "credit_lot", "lot_consumption", "ledger_entry", "ledger_transaction", "usage")


def busy(desk: Desk) -> Customer:
    customer = desk.customer(100)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 60).lease_id
    desk.flush(process, [sold(customer, lease_id, 40)])
    desk.post()
    return customer


class TestTheApiRole:
    async def test_sees_its_organisation_and_no_other(self, desk: Desk, api: Database) -> None:
        mine, _ = busy(desk), busy(desk)
        async with api.read(organisation=mine.organisation_id) as read:
            for name in (*MONEY, "organisation"):
                table = metadata.tables[name]
                owner = table.c.id if name == "organisation" else table.c.organisation_id
                seen = (await read.execute(sa.select(owner).distinct())).scalars().all()
                assert seen == [mine.organisation_id], name

    @pytest.mark.parametrize("table", MONEY)
    async def test_sees_nothing_without_an_organisation(self, desk: Desk, api: Database, table: str) -> None:
        busy(desk)
        async with api.read() as read:
            question = sa.select(sa.func.count()).select_from(metadata.tables[table])
            assert (await read.execute(question)).scalar_one() == 0

    async def test_sees_all_as_the_operator(self, desk: Desk, api: Database) -> None:
        busy(desk)
        busy(desk)
        async with api.read(operator=True) as read:
            assert len((await read.execute(sa.select(wallet.c.id))).all()) == 2

    async def test_sees_no_entry_of_the_operators_accounts(self, desk: Desk, api: Database) -> None:
        mine = busy(desk)
        question = sa.select(ledger_account.c.kind).join(ledger_entry).distinct()
        async with api.read(organisation=mine.organisation_id) as read:
            assert (await read.execute(question)).scalars().all() == ["wallet"]
            assert len((await read.execute(sa.select(ledger_entry))).all()) == 2

    @pytest.mark.parametrize("columns", ["sealed", "*"])
    async def test_reads_no_sealed_credential_even_as_the_operator(self, api: Database, columns: str) -> None:
        for options in ({}, {"operator": True}):
            async with api.read(**options) as read:
                with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
                    await read.execute(sa.text(f"SELECT {columns} FROM provider_credential"))  # noqa: S608 - names written here

    async def test_is_itself_again_after_an_operator_transaction(self, desk: Desk, api: Database) -> None:
        busy(desk)
        async with api.transaction(operator=True) as tx:
            assert len((await tx.execute(sa.select(wallet.c.id))).all()) == 1
        async with api.read() as read:
            assert (await read.execute(sa.select(wallet.c.id))).all() == []

    async def test_cannot_write_for_another_organisation(self, desk: Desk, api: Database) -> None:
        mine, other = desk.customer(), desk.customer()
        with pytest.raises(sa.exc.ProgrammingError, match="row-level security"):
            async with api.transaction(organisation=mine.organisation_id) as tx:
                await tx.execute(
                    sa.text(
                        "INSERT INTO api_key (id, organisation_id, name, key_hash, key_prefix, created_at)"
                        " VALUES (:id, :other, '', sha256('x'), '', now())"
                    ),
                    {"id": new_id(), "other": other.organisation_id},
                )

    async def test_writes_nothing_in_a_read_session(self, desk: Desk, api: Database) -> None:
        mine = desk.customer()
        with pytest.raises(sa.exc.InternalError, match="read-only"):
            async with api.read(organisation=mine.organisation_id) as read:
                await read.execute(sa.update(organisation).values(name="other"))


class TestMoney:
    @pytest.mark.parametrize("table", MONEY)
    @pytest.mark.parametrize("role", [Role.API, Role.OPERATOR, Role.GATEWAY, Role.WORKER])
    def test_is_written_by_functions_only(self, database: ScratchDatabase, role: Role, table: str) -> None:
        with psycopg.connect(database.conninfo(role), autocommit=True) as connection:
            for write in ("DELETE FROM {}", "UPDATE {} SET organisation_id = organisation_id"):
                with pytest.raises(errors.InsufficientPrivilege):
                    connection.execute(write.format(table).encode())

    @pytest.mark.parametrize(
        ("role", "call"),
        [
            (Role.GATEWAY, "bursar_top_up(NULL, NULL, '', 1, '', 1, now(), now(), 1, '', '', '', '', now())"),
            (Role.API, "bursar_top_up(NULL, NULL, '', 1, '', 1, now(), now(), 1, '', '', '', '', now())"),
            (Role.GATEWAY, "bursar_post(now(), 1, 1)"),
            (Role.API, "bursar_take(1, NULL, NULL, NULL, '', 1, 1, 1, now())"),
            (Role.OPERATOR, "bursar_spend('{}')"),
            (Role.WORKER, "bursar_change_wallets('{}', '{}', '{}')"),
        ],
    )
    def test_is_moved_only_by_who_may(self, database: ScratchDatabase, role: Role, call: str) -> None:
        with (
            psycopg.connect(database.conninfo(role)) as connection,
            pytest.raises(errors.InsufficientPrivilege),
        ):
            connection.execute(f"SELECT {call}".encode())


class TestHistory:
    @pytest.mark.parametrize("table", ["ledger_transaction", "ledger_entry", "lot_consumption"])
    @pytest.mark.parametrize("verb", ["UPDATE {} SET organisation_id = organisation_id", "DELETE FROM {}"])
    def test_is_not_changed_even_by_its_owner(
        self, desk: Desk, database: ScratchDatabase, table: str, verb: str
    ) -> None:
        busy(desk)
        with (
            psycopg.connect(database.conninfo(Role.OWNER)) as connection,
            pytest.raises(psycopg.Error, match="append-only"),
        ):
            connection.execute(verb.format(table).encode())

    def test_of_prices_is_only_added_to(self, desk: Desk, database: ScratchDatabase) -> None:
        provider_id = new_id()
        desk.operator.execute(
            "INSERT INTO provider (id, slug, name, kind, base_url, created_at)"
            " VALUES (%s, 's', 's', 'openai', 'http://x', %s)",
            [provider_id, START],
        )
        desk.operator.execute(
            "INSERT INTO price (provider_id, model, meter, currency, effective_from, cost, sale, source,"
            " created_at) VALUES (%s, 'm', 'in_fresh', 'USD', %s, 0.000001, 0.0000012, 'test', %s)",
            [provider_id, START, START],
        )
        with psycopg.connect(database.url) as administrator:
            for verb in (b"UPDATE price SET sale = 0", b"DELETE FROM price"):
                with pytest.raises(psycopg.Error, match="append-only"), administrator.transaction():
                    administrator.execute(verb)

    def test_cannot_be_truncated(self, database: ScratchDatabase) -> None:
        with (
            psycopg.connect(database.url) as administrator,
            pytest.raises(psycopg.Error, match="append-only"),
        ):
            administrator.execute("TRUNCATE ledger_entry")


class TestZeroSum:
    """● The trigger sees all entries; every entry carries its transaction's organisation."""

    ENTRY = (
        "INSERT INTO ledger_entry (transaction_id, account_id, organisation_id, asset, amount)"
        " SELECT transaction_id, account_id, %s, %s, %s FROM ledger_entry WHERE organisation_id = %s LIMIT 1"
    )

    def test_is_checked_when_the_writer_sees_nothing_any_more(
        self, desk: Desk, database: ScratchDatabase
    ) -> None:
        mine = busy(desk).organisation_id
        with psycopg.connect(database.url, autocommit=True) as administrator:
            administrator.execute("GRANT INSERT ON ledger_entry TO bursar_api")
        with psycopg.connect(database.conninfo(Role.API)) as writer:
            writer.execute("SELECT set_config('bursar.organisation', %s, true)", [str(mine)])
            writer.execute(self.ENTRY, [mine, "USD", 5, mine])
            writer.execute("SELECT set_config('bursar.organisation', '', true)")
            with pytest.raises(psycopg.Error) as refusal:
                writer.commit()
        assert refusal.value.sqlstate == "BU002"

    @pytest.mark.parametrize("asset", ["USD", "EUR"])
    def test_cannot_be_dodged_with_another_organisation_or_asset(
        self, desk: Desk, database: ScratchDatabase, asset: str
    ) -> None:
        mine, other = busy(desk).organisation_id, busy(desk).organisation_id
        carried = other if asset == "USD" else mine
        with (
            psycopg.connect(database.conninfo(Role.OWNER)) as writer,
            pytest.raises(errors.ForeignKeyViolation),
        ):
            writer.execute(self.ENTRY, [carried, asset, 5, mine])


class TestWallets:
    """● The CHECK refuses promises that the sums do not cover."""

    def test_promise_nothing_they_do_not_have(self, desk: Desk, database: ScratchDatabase) -> None:
        customer = desk.customer(100)
        with (
            psycopg.connect(database.conninfo(Role.OWNER)) as owner,
            pytest.raises(errors.CheckViolation, match="wallet_funds_cover_promises"),
        ):
            owner.execute("UPDATE wallet SET held = 101 WHERE id = %s", [customer.wallet_id])


class TestNotices:
    def test_tell_of_a_changed_row(self, desk: Desk) -> None:
        with desk.listening("bursar_changed") as heard:
            customer = desk.customer()
        assert f"organisation:{customer.organisation_id}" in heard

    def test_tell_of_many_prices_once(self, desk: Desk) -> None:
        provider_id = new_id()
        desk.operator.execute(
            "INSERT INTO provider (id, slug, name, kind, base_url, created_at)"
            " VALUES (%s, 's', 's', 'openai', 'http://x', %s)",
            [provider_id, START],
        )
        with desk.listening("bursar_changed") as heard:
            desk.operator.execute(
                "INSERT INTO price (provider_id, model, meter, currency, effective_from, cost, sale, source,"
                " created_at) SELECT %s, 'm' || n, 'in_fresh', 'USD', %s, 1, 1, 'test', %s"
                " FROM generate_series(1, 50) AS n",
                [provider_id, START, START],
            )
        assert heard == ["price:*"]

    def test_say_nothing_when_a_wallet_only_moves(self, desk: Desk) -> None:
        customer = desk.customer()
        with desk.listening("bursar_changed") as heard:
            desk.top_up(customer, 100)
        assert heard == []


class TestUsage:
    def test_starts_when_its_id_says(self, desk: Desk, database: ScratchDatabase) -> None:
        customer = busy(desk)
        with (
            psycopg.connect(database.conninfo(Role.OWNER)) as owner,
            pytest.raises(errors.CheckViolation, match="usage_started_at_is_of_id"),
        ):
            owner.execute(
                "UPDATE usage SET started_at = started_at + interval '1 ms' WHERE organisation_id = %s",
                [customer.organisation_id],
            )

    def test_is_forced_under_row_level_security_in_every_month(self, desk: Desk) -> None:
        query = (
            "SELECT count(*) FROM pg_class WHERE relname ~ '^usage_2' AND relkind = 'r'"
            " AND NOT (relrowsecurity AND relforcerowsecurity)"
        )
        assert one(desk.worker, query) == 0
