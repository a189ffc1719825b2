"""Stories of posting, expiry, refunds and credits."""

from uuid import UUID

import psycopg
from desk import Desk
from stories import DAY, beside, refused, sold, story

from bursar.db.connect import Role


@story
def scoped_lots_burn_first_then_priority_expiry_cost_basis_age(desk: Desk) -> None:
    customer = desk.customer()
    old = desk.top_up(customer, 10)
    young = desk.top_up(customer, 10)
    gift = desk.top_up(customer, 10, kind="promo", cost_basis=0)
    soon = desk.top_up(customer, 10, expires_at=desk.now + DAY)
    sooner = desk.top_up(customer, 10, expires_at=desk.now + DAY / 2)
    first = desk.top_up(customer, 10, priority=50)
    scoped = desk.top_up(customer, 10, scope_class="text", priority=200)
    other = desk.top_up(customer, 10, scope_class="image", priority=1)
    order = [scoped, first, sooner, soon, gift, old, young]
    process = desk.open_process()
    lease_id = desk.take(process, customer, 70).lease_id
    for step, lot_id in enumerate(order):
        assert [desk.remaining(lot) for lot in order] == [0] * step + [10] * (len(order) - step)
        desk.flush(process, [sold(customer, lease_id, 10)])
        desk.post()
        assert desk.remaining(lot_id) == 0
    assert desk.remaining(other) == 10


@story
def the_rest_of_several_classes_burns_general_lots_once(desk: Desk) -> None:
    customer = desk.customer(100)
    image = desk.top_up(customer, 30, scope_class="image")
    process = desk.open_process()
    text_lease = desk.take(process, customer, 40).lease_id
    image_lease = desk.take(process, customer, 50, scope_class="image").lease_id
    rows = [
        sold(customer, text_lease, 40),
        sold(customer, image_lease, 50, scope_class="image"),
    ]
    desk.flush(process, rows)
    desk.post()
    assert desk.remaining(image) == 0
    assert desk.wallet(customer)[:3] == (40, 0, 0)


@story
def a_burn_spans_lots_and_the_rest_is_owed(desk: Desk) -> None:
    customer = desk.customer(10, credit_limit=100)
    desk.top_up(customer, 15)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 60).lease_id
    desk.flush(process, [sold(customer, lease_id, 60)])
    desk.post()
    assert desk.wallet(customer) == (0, 0, 35, 0, 100)
    assert desk.entries(customer) == {
        "cash": -25, "receivable": -35, "revenue": 60, "provider_cost": -30, "provider_payable": 30,
    }  # fmt: skip


@story
def a_lot_that_is_not_in_force_yet_pays_nothing(desk: Desk) -> None:
    customer = desk.customer(credit_limit=50)
    later = desk.top_up(customer, 100, effective_at=desk.now + DAY)
    process = desk.open_process()
    assert desk.take(process, customer, 51).state == "refused"
    lease_id = desk.take(process, customer, 50).lease_id
    desk.flush(process, [sold(customer, lease_id, 50)])
    desk.post()
    assert desk.remaining(later) == 100
    assert desk.wallet(customer).owed == 50


@story
def two_posters_share_the_rows_and_post_none_twice(desk: Desk) -> None:
    customer = desk.customer(1000)
    process, other_process = desk.open_process(), desk.open_process()
    lease_id = desk.take(process, customer, 100).lease_id
    other_lease = desk.take(other_process, customer, 100).lease_id
    desk.flush(process, [sold(customer, lease_id, 10)])
    with psycopg.connect(desk.database.conninfo(Role.WORKER)) as first:
        first.execute("SELECT bursar_post(%s, 100, 1000)", [desk.now])
        with beside(desk.post, waits=True):  # behind the wallet's lock
            desk.flush(other_process, [sold(customer, other_lease, 7)])
            first.commit()
    desk.post()
    assert desk.entries(customer)["revenue"] == 17
    assert desk.wallet(customer)[:3] == (983, 183, 0)


@story
def a_posting_in_parts_posts_everything_once(desk: Desk) -> None:
    customer = desk.customer(1000)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 100).lease_id
    desk.flush(process, [sold(customer, lease_id, 1 + number) for number in range(10)])
    runs = 0
    while desk.post(rows_max=3):
        runs += 1
    assert runs >= 1
    assert desk.entries(customer)["revenue"] == 55
    assert desk.lease(lease_id) == ("active", 45, 100, 55, 55)


@story
def an_expired_lot_breaks_save_what_is_held_and_is_tried_again(desk: Desk) -> None:
    customer = desk.customer()
    lot = desk.top_up(customer, 100, expires_at=desk.now + DAY)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 40).lease_id
    desk.clock.time_ms += 2 * 86_400_000
    assert desk.take(process, customer, 1).state == "refused"  # nothing is granted against an expired lot
    with desk.listening("bursar_recall") as recalled:
        assert desk.expire(customer) == 60
    assert recalled == [str(customer.wallet_id)]
    assert desk.remaining(lot) == 40
    desk.flush(process, [sold(customer, lease_id, 25)])
    desk.post()
    assert desk.remaining(lot) == 15  # it still pays for what it was held for
    desk.give(process, customer, lease_id, 15)
    with desk.listening("bursar_recall") as recalled:
        assert desk.expire(customer) == 15
    assert recalled == []
    assert desk.wallet(customer) == (0, 0, 0, 0, 0)
    assert desk.entries(customer)["breakage"] == 75


@story
def expiry_posts_before_it_breaks(desk: Desk) -> None:
    customer = desk.customer()
    desk.top_up(customer, 100, expires_at=desk.now + DAY)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 40).lease_id
    desk.flush(process, [sold(customer, lease_id, 70)])
    desk.clock.time_ms += 2 * 86_400_000
    assert desk.expire(customer) == 30
    assert desk.wallet(customer) == (0, 0, 0, 0, 0)
    assert desk.entries(customer)["revenue"] == 70


@story
def a_usage_refund_posts_first_and_returns_to_its_lots_in_reverse(desk: Desk) -> None:
    customer = desk.customer(10)
    second = desk.top_up(customer, 100)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 50).lease_id
    row = sold(customer, lease_id, 50)
    desk.flush(process, [row])
    desk.refund_usage(customer, row.request_id, 30)
    assert desk.remaining(second) == 90
    desk.refund_usage(customer, row.request_id, 20)
    assert desk.wallet(customer).posted == 110
    assert desk.entries(customer).get("revenue", 0) == 0


@story
def a_usage_refund_is_at_most_the_sale(desk: Desk) -> None:
    customer = desk.customer(100)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 50).lease_id
    row = sold(customer, lease_id, 50)
    desk.flush(process, [row])
    desk.refund_usage(customer, row.request_id, 30)
    with refused("BU011", "20"):
        desk.refund_usage(customer, row.request_id, 21)
    assert desk.wallet(customer).posted == 80


@story
def a_usage_refund_forgives_debt_first_and_what_was_repaid_becomes_a_lot(desk: Desk) -> None:
    customer = desk.customer(10, credit_limit=100)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 50).lease_id
    row = sold(customer, lease_id, 50)
    desk.flush(process, [row])
    desk.post()
    assert desk.wallet(customer).owed == 40
    desk.refund_usage(customer, row.request_id, 15)
    assert desk.wallet(customer)[:3] == (0, 0, 25)
    desk.top_up(customer, 25)  # repays the rest
    desk.refund_usage(customer, row.request_id, 30)
    assert desk.wallet(customer)[:3] == (30, 0, 0)  # 10 back to the lot that paid 10, 20 as a new lot


@story
def a_refund_for_text_never_comes_back_as_image_credit(desk: Desk) -> None:
    customer = desk.customer(credit_limit=100)
    image = desk.top_up(customer, 20, scope_class="image")
    process = desk.open_process()
    text_lease = desk.take(process, customer, 20).lease_id
    image_lease = desk.take(process, customer, 20, scope_class="image").lease_id
    text = sold(customer, text_lease, 20)
    desk.flush(process, [text, sold(customer, image_lease, 20, scope_class="image")])
    desk.post()
    desk.top_up(customer, 20)  # repays the text
    desk.refund_usage(customer, text.request_id, 20)
    assert desk.remaining(image) == 0
    assert desk.wallet(customer)[:3] == (20, 0, 0)


@story
def a_top_up_is_paid_back_only_as_far_as_unspent_and_unheld(desk: Desk) -> None:
    customer = desk.customer()
    lot = desk.top_up(customer, 100)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 40).lease_id
    desk.flush(process, [sold(customer, lease_id, 30)])
    with refused("BU012", "60"):
        desk.refund_top_up(customer, lot, 61)
    desk.post()
    desk.refund_top_up(customer, lot, 60)
    assert desk.wallet(customer) == (10, 10, 0, 0, 0)
    assert desk.entries(customer)["cash"] == -40


@story
def a_key_does_its_work_once(desk: Desk) -> None:
    customer = desk.customer()
    for _ in range(2):
        lot = desk.top_up(customer, 100, key="k1", lot_id=UUID(int=1))
        desk.refund_top_up(customer, lot, 10, key="k2")
        desk.set_credit_limit(customer, 50, key="k3")
    desk.set_credit_limit(customer, 20, key="k4")
    desk.set_credit_limit(customer, 50, key="k3")
    assert desk.wallet(customer) == (90, 0, 0, 0, 20)
    with refused("BU010"):
        desk.top_up(customer, 101, key="k1")


@story
def a_lower_credit_limit_is_a_fact_and_calls_leases_back(desk: Desk) -> None:
    customer = desk.customer(credit_limit=100)
    process = desk.open_process()
    desk.take(process, customer, 80)
    with desk.listening("bursar_recall") as recalled:
        desk.set_credit_limit(customer, 30)
    assert desk.wallet(customer) == (0, 80, 0, 50, 30)
    assert recalled == [str(customer.wallet_id)]
    assert desk.take(process, customer, 1).state == "refused"


@story
def a_top_up_repays_debt_first_but_a_scoped_gift_does_not(desk: Desk) -> None:
    customer = desk.customer(credit_limit=100)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 60).lease_id
    desk.flush(process, [sold(customer, lease_id, 60)])
    desk.post()
    desk.top_up(customer, 20, kind="promo", scope_class="image")
    assert desk.wallet(customer)[:3] == (20, 0, 60)
    desk.top_up(customer, 50)
    assert desk.wallet(customer)[:3] == (20, 0, 10)
    desk.top_up(customer, 30, kind="promo")
    assert desk.wallet(customer)[:3] == (40, 0, 0)
