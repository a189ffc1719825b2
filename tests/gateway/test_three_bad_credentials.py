"""Three credentials, one dead, one slow, one cutting every stream: callers hardly notice, books are exact.

A stream that was cut after its first output cannot be asked again: its caller has part of an answer. It
counts as a failure, must end with an error event and be billed for what was delivered; and it is rare,
because a lane that cuts streams gets no more of them.
"""

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from caller import Reply, request
from proving import CHAT, Customer, as_nano

from gateway_stack import SECRETS

pytestmark = pytest.mark.asyncio(loop_scope="module")

REQUESTS = 10_000
AT_ONCE = 50
FAILURES_MAX = REQUESTS // 1_000
DEAD, SLOW, CUTTING = (f"{SECRETS['openai']}-{number}" for number in range(3))


@dataclass
class Tally:
    answered: int = 0
    cut: int = 0
    failed: list[Reply] = field(default_factory=list)
    costs: dict[str, int] = field(default_factory=dict)

    def note(self, reply: Reply, *, stream: bool) -> None:
        if reply.status != 200 or not reply.is_complete:
            self.failed.append(reply)
        elif not stream:
            self.answered += 1
            self.costs[reply.headers["x-request-id"]] = as_nano(reply.headers["x-bursar-cost"])
        elif any("error" in event for event in reply.events()[:-1]):
            self.cut += 1
            assert reply.text(), "a stream is cut only after its first output"
        else:
            self.answered += 1


async def play(customer: Customer, numbers: "asyncio.Queue[int]", tally: Tally) -> None:
    """Send requests on one connection until there are no more; every other one is streamed."""
    async with customer.calling() as caller:
        while not numbers.empty():
            stream = numbers.get_nowait() % 2 == 1
            body = customer.payload("openai", stream=stream, max_tokens=50)
            caller.write(request("POST", CHAT, body, customer.authorization))
            tally.note(await caller.reply(), stream=stream)


async def arrange(customer: Customer) -> None:
    model = await customer.serve("openai", credentials=3)
    await customer.change("UPDATE model SET strategy = 'weighted' WHERE id = %s", [model])
    await customer.change(
        "UPDATE provider SET breaker = '{\"open_ms\": 2000}' WHERE id IN"
        " (SELECT provider_id FROM route WHERE model_id = %s)",
        [model],
    )
    faults = customer.stack.simulator.faults
    faults.add("close", count=None, key=DEAD)
    faults.add("delay_ms=25", count=None, key=SLOW)
    faults.add("cut_after_events=3", count=None, key=CUTTING)
    customer.gw.limits = replace(
        customer.gw.limits, rounds_max=2, retry_backoff_ms=50, attempts_max=6, retry_deadline_ms=30_000
    )


class TestThreeBadCredentials:
    @pytest.mark.timeout(600)
    async def test_serve_999_of_1000_and_charge_nobody_twice(self, customer: Customer) -> None:
        await arrange(customer)
        numbers: asyncio.Queue[int] = asyncio.Queue()
        for number in range(REQUESTS):
            numbers.put_nowait(number)
        tally = Tally()
        await asyncio.gather(*(play(customer, numbers, tally) for _ in range(AT_ONCE)))
        rows = await customer.usage()
        told = Counter(reply.status for reply in tally.failed)
        assert tally.cut + len(tally.failed) <= FAILURES_MAX, (tally.cut, told)
        assert tally.answered >= REQUESTS - FAILURES_MAX
        assert_charged_once(rows, tally)


def assert_charged_once(rows: list[dict[str, Any]], tally: Tally) -> None:
    """At most one attempt of a request is sold, whole answers at the price that was told."""
    sold: dict[str, int] = defaultdict(int)
    times: Counter[str] = Counter()
    for row in rows:
        sold[str(row["request_id"])] += row["sale"]
        times[str(row["request_id"])] += row["sale"] > 0
    assert len(sold) == REQUESTS
    assert max(times.values()) == 1
    assert {request_id: sold[request_id] for request_id in tally.costs} == tally.costs
    broken = [row for row in rows if row["outcome"] == "provider_error_after_output"]
    assert len(broken) == tally.cut
