"""A lane that cuts streams gets none for a while, then one that shows whether it still does."""

import pytest
from proving import Customer

from bursar.gateway.lanes import CUT_REST_MS, CUT_REST_MS_MAX, Lane
from gateway_stack import SECRETS


def new_lane() -> Lane:
    """Just the part of a lane that counts cuts."""
    lane = Lane.__new__(Lane)
    lane.cuts = lane.streams_after_ms = 0
    return lane


def cut(lane: Lane, now_ms: int) -> None:
    """One stream begins at `now_ms` and is cut at once."""
    lane.stream_ended(now_ms, cut=True, shows=lane.begin_stream(now_ms))


class TestALane:
    def test_keeps_its_streams_after_one_cut(self) -> None:
        lane = new_lane()
        for now_ms in (0, 2_000, 4_000):
            cut(lane, now_ms)
            assert lane.takes_stream(now_ms)
            lane.stream_ended(now_ms + 1, cut=False, shows=lane.begin_stream(now_ms))

    def test_rests_after_two_in_a_row(self) -> None:
        lane = new_lane()
        cut(lane, 1_000)
        cut(lane, 1_001)
        assert not lane.takes_stream(1_001 + CUT_REST_MS - 1)
        assert lane.takes_stream(1_001 + CUT_REST_MS)

    def test_is_not_blamed_for_those_that_began_before_it_rested(self) -> None:
        lane = new_lane()
        begun = [lane.begin_stream(0) for _ in range(20)]
        for shows in begun:
            lane.stream_ended(5, cut=True, shows=shows)
        assert lane.takes_stream(5 + CUT_REST_MS)

    def test_shows_by_one_stream_whether_it_still_cuts(self) -> None:
        lane = new_lane()
        cut(lane, 0)
        cut(lane, 0)
        assert lane.begin_stream(CUT_REST_MS)
        assert not lane.takes_stream(CUT_REST_MS + 1)
        lane.stream_ended(CUT_REST_MS + 2, cut=True, shows=True)
        assert not lane.takes_stream(CUT_REST_MS + 2 + 2 * CUT_REST_MS - 1)
        assert lane.begin_stream(CUT_REST_MS + 2 + 2 * CUT_REST_MS)
        lane.stream_ended(100_000, cut=False, shows=True)
        assert lane.takes_stream(100_000)
        cut(lane, 100_001)
        assert lane.takes_stream(100_001)

    def test_rests_no_longer_than_some_minutes(self) -> None:
        lane, now_ms = new_lane(), 0
        for _ in range(60):
            cut(lane, now_ms)
            now_ms = max(now_ms, lane.streams_after_ms)
        cut(lane, now_ms)
        assert lane.streams_after_ms - now_ms == CUT_REST_MS_MAX


class TestTheOnlyLane:
    @pytest.mark.asyncio(loop_scope="module")
    async def test_is_asked_all_the_same(self, customer: Customer) -> None:
        await customer.serve("openai", credentials=2)
        faults = customer.stack.simulator.faults
        for number in range(2):
            faults.add("cut_after_events=3", count=2, key=f"{SECRETS['openai']}-{number}")
        body = customer.payload("openai", stream=True, max_tokens=50)
        replies = [await customer.send(body) for _ in range(6)]
        cuts = [any("error" in event for event in reply.events()[:-1]) for reply in replies]
        assert [reply.status for reply in replies] == [200] * 6
        assert cuts.count(True) == 4
        assert not cuts[-1]
