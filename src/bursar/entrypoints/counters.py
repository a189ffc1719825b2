"""The rate counters that programs share, when the settings name a Redis."""

from bursar.adapters.ratecounters.redis import RedisCounters
from bursar.settings import Settings


def shared_counters(settings: Settings) -> RedisCounters | None:
    """Rate counters that gateways share; None: each counts by itself."""
    if not settings.redis_url:
        return None
    return RedisCounters(settings.redis_url, wait_s=settings.redis_timeout_ms / 1000)
