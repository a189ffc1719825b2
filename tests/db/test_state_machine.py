"""Any order of events leaves the books where the reference says."""

from desk import Desk
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from machine import BooksMachine
from scratch_database import ScratchDatabase

PROFILE = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    print_blob=True,
)


class TestTheBooksAndTheReference:
    def test_agree_whatever_happens_in_whatever_order(self, database: ScratchDatabase) -> None:
        with Desk(database) as desk:
            run_state_machine_as_test(lambda: BooksMachine(desk), settings=PROFILE)
