"""MONEY §4 at `/v1/responses`: who pays exactly what, and that the stream's last event says so too."""

from typing import Any

import orjson
import pytest
from caller import Reply
from proving import (
    INPUT_TOLD_EARLY,
    KINDS,
    Customer,
    as_nano,
    cost_of,
    events_to,
    input_estimate,
    sale_of,
    tokens_of_letters,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAID = "hello there"
ASKED = input_estimate(SAID)
ANSWER = '"one two three four five six seven eight nine ten"'
EVEN = '"one or me at my to us we be in"'
"""Pieces of three letters: however a stream is cut, they count the same."""
PATH = "/v1/responses"

every_kind = pytest.mark.parametrize("kind", KINDS)
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


async def ask(customer: Customer, kind: str, *, stream: bool, **more: Any) -> Reply:
    body = {"model": customer.models[kind], "input": SAID, "stream": stream, **more}
    return await customer.send(orjson.dumps(body), path=PATH)


def events_of(reply: Reply) -> list[dict[str, Any]]:
    frames = bytes(reply.body).split(b"\n\n")
    return [orjson.loads(frame.partition(b"\ndata: ")[2]) for frame in frames if b"\ndata: " in frame]


def last(reply: Reply, *, stream: bool) -> dict[str, Any]:
    """The finished response."""
    response = events_of(reply)[-1]["response"] if stream else reply.json()
    assert isinstance(response, dict)
    return response


def upstream_events_to(kind: str, words: int) -> int:
    """As `events_to`, but OpenAI is asked in this dialect, which begins with four events."""
    return 4 + words if kind == "openai" else events_to(kind, words)


@every_kind
@streamed_or_not
class TestANormalEnd:
    @pytest.mark.parametrize(
        ("script", "tokens"),
        [
            ("input_tokens=100 output_tokens=20", {"in_fresh": 100, "out_text": 20}),
            (
                "input_tokens=1000 output_tokens=21 cached=300",
                {"in_fresh": 700, "cache_read": 300, "out_text": 21},
            ),
            ("input_tokens=9 output_tokens=12 reasoning=5", {"in_fresh": 9, "out_text": 17}),
        ],
        ids=["plain", "cache", "reasoning"],
    )
    async def test_sells_what_was_measured_and_says_so(
        self, customer: Customer, kind: str, *, stream: bool, script: str, tokens: dict[str, int]
    ) -> None:
        customer.fault(kind, script)
        reply = await ask(customer, kind, stream=stream)
        row, response = await customer.one_row(), last(reply, stream=stream)
        assert (row["outcome"], row["status"], row["estimated"]) == ("completed", 200, False)
        assert (row["sale"], row["cost"]) == (sale_of(**tokens), cost_of(**tokens))
        assert (response["usage"]["input_tokens"], response["usage"]["output_tokens"]) == (
            row["input_tokens"],
            row["output_tokens"],
        )
        cost = response["usage"]["cost"] if stream else reply.headers["x-bursar-cost"]
        assert as_nano(cost) == row["sale"]


@streamed_or_not
class TestCacheWritesAtOpenAI:
    async def test_are_told_by_their_life(self, customer: Customer, *, stream: bool) -> None:
        customer.fault("openai", "input_tokens=1000 output_tokens=5 cache_write=100 cache_write_12h=200")
        await ask(customer, "openai", stream=stream)
        row = await customer.one_row()
        assert row["quantities"] == {
            "in_fresh": 700,
            "cache_write_30m": 100,
            "cache_write_12h": 200,
            "out_text": 5,
        }


@every_kind
class TestAProviderErrorBeforeOutput:
    @streamed_or_not
    async def test_is_tried_elsewhere_and_costs_nothing(
        self, customer: Customer, kind: str, *, stream: bool
    ) -> None:
        await customer.serve(kind, credentials=2)
        customer.fault(kind, "status=503")
        customer.fault(kind, "input_tokens=10 output_tokens=7")
        reply = await ask(customer, kind, stream=stream)
        failed, answered = await customer.usage()
        assert last(reply, stream=stream)["status"] == "completed"
        assert (failed["outcome"], failed["sale"], failed["cost"]) == ("provider_error_before_output", 0, 0)
        assert answered["sale"] == sale_of(in_fresh=10, out_text=7)

    async def test_inside_a_stream_is_tried_elsewhere_too(self, customer: Customer, kind: str) -> None:
        await customer.serve(kind, credentials=2)
        opening = min(1, upstream_events_to(kind, 0))
        customer.fault(kind, f"error_event_after={opening} input_tokens=10")
        customer.fault(kind, "input_tokens=10 output_tokens=7")
        reply = await ask(customer, kind, stream=True)
        failed, answered = await customer.usage()
        assert failed["outcome"] == "provider_error_before_output"
        assert answered["sale"] == sale_of(in_fresh=10, out_text=7)
        numbers = [event["sequence_number"] for event in events_of(reply)]
        assert numbers == list(range(len(numbers)))


@every_kind
class TestAProviderErrorAfterOutput:
    @pytest.mark.parametrize(
        "how", ["error_event_after", "cut_after_events", "rst_after_events", "cut_mid_event"]
    )
    async def test_sells_what_was_delivered_and_says_so(
        self, customer: Customer, kind: str, how: str
    ) -> None:
        customer.fault(kind, f"{how}={upstream_events_to(kind, 3)} input_tokens=50 text={ANSWER}")
        reply = await ask(customer, kind, stream=True)
        row, events = await customer.one_row(), events_of(reply)
        sent = 50 if kind in INPUT_TOLD_EARLY else ASKED
        came = tokens_of_letters("one two three")
        assert [event["type"] for event in events[-2:]] == ["response.failed", "error"]
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert row["outcome"] == "provider_error_after_output"
        assert (row["sale"], row["cost"]) == (
            sale_of(in_fresh=sent, out_text=came),
            cost_of(in_fresh=sent, out_text=came),
        )
        failed = events[-2]["response"]
        assert failed["status"] == "failed"
        assert failed["error"]["code"] == events[-1]["code"] == events[-1]["error"]["code"]
        assert as_nano(failed["usage"]["cost"]) == row["sale"]
        assert failed["usage"]["output_tokens"] == row["output_tokens"]


class TestAResponseThatFailed:
    async def test_whole_costs_us_what_it_reports(self, customer: Customer) -> None:
        customer.fault("openai", "failed input_tokens=50 output_tokens=5")
        reply = await ask(customer, "openai", stream=False)
        row = await customer.one_row()
        assert (reply.status, reply.error["code"]) == (502, "provider_error")
        assert row["outcome"] == "provider_error_before_output"
        assert (row["sale"], row["cost"]) == (0, cost_of(in_fresh=50, out_text=5))

    async def test_after_output_is_sold_as_delivered(self, customer: Customer) -> None:
        customer.fault("openai", f"failed input_tokens=50 text={ANSWER}")
        reply = await ask(customer, "openai", stream=True)
        row = await customer.one_row()
        assert events_of(reply)[-2]["response"]["status"] == "failed"
        assert row["outcome"] == "provider_error_after_output"
        assert row["sale"] == sale_of(in_fresh=50, out_text=10)
        assert row["cost"] == cost_of(in_fresh=50, out_text=10)


@every_kind
class TestAHangUpMidstream:
    async def test_sells_what_was_delivered(self, customer: Customer, kind: str) -> None:
        silent = upstream_events_to(kind, 3)
        customer.fault(kind, f"silence_after_events={silent} input_tokens=50 text={ANSWER}")
        body = {"model": customer.models[kind], "input": SAID, "stream": True}
        async with customer.calling() as caller:
            await caller.post(PATH, orjson.dumps(body), customer.authorization)
            await caller.until(b" three")
            caller.hang_up()
            row = await customer.one_row()
        sent = 50 if kind in INPUT_TOLD_EARLY else ASKED
        came = tokens_of_letters("one two three")
        assert (row["outcome"], row["status"]) == ("hangup_midstream", 499)
        assert (row["sale"], row["cost"]) == (
            sale_of(in_fresh=sent, out_text=came),
            cost_of(in_fresh=sent, out_text=came),
        )

    async def test_reads_on_where_the_provider_bills_on(self, customer: Customer, kind: str) -> None:
        await customer.serve(kind, aborts_stop_billing=False)
        customer.fault(kind, f"slow_ms_per_event=10 input_tokens=50 text={ANSWER}")
        body = {"model": customer.models[kind], "input": SAID, "stream": True}
        async with customer.calling() as caller:
            await caller.post(PATH, orjson.dumps(body), customer.authorization)
            await caller.until(b"one")
            caller.hang_up()
            row = await customer.one_row()
        assert row["outcome"] == "hangup_midstream"
        assert row["cost"] == cost_of(in_fresh=50, out_text=10)
        assert row["sale"] < sale_of(in_fresh=50, out_text=10)


@every_kind
@streamed_or_not
class TestUsage:
    async def test_that_is_missing_is_estimated_and_told(
        self, customer: Customer, kind: str, *, stream: bool
    ) -> None:
        customer.fault(kind, f"no_usage text={EVEN}")
        reply = await ask(customer, kind, stream=stream)
        row = await customer.one_row()
        came = tokens_of_letters(EVEN.strip('"'))
        assert (row["outcome"], row["estimated"]) == ("usage_missing", True)
        assert row["sale"] == sale_of(in_fresh=ASKED, out_text=came)
        if stream:
            usage = last(reply, stream=True)["usage"]
            assert (usage["input_tokens"], usage["output_tokens"]) == (ASKED, came)
            assert as_nano(usage["cost"]) == row["sale"]

    async def test_of_zero_is_free(self, customer: Customer, kind: str, *, stream: bool) -> None:
        customer.fault(kind, "zero_usage")
        reply = await ask(customer, kind, stream=stream)
        row = await customer.one_row()
        assert last(reply, stream=stream)["output"]
        assert (row["outcome"], row["sale"], row["cost"]) == ("usage_zero", 0, 0)

    async def test_of_filtered_content_is_sold_as_billed(
        self, customer: Customer, kind: str, *, stream: bool
    ) -> None:
        customer.fault(kind, "content_filter input_tokens=25")
        response = last(await ask(customer, kind, stream=stream), stream=stream)
        row = await customer.one_row()
        assert (response["status"], response["incomplete_details"]) == (
            "incomplete",
            {"reason": "content_filter"},
        )
        assert row["outcome"] == "content_filtered"
        assert row["sale"] == sale_of(in_fresh=25, out_text=row["output_tokens"])


class TestPassingThrough:
    @streamed_or_not
    async def test_keeps_fields_and_events_nobody_knows(self, customer: Customer, *, stream: bool) -> None:
        customer.fault("openai", "extra_fields unknown_event")
        reply = await ask(customer, "openai", stream=stream)
        assert last(reply, stream=stream)["x_simulated"] == {"kept": True}
        if stream:
            assert "response.simulated.unknown" in {event["type"] for event in events_of(reply)}
            assert b"obfuscation" in reply.body

    @pytest.mark.parametrize(
        "script", ["crlf", "split_bytes=7", "ping_every=2", "split_utf8", "big_event=100000"]
    )
    async def test_does_not_mind_how_the_bytes_come(self, customer: Customer, script: str) -> None:
        customer.fault("openai", f"{script} input_tokens=30")
        reply = await ask(customer, "openai", stream=True)
        row = await customer.one_row()
        events = [event for event in events_of_any(reply) if "type" in event]
        assert events[-1]["type"] == "response.completed"
        assert (row["outcome"], row["input_tokens"]) == ("completed", 30)

    @pytest.mark.parametrize("script", ["garbage", "empty_body", "no_terminal", "garbage_event=6"])
    async def test_takes_nothing_broken_for_an_answer(self, customer: Customer, script: str) -> None:
        customer.fault("openai", f"{script} text={ANSWER}", count=2)
        reply = await ask(customer, "openai", stream=True)
        assert (await customer.usage())[-1]["outcome"].startswith("provider_error")
        assert reply.status == 502 or events_of(reply)[-1]["type"] == "error"

    @pytest.mark.parametrize("script", ["garbage", "empty_body", "cut_body"])
    async def test_takes_nothing_broken_for_a_whole_answer(self, customer: Customer, script: str) -> None:
        customer.fault("openai", script, count=9)
        reply = await ask(customer, "openai", stream=False)
        row = (await customer.usage())[-1]
        assert (reply.status, row["sale"]) == (502, 0)


def events_of_any(reply: Reply) -> list[dict[str, Any]]:
    """The same whatever the line ends."""
    reply.body[:] = bytes(reply.body).replace(b"\r\n", b"\n")
    return events_of(reply)
