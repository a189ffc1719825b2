"""The audit log on a real database: what triggers write, what nobody can change unseen, owners included."""

from collections.abc import Iterator
from typing import Any

import orjson
import psycopg
import pytest
import sqlalchemy as sa
from desk import Desk
from psycopg import errors
from samples import new_id
from stories import sold

from bursar.core.audit_chain import mark_key
from bursar.db.audit import ChainCutBack, Sealer, verify
from bursar.db.connect import Role
from bursar.db.engine import Database
from scratch_database import ScratchDatabase

KEY = mark_key(b"s" * 32)
ANA = orjson.dumps(
    {
        "kind": "member",
        "id": "01900000-0000-7000-8000-000000000001",
        "name": "ana@a.example",
        "address": "10.0.0.7",
    }
).decode()

# What keeps no entry here, and why that is enough.
EXCEPTIONS = {
    "alembic_version": "written by migrations only",
    "audit_entry": "it is the log",
    "ledger_account": "made by the ledger's own functions with its first entry",
    "ledger_entry": "append-only, and part of a transaction that is logged or booked by nobody",
    "credit_lot": "made and burned by ledger transactions",
    "lot_consumption": "append-only",
    "hold": "the gateways' own promises",
    "budget_slice": "the gateways' own counters",
    "balance_notice": "what was told; its cause is the ledger",
    "budget_notice": "what was told; its cause is usage",
    "process": "the gateways' own lives",
    "data_export_piece": "the bytes of an archive; that it was asked for and made is logged",
    "mail_refusal": "whoever has the link of a mail refuses more of them; the row itself is the record",
    "trial_given": "hashes of addresses; the credit is in the ledger",
    "sign_up": "a stranger's wish; whom it makes is logged",
    "usage": "facts; append-only but for the stamp of their posting",
    "usage_mark": "a running stream's progress",
    "usage_month": "append-only totals",
    "outbox": "a queue: what it announces is logged itself",
    "idempotent_answer": "answers given before, sealed",
    "provider_health": "what gateways measure",
    "credential_refusal": "what gateways measure",
    "abuse_hour": "counts of usage, which is append-only itself",
    "abuse_mark": "the worker's place in usage",
    "webhook_message": "what was to be sent: its cause is logged itself",
    "webhook_delivery": "a log of its own",
    "webhook_attempt": "a log of its own",
    "stored_response": "a customer's own content, kept and forgotten by the gateway",
}


@pytest.fixture
def owner(database: ScratchDatabase) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.conninfo(Role.OWNER), autocommit=True) as connection:
        yield connection


@pytest.fixture
def operator(database: ScratchDatabase) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.conninfo(Role.OPERATOR), autocommit=True) as connection:
        connection.execute("SELECT set_config('bursar.actor', %s, false)", [ANA])
        yield connection


def make_organisation(operator: psycopg.Connection[Any], name: str = "Acme") -> str:
    number = str(new_id())
    operator.execute(
        "INSERT INTO organisation (id, name, billing_email, created_at)"
        " VALUES (%s, %s, 'pay@acme.example', now())",
        [number, name],
    )
    return number


def entries(owner: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    with owner.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute("SELECT * FROM audit_entry ORDER BY id").fetchall()


class TestEveryTable:
    def test_is_followed_or_says_why_not(self, owner: psycopg.Connection[Any]) -> None:
        tables = owner.execute(
            "SELECT c.oid::regclass::text,"
            " EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND tgname = 'audited')"
            " FROM pg_class AS c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
            " AND NOT relispartition"
        ).fetchall()
        unwatched = {name for name, followed in tables if not followed}
        assert unwatched == EXCEPTIONS.keys()

    def test_masks_secret_columns_and_sets_personal_ones_apart(self, owner: psycopg.Connection[Any]) -> None:
        """Whatever is bytes or named like a secret, and whatever is named like a name or an address."""
        followed = owner.execute(
            "SELECT tgrelid::regclass::text, encode(tgargs, 'escape') FROM pg_trigger"
            " WHERE tgname = 'audited' AND tgfoid = 'bursar_audit_row'::regproc"
        ).fetchall()
        told = {
            name: [set(one.strip("{}").split(",")) for one in args.split("\\000")] for name, args in followed
        }
        columns = owner.execute(
            "SELECT attrelid::regclass::text, attname, atttypid = 'bytea'::regtype"
            " OR attname ~ '(secret|sealed|hash|password)' FROM pg_attribute"
            " WHERE attrelid::regclass::text = ANY (%s) AND attnum > 0 AND NOT attisdropped"
            " AND (atttypid = 'bytea'::regtype"
            " OR attname ~ '(secret|sealed|hash|password|email|recipient|user_agent)' OR attname = 'name')",
            [list(told)],
        ).fetchall()
        assert len(columns) > 20
        bare = [
            (table, name)
            for table, name, is_secret in columns
            if name not in told[table][1 if is_secret else 2] and not name.endswith("_at")
        ]
        assert bare == []


class TestEntry:
    def test_says_who_from_where_what_before_and_after(
        self, operator: psycopg.Connection[Any], owner: psycopg.Connection[Any]
    ) -> None:
        number = make_organisation(operator)
        operator.execute(
            "UPDATE organisation SET status = 'suspended', name = 'Acme 2' WHERE id = %s", [number]
        )
        operator.execute("UPDATE organisation SET status = status WHERE id = %s", [number])  # nothing changes
        made, changed = entries(owner)
        assert (made["action"], changed["action"]) == ("insert", "update")
        assert (changed["subject"], changed["subject_id"]) == ("organisation", number)
        assert str(changed["organisation_id"]) == number
        assert (changed["actor_kind"], str(changed["actor_id"])[-3:]) == ("member", "001")
        assert changed["db_role"] == "bursar_operator"
        assert orjson.loads(changed["actor_part"]) == {"name": "ana@a.example", "address": "10.0.0.7"}
        told = {"before": {"status": "active"}, "after": {"status": "suspended"}}
        assert orjson.loads(changed["changes"]) == told
        assert orjson.loads(changed["row_part"]) == {"before": {"name": "Acme"}, "after": {"name": "Acme 2"}}
        assert "pay@acme.example" not in made["changes"]

    def test_tells_of_a_secret_only_that_it_changed(
        self, operator: psycopg.Connection[Any], owner: psycopg.Connection[Any]
    ) -> None:
        number = make_organisation(operator)
        operator.execute(
            "INSERT INTO api_key (id, organisation_id, name, key_hash, key_prefix, created_at)"
            " VALUES (%s, %s, 'k', sha256('x'), 'llm_', now())",
            [new_id(), number],
        )
        operator.execute("UPDATE api_key SET key_hash = sha256('y')")
        *_, changed = entries(owner)
        assert orjson.loads(changed["changes"]) == {
            "before": {"key_hash": "***"},
            "after": {"key_hash": "***"},
        }

    def test_names_who_writes_by_hand(self, owner: psycopg.Connection[Any]) -> None:
        owner.execute("INSERT INTO setting (key, value) VALUES ('a', '1')")
        owner.execute("DELETE FROM setting WHERE key = 'a'")
        _, gone = entries(owner)
        assert (gone["actor_kind"], gone["db_role"], gone["action"]) == ("database", "bursar_owner", "delete")
        assert orjson.loads(gone["changes"])["before"] == {"key": "a", "value": 1}

    def test_of_a_wallet_is_of_decisions_only(
        self, operator: psycopg.Connection[Any], owner: psycopg.Connection[Any]
    ) -> None:
        number = make_organisation(operator)
        wallet = new_id()
        operator.execute(
            "INSERT INTO wallet (id, organisation_id, asset, created_at) VALUES (%s, %s, 'USD', now())",
            [wallet, number],
        )
        before = len(entries(owner))
        owner.execute("UPDATE wallet SET posted = 7, held = 3 WHERE id = %s", [wallet])
        owner.execute("UPDATE wallet SET posted = 0, held = 0 WHERE id = %s", [wallet])
        assert len(entries(owner)) == before
        owner.execute("UPDATE wallet SET credit_limit = 5 WHERE id = %s", [wallet])
        assert len(entries(owner)) == before + 1

    def test_is_not_written_for_what_gateways_and_postings_do(
        self, desk: Desk, owner: psycopg.Connection[Any]
    ) -> None:
        customer, process = desk.customer(100), desk.open_process()
        before = [entry["subject"] for entry in entries(owner)]
        assert before[-1] == "ledger_transaction"  # the top-up, which somebody decided
        desk.flush(process, [sold(customer, desk.take(process, customer, 60).lease_id, 40)])
        desk.post()
        assert [entry["subject"] for entry in entries(owner)] == before

    def test_counts_prices_that_come_together(
        self, operator: psycopg.Connection[Any], owner: psycopg.Connection[Any]
    ) -> None:
        provider = new_id()
        operator.execute(
            "INSERT INTO provider (id, slug, name, kind, base_url, created_at)"
            " VALUES (%s, 's', 's', 'openai', 'http://x', now())",
            [provider],
        )
        operator.execute(
            "INSERT INTO price (provider_id, model, meter, currency, effective_from, cost, sale, source,"
            " created_at) SELECT %s, 'm' || n, 'in_fresh', 'USD', now(), 1, 1, 'list', now()"
            " FROM generate_series(1, 3000) AS n",
            [provider],
        )
        _, told = entries(owner)
        after = orjson.loads(told["changes"])["after"]
        assert (told["action"], told["subject"]) == ("import", "price")
        assert after == {"count": 3000, "models": 3000, "sources": ["list"], "providers": [str(provider)]}


class TestAppendOnly:
    def test_whoever_asks(self, database: ScratchDatabase, operator: psycopg.Connection[Any]) -> None:
        make_organisation(operator)
        for role in (Role.OWNER, Role.OPERATOR, Role.WORKER, Role.API, Role.ACCOUNTS, Role.GATEWAY):
            with psycopg.connect(database.conninfo(role), autocommit=True) as connection:
                for attempt in (
                    "UPDATE audit_entry SET changes = '{}'",
                    "UPDATE audit_entry SET actor_part = '{}'",
                    "DELETE FROM audit_entry",
                    "TRUNCATE audit_entry",
                ):
                    with pytest.raises(psycopg.DatabaseError, match=r"append-only|permission denied"):
                        connection.execute(attempt.encode())
                if role is not Role.OWNER:
                    with pytest.raises(errors.InsufficientPrivilege):
                        connection.execute(
                            "SELECT bursar_write_audit('update', 'x', '1', NULL, NULL, false, '{}', NULL)"
                        )

    def test_shows_an_organisation_its_own_entries_and_nothing_internal(
        self, database: ScratchDatabase, operator: psycopg.Connection[Any], owner: psycopg.Connection[Any]
    ) -> None:
        mine, other = make_organisation(operator), make_organisation(operator, "Other")
        owner.execute(
            "SELECT bursar_write_audit('update', 'organisation', 'x', %s, NULL, true, '{}', NULL)", [mine]
        )
        seen = "SELECT subject_id FROM audit_entry"
        with psycopg.connect(database.conninfo(Role.API), autocommit=True) as api:
            assert api.execute(seen).fetchall() == []
            api.execute("SELECT set_config('bursar.organisation', %s, false)", [mine])
            assert api.execute(seen).fetchall() == [(mine,)]
            api.execute("SELECT set_config('bursar.organisation', %s, false)", [other])
            assert api.execute(seen).fetchall() == [(other,)]


FREE = "ALTER TABLE audit_entry DISABLE TRIGGER ALL"
ATTACKS = {
    "an entry changed": ("UPDATE audit_entry SET actor_kind = 'cli' WHERE seq = 3", 3),
    "an entry's time moved": ("UPDATE audit_entry SET at = at - interval '1 day' WHERE seq = 3", 3),
    "a name replaced": ("""UPDATE audit_entry SET actor_part = '{"name": "bo"}' WHERE seq = 3""", 3),
    "an entry removed": ("DELETE FROM audit_entry WHERE seq = 3", 3),
    "an entry taken out of the chain": (
        "UPDATE audit_entry SET seq = NULL, hash = NULL, mark = NULL WHERE seq = 3",
        3,
    ),
    "a mark made up": ("UPDATE audit_entry SET mark = sha256('guess') WHERE seq = 3", 3),
    "a name quietly erased": (
        "UPDATE audit_entry SET actor_part = NULL, actor_salt = NULL WHERE seq = 3",
        5,
    ),
    "the whole log emptied": ("DELETE FROM audit_entry", 1),
}


class TestChain:
    async def test_shows_what_the_owner_did(
        self, database: ScratchDatabase, operator: psycopg.Connection[Any], owner: psycopg.Connection[Any]
    ) -> None:
        for number in range(5):
            make_organisation(operator, f"Org {number}")
        worker = Database(database.url, Role.WORKER)
        assert await Sealer(worker, KEY).run() == 5
        clean = await verify(worker, KEY, {})
        assert (clean.fault, clean.at.seq, clean.unsealed) == (None, 5, 0)
        owner.execute(FREE.encode())
        owner.execute("CREATE TEMP TABLE before AS SELECT * FROM audit_entry")
        for attack, (statement, place) in ATTACKS.items():
            owner.execute(statement.encode())
            broken = await verify(worker, KEY, {clean.at.seq: clean.at.hash})
            assert broken.fault is not None, attack
            assert broken.fault.seq == place, attack
            owner.execute("DELETE FROM audit_entry")
            owner.execute("INSERT INTO audit_entry OVERRIDING SYSTEM VALUE SELECT * FROM before")
        assert (await verify(worker, KEY, {})).fault is None
        await worker.close()

    async def test_is_not_sealed_anew_under_the_worker_that_knows_its_end(
        self, database: ScratchDatabase, operator: psycopg.Connection[Any], owner: psycopg.Connection[Any]
    ) -> None:
        """With the worker's help every hash and mark could be made again: it refuses."""
        make_organisation(operator)
        worker = Database(database.url, Role.WORKER)
        sealer = Sealer(worker, KEY)
        await sealer.run()
        owner.execute(FREE.encode())
        owner.execute(b"UPDATE audit_entry SET actor_kind = 'cli', seq = NULL, hash = NULL, mark = NULL")
        with pytest.raises(ChainCutBack):
            await sealer.run()
        await worker.close()

    async def test_is_checked_with_the_key_it_was_made_with(
        self, database: ScratchDatabase, operator: psycopg.Connection[Any]
    ) -> None:
        make_organisation(operator)
        worker = Database(database.url, Role.WORKER)
        await Sealer(worker, KEY).run()
        verdict = await verify(worker, mark_key(b"t" * 32), {})
        assert verdict.fault is not None
        assert "key" in verdict.fault.why
        await worker.close()

    async def test_takes_entries_in_the_order_of_commits(
        self, database: ScratchDatabase, operator: psycopg.Connection[Any], owner: psycopg.Connection[Any]
    ) -> None:
        """An entry whose transaction ends late is sealed later, never left out."""
        worker = Database(database.url, Role.WORKER)
        first, second = Sealer(worker, KEY), Sealer(worker, KEY)
        with psycopg.connect(database.conninfo(Role.OPERATOR)) as slow:
            late = make_organisation(slow, "Late")
            early = make_organisation(operator, "Early")
            assert await first.run() == 1
        assert await second.run() == 1
        assert await first.run() == 0
        ordered = [row[0] for row in owner.execute("SELECT subject_id FROM audit_entry ORDER BY seq")]
        assert ordered == [early, late]
        assert (await verify(worker, KEY, {})).fault is None
        await worker.close()

    async def test_is_walked_a_page_at_a_time(
        self, database: ScratchDatabase, owner: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bursar.db.audit.WALKED_PER_PAGE", 7)
        owner.execute(
            "INSERT INTO setting (key, value) SELECT n::text, '1' FROM generate_series(1, 520) AS n"
        )
        worker = Database(database.url, Role.WORKER)
        pages = 0

        @sa.event.listens_for(worker.engine.sync_engine, "before_cursor_execute")
        def count(*said: object) -> None:
            nonlocal pages
            pages += "audit_entry.seq >" in str(said[2])

        sealer = Sealer(worker, KEY)
        assert (await sealer.run(), await sealer.run()) == (500, 20)
        verdict = await verify(worker, KEY, {})
        assert (verdict.fault, verdict.at.seq) == (None, 520)
        assert pages == 520 // 7 + 2
        await worker.close()
