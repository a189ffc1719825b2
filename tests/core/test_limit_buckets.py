from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.core.limits import (
    DAY_MS,
    MINUTE_MS,
    Bucket,
    Check,
    Kind,
    Period,
    RequestsPerMinute,
    period_bounds,
)

NOW_MS = 1_790_000_000_000
limits = st.integers(1, 10**9)
bursts = st.integers(1, 10**9)
takes = st.lists(st.tuples(st.integers(0, 90_000), st.integers(0, 10**6)), max_size=60)
moments_ms = st.integers(0, 4_102_444_800_000)


def rate(limit: int, burst: int, amount: int = 1) -> Check:
    return Check("c", Kind.TOKENS, limit, burst, amount)


class TestBucket:
    @given(limits, bursts, takes)
    def test_never_lets_more_through_than_burst_plus_leak(
        self, limit: int, burst: int, steps: list[tuple[int, int]]
    ) -> None:
        bucket, now_ms, admitted = Bucket(), NOW_MS, []
        for wait_ms, amount in steps:
            now_ms += wait_ms
            bucket, standing = bucket.take(rate(limit, burst, amount), now_ms)
            if not standing.retry_ms:
                admitted.append((now_ms, amount))
        for first in range(len(admitted)):
            total = 0
            for at_ms, amount in admitted[first:]:
                total += amount
                elapsed_ms = at_ms - admitted[first][0]
                assert total * MINUTE_MS <= burst * MINUTE_MS + elapsed_ms * limit

    @given(limits, bursts, takes)
    def test_admits_after_exactly_the_wait_it_names(
        self, limit: int, burst: int, steps: list[tuple[int, int]]
    ) -> None:
        bucket, now_ms = Bucket(), NOW_MS
        for wait_ms, asked in steps:
            now_ms += wait_ms
            check = rate(limit, burst, min(asked, burst))
            bucket, standing = bucket.take(check, now_ms)
            if standing.retry_ms:
                assert not bucket.take(check, now_ms + standing.retry_ms)[1].retry_ms
                assert bucket.take(check, now_ms + standing.retry_ms - 1)[1].retry_ms == 1

    @given(st.integers(1, 100_000), st.integers(1, 1_000), st.lists(st.integers(0, 5_000), max_size=100))
    def test_agrees_with_the_requests_of_the_fast_path(
        self, limit: int, burst: int, waits: list[int]
    ) -> None:
        fast, state, bucket, now_ms = RequestsPerMinute(limit, burst), 0, Bucket(), NOW_MS
        for wait_ms in waits:
            now_ms += wait_ms
            state, retry_ms = fast.allow(state, now_ms)
            bucket, standing = bucket.take(rate(limit, burst), now_ms)
            assert standing.retry_ms == (retry_ms or 0)
            assert fast.standing(state, now_ms) == standing._replace(retry_ms=0)

    @given(limits, bursts, takes, st.integers(-(10**6), 10**6))
    def test_that_is_corrected_holds_what_was_really_used(
        self, limit: int, burst: int, steps: list[tuple[int, int]], delta: int
    ) -> None:
        now_ms, bucket = NOW_MS, Bucket()
        for wait_ms, amount in steps:
            now_ms += wait_ms
            bucket, _ = bucket.take(rate(limit, burst, amount), now_ms)
        corrected = bucket.correct(limit, delta, now_ms)
        assert corrected.level == max(bucket.leaked(limit, now_ms).level + delta * MINUTE_MS, 0)

    def test_tells_when_all_of_it_is_back(self) -> None:
        bucket, standing = Bucket().take(rate(1_000, 1_000, 250), NOW_MS)
        assert (standing.remaining, standing.reset_ms) == (750, 15_000)
        assert bucket.leaked(1_000, NOW_MS + 14_999).level > 0
        assert bucket.leaked(1_000, NOW_MS + 15_000).level == 0


class TestPeriods:
    @given(moments_ms, st.sampled_from([Period.DAY, Period.WEEK, Period.MONTH]))
    def test_follow_each_other_without_a_gap(self, now_ms: int, period: Period) -> None:
        start_ms, end_ms = period_bounds(period, now_ms)
        assert end_ms is not None
        assert start_ms <= now_ms < end_ms
        assert period_bounds(period, end_ms)[0] == end_ms
        assert period_bounds(period, end_ms - 1) == (start_ms, end_ms)

    @given(moments_ms)
    def test_are_those_of_the_calendar_in_utc(self, now_ms: int) -> None:
        now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=now_ms)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        expected = {
            Period.DAY: midnight,
            Period.WEEK: midnight - timedelta(days=now.weekday()),
            Period.MONTH: midnight.replace(day=1),
        }
        for period, start in expected.items():
            assert period_bounds(period, now_ms)[0] == int(start.timestamp()) * 1000

    @pytest.mark.parametrize(
        ("period", "start", "end"),
        [
            (Period.DAY, "2028-02-29", "2028-03-01"),
            (Period.WEEK, "2028-02-28", "2028-03-06"),
            (Period.MONTH, "2028-02-01", "2028-03-01"),
        ],
    )
    def test_know_leap_years(self, period: Period, start: str, end: str) -> None:
        now_ms = int(datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC).timestamp()) * 1000 + 999
        bounds = period_bounds(period, now_ms)
        told = [datetime.fromtimestamp((bound or 0) // 1000, UTC).date().isoformat() for bound in bounds]
        assert told == [start, end]

    def test_for_good_never_end(self) -> None:
        assert period_bounds(Period.ONCE, NOW_MS + DAY_MS) == (0, None)
