"""Rate counters in Redis (or Valkey): one Lua script per call, exact across processes.

The server's clock is the one that counts: gateways' clocks may disagree. Keys: `{bursar}:<counter>`, a string
"level at_ms" for a rate and a sorted set of claims by expiry for requests at once; each with a TTL, so Redis
holds what is in use and no more. The hash tag keeps them on one node of a cluster, which a script needs.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError

from bursar.adapters.ratecounters import Answer
from bursar.core.limits import Change, Check, Kind, Standing

log = structlog.get_logger()

PREFIX: Final = "{bursar}:"
CLAIM_LIFE_MS: Final = 60_000
"""A claim nobody renewed for so long belonged to a process that is gone."""

WAIT_S: Final = 1.0
"""Longer than any answer of a Redis that is well; after one such wait a process turns to its own counters."""

CONNECTIONS_MAX: Final = 16
"""A script takes Redis some 20 µs, one at a time: more connections would only wait there instead of here."""

# Sums in Lua are doubles. They are exact here: levels stay below 2^53 (burst x 60,000; burst at most 10^10),
# and a leak that is not exact is larger than any level.
# Both scripts: a bucket's level now, and writing one back. ARGV[1]: now (0: the server's clock).
BUCKETS: Final = """
local now = tonumber(ARGV[1])
if now == 0 then
    local t = redis.call('TIME')
    now = t[1] * 1000 + math.floor(t[2] / 1000)
end
local function load_bucket(key, limit)
    local stored = redis.call('GET', key)
    if not stored then return 0, now end
    local level, at = string.match(stored, '^(%d+) (%d+)$')
    level, at = tonumber(level), tonumber(at)
    return math.max(level - math.max(now - at, 0) * limit, 0), math.max(now, at)
end
local function store_bucket(key, limit, level, at)
    if level <= 0 then redis.call('DEL', key) return end
    local ttl = math.ceil(level / limit) + math.max(at - now, 0) + 1000
    redis.call('SET', key, string.format('%.0f %.0f', level, at), 'PX', string.format('%.0f', ttl))
end
"""

# KEYS: counters. ARGV: now, mode, claim, its life, then a key's kind, limit, burst, amount.
SCRIPT: Final = (
    BUCKETS
    + """
local mode, claim, life = ARGV[2], ARGV[3], tonumber(ARGV[4])
local out, news, refused = {}, {}, 0
for i, key in ipairs(KEYS) do
    local at = 4 + (i - 1) * 4
    local kind, limit = ARGV[at + 1], tonumber(ARGV[at + 2])
    local burst, amount = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
    local used, reset, retry = 0, 0, 0
    if kind == 'claim' then
        redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
        local open = redis.call('ZCARD', key)
        if mode == 'admit' and open + 1 > limit then retry = 1000 end
        news[i] = {kind, open}
        used = math.min(open, limit)
    else
        local level, stamp = load_bucket(key, limit)
        local over = level + amount * 60000 - burst * 60000
        if mode == 'admit' and over > 0 then retry = math.ceil(over / limit) end
        news[i] = {kind, level, stamp}
        used = level
    end
    if retry > 0 and refused == 0 then refused = i else retry = 0 end
    out[i] = {limit, burst, amount, retry}
end
local answer = {refused}
for i, key in ipairs(KEYS) do
    local limit, burst, amount, retry = out[i][1], out[i][2], out[i][3], out[i][4]
    local kind = news[i][1]
    local takes = mode == 'admit' and refused == 0
    if kind == 'claim' then
        local open = news[i][2]
        if takes then
            redis.call('ZADD', key, now + life, claim)
            redis.call('PEXPIRE', key, life + 1000)
            open = open + 1
        end
        table.insert(answer, string.format('%.0f 0 %.0f', math.max(limit - open, 0), retry))
    else
        local level = news[i][2]
        if takes then
            level = level + amount * 60000
            store_bucket(key, limit, level, news[i][3])
        end
        local left = math.floor(math.max(burst * 60000 - level, 0) / 60000)
        table.insert(answer, string.format('%.0f %.0f %.0f', left, math.ceil(level / limit), retry))
    end
end
return answer
"""
)

# KEYS: counters. ARGV: now, claim life, then per key: kind, limit, delta, claim.
CORRECTION: Final = (
    BUCKETS
    + """
local life = tonumber(ARGV[2])
for i, key in ipairs(KEYS) do
    local at = 2 + (i - 1) * 4
    local kind, limit = ARGV[at + 1], tonumber(ARGV[at + 2])
    local delta, claim = tonumber(ARGV[at + 3]), ARGV[at + 4]
    if kind == 'ended' then
        redis.call('ZREM', key, claim)
    elseif kind == 'goes_on' then
        -- XX: one that ended while this was on its way stays ended.
        redis.call('ZADD', key, 'XX', now + life, claim)
        redis.call('PEXPIRE', key, life + 1000)
    else
        local level, stamp = load_bucket(key, limit)
        store_bucket(key, limit, level + delta * 60000, stamp)
    end
end
return #KEYS
"""
)


class RedisUnavailable(Exception):
    """Redis is away, slow or refuses. What was asked may have happened or not."""


class RedisCounters:
    """`url` as redis-py takes it (`redis://`, `rediss://`, `unix://`).

    `told_time`: count by the `now_ms` of each call instead of the server's clock, to test the arithmetic.
    """

    unavailable: ClassVar[type[Exception]] = RedisUnavailable

    def __init__(self, url: str, *, told_time: bool = False, wait_s: float = WAIT_S) -> None:
        self._told_time = told_time
        pool = BlockingConnectionPool.from_url(
            url,
            timeout=wait_s,
            socket_timeout=wait_s,
            socket_connect_timeout=wait_s,
            max_connections=CONNECTIONS_MAX,
            retry=None,
            decode_responses=True,
        )
        self._redis = Redis.from_pool(pool)
        self._script = self._redis.register_script(SCRIPT)
        self._correction = self._redis.register_script(CORRECTION)

    async def admit(self, checks: Sequence[Check], claim: str, now_ms: int) -> Answer:
        return await self._ask("admit", checks, claim, now_ms)

    async def look(self, checks: Sequence[Check], now_ms: int) -> tuple[Standing, ...]:
        return (await self._ask("look", checks, "", now_ms)).standings

    async def correct(self, changes: Sequence[Change], now_ms: int) -> None:
        entries = [
            (
                change.check.counter,
                "ended" if change.check.kind is Kind.CONCURRENT else "rate",
                change.check.limit,
                change.delta,
                change.claim,
            )
            for change in changes
        ]
        await self._correct(entries, now_ms)

    async def renew(self, claims: Sequence[tuple[str, str]], now_ms: int) -> None:
        await self._correct([(counter, "goes_on", 1, 0, claim) for counter, claim in claims], now_ms)

    async def close(self) -> None:
        await self._redis.aclose()

    async def _ask(self, mode: str, checks: Sequence[Check], claim: str, now_ms: int) -> Answer:
        arguments: list[Any] = [self._now(now_ms), mode, claim, CLAIM_LIFE_MS]
        for check in checks:
            kind = "claim" if check.kind is Kind.CONCURRENT else "rate"
            arguments += (kind, check.limit, check.burst, check.amount)
        said = await self._run(self._script, [PREFIX + check.counter for check in checks], arguments)
        refused = int(said[0])
        standings = tuple(
            Standing(check.limit, *map(int, line.split()))
            for check, line in zip(checks, said[1:], strict=True)
        )
        return Answer(refused - 1 if refused else None, standings)

    async def _correct(self, entries: Sequence[tuple[str, str, int, int, str]], now_ms: int) -> None:
        if not entries:
            return
        arguments: list[Any] = [self._now(now_ms), CLAIM_LIFE_MS]
        for _, kind, limit, delta, claim in entries:
            arguments += (kind, limit, delta, claim)
        await self._run(self._correction, [PREFIX + entry[0] for entry in entries], arguments)

    async def _run(self, script: Any, keys: list[str], arguments: list[Any]) -> Any:
        try:
            return await script(keys=keys, args=arguments)
        except (RedisError, OSError, TimeoutError) as error:
            raise RedisUnavailable(f"{type(error).__name__}: {error}") from error

    def _now(self, now_ms: int) -> int:
        return now_ms if self._told_time else 0
