"""What is kept of answers: by whom it is seen, how it is sealed, when it goes."""

from collections.abc import AsyncIterator
from datetime import timedelta

import psycopg
import pytest
from desk import Desk
from psycopg import errors
from samples import SettableClock

from bursar.core.kept import KeptResponse
from bursar.db import responses
from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.db.moments import moment_of
from bursar.db.responses import LIFE, PgResponses, seal, unseal
from bursar.db.secrets import SealBroken
from scratch_database import ScratchDatabase

KEY = bytes(range(32))
SECRET = b'{"input":"What nobody else may read"}'
DAY_MS = 86_400_000
ALL = {"most": 100, "bytes_max": 10**6}


@pytest.fixture
async def store(database: ScratchDatabase, clock: SettableClock) -> AsyncIterator[PgResponses]:
    opened = PgResponses(database.url, clock, KEY)
    yield opened
    await opened.close()


def kept(name: str, previous: str | None = None, content: bytes = SECRET) -> KeptResponse:
    return KeptResponse(id=name, previous_id=previous, content=content)


async def purge_all(worker: Database, clock: SettableClock) -> int:
    async with worker.transaction() as tx:
        return await responses.purge(tx, moment_of(clock.now_ms()))


class TestKeeping:
    async def test_gives_back_what_was_kept(self, store: PgResponses, desk: Desk) -> None:
        mine = desk.customer().organisation_id
        assert await store.keep(mine, kept("resp_1"))
        assert await store.chain(mine, "resp_1", **ALL) == [kept("resp_1")]

    async def test_never_writes_over_what_was_kept(self, store: PgResponses, desk: Desk) -> None:
        mine = desk.customer().organisation_id
        await store.keep(mine, kept("resp_1"))
        assert not await store.keep(mine, kept("resp_1", content=b"other"))
        assert await store.chain(mine, "resp_1", **ALL) == [kept("resp_1")]

    async def test_seals_content(self, store: PgResponses, desk: Desk, database: ScratchDatabase) -> None:
        await store.keep(desk.customer().organisation_id, kept("resp_1"))
        with psycopg.connect(database.url) as connection:
            ((sealed,),) = connection.execute("SELECT sealed FROM stored_response").fetchall()
        assert b"nobody" not in sealed

    async def test_of_large_content_does_not_differ(self, store: PgResponses, desk: Desk) -> None:
        mine, large = desk.customer().organisation_id, b"x" * 1_000_000
        assert await store.keep(mine, kept("resp_1", content=large))
        (found,) = await store.chain(mine, "resp_1", most=1, bytes_max=2_000_000) or ()
        assert found.content == large


class TestTheChain:
    async def test_goes_back_to_the_first(self, store: PgResponses, desk: Desk) -> None:
        mine = desk.customer().organisation_id
        for number in range(1, 5):
            await store.keep(mine, kept(f"r{number}", f"r{number - 1}" if number > 1 else None))
        chain = await store.chain(mine, "r4", **ALL) or ()
        assert [one.id for one in chain] == ["r4", "r3", "r2", "r1"]

    async def test_stops_at_the_wanted_length(self, store: PgResponses, desk: Desk) -> None:
        mine = desk.customer().organisation_id
        for number in range(1, 5):
            await store.keep(mine, kept(f"r{number}", f"r{number - 1}" if number > 1 else None))
        assert len(await store.chain(mine, "r4", most=2, bytes_max=10**6) or ()) == 2

    async def test_that_runs_in_a_circle_ends(self, store: PgResponses, desk: Desk) -> None:
        mine = desk.customer().organisation_id
        await store.keep(mine, kept("a", "b"))
        await store.keep(mine, kept("b", "a"))
        assert len(await store.chain(mine, "a", most=7, bytes_max=10**6) or ()) == 7

    async def test_that_is_too_long_is_not_read(self, store: PgResponses, desk: Desk) -> None:
        mine = desk.customer().organisation_id
        await store.keep(mine, kept("r1", content=b"x" * 1000))
        await store.keep(mine, kept("r2", "r1", content=b"x" * 1000))
        assert await store.chain(mine, "r2", most=9, bytes_max=1500) is None
        assert len(await store.chain(mine, "r2", most=9, bytes_max=5000) or ()) == 2

    async def test_of_another_organisation_is_not_seen(self, store: PgResponses, desk: Desk) -> None:
        mine, other = desk.customer().organisation_id, desk.customer().organisation_id
        await store.keep(mine, kept("r1"))
        await store.keep(other, kept("r2", "r1"))
        assert await store.chain(other, "r1", **ALL) == []
        assert [one.id for one in await store.chain(other, "r2", **ALL) or ()] == ["r2"]
        assert not await store.forget(other, "r1")
        assert await store.chain(mine, "r1", **ALL) == [kept("r1")]

    async def test_ends_where_another_key_sealed(
        self, store: PgResponses, desk: Desk, database: ScratchDatabase, clock: SettableClock
    ) -> None:
        mine, stranger = desk.customer().organisation_id, PgResponses(database.url, clock, bytes(32))
        await stranger.keep(mine, kept("r1"))
        await stranger.close()
        await store.keep(mine, kept("r2", "r1"))
        assert await store.chain(mine, "r2", **ALL) == [kept("r2", "r1")]


class TestForgetting:
    async def test_deletes_at_once(self, store: PgResponses, desk: Desk, database: ScratchDatabase) -> None:
        mine = desk.customer().organisation_id
        await store.keep(mine, kept("r1"))
        assert await store.forget(mine, "r1")
        assert not await store.forget(mine, "r1")
        with psycopg.connect(database.url) as connection:
            assert connection.execute("SELECT count(*) FROM stored_response").fetchone() == (0,)

    async def test_comes_by_itself_after_thirty_days(
        self, store: PgResponses, desk: Desk, clock: SettableClock, worker: Database
    ) -> None:
        mine = desk.customer().organisation_id
        await store.keep(mine, kept("r1"))
        clock.time_ms += 30 * DAY_MS - 1
        assert await store.chain(mine, "r1", **ALL) == [kept("r1")]
        assert await purge_all(worker, clock) == 0
        clock.time_ms += 1
        assert await store.chain(mine, "r1", **ALL) == []
        assert not await store.forget(mine, "r1")

    async def test_is_done_in_batches(
        self,
        store: PgResponses,
        desk: Desk,
        clock: SettableClock,
        worker: Database,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(responses, "PURGED_PER_ROUND", 2)
        mine = desk.customer().organisation_id
        for number in range(5):
            await store.keep(mine, kept(f"r{number}"))
        assert timedelta(days=30) == LIFE
        clock.time_ms += 30 * DAY_MS
        assert [await purge_all(worker, clock) for _ in range(4)] == [2, 2, 1, 0]


class TestTheSeal:
    def test_opens_for_its_own_subject_only(self) -> None:
        sealed = seal(KEY, b"mine", SECRET)
        assert unseal(KEY, b"mine", sealed) == SECRET
        for key, subject, changed in (
            (KEY, b"other", sealed),
            (bytes(32), b"mine", sealed),
            (KEY, b"mine", sealed[:-1] + bytes([sealed[-1] ^ 1])),
            (KEY, b"mine", b"\x02" + sealed[1:]),
            (KEY, b"mine", b""),
        ):
            with pytest.raises(SealBroken):
                unseal(key, subject, changed)

    def test_is_another_each_time(self) -> None:
        assert seal(KEY, b"mine", SECRET) != seal(KEY, b"mine", SECRET)


class TestTheTable:
    @pytest.mark.parametrize("role", [Role.API, Role.OPERATOR, Role.GATEWAY, Role.WORKER])
    @pytest.mark.parametrize("verb", ["SELECT * FROM", "DELETE FROM"])
    def test_is_touched_by_its_functions_only(self, database: ScratchDatabase, role: Role, verb: str) -> None:
        with (
            psycopg.connect(database.conninfo(role)) as connection,
            pytest.raises(errors.InsufficientPrivilege),
        ):
            connection.execute(f"{verb} stored_response".encode())

    @pytest.mark.parametrize(
        ("role", "call"),
        [
            (Role.API, "bursar_response_chain(NULL, 'r', 1, 1, now())"),
            (Role.OPERATOR, "bursar_response_chain(NULL, 'r', 1, 1, now())"),
            (Role.WORKER, "bursar_response_chain(NULL, 'r', 1, 1, now())"),
            (Role.WORKER, "bursar_keep_response(NULL, 'r', NULL, '', now(), now())"),
            (Role.API, "bursar_forget_response(NULL, 'r', now())"),
            (Role.GATEWAY, "bursar_purge_responses(now(), 1)"),
        ],
    )
    def test_functions_are_called_only_by_who_may(
        self, database: ScratchDatabase, role: Role, call: str
    ) -> None:
        with (
            psycopg.connect(database.conninfo(role)) as connection,
            pytest.raises(errors.InsufficientPrivilege),
        ):
            connection.execute(f"SELECT {call}".encode())
