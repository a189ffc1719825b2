"""`/metrics`: what a process tells its neighbours, and only them."""

import pytest
from metrics_reader import metrics, readings
from proving import Customer

from bursar.core.addresses import Networks

pytestmark = pytest.mark.asyncio(loop_scope="module")


class TestMetrics:
    async def test_tell_what_is_in_flight_and_nothing_of_a_redis_there_is_not(
        self, customer: Customer
    ) -> None:
        told = await readings(customer)
        assert told["bursar_requests_in_flight"] == "0.0"
        assert not any(name.startswith("bursar_limits_shared") for name in told)

    async def test_are_nothing_to_strangers(self, customer: Customer) -> None:
        gw = customer.gw
        assert (await metrics(customer, **{"x-forwarded-for": "127.0.0.1"})).status == 404
        neighbours, gw.metrics_for = gw.metrics_for, Networks(["10.0.0.0/8"])
        try:
            reply = await metrics(customer)
        finally:
            gw.metrics_for = neighbours
        assert (reply.status, reply.json()["error"]["code"]) == (404, "unknown_url")
