"""Posting serves whoever waits longest, so that busy wallets never keep the others from being posted."""

from desk import Desk, one
from stories import sold


def post_one_wallet(desk: Desk) -> int:
    return int(one(desk.worker, "SELECT rows FROM bursar_post(%s, 1, 1000)", [desk.now]))


def test_the_wallet_that_waits_longest_is_posted_first(desk: Desk) -> None:
    process = desk.open_process()
    customers = sorted((desk.customer(1000) for _ in range(2)), key=lambda one: one.wallet_id)
    busy, quiet = customers
    lease_of = {customer: desk.take(process, customer, 100).lease_id for customer in customers}
    desk.flush(process, [sold(quiet, lease_of[quiet], 10)])
    for _ in range(2):
        desk.flush(process, [sold(busy, lease_of[busy], 10)])
        post_one_wallet(desk)
    assert desk.wallet(quiet).posted == 990
