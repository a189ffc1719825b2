"""Stories of taking, giving and closing leases."""

import psycopg
from desk import Desk
from stories import beside, sold, story, together

from bursar.db.connect import Role


@story
def a_take_grants_at_least_the_need_and_no_more_than_a_twentieth(desk: Desk) -> None:
    customer = desk.customer(1000)
    process = desk.open_process()
    assert desk.take(process, customer, 10, want=500).granted == 50
    assert desk.wallet(customer).held == 50
    assert desk.take(process, customer, 200, want=200).granted == 250
    assert desk.take(process, customer, 1, want=40, cap=260).granted == 260


@story
def a_poor_wallet_leases_exactly_what_is_needed(desk: Desk) -> None:
    customer = desk.customer(100)
    first, second = desk.open_process(), desk.open_process()
    assert desk.take(first, customer, 60, want=1000).granted == 60
    assert desk.take(second, customer, 40, want=1000).granted == 40
    refused = desk.take(first, customer, 1)
    assert (refused.state, refused.granted, refused.spendable) == ("refused", 60, 0)


@story
def a_repeated_take_answers_the_same_and_grants_once(desk: Desk) -> None:
    customer = desk.customer(100)
    process = desk.open_process()
    first = desk.take(process, customer, 10, op=1)
    assert desk.take(process, customer, 10, op=1) == first
    second = desk.take(process, customer, 10, op=2)
    assert second.granted == 20
    assert desk.take(process, customer, 10, op=1).granted == 20  # older: what stands, nothing new
    assert desk.wallet(customer).held == 20


@story
def a_lost_answer_strands_nothing(desk: Desk) -> None:
    customer = desk.customer(100)
    process = desk.open_process()
    desk.take(process, customer, 70, op=1)  # the process never hears of it
    answer = desk.take(process, customer, 30, op=2)
    assert answer.granted == 100
    given = desk.give(process, customer, answer.lease_id, 100, op=3)
    assert given.granted == 0
    assert desk.wallet(customer).held == 0


@story
def a_refusal_is_remembered_too(desk: Desk) -> None:
    customer = desk.customer(10)
    process = desk.open_process()
    desk.take(process, customer, 10, op=1)
    refused = desk.take(process, customer, 5, op=2)
    desk.top_up(customer, 100)
    assert desk.take(process, customer, 5, op=2) == refused
    assert desk.take(process, customer, 5, op=3).state == "active"


@story
def a_give_never_uncovers_what_was_flushed(desk: Desk) -> None:
    customer = desk.customer(100)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 50).lease_id
    desk.flush(process, [sold(customer, lease_id, 30)])
    answer = desk.give(process, customer, lease_id, 50)
    assert answer.granted == 30
    assert desk.wallet(customer).held == 30
    desk.post()
    assert desk.wallet(customer)[:3] == (70, 0, 0)


@story
def a_repeated_give_gives_once(desk: Desk) -> None:
    customer = desk.customer(100)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 50, op=1).lease_id
    first = desk.give(process, customer, lease_id, 20, op=2)
    assert desk.give(process, customer, lease_id, 20, op=2) == first
    assert desk.wallet(customer).held == 30


@story
def money_for_images_never_backs_a_hold_for_text(desk: Desk) -> None:
    customer = desk.customer(10)
    desk.top_up(customer, 100, scope_class="image")
    process = desk.open_process()
    assert desk.take(process, customer, 10).state == "active"
    refused = desk.take(process, customer, 1)
    assert (refused.state, refused.spendable) == ("refused", 0)
    assert desk.take(process, customer, 100, scope_class="image").state == "active"
    assert desk.take(process, customer, 1, scope_class="image").state == "refused"


@story
def scoped_money_of_one_class_frees_general_money_for_another(desk: Desk) -> None:
    customer = desk.customer(100)
    desk.top_up(customer, 50, scope_class="image")
    process = desk.open_process()
    assert desk.take(process, customer, 120, scope_class="image").granted == 120  # 50 of its own, 70 general
    answer = desk.take(process, customer, 31)
    assert (answer.state, answer.spendable) == ("refused", 30)
    assert desk.take(process, customer, 30).state == "active"


@story
def a_credit_limit_is_spendable_and_what_is_owed_is_not(desk: Desk) -> None:
    customer = desk.customer(credit_limit=100)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 100).lease_id
    desk.flush(process, [sold(customer, lease_id, 60)])
    desk.post()
    assert desk.wallet(customer)[:3] == (0, 40, 60)
    desk.give(process, customer, lease_id, 40)
    assert desk.take(process, customer, 41).state == "refused"
    assert desk.take(process, customer, 40).state == "active"


@story
def a_closed_process_takes_nothing(desk: Desk) -> None:
    customer = desk.customer(100)
    process = desk.open_process()
    assert desk.beat(process)
    assert desk.close_process(process)
    assert not desk.beat(process)
    assert desk.take(process, customer, 1).state == "dead"
    assert desk.wallet(customer).held == 0


@story
def forty_takes_of_ten_on_a_hundred_admit_ten(desk: Desk) -> None:
    customer = desk.customer(100)
    processes = [desk.open_process() for _ in range(4)]
    states: list[str] = []

    def take_ten(number: int) -> None:
        with psycopg.connect(desk.database.conninfo(Role.GATEWAY), autocommit=True) as connection:
            for _ in range(10):
                answer = desk.take(processes[number], customer, 10, connection=connection)
                states.append(answer.state)

    together([lambda number=number: take_ten(number) for number in range(4)])
    assert sorted(states) == ["active"] * 10 + ["refused"] * 30
    assert desk.wallet(customer)[:4] == (100, 100, 0, 0)


@story
def a_closing_lease_covers_what_is_spent_and_closes_when_that_is_posted(desk: Desk) -> None:
    customer = desk.customer(1000)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 100).lease_id
    desk.flush(process, [sold(customer, lease_id, 30)])
    assert desk.close_process(process)
    assert desk.lease(lease_id) == ("closing", 30, 100, 30, 0)
    assert desk.wallet(customer).held == 30
    desk.post()
    assert desk.lease(lease_id) == ("closed", 0, 100, 30, 30)
    assert desk.wallet(customer)[:2] == (970, 0)


@story
def a_closing_lease_never_grows_by_what_comes_late(desk: Desk) -> None:
    customer = desk.customer(100)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 100).lease_id
    desk.flush(process, [sold(customer, lease_id, 30)])
    desk.close_process(process)
    desk.flush(process, [sold(customer, lease_id, 50)])
    assert desk.lease(lease_id) == ("closing", 30, 100, 80, 0)
    assert desk.take(desk.open_process(), customer, 70).state == "active"  # held is 30, whatever comes late
    desk.post()
    assert desk.wallet(customer) == (20, 70, 0, 50, 0)


@story
def a_process_that_beats_again_is_not_swept(desk: Desk) -> None:
    customer = desk.customer(100)
    process = desk.open_process()
    desk.take(process, customer, 10)
    desk.silence(process, 61)
    desk.beat(process)
    assert not desk.sweep(process)
    desk.silence(process, 61)
    assert desk.sweep(process)
    assert not desk.sweep(process)
    assert desk.wallet(customer).held == 0


@story
def a_mark_under_way_is_seen_by_the_sweeper(desk: Desk) -> None:
    customer = desk.customer(100)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 100).lease_id
    desk.silence(process, 61)
    mark = sold(customer, lease_id, 60, from_mark=True)
    with psycopg.connect(desk.database.conninfo(Role.GATEWAY)) as flushing:
        desk.flush(process, marks=[mark], connection=flushing)
        with beside(lambda: desk.sweep(process)):
            flushing.commit()
    assert [booked.sale for booked in desk.usage(mark.request_id)] == [60]
    assert desk.lease(lease_id)[:2] == ("closing", 60)


@story
def a_flush_and_the_sweeper_wait_for_each_other(desk: Desk) -> None:
    customer = desk.customer(100)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 100).lease_id
    desk.silence(process, 61)
    row = sold(customer, lease_id, 60)
    with psycopg.connect(desk.database.conninfo(Role.GATEWAY)) as flushing:
        desk.flush(process, [row], connection=flushing)
        with beside(lambda: desk.sweep(process), waits=True):
            flushing.commit()
    assert desk.lease(lease_id)[:2] == ("closing", 60)
    assert [booked.late for booked in desk.usage(row.request_id)] == [False]


@story
def two_takes_wait_for_each_other(desk: Desk) -> None:
    customer = desk.customer(100)
    first, second = desk.open_process(), desk.open_process()
    states: list[str] = []
    with psycopg.connect(desk.database.conninfo(Role.GATEWAY)) as taking:
        desk.take(first, customer, 100, connection=taking)
        with beside(lambda: states.append(desk.take(second, customer, 100).state), waits=True):
            taking.commit()
    assert states == ["refused"]
