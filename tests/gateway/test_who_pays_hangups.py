"""MONEY §4, the rows of a caller who hangs up: who pays exactly what."""

import asyncio

import pytest
from proving import (
    INPUT_TOLD_EARLY,
    KINDS,
    Customer,
    cost_of,
    events_to,
    eventually,
    hold_of,
    input_estimate,
    sale_of,
    tokens_of_letters,
)
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
ANSWER = '"one two three four five six seven eight nine ten"'

every_kind = pytest.mark.parametrize("kind", KINDS)
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


class TestHangupBeforeOutput:
    @every_kind
    @streamed_or_not
    async def test_sells_the_input_when_the_provider_stops_too(
        self, customer: Customer, kind: str, *, stream: bool
    ) -> None:
        customer.fault(kind, "silence_before_headers")
        async with customer.calling() as caller:
            await customer.start(caller, kind, SAID, stream=stream, max_tokens=2)
            await eventually(lambda: customer.stack.simulator.log.requests_open == 1)
            await asyncio.sleep(0.08)  # more than two tokens' worth at the assumed 50 a second
            caller.hang_up()
            row = await customer.one_row()
        unseen = 0 if stream else 2
        assert (row["outcome"], row["status"]) == ("hangup_before_output", 499)
        assert row["estimated"]
        assert (row["sale"], row["cost"]) == (
            sale_of(in_fresh=ASKED, out_text=unseen),
            cost_of(in_fresh=ASKED, out_text=unseen),
        )

    @pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "gemini"])
    async def test_uses_the_input_the_provider_reported(self, customer: Customer, kind: str) -> None:
        """Gemini tells nothing before its first word."""
        events = events_to(kind, 0)
        customer.fault(kind, f"silence_after_events={events} input_tokens=40")
        async with customer.calling() as caller:
            await customer.start(caller, kind, SAID, stream=True)
            log = customer.stack.simulator.log
            await eventually(lambda: log.exchanges and log.exchanges[-1].events_sent == events)
            await asyncio.sleep(0.05)
            caller.hang_up()
            row = await customer.one_row()
        sent = 40 if kind == "anthropic" else ASKED
        assert row["outcome"] == "hangup_before_output"
        assert (row["sale"], row["cost"]) == (sale_of(in_fresh=sent), cost_of(in_fresh=sent))

    @every_kind
    @streamed_or_not
    async def test_sells_what_the_provider_reports_when_it_bills_on(
        self, customer: Customer, kind: str, *, stream: bool
    ) -> None:
        go_on = asyncio.Event()

        async def script(visit: Visit) -> None:
            await go_on.wait()
            if stream:
                events = [
                    *opening(kind, sent=30),
                    *words(kind, "one", " two"),
                    *ending(kind, sent=30, came=4),
                ]
                await visit.say(OK_STREAM + chunked(*events) + LAST_CHUNK)
            else:
                await visit.say(whole_answer(completion(kind, "one two", sent=30, came=4)))

        async with raw_provider(script) as provider, customer.calling() as caller:
            await customer.serve(kind, base_url=provider.base_url(kind), aborts_stop_billing=False)
            await customer.start(caller, kind, SAID, stream=stream)
            await eventually(lambda: provider.visits)
            caller.hang_up()
            await asyncio.sleep(0.05)
            assert not provider.visits[0].gone.is_set()
            go_on.set()
            row = await customer.one_row()
        assert row["outcome"] == "hangup_before_output"
        assert not row["estimated"]
        assert (row["sale"], row["cost"]) == (
            sale_of(in_fresh=30, out_text=4),
            cost_of(in_fresh=30, out_text=4),
        )

    @every_kind
    @streamed_or_not
    async def test_never_sells_more_than_was_held(
        self, customer: Customer, kind: str, *, stream: bool
    ) -> None:
        go_on = asyncio.Event()

        async def script(visit: Visit) -> None:
            await go_on.wait()
            if stream:
                events = [*opening(kind, sent=30), *words(kind, "one"), *ending(kind, sent=30, came=900)]
                await visit.say(OK_STREAM + chunked(*events) + LAST_CHUNK)
            else:
                await visit.say(whole_answer(completion(kind, "one", sent=30, came=900)))

        async with raw_provider(script) as provider, customer.calling() as caller:
            await customer.serve(kind, base_url=provider.base_url(kind), aborts_stop_billing=False)
            await customer.start(caller, kind, SAID, stream=stream, max_tokens=5)
            await eventually(lambda: provider.visits)
            caller.hang_up()
            await eventually(lambda: customer.gw.background)
            go_on.set()
            row = await customer.one_row()
        assert row["sale"] == hold_of(ASKED, 5)
        assert row["cost"] == cost_of(in_fresh=30, out_text=900)


@every_kind
class TestHangupMidstream:
    async def test_sells_what_was_delivered_when_the_provider_stops_too(
        self, customer: Customer, kind: str
    ) -> None:
        customer.fault(kind, f"silence_after_events={events_to(kind, 3)} input_tokens=50 text={ANSWER}")
        async with customer.calling() as caller:
            await customer.start(caller, kind, SAID, stream=True)
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

    @pytest.mark.parametrize(("reported", "sold"), [(20, 5), (3, 3)], ids=["delivered", "capped"])
    async def test_costs_the_final_usage_when_the_provider_bills_on(
        self, customer: Customer, kind: str, reported: int, sold: int
    ) -> None:
        go_on = asyncio.Event()

        async def script(visit: Visit) -> None:
            first = [*opening(kind, sent=30), *words(kind, "one", " two", " three")]
            await visit.say(OK_STREAM + chunked(*first))
            await go_on.wait()
            rest = [*words(kind, " four", " five"), *ending(kind, sent=30, came=reported)]
            await visit.say(chunked(*rest) + LAST_CHUNK)

        async with raw_provider(script) as provider, customer.calling() as caller:
            await customer.serve(kind, base_url=provider.base_url(kind), aborts_stop_billing=False)
            await customer.start(caller, kind, SAID, stream=True)
            await caller.until(b" three")
            caller.hang_up()
            await asyncio.sleep(0.05)
            go_on.set()
            row = await customer.one_row()
        assert tokens_of_letters("one two three") == 5
        assert row["outcome"] == "hangup_midstream"
        assert row["sale"] == sale_of(in_fresh=30, out_text=sold)  # never more than was produced
        assert row["cost"] == cost_of(in_fresh=30, out_text=reported)
