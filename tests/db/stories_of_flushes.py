"""Stories of booking usage."""

from uuid import UUID

from desk import Desk, changed
from samples import new_id
from stories import sold, story


@story
def a_flush_books_rows_and_spends_the_lease(desk: Desk) -> None:
    customer = desk.customer(1000)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 100).lease_id
    reply = desk.flush(process, [sold(customer, lease_id, 30), sold(customer, lease_id, 12)])
    assert reply == {"late": False, "quarantined": [], "balances": {str(customer.wallet_id): 958}}
    assert desk.lease(lease_id) == ("active", 100, 100, 42, 0)


@story
def a_replayed_flush_changes_nothing(desk: Desk) -> None:
    customer = desk.customer(1000)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 100).lease_id
    rows = [sold(customer, lease_id, 30), sold(customer, lease_id, 12)]
    desk.flush(process, rows)
    desk.post()
    fresh = sold(customer, lease_id, 5)
    reply = desk.flush(process, [rows[1], fresh, rows[0]])
    assert reply["quarantined"] == []
    assert reply["balances"] == {str(customer.wallet_id): 953}
    assert desk.lease(lease_id).spent == 47
    desk.post()
    assert desk.entries(customer)["revenue"] == 47


@story
def one_bad_row_does_not_keep_the_others_from_being_booked(desk: Desk) -> None:
    customer = desk.customer(1000)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 100).lease_id
    good, bad, other = (sold(customer, lease_id, 10) for _ in range(3))
    rows = [
        changed(good),
        changed(bad, model=None),
        changed(other),
        changed(sold(customer, lease_id, 10), cost=2**63),
        changed(sold(customer, lease_id, 10**15 + 2)),
        changed(sold(customer, lease_id, 10), wallet_id=str(new_id())),
        changed(sold(customer, lease_id, 10), started_at_ms=good.started_at_ms + 1),
        changed(sold(customer, lease_id, 10), started_at_ms=0, request_id=str(UUID(int=7 << 76))),
        changed(sold(customer, lease_id, 10), sale=-1),
    ]
    reply = desk.flush_bytes(process, rows)
    assert len(reply["quarantined"]) == 7
    assert {kept.row.encode() for kept in desk.quarantine()} == set(rows) - {rows[0], rows[2]}
    assert desk.lease(lease_id).spent == 20
    assert len(desk.usage(good.request_id)) == len(desk.usage(other.request_id)) == 1
    assert desk.usage(bad.request_id) == []
    desk.flush_bytes(process, rows)
    assert len(desk.quarantine()) == 7  # told once
    desk.acknowledge_quarantine()


@story
def a_broken_mark_keeps_nothing_from_being_booked(desk: Desk) -> None:
    customer = desk.customer(1000)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 100).lease_id
    mark, row = sold(customer, lease_id, 30, from_mark=True), sold(customer, lease_id, 5)
    desk.flush_bytes(process, [changed(row)], [changed(mark, request_id="?"), changed(mark)])
    assert len(desk.usage(row.request_id)) == 1
    desk.sweep_after_silence(process)
    assert [booked.sale for booked in desk.usage(mark.request_id)] == [30]


@story
def a_nul_character_hides_no_usage(desk: Desk) -> None:
    customer = desk.customer(1000)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 100).lease_id
    row = sold(customer, lease_id, 30, end_user="a\0b")
    assert desk.flush(process, [row])["quarantined"] == []
    assert [booked.sale for booked in desk.usage(row.request_id)] == [30]


@story
def the_same_key_with_other_content_is_quarantined(desk: Desk) -> None:
    customer = desk.customer(1000)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 100).lease_id
    row = sold(customer, lease_id, 10)
    desk.flush(process, [row])
    reply = desk.flush_bytes(process, [changed(row, sale=20)])
    assert len(reply["quarantined"]) == 1
    assert desk.lease(lease_id).spent == 10
    assert desk.quarantine()[0].detail == "booked before with other content"
    desk.acknowledge_quarantine()


@story
def a_final_row_replaces_what_was_booked_from_its_mark(desk: Desk) -> None:
    customer = desk.customer(1000)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 100).lease_id
    mark = sold(customer, lease_id, 30, from_mark=True, outcome="crashed")
    desk.flush(process, marks=[mark])
    assert desk.sweep_after_silence(process)
    desk.post()
    final = sold(customer, lease_id, 50, request_id=mark.request_id)
    reply = desk.flush(desk.open_process(), [final])
    assert reply["quarantined"] == []
    first, second = desk.usage(mark.request_id)
    assert (first.sale, first.cost, first.from_mark) == (30, 15, True)
    assert (second.revision, second.sale, second.cost, second.from_mark) == (1, 20, 10, False)
    assert second.quantities == final.quantities
    desk.flush(desk.open_process(), [final])  # and once more
    assert len(desk.usage(mark.request_id)) == 2
    desk.post()
    assert desk.wallet(customer)[:3] == (950, 0, 0)
    assert desk.entries(customer) == {
        "cash": -1000, "wallet": 950, "revenue": 50, "provider_cost": -25, "provider_payable": 25,
    }  # fmt: skip


@story
def every_revision_says_where_the_key_was(desk: Desk) -> None:
    customer = desk.customer(1000)
    process = desk.open_process()
    where = {"project_id": new_id(), "team_id": new_id()}
    lease_id = desk.take(process, customer, 100).lease_id
    mark = sold(customer, lease_id, 30, from_mark=True, outcome="crashed", **where)
    desk.flush(process, marks=[mark])
    assert desk.sweep_after_silence(process)
    desk.flush(desk.open_process(), [sold(customer, lease_id, 50, request_id=mark.request_id, **where)])
    rows = desk.usage(mark.request_id)
    assert [(row.project_id, row.team_id) for row in rows] == [tuple(where.values())] * 2
    desk.post()


@story
def a_cheaper_final_row_comes_back_as_a_refund(desk: Desk) -> None:
    customer = desk.customer(1000)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 100).lease_id
    mark = sold(customer, lease_id, 50, from_mark=True, outcome="crashed")
    desk.flush(process, marks=[mark])
    desk.sweep_after_silence(process)
    desk.post()
    assert desk.wallet(customer).posted == 950
    desk.flush(desk.open_process(), [sold(customer, lease_id, 20, request_id=mark.request_id)])
    assert [row.sale for row in desk.usage(mark.request_id)] == [50, -30]
    desk.post()
    assert desk.wallet(customer)[:3] == (980, 0, 0)
    assert desk.entries(customer)["revenue"] == 20
    assert desk.entries(customer)["provider_cost"] == -10


@story
def a_mark_that_comes_after_the_end_stays_dead(desk: Desk) -> None:
    customer = desk.customer(1000)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 100).lease_id
    final = sold(customer, lease_id, 50)
    desk.flush(process, [final])
    desk.flush(process, marks=[sold(customer, lease_id, 30, request_id=final.request_id, from_mark=True)])
    assert desk.marks() == 0
    desk.sweep_after_silence(process)
    assert len(desk.usage(final.request_id)) == 1
    assert desk.quarantine() == []


@story
def a_mark_of_a_dead_process_is_booked_at_once(desk: Desk) -> None:
    customer = desk.customer(1000)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 100).lease_id
    desk.sweep_after_silence(process)
    mark = sold(customer, lease_id, 30, from_mark=True)
    assert desk.flush(process, marks=[mark])["late"]
    desk.flush(process, marks=[sold(customer, lease_id, 44, from_mark=True, request_id=mark.request_id)])
    assert [row.sale for row in desk.usage(mark.request_id)] == [30, 14]
    desk.flush(process, [sold(customer, lease_id, 50, request_id=mark.request_id)])
    assert [row.sale for row in desk.usage(mark.request_id)] == [30, 14, 6]
    assert desk.marks() == 0
    desk.post()
    assert desk.wallet(customer)[:3] == (950, 0, 0)


@story
def an_end_takes_its_mark_away(desk: Desk) -> None:
    customer = desk.customer(1000)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 100).lease_id
    for whole in ({"streamed": True}, {"streamed": False, "latency_ms": 1500}):
        mark = sold(customer, lease_id, 30, from_mark=True, **whole)
        desk.flush(process, marks=[mark])
        desk.flush(process, [sold(customer, lease_id, 50, request_id=mark.request_id, **whole)])
        assert desk.marks() == 0


@story
def a_newer_mark_replaces_an_older_one(desk: Desk) -> None:
    customer = desk.customer(1000)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 100).lease_id
    mark = sold(customer, lease_id, 10, from_mark=True)
    newer = sold(customer, lease_id, 25, from_mark=True, request_id=mark.request_id)
    desk.flush(process, marks=[mark])
    desk.flush(process, marks=[newer])
    desk.sweep_after_silence(process)
    assert [row.sale for row in desk.usage(mark.request_id)] == [25]


@story
def a_dead_process_is_booked_late_and_told_so(desk: Desk) -> None:
    customer = desk.customer(1000)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 100).lease_id
    desk.sweep_after_silence(process)
    row = sold(customer, lease_id, 70)
    reply = desk.flush(process, [row])
    assert reply["late"]
    assert [booked.late for booked in desk.usage(row.request_id)] == [True]
    desk.post()
    assert desk.wallet(customer)[:4] == (930, 0, 0, 0)


@story
def spending_beyond_the_lease_is_booked_in_full(desk: Desk) -> None:
    customer = desk.customer(100)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 100).lease_id
    desk.flush(process, [sold(customer, lease_id, 130)])
    assert desk.lease(lease_id).spent == 130
    with desk.listening("bursar_recall") as recalled:
        desk.post()
    assert desk.wallet(customer) == (0, 0, 30, 30, 0)
    assert recalled == [str(customer.wallet_id)]
    # 30 of the lease are gone beyond the grant, so this asks for one unit more than nothing.
    assert desk.take(process, customer, 31).state == "refused"
    desk.top_up(customer, 50)
    assert desk.wallet(customer) == (20, 0, 0, 0, 0)
