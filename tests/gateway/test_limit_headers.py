import pytest

from bursar.core.limits import Check, Kind, Standing
from bursar.gateway.limiting import duration, headers_of


def check(kind: Kind) -> Check:
    return Check("c", kind, 10, 10, 1)


class TestHeaders:
    def test_tell_of_the_limit_with_the_least_left(self) -> None:
        seen = [
            (check(Kind.REQUESTS), Standing(60, 59, 1_000)),
            (check(Kind.REQUESTS), Standing(10, 3, 42_000)),
            (check(Kind.CONCURRENT), Standing(2, 0, 0)),
            (check(Kind.TOKENS), Standing(1_000, 0, 60_000)),
        ]
        assert headers_of(seen) == {
            "x-ratelimit-limit-requests": "10",
            "x-ratelimit-remaining-requests": "3",
            "x-ratelimit-reset-requests": "42s",
            "x-ratelimit-limit-tokens": "1000",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-tokens": "1m0s",
        }

    @pytest.mark.parametrize(
        ("ms", "said"),
        [
            (0, "0ms"),
            (350, "350ms"),
            (1_000, "1s"),
            (1_200, "1.2s"),
            (59_999, "59.999s"),
            (60_000, "1m0s"),
            (366_050, "6m6.05s"),
        ],
    )
    def test_write_durations_as_openai_does(self, ms: int, said: str) -> None:
        assert duration(ms) == said
