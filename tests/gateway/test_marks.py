"""Progress marks: a stream leaves one with its first output and now and then; its final row removes it."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from proving import KINDS, Customer, cost_of, eventually, input_estimate, sale_of
from raw_provider import (
    LAST_CHUNK,
    OK_STREAM,
    Visit,
    chunked,
    completion,
    ending,
    opening,
    raw_provider,
    whole_answer,
    words,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAID = "hello there"
ASKED = input_estimate(SAID)

every_kind = pytest.mark.parametrize("kind", KINDS)


class Steps:
    """A stream that goes on when told."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.next: asyncio.Queue[bytes | None] = asyncio.Queue()

    def say(self, *texts: str) -> None:
        self.next.put_nowait(chunked(*words(self.kind, *texts)))

    def open(self) -> None:
        self.next.put_nowait(OK_STREAM + chunked(*opening(self.kind, sent=10)))

    def end(self, came: int) -> None:
        self.next.put_nowait(chunked(*ending(self.kind, sent=10, came=came)) + LAST_CHUNK)
        self.next.put_nowait(None)

    async def play(self, visit: Visit) -> None:
        while (step := await self.next.get()) is not None:
            await visit.say(step)


async def mark_of(customer: Customer, output_tokens: int) -> dict[str, Any]:
    """The one mark, once it has come so far."""
    for _ in range(500):
        marks = await customer.marks()
        if marks and marks[0]["output_tokens"] == output_tokens:
            assert len(marks) == 1
            return marks[0]
        await asyncio.sleep(0.01)
    raise AssertionError(f"no mark of {output_tokens} tokens, but {await customer.marks()}")


@every_kind
class TestMarks:
    async def test_follow_a_stream_and_go_with_its_row(self, customer: Customer, kind: str) -> None:
        customer.gw.limits = replace(customer.gw.limits, mark_interval_ms=100)
        steps = Steps(kind)
        async with raw_provider(steps.play) as provider, customer.calling() as caller:
            await customer.serve(kind, base_url=provider.base_url(kind))
            await customer.start(caller, kind, SAID, stream=True)
            steps.open()
            await eventually(lambda: provider.visits and provider.visits[0].sent_bytes)
            await asyncio.sleep(0.1)
            assert await customer.marks() == []  # no output yet
            steps.say("one")
            first = await mark_of(customer, 1)
            await asyncio.sleep(0.11)
            steps.say(" two", " three")
            second = await mark_of(customer, 5)
            steps.end(came=4)
            reply = await caller.reply()
            row = await customer.one_row()
            assert await customer.marks() == []
        sent = 10 if kind == "anthropic" else ASKED
        assert reply.text() == "one two three"
        for mark, came in ((first, 1), (second, 5)):
            assert mark["from_mark"]
            assert mark["outcome"] == "crashed"
            assert mark["request_id"] == str(row["request_id"]) == reply.headers["x-request-id"]
            assert (mark["sale"], mark["cost"]) == (
                sale_of(in_fresh=sent, out_text=came),
                cost_of(in_fresh=sent, out_text=came),
            )
        assert not row["from_mark"]
        assert (row["outcome"], row["revision"]) == ("completed", 0)
        assert row["sale"] == sale_of(in_fresh=10, out_text=4)

    async def test_come_no_more_often_than_asked(self, customer: Customer, kind: str) -> None:
        customer.gw.limits = replace(customer.gw.limits, mark_interval_ms=60_000)
        steps = Steps(kind)
        async with raw_provider(steps.play) as provider, customer.calling() as caller:
            await customer.serve(kind, base_url=provider.base_url(kind))
            await customer.start(caller, kind, SAID, stream=True)
            steps.open()
            steps.say("one")
            await mark_of(customer, 1)
            steps.say(" two", " three")
            await caller.until(b"three")
            await asyncio.sleep(0.1)
            assert (await mark_of(customer, 1))["output_tokens"] == 1
            steps.end(came=4)
            await caller.reply()
            await customer.one_row()

    @pytest.mark.parametrize("how", ["hang_up", "break_off"])
    async def test_go_when_the_stream_ends_early(self, customer: Customer, kind: str, how: str) -> None:
        steps = Steps(kind)
        async with raw_provider(steps.play) as provider, customer.calling() as caller:
            await customer.serve(kind, base_url=provider.base_url(kind))
            await customer.start(caller, kind, SAID, stream=True)
            steps.open()
            steps.say("one")
            await mark_of(customer, 1)
            if how == "hang_up":
                caller.hang_up()
            else:
                steps.next.put_nowait(None)
            row = await customer.one_row()
            assert await customer.marks() == []
        assert row["outcome"] in {"hangup_midstream", "provider_error_after_output"}

    async def test_belong_to_the_attempt_that_answers(self, customer: Customer, kind: str) -> None:
        steps = Steps(kind)

        async def script(visit: Visit) -> None:
            if len(provider.visits) == 1:
                await visit.say(whole_answer(b"{}", status="500 Oh"))
            else:
                await steps.play(visit)

        async with raw_provider(script) as provider, customer.calling() as caller:
            await customer.serve(kind, base_url=provider.base_url(kind), credentials=2)
            await customer.start(caller, kind, SAID, stream=True)
            steps.open()
            steps.say("one")
            assert (await mark_of(customer, 1))["attempt"] == 1
            steps.end(came=4)
            await caller.reply()
            rows = await customer.usage()
        assert [row["attempt"] for row in rows] == [0, 1]

    async def test_are_not_left_by_a_whole_answer(self, customer: Customer, kind: str) -> None:
        go_on = asyncio.Event()

        async def script(visit: Visit) -> None:
            await visit.say(whole_answer(completion(kind, "one", sent=10, came=7))[:-5])
            await go_on.wait()
            await visit.say(whole_answer(completion(kind, "one", sent=10, came=7))[-5:])

        async with raw_provider(script) as provider, customer.calling() as caller:
            await customer.serve(kind, base_url=provider.base_url(kind))
            await customer.start(caller, kind, SAID)
            await eventually(lambda: provider.visits and provider.visits[0].sent_bytes)
            await asyncio.sleep(0.1)
            assert await customer.marks() == []
            go_on.set()
            assert (await caller.reply()).status == 200
