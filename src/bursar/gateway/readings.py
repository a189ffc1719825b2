"""What one process can be watched by, in Prometheus' text format. Loaded when first asked for."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.registry import Collector

from bursar.gateway.runtime import Gateway

__all__ = ["CONTENT_TYPE", "readings_of"]


class Readings(Collector):
    """One process's figures, as they are now."""

    def __init__(self, gw: Gateway) -> None:
        self._gw = gw

    def collect(self) -> Iterator[Metric]:
        gw = self._gw
        yield GaugeMetricFamily("bursar_requests_in_flight", "Requests being answered.", value=gw.in_flight)
        yield GaugeMetricFamily(
            "bursar_body_bytes_held", "Bytes of request bodies in memory.", value=gw.bodies.held
        )
        counting = gw.limiter.counting
        if counting.may_share:
            yield GaugeMetricFamily(
                "bursar_limits_shared",
                "1 while rates are counted in Redis, 0 while each process counts by itself.",
                value=int(counting.is_shared),
            )
            yield CounterMetricFamily(
                "bursar_limits_shared_lost", "How often Redis was lost since start.", value=counting.lost
            )


def readings_of(gw: Gateway) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Readings(gw))
    return generate_latest(registry)
