"""Small scenes of a gateway process that end one way with true code, and another way with wrong code."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest
from office import Office
from samples import encoded

from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.db.sweeping import Sweeper
from bursar.gateway import spool
from bursar.gateway.errors import GatewayError
from bursar.gateway.flushing import NotDurable
from bursar.gateway.life import ADMIT_LIFE_MS
from bursar.gateway.spool import Spool
from bursar.gateway.treasury import Unfunded

Scene = Callable[[Office], Awaitable[None]]
SCENES: Final[dict[str, Scene]] = {}


def scene(play: Scene) -> Scene:
    SCENES[play.__name__] = play
    return play


# The treasury


@scene
async def nothing_is_admitted_past_the_end_of_life(office: Office) -> None:
    account = office.account(office.desk.customer(10_000))
    (await office.treasury.hold(account, 10)).settle(0)
    assert account.lease.free >= 10
    office.clock.time_ms += ADMIT_LIFE_MS + 1
    assert office.treasury.try_hold(account, 10) is None
    with pytest.raises(GatewayError, match="cannot be funded"):
        await office.treasury.hold(account, 10)


@scene
async def suspended_time_counts_as_life(office: Office) -> None:
    account = office.account(office.desk.customer(10_000))
    (await office.treasury.hold(account, 10)).settle(0)
    office.clock.suspended_ms += ADMIT_LIFE_MS + 1
    assert office.treasury.try_hold(account, 10) is None


@scene
async def a_sale_is_spent(office: Office) -> None:
    customer = office.desk.customer(10)
    account = office.account(customer)
    (await office.treasury.hold(account, 10)).settle(10)
    with pytest.raises(Unfunded):
        await office.treasury.hold(account, 1)


@scene
async def a_hold_is_cut_out_of_the_lease(office: Office) -> None:
    account = office.account(office.desk.customer(10))
    await office.treasury.hold(account, 6)
    with pytest.raises(Unfunded):
        await office.treasury.hold(account, 6)


@scene
async def a_lease_is_what_the_books_say(office: Office) -> None:
    customer = office.desk.customer(100)
    account = office.account(customer)
    for _ in range(3):
        await office.treasury.hold(account, 20)
    assert account.lease.granted == office.desk.lease(account.lease_id).granted == 60


@scene
async def a_grant_whose_answer_was_lost_is_not(office: Office) -> None:
    account = office.account(office.desk.customer(100))
    office.road.lost = {"take"}
    with pytest.raises(GatewayError):
        await office.treasury.hold(account, 60)
    office.road.lost = set()
    assert (await office.treasury.hold(account, 100)).amount == 100


@scene
async def a_give_in_doubt_is_not_counted_on(office: Office) -> None:
    customer = office.desk.customer(10)
    account = office.account(customer)
    (await office.treasury.hold(account, 10)).settle(0)
    office.road.lost = {"give"}
    await office.treasury.give_back(account)
    assert office.desk.take(office.desk.open_process(), customer, 10).state == "active"
    assert office.treasury.try_hold(account, 10) is None


@scene
async def only_what_is_missing_is_asked_for(office: Office) -> None:
    account = office.account(office.desk.customer(15))
    (await office.treasury.hold(account, 10)).settle(4)
    assert (await office.treasury.hold(account, 10)).amount == 10


@scene
async def an_extension_belongs_to_its_hold(office: Office) -> None:
    account = office.account(office.desk.customer(10_000))
    hold = await office.treasury.hold(account, 10)
    assert await office.treasury.extend(hold, 5)
    assert (hold.amount, account.lease.outstanding) == (15, 15)
    hold.settle(12)
    assert (account.lease.spent, account.lease.outstanding) == (12, 0)


@scene
async def a_swept_process_forgets_its_leases(office: Office) -> None:
    account = office.account(office.desk.customer(10_000))
    hold = await office.treasury.hold(account, 10)
    assert account.lease.free >= 5
    office.treasury.drop_all()
    assert not await office.treasury.extend(hold, 5)
    assert office.treasury.try_hold(account, 5) is None


# Life


@scene
async def a_beat_counts_from_when_it_was_sent(office: Office) -> None:
    office.road.open_gate.clear()
    beating = asyncio.create_task(office.process._beat())
    await office.asked()
    office.clock.time_ms += ADMIT_LIFE_MS // 2
    office.road.open_gate.set()
    await beating
    assert office.process.may_admit()
    office.clock.time_ms += ADMIT_LIFE_MS // 2
    assert not office.process.may_admit()


@scene
async def a_swept_process_is_reborn_as_somebody_else(office: Office) -> None:
    customer = office.desk.customer(10_000)
    old_account, old_id = office.account(customer), office.process.process_id
    (await office.treasury.hold(old_account, 10)).settle(0)
    assert office.desk.sweep_after_silence(old_id)
    await office.process._beat()
    assert not office.process.may_admit()
    await office.process._rebirth()
    assert office.process.process_id != old_id
    assert office.treasury.try_hold(old_account, 10) is None
    hold = await office.treasury.hold(office.account(customer), 10)
    assert hold.lease_id != old_account.lease_id
    assert office.desk.lease(hold.lease_id).state == "active"


@scene
async def a_late_flush_tells_the_process_that_it_is_dead(office: Office) -> None:
    assert office.desk.sweep_after_silence(office.process.process_id)
    await office.flusher.submit([office.row()])
    assert not office.process.may_admit()


# Flushing and the spool


@scene
async def nothing_is_released_before_its_commit(office: Office) -> None:
    row = office.row()
    office.road.open_gate.clear()
    durable = office.flusher.submit([row])
    await office.asked()
    assert not durable.done()
    office.road.open_gate.set()
    await durable
    assert len(office.booked(row)) == 1


@scene
async def while_postgres_is_away_an_answer_waits_for_the_disk(office: Office) -> None:
    row = office.row()
    office.road.is_away = True
    assert await office.flusher.submit([row]) is None
    assert [line for path in office.spooled() for _, line in spool.read(path)] == encoded([row])


@scene
async def what_was_spooled_is_booked_once(office: Office) -> None:
    row = office.row()
    office.road.is_away = True
    await office.flusher.submit([row])
    office.road.is_away = False
    await office.settled()
    assert len(office.booked(row)) == 1
    assert office.spooled() == []


@scene
async def a_commit_whose_answer_was_lost_is_booked_once(office: Office) -> None:
    row = office.row()
    office.road.lost = {"flush"}
    await office.flusher.submit([row])
    office.road.lost = set()
    await office.settled()
    assert [booked.sale for booked in office.booked(row)] == [row.sale]
    assert office.desk.quarantine() == []


def left_behind(office: Office, **written: bytes) -> Path:
    """A spool whose process is gone."""
    old = Spool(office.folder, uuid4())
    old.append(*([content] if (content := written.get(kind)) else [] for kind in ("row", "mark")))
    old.close()
    return old.path


@scene
async def a_replay_that_is_interrupted_goes_on(office: Office) -> None:
    row = office.row()
    path = left_behind(office, row=encoded([row])[0])
    office.road.is_away = True
    await office.flusher.replay_left_behind()
    assert path.exists()
    office.road.is_away = False
    await office.settled()
    assert len(office.booked(row)) == 1
    assert office.spooled() == []


@scene
async def a_stop_lets_a_replay_end(office: Office) -> None:
    row = office.row()
    office.road.is_away = True
    await office.flusher.submit([row])
    office.road.is_away = False
    while not office.flusher._replaying:
        await asyncio.sleep(0)
    await office.flusher.close()
    assert len(office.booked(row)) == 1
    assert office.spooled() == []


@scene
async def a_mark_in_a_spool_left_behind_is_settled(office: Office) -> None:
    mark = office.row(outcome="crashed")
    left_behind(office, mark=encoded([mark])[0])
    await office.flusher.replay_left_behind()
    assert [(booked.sale, booked.from_mark) for booked in office.booked(mark)] == [(mark.sale, True)]


@scene
async def without_a_disk_nothing_is_released(office: Office) -> None:
    office.flusher._spool.path.mkdir()
    office.road.is_away = True
    with pytest.raises(NotDurable):
        await office.flusher.submit([office.row()])
    office.flusher._spool.path.rmdir()


@scene
async def an_end_overtakes_its_mark(office: Office) -> None:
    row = office.row()
    mark = office.row(request_id=row.request_id, from_mark=True)
    office.flusher.mark(mark)
    await office.flusher.submit([row])
    left = office.desk.worker.execute("SELECT FROM usage_mark").fetchall()
    assert (left, len(office.booked(row))) == ([], 1)


@scene
async def a_row_is_on_the_disk_before_it_counts(office: Office) -> None:
    synced: list[int] = []
    own = Spool(office.folder / "own", uuid4())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: synced.append(own.path.stat().st_size))
        own.append([b"{}"], [])
    assert synced[-1] == own.path.stat().st_size > 0
    own.close()


@scene
async def a_row_that_did_not_reach_the_disk_is_not_booked_later(office: Office) -> None:
    own = Spool(office.folder / "own", uuid4())
    own.append([b'{"first":1}'], [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="full"):
            own.append([b'{"second":2}'], [])
    own.append([b'{"third":3}'], [])
    assert [line for _, line in spool.read(own.path)] == [b'{"first":1}', b'{"third":3}']
    own.close()


def refuse(_: int) -> None:
    raise OSError("full")


@scene
async def a_torn_line_is_no_row(office: Office) -> None:
    own = Spool(office.folder / "own", uuid4())
    own.append([b'{"first":1}', b'{"second":2}'], [])
    whole = own.path.read_bytes()
    own.path.write_bytes(whole[:-4] + b"\n")
    assert [line for _, line in spool.read(own.path)] == [b'{"first":1}']
    own.close()


@scene
async def the_spool_of_a_living_process_is_left_alone(office: Office) -> None:
    folder = office.folder / "own"
    own = Spool(folder, uuid4())
    own.append([b"{}"], [])
    assert spool.left_behind(folder) == []
    own.close()
    assert spool.left_behind(folder) == [own.path]


# The sweeper


@scene
async def a_sweeper_trusts_no_server_that_it_has_not_seen_for_a_life(office: Office) -> None:
    process = office.desk.open_process()
    office.desk.silence(process, 61)
    database = Database(office.desk.database.url, Role.WORKER)
    sweeper = Sweeper(database, office.clock, life=timedelta(seconds=60))
    swept = []
    for step_s in (0, 61, 10, 10, 10, 10, 10, 9):
        office.clock.time_ms += step_s * 1000
        swept.append(await sweeper.sweep())
    office.clock.time_ms += 1_000
    last = await sweeper.sweep()
    await database.close()
    assert [one.closed for one in swept] == [()] * len(swept)
    assert process in last.closed
