"""What changes in the database is known here soon, whatever happens on the way."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from postgres_road import until
from processes import Bank, Branch
from samples import Customer
from structlog.testing import capture_logs

from bursar.adapters.upstream.direct import DirectUpstream
from bursar.core.abuse import Thresholds
from bursar.core.pricing import PriceBook
from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.db.secrets import SecretBox
from bursar.entrypoints.adapters import provider_adapters
from bursar.entrypoints.gateway import new_request_id
from bursar.features.abuse.watching import Watch
from bursar.gateway.flushing import Flusher
from bursar.gateway.runtime import Gateway, GatewayLimits
from bursar.gateway.snapshot import Rows, Snapshot, build
from bursar.gateway.watching import watch_books
from bursar.rest.edge import Edge, SystemClock
from gateway_stack import KEY, SECRET_KEY, Seed, seed
from scratch_database import ScratchDatabase

BOX = SecretBox(bytes.fromhex(SECRET_KEY))
REVOKED_WITHIN_S = 1.0


class Watched:
    """A gateway that only watches. `loads` counts its snapshots; `fails` makes so many of them fail."""

    def __init__(self, branch: Branch, folder: Path, url: str, seeded: Seed) -> None:
        self.bank = Bank(url)
        self.branch = branch
        self.seed = seeded
        self.loads = 0
        self.fails = 0
        self.gw = Gateway(
            books=branch.books,
            clock=branch.clock,
            process=branch.process,
            treasury=branch.treasury,
            flusher=Flusher(branch.books, branch.process, folder),
            upstream=DirectUpstream(),
            snapshot=Snapshot(keys={}, models={}, prices=PriceBook(())),
            limits=GatewayLimits(),
            new_request_id=new_request_id,
        )

    def build(self, rows: Rows) -> Snapshot:
        self.loads += 1
        if self.fails:
            self.fails -= 1
            raise RuntimeError("nobody foresaw this")
        return build(rows, provider_adapters(), lambda sealed: BOX.open(sealed).decode())

    def add_keys(self, *secrets: str) -> None:
        """All in one transaction."""
        with psycopg.connect(self.bank.url) as connection:
            for secret in secrets:
                connection.execute(
                    "INSERT INTO api_key (id, organisation_id, name, key_hash, key_prefix, created_at)"
                    " VALUES (%s, %s, 'test', %s, 'llm_sk_', now())",
                    [uuid4(), self.seed.organisation_id, hashlib.sha256(secret.encode()).digest()],
                )

    def revoke(self, secret: str) -> None:
        self.bank.administer(
            "UPDATE api_key SET active = false, revoked_at = now() WHERE key_hash = %s",
            hashlib.sha256(secret.encode()).digest(),
        )

    def knows(self, secret: str) -> bool:
        return self.gw.snapshot.key(secret.encode()) is not None


@asynccontextmanager
async def watching(database: ScratchDatabase, folder: Path) -> AsyncIterator[Watched]:
    seeded = seed(database, "http://127.0.0.1:9")
    async with Bank(database.url).branch() as branch:
        watched = Watched(branch, folder, database.url, seeded)
        task = asyncio.create_task(watch_books(watched.gw, watched.build))
        await until(lambda: watched.knows(KEY))
        yield watched
        assert not task.done()
        branch.road.let_replies_go()
        task.cancel()
        await asyncio.gather(task, *watched.gw.background, return_exceptions=True)
        watched.gw.flusher.let_go()
        await watched.gw.upstream.close()
        await watched.gw.dog.close()


@pytest.fixture
async def watched(database: ScratchDatabase, tmp_path: Path) -> AsyncIterator[Watched]:
    async with watching(database, tmp_path) as one:
        yield one


class TestChanges:
    async def test_a_revoked_key_is_unknown_within_a_second(self, watched: Watched) -> None:
        secrets = ["one", "two", "three"]
        watched.add_keys(*secrets)
        await until(lambda: watched.knows("three"))
        took = []
        for secret in secrets:
            began = asyncio.get_running_loop().time()
            await asyncio.to_thread(watched.revoke, secret)
            await until(lambda secret=secret: not watched.knows(secret))  # type: ignore[misc]  # a default binds
            took.append(asyncio.get_running_loop().time() - began)
        assert min(took) < REVOKED_WITHIN_S
        assert watched.knows(KEY)

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE organisation SET status = 'suspended'",
            "UPDATE api_key SET active = false",
        ],
    )
    async def test_what_takes_a_key_away_is_heard(self, watched: Watched, statement: str) -> None:
        watched.bank.administer(statement)
        await until(lambda: not watched.knows(KEY))

    async def test_who_is_suspended_for_abuse_is_refused_within_a_second(self, watched: Watched) -> None:
        """By the worker's own round, as the worker's own role."""
        worker = Database(watched.bank.url, Role.WORKER)
        watched.bank.administer(
            "WITH others AS (INSERT INTO organisation (id, name, created_at)"
            " SELECT gen_random_uuid(), 'x', now() FROM generate_series(1, 3) RETURNING id)"
            " INSERT INTO card_fingerprint SELECT id, 'fingerprint', now() FROM others"
            " UNION ALL SELECT organisation_id, 'fingerprint', now() FROM wallet"
        )
        took = []
        for _ in range(3):
            assert watched.knows(KEY)
            await Watch(worker, Edge(SystemClock()), Thresholds()).run()
            began = asyncio.get_running_loop().time()
            await until(lambda: not watched.knows(KEY))
            took.append(asyncio.get_running_loop().time() - began)
            watched.bank.administer("UPDATE abuse_suspect SET status = 'open'")
            watched.bank.administer("UPDATE organisation SET status = 'active'")
            await until(lambda: watched.knows(KEY))
        assert min(took) < REVOKED_WITHIN_S
        await worker.close()

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE provider SET active = false",
            "UPDATE route SET active = false",
            "UPDATE model SET status = 'retired'",
        ],
    )
    async def test_what_takes_a_model_away_is_heard(self, watched: Watched, statement: str) -> None:
        def is_served() -> bool:
            model = watched.gw.snapshot.models["gpt-4o-mini"]
            return bool(model.routes) and not model.is_retired

        assert is_served()
        watched.bank.administer(statement)
        await until(lambda: not is_served())

    async def test_a_storm_of_changes_is_one_reload_or_two(self, watched: Watched) -> None:
        before = watched.loads
        watched.add_keys(*(f"key {number}" for number in range(300)))
        await until(lambda: watched.knows("key 299"))
        await asyncio.sleep(0.3)
        settled = watched.loads
        assert settled - before <= 2
        await asyncio.sleep(1)
        assert watched.loads == settled

    async def test_a_change_while_loading_is_not_missed(self, watched: Watched) -> None:
        watched.branch.road.hold_replies()
        watched.add_keys("first")
        await until(lambda: watched.branch.road.held_replies >= 1)
        watched.add_keys("second")
        await asyncio.sleep(0.1)
        watched.branch.road.let_replies_go()
        await until(lambda: watched.knows("second"))

    async def test_a_credential_that_cannot_be_opened_blanks_nothing(self, watched: Watched) -> None:
        watched.bank.administer("UPDATE provider_credential SET sealed = '\\x01'")
        model = "gpt-4o-mini"
        await until(lambda: watched.gw.snapshot.models[model].routes[0].credentials == ())
        assert watched.knows(KEY)
        assert watched.gw.snapshot.models[model].routes[0].provider_id is not None


class TestLostConnection:
    async def test_what_changed_meanwhile_is_known_afterwards(self, watched: Watched) -> None:
        watched.branch.road.close()
        watched.revoke(KEY)
        await asyncio.sleep(0.1)
        assert watched.knows(KEY)
        watched.branch.road.reopen()
        await until(lambda: not watched.knows(KEY))

    async def test_of_the_listener_alone_is_noticed(self, watched: Watched) -> None:
        before = watched.loads
        watched.bank.administer(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND starts_with(query, 'LISTEN')"
        )
        await until(lambda: watched.loads > before)
        watched.revoke(KEY)
        await until(lambda: not watched.knows(KEY))

    async def test_in_mid_reload_is_made_good_without_another_change(self, watched: Watched) -> None:
        for what in ("question", "reply"):
            watched.add_keys(what)
            watched.branch.road.cut_next(what)  # type: ignore[arg-type]  # one of the two
            await until(lambda what=what: watched.knows(what))  # type: ignore[misc]  # a default binds

    async def test_a_reload_that_fails_is_tried_again_and_the_old_snapshot_serves(
        self, watched: Watched
    ) -> None:
        watched.fails = 2
        before = watched.loads
        watched.add_keys("new")
        with capture_logs() as logs:
            await until(lambda: watched.loads == before + 1)
            assert watched.knows(KEY)
            await until(lambda: watched.knows("new"))
        assert [entry["event"] for entry in logs] == ["snapshot.stale"] * 2
        assert watched.loads == before + 3

    async def test_an_error_nobody_foresaw_does_not_end_the_watch(
        self, watched: Watched, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        listen = type(watched.branch.books).listen
        calls = 0

        def failing_once(books: Any, channels: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 1:
                raise RuntimeError("nobody foresaw this")
            return listen(books, channels)

        monkeypatch.setattr(type(watched.branch.books), "listen", failing_once)
        with capture_logs() as logs:
            watched.branch.road.close()
            watched.branch.road.reopen()
            await until(lambda: "watch.failed" in {entry["event"] for entry in logs})
        watched.revoke(KEY)
        await until(lambda: not watched.knows(KEY))


class TestRecalls:
    async def test_give_back_what_is_free(self, watched: Watched) -> None:
        customer = Customer(
            organisation_id=watched.seed.organisation_id,
            wallet_id=watched.seed.wallet_id,
            api_key_id=watched.seed.api_key_id,
        )
        treasury, account = watched.branch.treasury, watched.branch.account(customer)
        held = await treasury.hold(account, 1_000)
        (await treasury.hold(account, 5_000)).settle(0)
        watched.bank.administer("SELECT pg_notify('bursar_recall', %s)", str(customer.wallet_id))
        await until(lambda: account.lease.free == 0)
        await until(lambda: not watched.gw.background)
        assert (await watched.bank.wallet(customer))["held"] == 1_000
        held.settle(0)

    async def test_that_name_no_wallet_are_passed_over(self, watched: Watched) -> None:
        with capture_logs() as logs:
            watched.bank.administer("SELECT pg_notify('bursar_recall', 'nonsense')")
            await until(lambda: "background.failed" in {entry["event"] for entry in logs})
        watched.revoke(KEY)
        await until(lambda: not watched.knows(KEY))
