"""Many callers at once, each with a fault and a moment to leave drawn by lot: the books come out even."""

import asyncio
import random
from dataclasses import dataclass, replace

import pytest
from caller import Reply
from messages_caller import MESSAGES, events_of, headers_of, message_payload
from proving import CHAT, KINDS, Customer, as_nano, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLS = 120
AT_ONCE = 24
SCRIPTS = (
    "",
    "output_tokens=5",
    "output_tokens=60 slow_ms_per_event=2",
    "delay_ms=30",
    "delay_first_ms=30",
    "status=500",
    "status=429 retry_after=1",
    "status=400",
    "rst",
    "close",
    "garbage",
    "empty_body",
    "cut_body",
    "no_usage",
    "zero_usage",
    "no_terminal",
    "content_filter",
    "cut_after_events=5",
    "rst_after_events=5",
    "cut_mid_event=5",
    "error_event_after=4",
    "garbage_event=4",
    "silence_before_headers",
    "silence_after_events=5",
    "split_bytes=3 output_tokens=20",
    "big_event=300000",
)


@dataclass(frozen=True)
class Call:
    kind: str
    in_messages: bool
    bills_on: bool
    stream: bool
    script: str
    leaves_after_s: float | None
    resets: bool


def drawn(lot: random.Random) -> Call:
    return Call(
        kind=lot.choice(KINDS),
        in_messages=lot.random() < 0.4,
        bills_on=lot.random() < 0.5,
        stream=lot.random() < 0.6,
        script=lot.choice(SCRIPTS),
        leaves_after_s=lot.random() * 0.08 if lot.random() < 0.4 else None,
        resets=lot.random() < 0.5,
    )


async def play(customer: Customer, models: dict[tuple[str, bool], str], call: Call) -> Reply | None:
    """The whole answer, or None when the caller left before it."""
    customer.models = {**customer.models, call.kind: models[call.kind, call.bills_on]}
    text = f"hello [[sim: {call.script}]]" if call.script else "hello"
    if call.in_messages:
        path, headers = MESSAGES, headers_of(customer)
        body = message_payload(customer, call.kind, text, stream=call.stream, max_tokens=100)
    else:
        path, headers = CHAT, customer.authorization
        body = customer.payload(call.kind, text, stream=call.stream, max_tokens=100)
    if call.leaves_after_s is None:
        return await customer.send(body, path=path, headers=headers)
    async with customer.calling() as caller:
        await caller.post(path, body, headers)
        await asyncio.sleep(call.leaves_after_s)
        (caller.reset if call.resets else caller.hang_up)()
    return None


@pytest.mark.parametrize("seed", range(3))
class TestAStorm:
    async def test_leaves_the_books_even(self, customer: Customer, seed: int) -> None:
        customer.gw.limits = replace(customer.gw.limits, drain_ms=500, mark_interval_ms=20)
        lot = random.Random(seed)
        models = {
            (kind, bills_on): await customer.serve(
                kind,
                credentials=2,
                aborts_stop_billing=not bills_on,
                timeouts={"first_byte_ms": 300, "idle_ms": 300},
            )
            for kind in KINDS
            for bills_on in (False, True)
        }
        calls = [drawn(lot) for _ in range(CALLS)]
        places = asyncio.Semaphore(AT_ONCE)

        async def placed(call: Call) -> Reply | None:
            async with places:
                return await play(customer, models, call)

        replies = await asyncio.gather(*map(placed, calls))
        rows = await customer.usage()
        await eventually(lambda: customer.stack.simulator.log.requests_open == 0)
        assert_told_is_booked(calls, replies, rows)


def assert_told_is_booked(
    calls: list[Call], replies: list[Reply | None], rows: list[dict[str, object]]
) -> None:
    """Every answer a caller saw is in the books once, at the price he was told."""
    last = {str(row["request_id"]): row for row in rows}  # the last attempt decides
    for call, reply in zip(calls, replies, strict=True):
        if reply is None:
            continue
        assert reply.is_complete, call
        row = last.pop(reply.headers["x-request-id"])
        if reply.status == 200 and not call.stream:
            assert row["sale"] == as_nano(reply.headers["x-bursar-cost"]), call
        if reply.status == 200 and call.stream and call.in_messages:
            ended = events_of(reply)[-2:]
            told = [event["usage"]["cost"] for event in ended if event["type"] == "message_delta"]
            assert told == [] or as_nano(told[0]) == row["sale"], call
        if reply.status != 200:
            assert (row["sale"], row["status"]) == (0, reply.status), call
    for row in last.values():  # of callers who left
        assert row["outcome"] != "crashed"
