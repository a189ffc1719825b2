"""A breaker against the plain meaning of its rule: a list of calls, counted anew each time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.core.breaker import DEFAULT_RULE, SLICES, Breaker, BreakerRule, BreakerState

RULE = BreakerRule(failures_percent=50, calls_min=20, window_ms=10_000, open_ms=5_000, probes=2)


def opened(at_ms: int = 1_000) -> Breaker:
    breaker = Breaker(RULE)
    for _ in range(20):
        breaker.end(at_ms, failed=True)
    assert breaker.state(at_ms) is BreakerState.OPEN
    return breaker


class TestTheWindow:
    @given(st.lists(st.tuples(st.integers(0, 3_000), st.booleans()), max_size=80))
    def test_counts_what_its_slices_hold_and_opens_by_the_rule(self, calls: list[tuple[int, bool]]) -> None:
        breaker, now_ms = Breaker(RULE), 50_000
        kept: list[tuple[int, bool]] = []
        for gap_ms, failed in calls:
            now_ms += gap_ms
            kept = [(at, bad) for at, bad in kept if now_ms // 1_000 - at < SLICES] + [
                (now_ms // 1_000, failed)
            ]
            breaker.end(now_ms, failed=failed)
            failures = sum(bad for _, bad in kept)
            must_open = failed and len(kept) >= 20 and 2 * failures >= len(kept)
            assert (breaker.state(now_ms) is BreakerState.OPEN) == must_open
            if must_open:
                return
            assert breaker.counts(now_ms) == (len(kept), failures)

    def test_forgets_everything_after_a_silence(self) -> None:
        breaker = Breaker(RULE)
        for _ in range(19):
            breaker.end(1_000, failed=True)
        breaker.end(1_000 + 10_000, failed=True)
        assert breaker.counts(11_000) == (1, 1)
        assert breaker.permits(11_000)

    def test_stays_closed_below_the_least_number_of_calls(self) -> None:
        breaker = Breaker(RULE)
        for _ in range(19):
            breaker.end(1_000, failed=True)
        assert breaker.state(1_000) is BreakerState.CLOSED
        breaker.end(1_000, failed=True)
        assert breaker.state(1_000) is BreakerState.OPEN

    def test_stays_closed_below_the_percentage(self) -> None:
        breaker = Breaker(RULE)
        for number in range(1_000):
            breaker.end(1_000, failed=number % 100 < 49 and number >= 100)
        assert breaker.state(1_000) is BreakerState.CLOSED

    def test_ignores_what_says_nothing(self) -> None:
        breaker = Breaker(RULE)
        for _ in range(100):
            breaker.end(1_000, failed=None)
        assert breaker.counts(1_000) == (0, 0)

    def test_turns_a_success_into_a_failure_without_a_second_call(self) -> None:
        breaker = Breaker(RULE)
        breaker.end(1_000, failed=False)
        breaker.end(1_500, failed=True, calls=0)
        assert breaker.counts(1_500) == (1, 1)


class TestAnOpenBreaker:
    def test_permits_nothing_until_its_time_is_over(self) -> None:
        breaker = opened(1_000)
        assert not breaker.permits(5_999)
        assert breaker.permits(6_000)
        assert breaker.state(6_000) is BreakerState.HALF_OPEN

    def test_lets_so_many_probes_through_at_a_time(self) -> None:
        breaker = opened(1_000)
        assert [breaker.begin(6_000), breaker.begin(6_000)] == [True, True]
        assert not breaker.permits(6_000)
        breaker.end(6_001, failed=None, probe=True)
        assert breaker.permits(6_001)

    def test_closes_after_so_many_successes(self) -> None:
        breaker = opened(1_000)
        for _ in range(2):
            assert breaker.state(6_000) is BreakerState.HALF_OPEN
            breaker.end(6_000, failed=False, probe=breaker.begin(6_000))
        assert breaker.state(6_000) is BreakerState.CLOSED
        assert breaker.counts(6_000) == (0, 0)

    def test_opens_anew_on_the_first_failure(self) -> None:
        breaker = opened(1_000)
        breaker.end(6_000, failed=False, probe=breaker.begin(6_000))
        breaker.end(6_000, failed=True, probe=breaker.begin(6_000))
        assert breaker.state(10_999) is BreakerState.OPEN
        assert breaker.state(11_000) is BreakerState.HALF_OPEN

    def test_heeds_no_call_that_began_before_it_opened(self) -> None:
        breaker = opened(1_000)
        breaker.end(6_000, failed=True)
        assert breaker.state(6_000) is BreakerState.HALF_OPEN
        breaker.end(6_000, failed=False)
        breaker.end(6_000, failed=False)
        assert breaker.state(6_000) is BreakerState.HALF_OPEN

    def test_forgets_a_probe_that_never_ended(self) -> None:
        breaker = opened(1_000)
        breaker.begin(6_000)
        breaker.begin(6_000)
        assert not breaker.permits(10_999)
        assert breaker.permits(11_000)
        assert breaker.begin(11_000)
        assert breaker.permits(11_000)


class TestARule:
    def test_is_half_of_twenty_calls_in_ten_seconds_unless_told(self) -> None:
        assert (DEFAULT_RULE.failures_percent, DEFAULT_RULE.calls_min, DEFAULT_RULE.window_ms) == (
            50,
            20,
            10_000,
        )

    @pytest.mark.parametrize(
        "wrong",
        [
            {"failures_percent": 0},
            {"failures_percent": 101},
            {"calls_min": 0},
            {"window_ms": 9},
            {"open_ms": 0},
            {"probes": 0},
        ],
    )
    def test_that_makes_no_sense_is_refused(self, wrong: dict[str, int]) -> None:
        with pytest.raises(ValueError, match=r"between 1 and 100|at least"):
            BreakerRule(**wrong)
