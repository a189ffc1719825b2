"""What both stores of rate counters promise: the same questions to memory and to a real Redis."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bursar.adapters.ratecounters import RateCounters
from bursar.adapters.ratecounters.memory import MemoryCounters
from bursar.adapters.ratecounters.redis import CLAIM_LIFE_MS, PREFIX, RedisCounters
from bursar.core.limits import MINUTE_MS, Change, Check, Kind, Standing
from redis_server import RedisServer

NOW_MS = 1_790_000_000_000


def new_name() -> str:
    return f"test:{secrets.token_hex(6)}"


def requests(counter: str, limit: int, burst: int | None = None) -> Check:
    return Check(counter, Kind.REQUESTS, limit, limit if burst is None else burst, 1)


def tokens(counter: str, limit: int, amount: int) -> Check:
    return Check(counter, Kind.TOKENS, limit, limit, amount)


def at_once(counter: str, limit: int) -> Check:
    return Check(counter, Kind.CONCURRENT, limit, limit, 1)


@pytest.fixture(params=["memory", "redis"])
async def counters(request: pytest.FixtureRequest, redis_server: RedisServer) -> AsyncIterator[RateCounters]:
    if request.param == "memory":
        yield MemoryCounters()
        return
    shared = RedisCounters(redis_server.url, told_time=True, wait_s=10)
    yield shared
    await shared.close()


class TestARate:
    async def test_admits_a_burst_then_what_leaks_away(self, counters: RateCounters) -> None:
        check = requests(new_name(), 60, burst=5)
        answers = [await counters.admit([check], "r", NOW_MS) for _ in range(6)]
        assert [answer.refused for answer in answers] == [None] * 5 + [0]
        assert [answer.standings[0].remaining for answer in answers] == [4, 3, 2, 1, 0, 0]
        assert answers[4].standings == (Standing(60, 0, 5_000),)
        assert answers[5].standings == (Standing(60, 0, 5_000, retry_ms=1_000),)
        assert (await counters.admit([check], "r", NOW_MS + 999)).refused == 0
        assert (await counters.admit([check], "r", NOW_MS + 1_000)).refused is None

    async def test_takes_as_much_as_a_request_says(self, counters: RateCounters) -> None:
        name = new_name()
        assert (await counters.admit([tokens(name, 1_000, 700)], "r", NOW_MS)).refused is None
        refused = await counters.admit([tokens(name, 1_000, 301)], "r", NOW_MS)
        assert (refused.refused, refused.standings[0].retry_ms) == (0, 60)
        assert (await counters.admit([tokens(name, 1_000, 300)], "r", NOW_MS)).refused is None

    async def test_forgets_nothing_when_its_limit_changes(self, counters: RateCounters) -> None:
        name = new_name()
        await counters.admit([tokens(name, 1_000, 1_000)], "r", NOW_MS)
        answer = await counters.admit([tokens(name, 1_500, 600)], "r", NOW_MS)
        assert answer.refused == 0
        assert (await counters.admit([tokens(name, 1_500, 500)], "r", NOW_MS)).refused is None

    async def test_stands_still_for_a_clock_that_goes_back(self, counters: RateCounters) -> None:
        check = requests(new_name(), 1)
        await counters.admit([check], "r", NOW_MS)
        assert (await counters.admit([check], "r", NOW_MS - 10 * MINUTE_MS)).refused == 0
        assert (await counters.admit([check], "r", NOW_MS + MINUTE_MS)).refused is None

    @pytest.mark.parametrize(("delta", "remaining"), [(-600, 900), (0, 300), (200, 100), (5_000, 0)])
    async def test_is_put_right_by_what_really_happened(
        self, counters: RateCounters, delta: int, remaining: int
    ) -> None:
        check = tokens(new_name(), 1_000, 700)
        await counters.admit([check], "r", NOW_MS)
        await counters.correct([Change(check, delta, "r")], NOW_MS)
        assert (await counters.look([check], NOW_MS))[0].remaining == remaining

    async def test_owes_what_was_used_beyond_it(self, counters: RateCounters) -> None:
        check = tokens(new_name(), 1_000, 1_000)
        await counters.admit([check], "r", NOW_MS)
        await counters.correct([Change(check, 1_000, "r")], NOW_MS)
        one_more = check._replace(amount=1)
        assert (await counters.admit([one_more], "r", NOW_MS + MINUTE_MS)).refused == 0
        assert (await counters.admit([check], "r", NOW_MS + 2 * MINUTE_MS)).refused is None

    async def test_never_gains_by_a_correction(self, counters: RateCounters) -> None:
        check = tokens(new_name(), 1_000, 500)
        await counters.admit([check], "r", NOW_MS)
        await counters.correct([Change(check, -500, "r")], NOW_MS + MINUTE_MS)
        assert (await counters.look([check], NOW_MS + MINUTE_MS))[0].remaining == 1_000

    async def test_counts_large_limits_exactly(self, counters: RateCounters) -> None:
        check = tokens(new_name(), 10**9, 10**9 - 1)
        assert (await counters.admit([check], "r", NOW_MS)).standings[0].remaining == 1
        assert (await counters.admit([check._replace(amount=2)], "r", NOW_MS)).refused == 0
        assert (await counters.admit([check._replace(amount=1)], "r", NOW_MS)).refused is None


class TestRequestsAtOnce:
    async def test_end_one_by_one(self, counters: RateCounters) -> None:
        check = at_once(new_name(), 2)
        answers = [await counters.admit([check], name, NOW_MS) for name in ("a", "b", "c")]
        assert [answer.refused for answer in answers] == [None, None, 0]
        assert answers[2].standings[0].retry_ms > 0
        await counters.correct([Change(check, 0, "a")], NOW_MS)
        await counters.correct([Change(check, 0, "a")], NOW_MS)  # twice is once
        assert (await counters.look([check], NOW_MS))[0].remaining == 1
        assert (await counters.admit([check], "c", NOW_MS)).refused is None
        assert (await counters.admit([check], "d", NOW_MS)).refused == 0

    async def test_go_on_as_long_as_they_are_renewed(self, counters: RateCounters) -> None:
        check = at_once(new_name(), 1)
        await counters.admit([check], "long", NOW_MS)
        await counters.renew([(check.counter, "long")], NOW_MS + CLAIM_LIFE_MS // 2)
        assert (await counters.admit([check], "x", NOW_MS + CLAIM_LIFE_MS + 1)).refused == 0

    async def test_that_ended_are_not_brought_back(self, counters: RateCounters) -> None:
        check = at_once(new_name(), 1)
        await counters.admit([check], "over", NOW_MS)
        await counters.correct([Change(check, 0, "over")], NOW_MS)
        await counters.renew([(check.counter, "over")], NOW_MS)
        assert (await counters.look([check], NOW_MS))[0].remaining == 1

    async def test_that_end_without_a_claim_change_nothing(self, counters: RateCounters) -> None:
        check = at_once(new_name(), 1)
        await counters.correct([Change(check, 0, "nobody")], NOW_MS)
        assert (await counters.look([check], NOW_MS))[0].remaining == 1


class TestSeveralLimits:
    async def test_are_taken_all_or_none(self, counters: RateCounters) -> None:
        wide, claims, narrow = requests(new_name(), 100), at_once(new_name(), 5), requests(new_name(), 1)
        assert (await counters.admit([wide, claims, narrow], "a", NOW_MS)).refused is None
        for name in ("b", "c"):
            assert (await counters.admit([wide, claims, narrow], name, NOW_MS)).refused == 2
        left = await counters.look([wide, claims, narrow], NOW_MS)
        assert [standing.remaining for standing in left] == [99, 4, 0]

    async def test_name_the_first_that_fails(self, counters: RateCounters) -> None:
        full, other = requests(new_name(), 1), requests(new_name(), 1)
        await counters.admit([full, other], "a", NOW_MS)
        refused = await counters.admit([full, other], "b", NOW_MS)
        assert refused.refused == 0
        assert refused.standings[0].retry_ms == MINUTE_MS
        assert refused.standings[1].retry_ms == 0

    async def test_hold_for_many_at_once(self, counters: RateCounters) -> None:
        checks = [requests(new_name(), 30), at_once(new_name(), 25)]
        answers = await asyncio.gather(*[counters.admit(checks, f"r{n}", NOW_MS) for n in range(60)])
        assert sum(answer.refused is None for answer in answers) == 25


amounts = st.lists(
    st.tuples(st.integers(0, 30_000), st.integers(0, 400), st.integers(-400, 400)), max_size=40
)


class TestTheArithmetic:
    @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
    @given(st.integers(1, 10_000), st.integers(1, 500), amounts)
    async def test_is_the_same_in_memory_and_in_redis(
        self, redis_server: RedisServer, limit: int, burst: int, steps: list[tuple[int, int, int]]
    ) -> None:
        shared, own, name = (
            RedisCounters(redis_server.url, told_time=True, wait_s=10),
            MemoryCounters(),
            new_name(),
        )
        now_ms = NOW_MS
        for wait_ms, amount, delta in steps:
            now_ms += wait_ms
            check = Check(name, Kind.TOKENS, limit, burst, amount)
            answer = await own.admit([check], "r", now_ms)
            assert await shared.admit([check], "r", now_ms) == answer
            for counters in (shared, own):
                await counters.correct([Change(check, delta, "r")], now_ms)
        await shared.close()


class TestRedisKeys:
    async def test_carry_a_tag_and_an_end(self, redis_server: RedisServer) -> None:
        counters = RedisCounters(redis_server.url, wait_s=10)
        rate, claims = requests(new_name(), 60), at_once(new_name(), 3)
        await counters.admit([rate, claims], "r", 0)
        assert 0 < redis_server.ttl_ms(PREFIX + rate.counter) <= 2_000
        assert CLAIM_LIFE_MS // 2 < redis_server.ttl_ms(PREFIX + claims.counter) <= CLAIM_LIFE_MS + 1_000
        await counters.correct([Change(rate, -1, "r"), Change(claims, 0, "r")], 0)
        assert not [key for key in redis_server.names() if rate.counter in key or claims.counter in key]
        await counters.close()

    async def test_of_a_process_that_crashed_end_by_themselves(self, redis_server: RedisServer) -> None:
        counters = RedisCounters(redis_server.url, told_time=True, wait_s=10)
        check = at_once(new_name(), 1)
        await counters.admit([check], "crashed", NOW_MS)
        assert (await counters.admit([check], "next", NOW_MS + CLAIM_LIFE_MS - 1)).refused == 0
        assert (await counters.admit([check], "next", NOW_MS + CLAIM_LIFE_MS)).refused is None
        await counters.close()


class TestARedisThatIsAway:
    async def test_is_said_to_be(self, lone_redis: RedisServer) -> None:
        counters = RedisCounters(lone_redis.url)
        check = requests(new_name(), 60)
        assert (await counters.admit([check], "r", 0)).refused is None
        lone_redis.stop()
        for asking in (
            counters.admit([check], "r", 0),
            counters.look([check], 0),
            counters.correct([Change(check, 1, "r")], 0),
            counters.renew([("c", "r")], 0),
        ):
            with pytest.raises(counters.unavailable):
                await asking
        lone_redis.start()
        assert (await counters.admit([check], "r", 0)).standings[0].remaining == 59
        await counters.close()

    async def test_may_also_just_not_answer(self, lone_redis: RedisServer) -> None:
        counters = RedisCounters(lone_redis.url)
        await counters.admit([requests(new_name(), 60)], "r", 0)
        lone_redis.hang()
        with pytest.raises(counters.unavailable):
            await counters.admit([requests(new_name(), 60)], "r", 0)
        lone_redis.go_on()
        await counters.close()


class TestMemory:
    async def test_drops_counters_that_ran_empty(self) -> None:
        counters = MemoryCounters()
        for number in range(5_000):
            await counters.admit([requests(f"c{number}", 60_000)], "r", NOW_MS + number)
        assert len(counters._buckets) < 2_100
