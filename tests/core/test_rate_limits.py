import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.core.limits import MINUTE_MS, LimitInvalid, RequestsPerMinute

limits = st.integers(1, 100_000)
bursts = st.none() | st.integers(1, 1_000)
waits_ms = st.lists(st.integers(0, 5_000), max_size=200)
NOW_MS = 1_790_000_000_000


def admitted_at(limit: RequestsPerMinute, waits: list[int]) -> list[int]:
    state, now_ms, admitted = limit.FRESH, NOW_MS, []
    for wait_ms in waits:
        now_ms += wait_ms
        state, retry_after_ms = limit.allow(state, now_ms)
        if retry_after_ms is None:
            admitted.append(now_ms)
    return admitted


class TestRequestsPerMinute:
    def test_lets_a_minutes_worth_through_at_once_and_then_one_a_second(self) -> None:
        limit = RequestsPerMinute(60)
        assert len(admitted_at(limit, [0] * 100)) == 60
        assert len(admitted_at(limit, [0] * 100 + [1_000])) == 61

    @given(limits, bursts, waits_ms)
    def test_never_admits_more_than_burst_plus_refill(
        self, limit: int, burst: int | None, waits: list[int]
    ) -> None:
        requests = RequestsPerMinute(limit, burst)
        admitted = admitted_at(requests, waits)
        for first in range(len(admitted)):
            for last in range(first, len(admitted)):
                elapsed_ms = admitted[last] - admitted[first]
                assert last - first + 1 <= requests.burst + elapsed_ms * limit // MINUTE_MS

    @given(limits, bursts, waits_ms)
    def test_admits_after_exactly_the_wait_it_names(
        self, limit: int, burst: int | None, waits: list[int]
    ) -> None:
        requests = RequestsPerMinute(limit, burst)
        state, now_ms = requests.FRESH, NOW_MS
        for wait_ms in waits:
            now_ms += wait_ms
            refused, retry_after_ms = requests.allow(state, now_ms)
            if retry_after_ms is None:
                state = refused
                continue
            assert refused == state
            assert retry_after_ms > 0
            assert requests.allow(state, now_ms + retry_after_ms)[1] is None
            assert requests.allow(state, now_ms + retry_after_ms - 1)[1] == 1

    @given(limits)
    def test_sustains_its_limit_for_ever(self, limit: int) -> None:
        requests = RequestsPerMinute(limit, 2 + limit // MINUTE_MS)
        state = requests.FRESH
        for turn in range(300):
            state, retry_after_ms = requests.allow(state, NOW_MS + -(-turn * MINUTE_MS // limit))
            assert retry_after_ms is None

    @pytest.mark.parametrize(("limit", "burst"), [(0, None), (-1, None), (60, 0)])
    def test_refuses_a_limit_that_lets_nothing_through(self, limit: int, burst: int | None) -> None:
        with pytest.raises(LimitInvalid):
            RequestsPerMinute(limit, burst)
