"""MONEY §4, row by row: for each provider type, whole and streamed, who pays exactly what.

Every figure expected here comes from what the provider was told to report and the seeded prices; where the
gateway has to estimate, from texts whose count is plain: letters and blanks, three to a token.
"""

import pytest
from proving import (
    INPUT_TOLD_EARLY,
    KINDS,
    Customer,
    as_nano,
    cost_of,
    events_to,
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
EVEN = '"one or me at my to us we be in"'
"""Three letters or blanks to each piece: wherever the stream is cut, the count is the same."""

every_kind = pytest.mark.parametrize("kind", KINDS)
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


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
        if kind == "gemini":  # charges nothing for writing its cache
            tokens = {**tokens, "in_fresh": tokens["in_fresh"] + tokens.get("cache_write_5m", 0)}
            tokens.pop("cache_write_5m", None)
        customer.fault(kind, script)
        reply = await customer.chat(kind, SAID, stream=stream)
        row = await customer.one_row()
        assert reply.status == 200
        assert reply.is_complete
        assert (row["outcome"], row["status"], row["error_code"]) == ("completed", 200, None)
        assert (row["sale"], row["cost"]) == (sale_of(**tokens), cost_of(**tokens))
        assert not row["estimated"]


@every_kind
class TestWhatTheAnswerSays:
    """The cost told is the cost booked, and the balance told is the wallet's."""

    async def test_in_the_headers_of_a_whole_one(self, customer: Customer, kind: str) -> None:
        for _ in range(2):
            customer.fault(kind, "input_tokens=1001 output_tokens=13 cached=11")
            reply = await customer.chat(kind, SAID)
        sale = sale_of(in_fresh=990, cache_read=11, out_text=13)
        assert as_nano(reply.headers["x-bursar-cost"]) == sale
        assert as_nano(reply.headers["x-bursar-balance"]) == customer.balance - 2 * sale
        assert reply.headers["x-bursar-input-tokens"] == "1001"
        assert reply.headers["x-bursar-output-tokens"] == "13"
        assert reply.headers["x-request-id"] == str((await customer.usage())[1]["request_id"])
        assert (await customer.wallet())["posted"] == customer.balance - 2 * sale

    async def test_in_the_usage_chunk_of_a_stream(self, customer: Customer, kind: str) -> None:
        customer.fault(kind, "input_tokens=1001 output_tokens=13 cached=11")
        reply = await customer.chat(kind, SAID, stream=True, stream_options={"include_usage": True})
        told = reply.events()[-2]
        sale = sale_of(in_fresh=990, cache_read=11, out_text=13)
        assert told["choices"] == []
        assert as_nano(told["usage"]["cost"]) == sale
        assert as_nano(told["usage"]["balance"]) == customer.balance - sale
        assert (told["usage"]["prompt_tokens"], told["usage"]["completion_tokens"]) == (1001, 13)

    async def test_of_usage_nothing_in_a_stream_that_did_not_ask(self, customer: Customer, kind: str) -> None:
        reply = await customer.chat(kind, SAID, stream=True)
        assert all(event == "[DONE]" or not event.get("usage") for event in reply.events())
        assert all(event == "[DONE]" or event["choices"] for event in reply.events())

    async def test_of_an_estimate_is_the_estimate(self, customer: Customer, kind: str) -> None:
        customer.fault(kind, f"no_usage text={EVEN}")
        reply = await customer.chat(kind, SAID, stream=True, stream_options={"include_usage": True})
        told = reply.events()[-2]["usage"]
        came = tokens_of_letters(EVEN.strip('"'))
        assert as_nano(told["cost"]) == sale_of(in_fresh=ASKED, out_text=came)
        assert (told["prompt_tokens"], told["completion_tokens"]) == (ASKED, came)


@every_kind
@streamed_or_not
class TestRounding:
    @pytest.mark.parametrize(
        ("sent", "cost", "sale"), [(1, 0, 2), (3, 2, 4), (5, 2, 8), (7, 4, 10), (9, 4, 14)]
    )
    async def test_is_half_to_even_once_for_the_row(  # noqa: PLR0913 - one line of the table above
        self, customer: Customer, kind: str, sent: int, cost: int, sale: int, *, stream: bool
    ) -> None:
        """Half a nano-dollar a token to us, one and a half to the customer; output is free."""
        prices = {"in_fresh": ("0.0005", "0.0015"), "out_text": ("0", "0")}
        await customer.serve(kind, prices=prices)
        customer.fault(kind, f"input_tokens={sent} output_tokens=7")
        await customer.chat(kind, SAID, stream=stream)
        row = await customer.one_row()
        assert (row["cost"], row["sale"]) == (cost, sale)


@every_kind
@streamed_or_not
class TestProviderErrorBeforeOutput:
    async def test_costs_nobody_anything(self, customer: Customer, kind: str, *, stream: bool) -> None:
        customer.fault(kind, "status=500")
        reply = await customer.chat(kind, SAID, stream=stream)
        row = await customer.one_row()
        assert (reply.status, reply.error["code"]) == (502, "provider_error")
        assert (row["outcome"], row["status"]) == ("provider_error_before_output", 502)
        assert (row["sale"], row["cost"]) == (0, 0)

    @pytest.mark.parametrize(
        "script",
        ["status=503", "status=429 retry_after=2", "status=401", "status=529", "garbage", "empty_body"],
        ids=lambda script: str(script).split()[0],
    )
    async def test_is_tried_elsewhere_with_one_row_each(
        self, customer: Customer, kind: str, *, stream: bool, script: str
    ) -> None:
        await customer.serve(kind, credentials=2)
        customer.fault(kind, script)
        customer.fault(kind, "input_tokens=10 output_tokens=7")
        reply = await customer.chat(kind, SAID, stream=stream)
        failed, answered = await customer.usage()
        assert reply.status == 200
        assert (failed["attempt"], failed["outcome"]) == (0, "provider_error_before_output")
        assert (failed["sale"], failed["cost"]) == (0, 0)
        assert (answered["attempt"], answered["outcome"]) == (1, "completed")
        assert (answered["sale"], answered["cost"]) == (
            sale_of(in_fresh=10, out_text=7),
            cost_of(in_fresh=10, out_text=7),
        )
        assert failed["request_id"] == answered["request_id"]
        assert failed["credential_id"] != answered["credential_id"]

    @pytest.mark.parametrize("how", ["fin", "rst", "half_a_head", "half_a_body"])
    async def test_is_tried_elsewhere_when_the_connection_breaks(
        self, customer: Customer, kind: str, *, stream: bool, how: str
    ) -> None:
        async def script(visit: Visit) -> None:
            if len(provider.visits) == 1:
                await break_off(visit, how)
            elif stream:
                events = [*opening(kind, sent=10), *words(kind, "one"), *ending(kind, sent=10, came=7)]
                await visit.say(OK_STREAM + chunked(*events) + LAST_CHUNK)
            else:
                await visit.say(whole_answer(completion(kind, "one", sent=10, came=7)))

        async with raw_provider(script) as provider:
            await customer.serve(kind, base_url=provider.base_url(kind), credentials=2)
            reply = await customer.chat(kind, SAID, stream=stream)
            failed, answered = await customer.usage()
        assert reply.text() == "one"
        assert (failed["outcome"], failed["sale"], failed["cost"]) == ("provider_error_before_output", 0, 0)
        assert answered["sale"] == sale_of(in_fresh=10, out_text=7)


async def break_off(visit: Visit, how: str) -> None:
    """End a visit in the middle of the answer."""
    if how == "half_a_head":
        await visit.say(b"HTTP/1.1 200 OK\r\ncontent-")
    elif how == "half_a_body":
        await visit.say(b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"choices":')
    elif how == "rst":
        visit.reset()


@every_kind
class TestErrorInsideAStreamBeforeOutput:
    async def test_is_tried_elsewhere_too(self, customer: Customer, kind: str) -> None:
        await customer.serve(kind, credentials=2)
        customer.fault(kind, f"error_event_after={min(1, events_to(kind, 0))} input_tokens=10")
        customer.fault(kind, "input_tokens=10 output_tokens=7")
        reply = await customer.chat(kind, SAID, stream=True)
        failed, answered = await customer.usage()
        told = 10 if kind == "anthropic" else 0  # only Anthropic had reported its input by then
        assert reply.status == 200
        assert (failed["outcome"], failed["sale"], failed["cost"]) == (
            "provider_error_before_output",
            0,
            cost_of(in_fresh=told),
        )
        assert answered["sale"] == sale_of(in_fresh=10, out_text=7)

    async def test_sells_nothing_and_costs_what_was_reported(self, customer: Customer, kind: str) -> None:
        customer.fault(kind, f"error_event_after={min(1, events_to(kind, 0))} input_tokens=10")
        reply = await customer.chat(kind, SAID, stream=True)
        row = await customer.one_row()
        told = 10 if kind == "anthropic" else 0
        assert reply.status in {502, 503}
        assert (row["outcome"], row["sale"]) == ("provider_error_before_output", 0)
        assert row["cost"] == cost_of(in_fresh=told)


@every_kind
class TestProviderErrorAfterOutput:
    @pytest.mark.parametrize(
        "how", ["error_event_after", "cut_after_events", "rst_after_events", "cut_mid_event"]
    )
    async def test_sells_what_was_delivered(self, customer: Customer, kind: str, how: str) -> None:
        customer.fault(kind, f"{how}={events_to(kind, 3)} input_tokens=50 text={ANSWER}")
        reply = await customer.chat(kind, SAID, stream=True)
        row = await customer.one_row()
        sent = 50 if kind in INPUT_TOLD_EARLY else ASKED
        came = tokens_of_letters("one two three")
        assert reply.text() == "one two three"
        assert reply.events()[-1] == "[DONE]"
        assert reply.events()[-2]["error"]["code"] in {"provider_error", "provider_overloaded"}
        assert row["outcome"] == "provider_error_after_output"
        assert row["estimated"]
        assert (row["sale"], row["cost"]) == (
            sale_of(in_fresh=sent, out_text=came),
            cost_of(in_fresh=sent, out_text=came),
        )


@every_kind
@streamed_or_not
class TestUsageMissing:
    async def test_sells_our_estimate(self, customer: Customer, kind: str, *, stream: bool) -> None:
        customer.fault(kind, f"no_usage text={EVEN}")
        reply = await customer.chat(kind, SAID, stream=stream)
        row = await customer.one_row()
        came = tokens_of_letters(EVEN.strip('"'))
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
        await customer.chat(kind, SAID, stream=stream, max_tokens=5)
        row = await customer.one_row()
        assert row["outcome"] == "usage_missing"
        assert row["cost"] == cost_of(in_fresh=ASKED, out_text=8)  # one and a half each, rounded up
        assert row["sale"] == hold_of(ASKED, 5) < sale_of(in_fresh=ASKED, out_text=8)


class TestUsageOfTheInputOnly:
    async def test_is_a_missing_usage(self, customer: Customer) -> None:
        customer.fault("anthropic", f"no_final_usage input_tokens=50 text={ANSWER}")
        await customer.chat("anthropic", SAID, stream=True)
        row = await customer.one_row()
        came = tokens_of_letters(ANSWER.strip('"'))
        assert (row["outcome"], row["estimated"]) == ("usage_missing", True)
        assert (row["sale"], row["cost"]) == (
            sale_of(in_fresh=50, out_text=came),
            cost_of(in_fresh=50, out_text=came),
        )


@every_kind
@streamed_or_not
class TestExplicitZero:
    async def test_is_free(self, customer: Customer, kind: str, *, stream: bool) -> None:
        customer.fault(kind, "zero_usage")
        reply = await customer.chat(kind, SAID, stream=stream)
        row = await customer.one_row()
        assert reply.text()
        assert (row["outcome"], row["sale"], row["cost"]) == ("usage_zero", 0, 0)


@every_kind
@streamed_or_not
class TestContentFilter:
    @pytest.mark.parametrize("fault", ["content_filter", "refusal"])
    async def test_is_sold_as_the_provider_bills_it(
        self, customer: Customer, kind: str, *, stream: bool, fault: str
    ) -> None:
        customer.fault(kind, f"{fault} input_tokens=25")
        reply = await customer.chat(kind, SAID, stream=stream)
        row = await customer.one_row()
        filtered = fault == "content_filter" or kind == "anthropic"
        assert reply.status == 200
        assert row["outcome"] == ("content_filtered" if filtered else "completed")
        came = row["output_tokens"]
        assert came > 0
        assert (row["sale"], row["cost"]) == (
            sale_of(in_fresh=25, out_text=came),
            cost_of(in_fresh=25, out_text=came),
        )

    async def test_of_the_whole_request_costs_nothing(
        self, customer: Customer, kind: str, *, stream: bool
    ) -> None:
        code = "error_type=content_policy_violation" if kind == "anthropic" else "error_code=content_filter"
        customer.fault(kind, f"status=400 {code}")
        reply = await customer.chat(kind, SAID, stream=stream)
        row = await customer.one_row()
        assert reply.status == 400
        assert (row["sale"], row["cost"]) == (0, 0)


@every_kind
class TestOverrides:
    """An organisation's own rows of the table replace the default ones, for it alone."""

    @pytest.mark.parametrize(
        ("policy", "sale", "cost"),
        [
            ({"sale": "nothing", "cost": "delivered"}, 0, 5),
            ({"sale": "delivered", "cost": "nothing"}, 5, 0),
            ({"sale": "nothing", "cost": "nothing"}, 0, 0),
        ],
    )
    async def test_decide_what_a_broken_stream_costs(
        self, customer: Customer, kind: str, policy: dict[str, str], sale: int, cost: int
    ) -> None:
        await customer.set_policy({"provider_error_after_output": policy})
        customer.fault(kind, f"cut_after_events={events_to(kind, 3)} input_tokens={ASKED} text={ANSWER}")
        await customer.chat(kind, SAID, stream=True)
        row = await customer.one_row()
        assert row["outcome"] == "provider_error_after_output"
        assert row["sale"] == (sale_of(in_fresh=ASKED, out_text=sale) if sale else 0)
        assert row["cost"] == (cost_of(in_fresh=ASKED, out_text=cost) if cost else 0)

    async def test_can_keep_an_estimate_within_the_hold(self, customer: Customer, kind: str) -> None:
        await customer.set_policy({
            "usage_missing": {"sale": "estimated", "cost": "nothing", "within_hold": False}
        })  # fmt: skip
        customer.fault(kind, 'no_usage text="🙂🙂🙂🙂🙂"')
        await customer.chat(kind, SAID, max_tokens=5)
        row = await customer.one_row()
        assert row["sale"] == sale_of(in_fresh=ASKED, out_text=20) > hold_of(ASKED, 5)
        assert row["cost"] == 0

    async def test_leave_the_normal_end_alone(self, customer: Customer, kind: str) -> None:
        await customer.set_policy({"hangup_midstream": {"sale": "nothing", "cost": "nothing"}})
        customer.fault(kind, "input_tokens=10 output_tokens=7")
        await customer.chat(kind, SAID)
        row = await customer.one_row()
        assert row["sale"] == sale_of(in_fresh=10, out_text=7)

    async def test_can_free_a_normal_end(self, customer: Customer, kind: str) -> None:
        await customer.set_policy({"completed": {"sale": "nothing", "cost": "measured"}})
        customer.fault(kind, "input_tokens=10 output_tokens=7")
        await customer.chat(kind, SAID)
        row = await customer.one_row()
        assert (row["sale"], row["cost"]) == (0, cost_of(in_fresh=10, out_text=7))
