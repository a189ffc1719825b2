"""MONEY §4 for callers of Anthropic's dialect: passed through to Anthropic, translated for the others."""

import asyncio

import pytest
from messages_caller import ask_messages, events_of, said_in, start_messages
from proving import (
    Customer,
    as_nano,
    cost_of,
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
    ending,
    opening,
    raw_provider,
    words,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAID = "hello there"
ASKED = input_estimate(SAID)
ANSWER = '"one two three four five six seven eight nine ten"'
EVENTS_TO_THREE_WORDS = {"anthropic": 6, "openai": 4, "openai_compatible": 4}

KINDS = ("anthropic", "openai", "openai_compatible")
"""Passed through, and translated; what else is translated differs in what it reports, not in who pays."""

every_kind = pytest.mark.parametrize("kind", KINDS)
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def reported_input(kind: str, tokens: int) -> int:
    """Only Anthropic tells the input before the end."""
    return tokens if kind == "anthropic" else ASKED


@every_kind
@streamed_or_not
class TestNormalEnd:
    @pytest.mark.parametrize(
        ("script", "tokens"),
        [
            ("input_tokens=100 output_tokens=20", {"in_fresh": 100, "out_text": 20}),
            (
                "input_tokens=1000 output_tokens=21 cached=300 cache_write=100",
                {"in_fresh": 600, "cache_read": 300, "cache_write_5m": 100, "out_text": 21},
            ),
            ("input_tokens=9 output_tokens=12 reasoning=5", {"in_fresh": 9, "out_text": 17}),
        ],
        ids=["plain", "cache", "reasoning"],
    )
    async def test_sells_and_costs_what_the_provider_measured(
        self, customer: Customer, kind: str, *, stream: bool, script: str, tokens: dict[str, int]
    ) -> None:
        customer.fault(kind, script)
        reply = await ask_messages(customer, kind, SAID, stream=stream)
        row = await customer.one_row()
        assert (reply.status, reply.is_complete) == (200, True)
        assert (row["outcome"], row["status"], row["error_code"]) == ("completed", 200, None)
        assert (row["sale"], row["cost"]) == (sale_of(**tokens), cost_of(**tokens))
        assert not row["estimated"]
        assert (row["endpoint"], row["dialect"]) == ("/v1/messages", "anthropic_messages")


@every_kind
class TestWhatTheAnswerSays:
    """The figures told are the figures booked, cache and all, and the balance told is the wallet's."""

    @streamed_or_not
    async def test_of_usage_is_disjoint_as_anthropic_has_it(
        self, customer: Customer, kind: str, *, stream: bool
    ) -> None:
        customer.fault(kind, "input_tokens=1001 output_tokens=13 cached=11 cache_write=40")
        reply = await ask_messages(customer, kind, SAID, stream=stream)
        sale = sale_of(in_fresh=950, cache_read=11, cache_write_5m=40, out_text=13)
        if stream:
            events = events_of(reply)
            assert [event["type"] for event in events[-2:]] == ["message_delta", "message_stop"]
            usage = {**events[0]["message"]["usage"], **events[-2]["usage"]}
            assert as_nano(usage["cost"]) == sale
            assert as_nano(usage["balance"]) == customer.balance - sale
        else:
            usage = reply.json()["usage"]
            assert as_nano(reply.headers["x-bursar-cost"]) == sale
        assert (usage["input_tokens"], usage["cache_read_input_tokens"]) == (950, 11)
        assert (usage["cache_creation_input_tokens"], usage["output_tokens"]) == (40, 13)
        assert (await customer.wallet())["posted"] == customer.balance - sale

    async def test_of_an_estimate_is_the_estimate(self, customer: Customer, kind: str) -> None:
        customer.fault(kind, f"no_usage text={ANSWER}")
        reply = await ask_messages(customer, kind, SAID, stream=True)
        told = events_of(reply)[-2]["usage"]
        came = tokens_of_letters(ANSWER.strip('"'))
        assert as_nano(told["cost"]) == sale_of(in_fresh=ASKED, out_text=came)
        assert (told["input_tokens"], told["output_tokens"]) == (ASKED, came)

    @streamed_or_not
    async def test_names_the_request_as_its_sdk_does(
        self, customer: Customer, kind: str, *, stream: bool
    ) -> None:
        reply = await ask_messages(customer, kind, SAID, stream=stream)
        assert reply.headers["request-id"] == str((await customer.one_row())["request_id"])


@every_kind
@streamed_or_not
class TestProviderErrorBeforeOutput:
    @pytest.mark.parametrize(
        ("script", "status", "told_type"),
        [
            ("status=500", 502, "api_error"),
            ("status=401", 502, "api_error"),
            ("billing", 502, "api_error"),
            ("garbage", 502, "api_error"),
            ("status=429", 503, "overloaded_error"),
            ("status=529", 503, "overloaded_error"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    async def test_costs_nobody_anything_and_is_not_the_callers_fault(  # noqa: PLR0913 - one row of the table above
        self, customer: Customer, kind: str, *, stream: bool, script: str, status: int, told_type: str
    ) -> None:
        await customer.serve(kind)
        customer.fault(kind, script, count=None)
        reply = await ask_messages(customer, kind, SAID, stream=stream)
        rows = await customer.usage()
        told = reply.json()
        assert (reply.status, told["type"], told["error"]["type"]) == (status, "error", told_type)
        assert told["error"]["code"].startswith("provider_")
        assert told["request_id"] == reply.headers["request-id"] == str(rows[0]["request_id"])
        assert {row["outcome"] for row in rows} == {"provider_error_before_output"}
        assert {(row["sale"], row["cost"]) for row in rows} == {(0, 0)}

    @pytest.mark.parametrize("script", ["status=503", "status=529", "garbage"])
    async def test_is_tried_elsewhere_with_one_row_each(
        self, customer: Customer, kind: str, *, stream: bool, script: str
    ) -> None:
        await customer.serve(kind, credentials=2)
        customer.fault(kind, script)
        customer.fault(kind, "input_tokens=10 output_tokens=7")
        reply = await ask_messages(customer, kind, SAID, stream=stream)
        failed, answered = await customer.usage()
        assert reply.status == 200
        assert (failed["outcome"], failed["sale"], failed["cost"]) == ("provider_error_before_output", 0, 0)
        assert (answered["outcome"], answered["sale"]) == ("completed", sale_of(in_fresh=10, out_text=7))


@every_kind
class TestProviderErrorAfterOutput:
    @pytest.mark.parametrize(
        "how", ["error_event_after", "cut_after_events", "rst_after_events", "cut_mid_event"]
    )
    async def test_sells_what_was_delivered(self, customer: Customer, kind: str, how: str) -> None:
        customer.fault(kind, f"{how}={EVENTS_TO_THREE_WORDS[kind]} input_tokens=50 text={ANSWER}")
        reply = await ask_messages(customer, kind, SAID, stream=True)
        row = await customer.one_row()
        sent, came = reported_input(kind, 50), tokens_of_letters("one two three")
        last = events_of(reply)[-1]
        assert said_in(reply) == "one two three"
        assert (last["type"], reply.is_complete) == ("error", True)
        assert last["error"]["code"] in {"provider_error", "provider_overloaded"}
        assert (row["outcome"], row["estimated"]) == ("provider_error_after_output", True)
        assert (row["sale"], row["cost"]) == (
            sale_of(in_fresh=sent, out_text=came),
            cost_of(in_fresh=sent, out_text=came),
        )


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "openai_compatible"])
class TestAnEndWithoutItsMark:
    async def test_is_no_end(self, customer: Customer, kind: str) -> None:
        """Compatible servers may end by closing."""
        customer.fault(kind, f"no_terminal no_finish input_tokens=50 text={ANSWER}")
        reply = await ask_messages(customer, kind, SAID, stream=True)
        row = await customer.one_row()
        assert events_of(reply)[-1]["type"] == "error"
        assert row["outcome"] == "provider_error_after_output"


@every_kind
@streamed_or_not
class TestUsageMissing:
    async def test_sells_our_estimate(self, customer: Customer, kind: str, *, stream: bool) -> None:
        customer.fault(kind, f"no_usage text={ANSWER}")
        reply = await ask_messages(customer, kind, SAID, stream=stream)
        row = await customer.one_row()
        came = tokens_of_letters(ANSWER.strip('"'))
        assert reply.status == 200
        assert (row["outcome"], row["estimated"]) == ("usage_missing", True)
        assert (row["sale"], row["cost"]) == (
            sale_of(in_fresh=ASKED, out_text=came),
            cost_of(in_fresh=ASKED, out_text=came),
        )

    async def test_never_sells_more_than_was_held(
        self, customer: Customer, kind: str, *, stream: bool
    ) -> None:
        customer.fault(kind, 'no_usage text="日日日日日"')
        await ask_messages(customer, kind, SAID, stream=stream, max_tokens=5)
        row = await customer.one_row()
        assert row["outcome"] == "usage_missing"
        assert row["sale"] == hold_of(ASKED, 5) < sale_of(in_fresh=ASKED, out_text=8)


class TestPlaceholderOutput:
    async def test_is_never_the_final_figure(self, customer: Customer) -> None:
        customer.fault("anthropic", f"no_final_usage input_tokens=50 text={ANSWER}")
        reply = await ask_messages(customer, "anthropic", SAID, stream=True)
        row = await customer.one_row()
        came = tokens_of_letters(ANSWER.strip('"'))
        assert events_of(reply)[-2]["usage"]["output_tokens"] == came
        assert (row["outcome"], row["estimated"]) == ("usage_missing", True)
        assert row["sale"] == sale_of(in_fresh=50, out_text=came)


@every_kind
@streamed_or_not
class TestExplicitZero:
    async def test_is_free(self, customer: Customer, kind: str, *, stream: bool) -> None:
        customer.fault(kind, "zero_usage")
        reply = await ask_messages(customer, kind, SAID, stream=stream)
        row = await customer.one_row()
        assert said_in(reply)
        assert (row["outcome"], row["sale"], row["cost"]) == ("usage_zero", 0, 0)


@every_kind
@streamed_or_not
class TestContentFilter:
    async def test_is_sold_as_the_provider_bills_it(
        self, customer: Customer, kind: str, *, stream: bool
    ) -> None:
        customer.fault(kind, "content_filter input_tokens=25")
        reply = await ask_messages(customer, kind, SAID, stream=stream)
        row = await customer.one_row()
        said = events_of(reply)[-2]["delta"] if stream else reply.json()
        assert said["stop_reason"] == "refusal"
        assert row["outcome"] == "content_filtered"
        assert row["sale"] == sale_of(in_fresh=25, out_text=row["output_tokens"])


class TestRefusedByUs:
    async def test_costs_nothing_and_says_why_in_anthropics_shape(self, customer: Customer) -> None:
        reply = await ask_messages(customer, "anthropic", SAID, speed="fast")
        told = reply.json()
        assert (reply.status, told["type"]) == (422, "error")
        assert told["error"]["type"] == "invalid_request_error"
        assert (told["error"]["code"], told["error"]["param"]) == ("unsupported_parameter", "speed")
        assert told["request_id"] == reply.headers["request-id"]
        assert await customer.usage() == []


@every_kind
class TestHangupMidstream:
    async def test_sells_what_was_delivered_when_the_provider_stops_too(
        self, customer: Customer, kind: str
    ) -> None:
        events = EVENTS_TO_THREE_WORDS[kind]
        customer.fault(kind, f"silence_after_events={events} input_tokens=50 text={ANSWER}")
        async with customer.calling() as caller:
            await start_messages(caller, customer, kind, SAID, stream=True)
            await caller.until(b" three")
            caller.hang_up()
            row = await customer.one_row()
        sent, came = reported_input(kind, 50), tokens_of_letters("one two three")
        assert (row["outcome"], row["status"]) == ("hangup_midstream", 499)
        assert (row["sale"], row["cost"]) == (
            sale_of(in_fresh=sent, out_text=came),
            cost_of(in_fresh=sent, out_text=came),
        )

    async def test_costs_the_final_usage_when_the_provider_bills_on(
        self, customer: Customer, kind: str
    ) -> None:
        go_on = asyncio.Event()

        async def script(visit: Visit) -> None:
            first = [*opening(kind, sent=30), *words(kind, "one", " two", " three")]
            await visit.say(OK_STREAM + chunked(*first))
            await go_on.wait()
            rest = [*words(kind, " four", " five"), *ending(kind, sent=30, came=20)]
            await visit.say(chunked(*rest) + LAST_CHUNK)

        async with raw_provider(script) as provider, customer.calling() as caller:
            await customer.serve(kind, base_url=provider.base_url(kind), aborts_stop_billing=False)
            await start_messages(caller, customer, kind, SAID, stream=True)
            await caller.until(b" three")
            caller.hang_up()
            await asyncio.sleep(0.05)
            go_on.set()
            row = await customer.one_row()
        came = tokens_of_letters("one two three")
        assert row["outcome"] == "hangup_midstream"
        assert row["sale"] == sale_of(in_fresh=30, out_text=came)
        assert row["cost"] == cost_of(in_fresh=30, out_text=20)


class TestHangupBeforeOutput:
    async def test_sells_the_input_that_was_reported(self, customer: Customer) -> None:
        customer.fault("anthropic", "silence_after_events=3 input_tokens=40")
        async with customer.calling() as caller:
            await start_messages(caller, customer, "anthropic", SAID, stream=True)
            log = customer.stack.simulator.log
            await eventually(lambda: log.exchanges and log.exchanges[-1].events_sent == 3)
            await asyncio.sleep(0.05)
            caller.hang_up()
            row = await customer.one_row()
        assert row["outcome"] == "hangup_before_output"
        assert (row["sale"], row["cost"]) == (sale_of(in_fresh=40), cost_of(in_fresh=40))
