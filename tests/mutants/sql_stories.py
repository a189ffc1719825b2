"""Stories of things that happen at the same time, beside those of `tests/db`."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, Final

import psycopg
from desk import Desk
from stories import sold, story

from bursar.db.connect import Role
from bursar.gateway.unanswered import MARKED_AFTER_MS

HEAD_START_S: Final = 0.3
"""Long enough for the second one to come to where it has to wait."""
SWEEP: Final = "SELECT bursar_close_process(%s, '60s', %s)"


@contextmanager
def meanwhile(act: Callable[[], Any], wait: psycopg.Connection[Any]) -> Iterator[Future[Any]]:
    """Start `act` beside the transaction of `wait`, then commit that; the block sees both done."""
    with ThreadPoolExecutor(max_workers=1) as other:
        asked = other.submit(act)
        with suppress(TimeoutError):  # it waits, as it should
            asked.exception(HEAD_START_S)
        wait.commit()
        yield asked


@story
def a_take_waits_for_the_one_before_it(desk: Desk) -> None:
    customer = desk.customer(100)
    first, second = desk.open_process(), desk.open_process()
    with psycopg.connect(desk.database.conninfo(Role.GATEWAY)) as under_way:
        desk.take(first, customer, 60, connection=under_way)
        with meanwhile(lambda: desk.take(second, customer, 60), under_way) as asked:
            answer = asked.result(10)
    assert (answer.state, answer.spendable) == ("refused", 40)
    assert desk.wallet(customer).held == 60


@story
def a_posting_waits_for_a_take_under_way(desk: Desk) -> None:
    customer = desk.customer(100)
    first, second = desk.open_process(), desk.open_process()
    lease_id = desk.take(first, customer, 30).lease_id
    desk.flush(first, [sold(customer, lease_id, 20)])
    with psycopg.connect(desk.database.conninfo(Role.GATEWAY)) as under_way:
        desk.take(second, customer, 50, connection=under_way)
        with meanwhile(desk.post, under_way) as posting:
            posting.result(10)
    assert desk.wallet(customer)[:4] == (80, 60, 0, 0)


@story
def a_flush_that_meets_a_sweep_is_late(desk: Desk) -> None:
    customer = desk.customer(100)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 60).lease_id
    row = sold(customer, lease_id, 20)
    desk.silence(process, 61)
    with psycopg.connect(desk.database.conninfo(Role.WORKER)) as sweeping:
        sweeping.execute(SWEEP, [process, desk.now])
        with meanwhile(lambda: desk.flush(process, [row]), sweeping) as flushing:
            reply = flushing.result(10)
    assert reply["late"]
    assert [booked.late for booked in desk.usage(row.request_id)] == [True]
    assert desk.lease(lease_id)[:2] == ("closed", 0)


@story
def a_whole_answer_that_took_long_takes_its_mark_away(desk: Desk) -> None:
    customer = desk.customer(100)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 60).lease_id
    mark = sold(customer, lease_id, 0, streamed=False, from_mark=True, outcome="crashed_unanswered")
    desk.flush(process, marks=[mark])
    row = sold(customer, lease_id, 20, streamed=False, latency_ms=MARKED_AFTER_MS, request_id=mark.request_id)
    desk.flush(process, [row])
    assert desk.worker.execute("SELECT FROM usage_mark").fetchall() == []
