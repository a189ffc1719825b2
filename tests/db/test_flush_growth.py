"""A flush costs what is in it, however much was booked before."""

from dataclasses import replace
from uuid import UUID

from desk import Desk, one
from samples import Customer, usage_row
from stories import sold

READ = """
    SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables
    WHERE relname LIKE 'usage%%'
"""
WARM_UP = 12  # PostgreSQL settles on one plan for a function's statement after a few calls


def read_in_sequence(desk: Desk) -> int:
    """Rows of usage and marks that were read one after the other, not looked up."""
    desk.gateway.execute("SELECT pg_stat_force_next_flush()")
    desk.gateway.execute("SELECT pg_stat_clear_snapshot()")
    return int(one(desk.operator, READ, []))


def stream_once(desk: Desk, process_id: UUID, customer: Customer, lease_id: UUID | None) -> None:
    """What a stream does to the books: a mark, then its row."""
    row = sold(customer, lease_id, 1)
    desk.flush(process_id, [], [replace(row, from_mark=True)])
    desk.flush(process_id, [row])


class TestAFlush:
    def test_reads_no_table_of_usage_from_end_to_end(self, desk: Desk) -> None:
        customer = desk.customer(10**9)
        process = desk.open_process()
        lease_id = desk.take(process, customer, 10**6).lease_id
        for _ in range(WARM_UP):
            stream_once(desk, process, customer, lease_id)
        desk.flush(process, [usage_row(customer, lease_id=lease_id) for _ in range(500)])
        before = read_in_sequence(desk)
        for _ in range(5):
            stream_once(desk, process, customer, lease_id)
        assert read_in_sequence(desk) == before
