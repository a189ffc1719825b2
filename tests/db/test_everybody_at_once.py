"""Everybody at once: no deadlock, no double posting, nothing lost."""

import random
import threading
import time
from collections.abc import Callable
from uuid import UUID

from desk import Desk
from samples import Customer
from stories import sold, together

from bursar.core.booking import UsageRow
from bursar.db.connect import Role

SECONDS = 6
CUSTOMERS = 4
PROCESSES = 3


class TestEverybodyAtOnce:
    def test_posts_every_row_once_and_deadlocks_never(self, desk: Desk) -> None:
        """Flushes with replays, two posters, two sweepers, heartbeats, top-ups, takes and gives."""
        customers = [desk.customer(10**9) for _ in range(CUSTOMERS)]
        ends = time.monotonic() + SECONDS
        booked: list[UsageRow] = []

        def until_the_end(work: Callable[[Desk], None]) -> Callable[[], None]:
            def run() -> None:
                with Desk(desk.database, desk.clock) as own:
                    while time.monotonic() < ends:
                        work(own)

            return run

        works = [until_the_end(lambda own: own.post() and None) for _ in range(2)]
        works += [until_the_end(sweep_the_silent) for _ in range(2)]
        works += [until_the_end(lambda own: top_up_someone(own, customers))]
        works += [
            until_the_end(GatewayLife(customers, booked, seed).live_a_little) for seed in range(PROCESSES)
        ]
        together(works)

        while desk.post():
            pass
        assert len(booked) > 100
        assert desk.quarantine() == []
        for customer in customers:
            mine = [row.sale for row in booked if row.wallet_id == customer.wallet_id]
            assert desk.entries(customer)["revenue"] == sum(mine)
        for process_id in live_processes(desk):
            desk.close_process(process_id)
        while desk.post():
            pass
        assert [desk.wallet(customer).held for customer in customers] == [0] * CUSTOMERS


class GatewayLife:
    """What one gateway process does, in random order; when the sweeper closed it, it is reborn."""

    def __init__(self, customers: list[Customer], booked: list[UsageRow], seed: int) -> None:
        self.customers = customers
        self.booked = booked
        self.random = random.Random(seed)
        self.process_id: UUID | None = None
        self.sent: list[UsageRow] = []

    def live_a_little(self, desk: Desk) -> None:
        if self.process_id is None or not desk.beat(self.process_id):
            self.process_id = desk.open_process()
        customer = self.random.choice(self.customers)
        answer = desk.take(self.process_id, customer, 1000, want=5000)
        if answer.state != "active":
            return
        rows = [sold(customer, answer.lease_id, self.random.randint(0, 900)) for _ in range(8)]
        replayed = self.random.sample(self.sent, min(2, len(self.sent)))
        batch = [*rows, *replayed]
        self.random.shuffle(batch)
        assert desk.flush(self.process_id, batch)["quarantined"] == []
        self.booked.extend(rows)
        self.sent = (self.sent + rows)[-50:]
        desk.give(self.process_id, customer, answer.lease_id, 500)
        if self.random.random() < 0.05:  # falls silent, as far as the sweeper can see
            desk.silence(self.process_id, 61)


def sweep_the_silent(desk: Desk) -> None:
    rows = desk.worker.execute("SELECT * FROM bursar_silent_processes(interval '60 s', 10) AS id").fetchall()
    for row in rows:
        desk.sweep(row.id)
    threading.Event().wait(0.02)


def top_up_someone(desk: Desk, customers: list[Customer]) -> None:
    desk.top_up(customers[int(time.monotonic() * 1000) % CUSTOMERS], 1000)
    threading.Event().wait(0.01)


def live_processes(desk: Desk) -> list[UUID]:
    rows = desk.connect(Role.WORKER)
    with rows:
        return [row.id for row in rows.execute("SELECT id FROM process WHERE state = 'alive'")]
