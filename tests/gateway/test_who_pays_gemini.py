"""MONEY §4 for callers of the Gemini API's dialect: passed through to Google, translated for the others."""

import asyncio

import orjson
import pytest
from gemini_caller import ask_gemini, chunks_of, headers_of, path_of, payload, said_in, start_gemini
from proving import (
    INPUT_TOLD_EARLY,
    Customer,
    as_nano,
    cost_of,
    events_to,
    hold_of,
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
ASKED = 4 + 4 + tokens_of_letters(SAID)
ANSWER = '"one two three four five six seven eight nine ten"'
EVEN = '"one or me at my to us we be in"'
"""Three letters or blanks to each piece: wherever the stream is cut, the count is the same."""
KINDS = ("gemini", "openai", "anthropic")
"""Passed through, and translated; what else is translated differs in what it reports, not in who pays."""

every_kind = pytest.mark.parametrize("kind", KINDS)
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
framed = pytest.mark.parametrize("sse", [False, True], ids=["array", "sse"])


def told_early(kind: str, tokens: int) -> int:
    return tokens if kind in INPUT_TOLD_EARLY else ASKED


@every_kind
@streamed_or_not
class TestNormalEnd:
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
    async def test_sells_and_costs_what_the_provider_measured(
        self, customer: Customer, kind: str, *, stream: bool, script: str, tokens: dict[str, int]
    ) -> None:
        customer.fault(kind, script)
        reply = await ask_gemini(customer, kind, SAID, stream=stream)
        row = await customer.one_row()
        assert (reply.status, reply.is_complete) == (200, True)
        assert (row["outcome"], row["status"], row["error_code"]) == ("completed", 200, None)
        assert (row["sale"], row["cost"]) == (sale_of(**tokens), cost_of(**tokens))
        assert not row["estimated"]
        action = "streamGenerateContent" if stream else "generateContent"
        assert (row["endpoint"], row["dialect"]) == (f"/v1beta/models/{{model}}:{action}", "gemini")


class TestToolsTheProviderRan:
    @streamed_or_not
    async def test_are_input_on_top(self, customer: Customer, *, stream: bool) -> None:
        customer.fault("gemini", "input_tokens=10 output_tokens=5 tool_use=30")
        await ask_gemini(customer, "gemini", SAID, stream=stream)
        row = await customer.one_row()
        assert row["quantities"] == {"in_fresh": 10, "in_tool": 30, "out_text": 5}
        assert row["sale"] == sale_of(in_fresh=40, out_text=5)


@every_kind
class TestWhatTheAnswerSays:
    """The figures told are the figures booked, and the balance told is the wallet's."""

    @framed
    async def test_in_the_last_chunk_of_a_stream(self, customer: Customer, kind: str, *, sse: bool) -> None:
        customer.fault(kind, "input_tokens=1001 output_tokens=13 cached=11")
        reply = await ask_gemini(customer, kind, SAID, stream=True, sse=sse)
        last = chunks_of(reply)[-1]
        sale = sale_of(in_fresh=990, cache_read=11, out_text=13)
        usage = last["usageMetadata"]
        assert last["candidates"][0]["finishReason"] == "STOP"
        assert (as_nano(usage["cost"]), usage["currency"]) == (sale, "USD")
        assert as_nano(usage["balance"]) == customer.balance - sale
        assert (usage["promptTokenCount"], usage["candidatesTokenCount"]) == (1001, 13)
        assert (usage["cachedContentTokenCount"], usage["totalTokenCount"]) == (11, 1014)
        kept = {"True": "text/event-stream; charset=utf-8", "False": "application/json; charset=utf-8"}
        assert reply.headers["content-type"] == kept[str(sse)]

    async def test_in_the_headers_of_a_whole_one(self, customer: Customer, kind: str) -> None:
        customer.fault(kind, "input_tokens=1001 output_tokens=13 cached=11")
        reply = await ask_gemini(customer, kind, SAID)
        assert as_nano(reply.headers["x-bursar-cost"]) == sale_of(in_fresh=990, cache_read=11, out_text=13)

    async def test_of_an_estimate_is_the_estimate(self, customer: Customer, kind: str) -> None:
        customer.fault(kind, f"no_usage text={EVEN}")
        reply = await ask_gemini(customer, kind, SAID, stream=True)
        told = chunks_of(reply)[-1]["usageMetadata"]
        came = tokens_of_letters(EVEN.strip('"'))
        assert as_nano(told["cost"]) == sale_of(in_fresh=ASKED, out_text=came)
        assert (told["promptTokenCount"], told["candidatesTokenCount"]) == (ASKED, came)


@every_kind
@streamed_or_not
class TestProviderErrorBeforeOutput:
    async def test_costs_nobody_anything(self, customer: Customer, kind: str, *, stream: bool) -> None:
        customer.fault(kind, "status=500", count=None)
        reply = await ask_gemini(customer, kind, SAID, stream=stream)
        rows = await customer.usage()
        error = reply.json()["error"]
        assert (reply.status, error["code"], error["status"]) == (502, 502, "UNAVAILABLE")
        assert error["details"][0]["reason"] == "PROVIDER_ERROR"
        assert {row["outcome"] for row in rows} == {"provider_error_before_output"}
        assert {(row["sale"], row["cost"]) for row in rows} == {(0, 0)}

    @pytest.mark.parametrize("script", ["status=503", "billing", "garbage", "empty_body"])
    async def test_is_tried_elsewhere_with_one_row_each(
        self, customer: Customer, kind: str, *, stream: bool, script: str
    ) -> None:
        await customer.serve(kind, credentials=2)
        customer.fault(kind, script)
        customer.fault(kind, "input_tokens=10 output_tokens=7")
        reply = await ask_gemini(customer, kind, SAID, stream=stream)
        failed, answered = await customer.usage()
        assert reply.status == 200
        assert (failed["outcome"], failed["sale"], failed["cost"]) == ("provider_error_before_output", 0, 0)
        assert (answered["outcome"], answered["sale"]) == ("completed", sale_of(in_fresh=10, out_text=7))


@every_kind
class TestProviderErrorAfterOutput:
    @framed
    @pytest.mark.parametrize(
        "how", ["error_event_after", "cut_after_events", "rst_after_events", "cut_mid_event"]
    )
    async def test_sells_what_was_delivered(
        self, customer: Customer, kind: str, how: str, *, sse: bool
    ) -> None:
        customer.fault(kind, f"{how}={events_to(kind, 3)} input_tokens=50 text={ANSWER}")
        reply = await ask_gemini(customer, kind, SAID, stream=True, sse=sse)
        row = await customer.one_row()
        sent, came = told_early(kind, 50), tokens_of_letters("one two three")
        error = chunks_of(reply)[-1]["error"]
        assert said_in(reply) == "one two three"
        assert (error["status"], reply.is_complete) == ("UNAVAILABLE", True)
        assert (row["outcome"], row["estimated"]) == ("provider_error_after_output", True)
        assert (row["sale"], row["cost"]) == (
            sale_of(in_fresh=sent, out_text=came),
            cost_of(in_fresh=sent, out_text=came),
        )

    async def test_a_connection_that_ends_without_a_reason_is_no_end(
        self, customer: Customer, kind: str
    ) -> None:
        customer.fault(kind, f"no_terminal no_finish input_tokens=50 text={ANSWER}")
        reply = await ask_gemini(customer, kind, SAID, stream=True)
        row = await customer.one_row()
        assert "error" in chunks_of(reply)[-1]
        assert row["outcome"] == "provider_error_after_output"


@every_kind
@streamed_or_not
class TestUsageMissing:
    async def test_sells_our_estimate(self, customer: Customer, kind: str, *, stream: bool) -> None:
        customer.fault(kind, f"no_usage text={EVEN}")
        reply = await ask_gemini(customer, kind, SAID, stream=stream)
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
        await ask_gemini(customer, kind, SAID, stream=stream, maxOutputTokens=5)
        row = await customer.one_row()
        assert row["outcome"] == "usage_missing"
        assert row["sale"] == hold_of(ASKED, 5) < sale_of(in_fresh=ASKED, out_text=8)


class TestUsageInTheMiddle:
    async def test_is_never_the_final_figure(self, customer: Customer) -> None:
        customer.fault("gemini", f"no_final_usage input_tokens=50 text={EVEN}")
        reply = await ask_gemini(customer, "gemini", SAID, stream=True)
        row = await customer.one_row()
        came = tokens_of_letters(EVEN.strip('"'))
        assert (row["outcome"], row["estimated"]) == ("usage_missing", True)
        assert row["sale"] == sale_of(in_fresh=50, out_text=came)
        assert chunks_of(reply)[-1]["usageMetadata"]["candidatesTokenCount"] == came


@every_kind
@streamed_or_not
class TestExplicitZero:
    async def test_is_free(self, customer: Customer, kind: str, *, stream: bool) -> None:
        customer.fault(kind, "zero_usage")
        reply = await ask_gemini(customer, kind, SAID, stream=stream)
        row = await customer.one_row()
        assert said_in(reply)
        assert (row["outcome"], row["sale"], row["cost"]) == ("usage_zero", 0, 0)


@streamed_or_not
class TestContentFilter:
    @every_kind
    async def test_is_sold_as_the_provider_bills_it(
        self, customer: Customer, kind: str, *, stream: bool
    ) -> None:
        customer.fault(kind, "content_filter input_tokens=25")
        reply = await ask_gemini(customer, kind, SAID, stream=stream)
        row = await customer.one_row()
        last = chunks_of(reply)[-1] if stream else reply.json()
        assert last["candidates"][0]["finishReason"] == "SAFETY"
        assert row["outcome"] == "content_filtered"
        assert row["sale"] == sale_of(in_fresh=25, out_text=row["output_tokens"])

    async def test_of_the_prompt_is_sold_so_too(self, customer: Customer, *, stream: bool) -> None:
        customer.fault("gemini", "blocked input_tokens=25")
        reply = await ask_gemini(customer, "gemini", SAID, stream=stream)
        row = await customer.one_row()
        last = chunks_of(reply)[-1] if stream else reply.json()
        assert last["promptFeedback"] == {"blockReason": "PROHIBITED_CONTENT"}
        assert (row["outcome"], row["sale"]) == ("content_filtered", sale_of(in_fresh=25))

    async def test_of_the_prompt_is_told_to_callers_of_other_dialects(
        self, customer: Customer, *, stream: bool
    ) -> None:
        customer.fault("gemini", "blocked input_tokens=25")
        reply = await customer.chat("gemini", SAID, stream=stream)
        row = await customer.one_row()
        assert b'"content_filter"' in reply.body
        assert b"PROHIBITED_CONTENT" in reply.body
        assert (row["outcome"], row["sale"]) == ("content_filtered", sale_of(in_fresh=25))


@every_kind
class TestHangupMidstream:
    async def test_sells_what_was_delivered_when_the_provider_stops_too(
        self, customer: Customer, kind: str
    ) -> None:
        customer.fault(kind, f"silence_after_events={events_to(kind, 3)} input_tokens=50 text={ANSWER}")
        async with customer.calling() as caller:
            await start_gemini(caller, customer, kind, SAID)
            await caller.until(b" three")
            caller.hang_up()
            row = await customer.one_row()
        sent, came = told_early(kind, 50), tokens_of_letters("one two three")
        assert (row["outcome"], row["status"]) == ("hangup_midstream", 499)
        assert (row["sale"], row["cost"]) == (
            sale_of(in_fresh=sent, out_text=came),
            cost_of(in_fresh=sent, out_text=came),
        )

    async def test_costs_the_final_usage_when_the_provider_bills_on(
        self, customer: Customer, kind: str
    ) -> None:
        """As Google does: an aborted answer is produced, and billed, to its end."""
        go_on = asyncio.Event()

        async def script(visit: Visit) -> None:
            first = [*opening(kind, sent=30), *words(kind, "one", " two", " three")]
            await visit.say(OK_STREAM + chunked(*first))
            await go_on.wait()
            rest = [*words(kind, " four", " five"), *ending(kind, sent=30, came=20)]
            await visit.say(chunked(*rest) + LAST_CHUNK)

        async with raw_provider(script) as provider, customer.calling() as caller:
            await customer.serve(kind, base_url=provider.base_url(kind), aborts_stop_billing=False)
            await start_gemini(caller, customer, kind, SAID)
            await caller.until(b" three")
            caller.hang_up()
            await asyncio.sleep(0.05)
            go_on.set()
            row = await customer.one_row()
        came = tokens_of_letters("one two three")
        assert row["outcome"] == "hangup_midstream"
        assert row["sale"] == sale_of(in_fresh=30, out_text=came)
        assert row["cost"] == cost_of(in_fresh=30, out_text=20)


class TestPassingThrough:
    async def test_leaves_what_nobody_knows_as_it_came(self, customer: Customer) -> None:
        for stream in (False, True):
            customer.fault("gemini", 'extra_fields text="one two"')
            reply = await ask_gemini(customer, "gemini", SAID, stream=stream)
            answers = chunks_of(reply) if stream else [reply.json()]
            assert all(answer["xSimulated"] == {"kept": True} for answer in answers)

    async def test_takes_both_spellings_and_sends_one(self, customer: Customer) -> None:
        body = {
            "contents": [{"parts": [{"text": "hello there"}]}],
            "system_instruction": {"parts": [{"text": "Be brief."}]},
            "generation_config": {"max_output_tokens": 7, "stop_sequences": ["END"]},
        }
        path = path_of(customer, "gemini")
        reply = await customer.send(orjson.dumps(body), path=path, headers=headers_of(customer))
        sent = orjson.loads(customer.stack.simulator.log.exchanges[-1].body)
        assert reply.json()["usageMetadata"]["candidatesTokenCount"] == 7
        assert sent["generationConfig"] == {"maxOutputTokens": 7, "stopSequences": ["END"]}
        assert sent["systemInstruction"] == body["system_instruction"]

    async def test_takes_no_name_in_two_spellings(self, customer: Customer) -> None:
        config = {"maxOutputTokens": 7, "max_output_tokens": 70_000}
        body = {"contents": [{"parts": [{"text": "x"}]}], "generationConfig": config}
        path = path_of(customer, "gemini")
        reply = await customer.send(orjson.dumps(body), path=path, headers=headers_of(customer))
        assert (reply.status, reply.json()["error"]["status"]) == (422, "INVALID_ARGUMENT")
        assert "maxOutputTokens" in reply.json()["error"]["message"]
        assert await customer.usage() == []

    async def test_takes_the_key_from_the_address_and_passes_none_on(self, customer: Customer) -> None:
        path = f"{path_of(customer, 'gemini')}?key={customer.key}"
        reply = await customer.send(payload(SAID), path=path, headers={"content-type": "application/json"})
        seen = customer.stack.simulator.log.exchanges[-1]
        assert reply.status == 200
        assert customer.key not in seen.path
        assert customer.key.encode() not in b"".join(seen.headers.values())

    @pytest.mark.parametrize("action", ["generateAnswer", "", "predict"])
    async def test_knows_no_other_action(self, customer: Customer, action: str) -> None:
        path = f"/v1beta/models/{customer.models['gemini']}:{action}"
        reply = await customer.send(payload(SAID), path=path, headers=headers_of(customer))
        assert (reply.status, reply.json()["error"]["status"]) == (404, "NOT_FOUND")
        bare = await customer.send(payload(SAID), path=path, headers={})
        assert (bare.status, bare.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
