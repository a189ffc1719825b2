"""What a lane knows of its own speed."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID

from bursar.core.breaker import DEFAULT_RULE
from bursar.gateway.lanes import EXPLORE_MS, LATENCY_LIFE_MS, UNKNOWN_MS, Lane

NOW = 1_000_000


def lane() -> Lane:
    route: Any = SimpleNamespace(
        route_id=UUID(int=1),
        provider_id=UUID(int=2),
        deployment=SimpleNamespace(model="m"),
        is_own=False,
        breaker=DEFAULT_RULE,
    )
    return Lane(route, UUID(int=3))


class TestALane:
    def test_that_nobody_knows_asks_to_be_tried_by_one(self) -> None:
        one = lane()
        assert one.latency_ms(NOW, stream=False) is None
        one.asked_ms = NOW
        assert one.latency_ms(NOW + 1, stream=False) == UNKNOWN_MS
        assert one.latency_ms(NOW + EXPLORE_MS, stream=False) is None

    def test_smooths_what_it_hears(self) -> None:
        one = lane()
        for took_ms in (800, 1_600, 0):
            one.answered(took_ms, NOW, stream=False)
        assert one.latency_ms(NOW, stream=False) == (900 - 113)

    def test_tells_streams_from_whole_answers(self) -> None:
        one = lane()
        one.answered(100, NOW, stream=True)
        assert one.latency_ms(NOW, stream=True) == 100
        assert one.latency_ms(NOW, stream=False) is None

    def test_forgets_after_a_while(self) -> None:
        one = lane()
        one.answered(100, NOW, stream=True)
        assert one.latency_ms(NOW + LATENCY_LIFE_MS - 1, stream=True) == 100
        assert one.latency_ms(NOW + LATENCY_LIFE_MS, stream=True) is None

    def test_that_failed_is_the_slowest_until_it_answers_or_is_due(self) -> None:
        one = lane()
        one.answered(100, NOW, stream=True)
        one.failed_ms = NOW
        assert one.latency_ms(NOW, stream=True) == UNKNOWN_MS
        assert one.latency_ms(NOW + LATENCY_LIFE_MS, stream=True) is None
        one.answered(100, NOW, stream=True)
        assert one.latency_ms(NOW, stream=True) == 100
