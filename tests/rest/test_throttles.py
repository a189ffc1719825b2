"""Tries of strangers, counted."""

from dataclasses import replace

import pytest

from bursar.adapters.ratecounters.redis import RedisCounters
from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.db.secrets import SecretBox
from bursar.rest.control import Control, Policy
from bursar.rest.edge import Edge
from bursar.rest.throttles import TooManyTries, Try, throttle

NOWHERE = "redis://127.0.0.1:1"


class Clock:
    def __init__(self) -> None:
        self.ms = 1_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic_ms(self) -> int:
        return self.ms


def control_at(clock: Clock) -> Control:
    """Asks no database."""
    database = Database("postgresql://nobody@localhost/none", Role.API)
    return Control(database=database, edge=Edge(clock), seal=SecretBox(bytes(32)), policy=Policy())


class TestThrottle:
    async def test_refills_one_by_one(self) -> None:
        clock = Clock()
        control = control_at(clock)
        guess = [Try("guess", "mina", per_hour=60, burst=2)]
        for _ in range(2):
            await throttle(control, guess)
        with pytest.raises(TooManyTries) as refused:
            await throttle(control, guess)
        assert refused.value.headers == {"retry-after": "60"}
        await throttle(control, [Try("guess", "another", per_hour=60, burst=2)])
        clock.ms += 60_000
        await throttle(control, guess)

    async def test_takes_none_when_one_is_used_up(self) -> None:
        control = control_at(Clock())
        rare, common = Try("rare", "x", per_hour=1, burst=1), Try("common", "x", per_hour=1, burst=2)
        await throttle(control, [rare, common])
        for _ in range(3):
            with pytest.raises(TooManyTries):
                await throttle(control, [common, rare])
        await throttle(control, [common])

    async def test_goes_on_without_the_redis_it_shares(self) -> None:
        shared = RedisCounters(NOWHERE, wait_s=0.5)
        control = replace(control_at(Clock()), counters=shared)
        once = [Try("guess", "mina", per_hour=1, burst=1)]
        await throttle(control, once)
        with pytest.raises(TooManyTries):
            await throttle(control, once)
        await shared.close()
