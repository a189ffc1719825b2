"""Posting serves whoever waits longest, so that busy wallets never keep the others from being posted."""

from desk import Desk, one
from samples import START_MS
from stories import sold

from bursar.core.ids import uuid7


def test_the_wallet_that_waits_longest_is_posted_first(desk: Desk) -> None:
    process = desk.open_process()
    busy, quiet = sorted((desk.customer(1000) for _ in range(2)), key=lambda customer: customer.wallet_id)
    lease_of = {customer: desk.take(process, customer, 100).lease_id for customer in (busy, quiet)}
    desk.flush(process, [sold(quiet, lease_of[quiet], 10, request_id=uuid7(START_MS, 1))])
    for later_ms in (1, 2):
        request_id = uuid7(START_MS + later_ms, 1)
        desk.flush(process, [sold(busy, lease_of[busy], 10, request_id=request_id)])
        one(desk.worker, "SELECT rows FROM bursar_post(%s, 1, 1000)", [desk.now])
    assert desk.wallet(quiet).posted == 990
