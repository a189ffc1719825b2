from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from bursar.gateway import outputs
from bursar.gateway.outputs import HEADROOM, SAMPLES, SAMPLES_MIN, TOKENS_MIN, OutputHistory

KEY = UUID(int=1)
MODEL = "gpt-5-mini"
BOUND = 16_384


def after(*lengths: int) -> OutputHistory:
    history = OutputHistory()
    for length in lengths:
        history.note(KEY, MODEL, length)
    return history


class TestExpectedOutput:
    def test_is_the_bound_while_little_is_known(self) -> None:
        assert OutputHistory().expected(KEY, MODEL, BOUND) == BOUND
        assert after(*[10] * (SAMPLES_MIN - 1)).expected(KEY, MODEL, BOUND) == BOUND

    def test_is_twice_the_95th_percentile(self) -> None:
        assert after(*range(100, 100 * SAMPLES_MIN + 1, 100)).expected(KEY, MODEL, BOUND) == 2 * 1_900

    def test_does_not_follow_one_long_answer_in_twenty(self) -> None:
        assert after(*[500] * (SAMPLES_MIN - 1), 9_000).expected(KEY, MODEL, BOUND) == 1_000

    def test_is_never_below_the_least(self) -> None:
        assert after(*[1] * SAMPLES_MIN).expected(KEY, MODEL, BOUND) == TOKENS_MIN

    def test_is_never_above_the_bound(self) -> None:
        assert after(*[9_000] * SAMPLES_MIN).expected(KEY, MODEL, BOUND) == BOUND
        assert after(*[1] * SAMPLES_MIN).expected(KEY, MODEL, 16) == 16

    def test_is_the_bound_once_the_model_was_seen_to_reason(self) -> None:
        history = after(*[500] * SAMPLES_MIN)
        history.note(KEY, MODEL, 500, unseen_tokens=1)
        assert history.expected(KEY, MODEL, BOUND) == BOUND

    def test_forgets_what_is_long_past(self) -> None:
        history = after(*[8_000] * SAMPLES_MIN, *[200] * 2 * SAMPLES)
        assert history.expected(KEY, MODEL, BOUND) == 400

    def test_knows_each_key_and_model_apart(self) -> None:
        history = after(*[500] * SAMPLES_MIN)
        assert history.expected(KEY, "another", BOUND) == BOUND
        assert history.expected(uuid4(), MODEL, BOUND) == BOUND

    def test_forgets_the_longest_unused_pair_when_there_are_too_many(self) -> None:
        history = after(*[500] * SAMPLES_MIN)
        for number in range(outputs.PAIRS_MAX):
            history.note(UUID(int=number + 2), MODEL, 1)
        assert history.expected(KEY, MODEL, BOUND) == BOUND
        assert len(history._recent) == outputs.PAIRS_MAX

    @given(st.lists(st.integers(0, 20_000), min_size=SAMPLES_MIN, max_size=200), st.integers(1, BOUND))
    def test_lies_between_the_least_and_the_bound(self, lengths: list[int], bound: int) -> None:
        expected = after(*lengths).expected(KEY, MODEL, bound)
        assert min(bound, TOKENS_MIN) <= expected <= bound
        assert expected <= max(TOKENS_MIN, HEADROOM * max(lengths))
