"""Streams that are too long, oddly cut, broken off or of strange shapes: an orderly end, exact books."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import pytest
from caller import WAIT_S
from proving import (
    INPUT_TOLD_EARLY,
    KINDS,
    Customer,
    cost_of,
    events_to,
    input_estimate,
    sale_of,
    tokens_of_letters,
)
from raw_provider import (
    LAST_CHUNK,
    OK_STREAM,
    RawProvider,
    Visit,
    chunked,
    completion,
    ending,
    opening,
    raw_provider,
    says,
    whole_answer,
    words,
)
from test_faults import refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAID = "hello there"
ASKED = input_estimate(SAID)

every_kind = pytest.mark.parametrize("kind", KINDS)
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@every_kind
class TestTooMuch:
    @pytest.mark.parametrize("declared", [True, False])
    async def test_of_a_whole_answer_is_refused(
        self, customer: Customer, kind: str, *, declared: bool
    ) -> None:
        customer.gw.limits = replace(customer.gw.limits, answer_bytes_max=100_000)
        body = completion(kind, "x" * 200_000, sent=10, came=7)
        script = says(whole_answer(body)) if declared else says(b"HTTP/1.1 200 OK\r\n\r\n", body)
        reply = await refused(customer, kind, script, stream=False)
        assert (reply.status, reply.error["code"]) == (502, "provider_error")

    async def test_of_one_event_ends_the_stream(self, customer: Customer, kind: str) -> None:
        first = [*opening(kind, sent=10), *words(kind, "one two")]
        endless = b"data: " + b"x" * 2**20

        async def script(visit: Visit) -> None:
            await visit.say(OK_STREAM + chunked(*first))
            for _ in range(64):
                await visit.say(chunked(endless))

        async with raw_provider(script) as provider:
            await customer.serve(kind, base_url=provider.base_url(kind))
            reply = await customer.chat(kind, SAID, stream=True)
            await asyncio.wait_for(provider.visits[0].gone.wait(), WAIT_S)
            row = await customer.one_row()
        sent = 10 if kind == "anthropic" else ASKED
        assert reply.events()[-2]["error"]["code"] == "provider_error"
        assert row["outcome"] == "provider_error_after_output"
        assert row["sale"] == sale_of(in_fresh=sent, out_text=tokens_of_letters("one two"))

    async def test_is_not_an_event_of_a_megabyte(self, customer: Customer, kind: str) -> None:
        long = "word " * 200_000
        events = [*opening(kind, sent=10), *words(kind, "one ", long), *ending(kind, sent=10, came=7)]
        async with raw_provider(says(OK_STREAM, chunked(*events), LAST_CHUNK)) as provider:
            await customer.serve(kind, base_url=provider.base_url(kind))
            reply = await customer.chat(kind, SAID, stream=True)
            row = await customer.one_row()
        assert reply.text() == "one " + long
        assert (row["outcome"], row["sale"]) == ("completed", sale_of(in_fresh=10, out_text=7))

    async def test_is_not_an_estimate_of_a_megabyte(self, customer: Customer, kind: str) -> None:
        """Counting a megabyte of unmetered output, within the hold."""
        customer.fault(kind, "no_usage big_event=1000000")
        reply = await customer.chat(kind, SAID, stream=True, max_tokens=40)
        row = await customer.one_row()
        assert len(reply.text()) > 1_000_000
        assert row["outcome"] == "usage_missing"
        assert row["cost"] > cost_of(out_text=333_000)


@every_kind
class TestOddStreams:
    @pytest.mark.parametrize(
        "how",
        [
            "crlf",
            "split_utf8",
            "split_bytes=1",
            "split_bytes=7 crlf",
            "unknown_event",
            "extra_fields",
            "ping_every=1",
            "running_usage",
        ],
    )
    async def test_arrive_whole(self, customer: Customer, kind: str, how: str) -> None:
        said = "Größe 日本語 🙂 café"
        customer.fault(kind, f'{how} text="{said}" input_tokens=10')
        reply = await customer.chat(kind, SAID, stream=True, stream_options={"include_usage": True})
        row = await customer.one_row()
        assert reply.text() == said
        assert reply.events()[-1] == "[DONE]"
        assert row["outcome"] == "completed"
        assert row["sale"] == sale_of(in_fresh=10, out_text=row["output_tokens"])
        assert row["output_tokens"] == reply.events()[-2]["usage"]["completion_tokens"] > 0

    async def test_without_end_marker_are_complete_when_all_was_said(
        self, customer: Customer, kind: str
    ) -> None:
        customer.fault(kind, "no_terminal input_tokens=10 output_tokens=7")
        reply = await customer.chat(kind, SAID, stream=True)
        row = await customer.one_row()
        assert reply.events()[-1] == "[DONE]"
        if kind in {"anthropic", "gemini"}:  # their last event is all that says so
            assert row["outcome"] == "provider_error_after_output"
            assert reply.events()[-2]["error"]["code"] == "provider_error"
        else:
            assert (row["outcome"], row["sale"]) == ("completed", sale_of(in_fresh=10, out_text=7))

    @pytest.mark.parametrize("how", ["fin", "rst"])
    async def test_that_lose_only_their_end_marker_are_complete(
        self, customer: Customer, kind: str, how: str
    ) -> None:
        async def script(visit: Visit) -> None:
            last = ending(kind, sent=10, came=7)[:-1]
            await visit.say(OK_STREAM + chunked(*opening(kind, sent=10), *words(kind, "one"), *last))
            await asyncio.sleep(0.1)  # an RST overtakes what was not read yet
            if how == "rst":
                visit.reset()

        async with raw_provider(script) as provider:
            await customer.serve(kind, base_url=provider.base_url(kind))
            await customer.chat(kind, SAID, stream=True)
            row = await customer.one_row()
        if kind in {"anthropic", "gemini"}:
            assert row["outcome"] == "provider_error_after_output"
        else:
            assert (row["outcome"], row["sale"]) == ("completed", sale_of(in_fresh=10, out_text=7))

    async def test_without_any_ending_are_broken(self, customer: Customer, kind: str) -> None:
        customer.fault(kind, 'no_terminal no_finish no_usage text="one two"')
        reply = await customer.chat(kind, SAID, stream=True)
        row = await customer.one_row()
        assert reply.text() == "one two"
        assert reply.events()[-2]["error"]["code"] == "provider_error"
        assert row["outcome"] == "provider_error_after_output"
        assert row["sale"] == sale_of(in_fresh=ASKED, out_text=tokens_of_letters("one two"))

    @pytest.mark.parametrize("how", ["garbage_event", "garbage_after_events"])
    async def test_that_turn_to_nonsense_are_cut(self, customer: Customer, kind: str, how: str) -> None:
        customer.fault(kind, f'{how}={events_to(kind, 2)} input_tokens=10 text="one two three four"')
        reply = await customer.chat(kind, SAID, stream=True)
        row = await customer.one_row()
        sent = 10 if kind in INPUT_TOLD_EARLY else ASKED
        assert reply.text() == "one two"
        assert reply.events()[-2]["error"]["code"] == "provider_error"
        assert row["outcome"] == "provider_error_after_output"
        assert row["sale"] == sale_of(in_fresh=sent, out_text=tokens_of_letters("one two"))

    @pytest.mark.parametrize("how", ["fin", "rst"])
    async def test_cut_inside_a_character_are_told_as_cut(
        self, customer: Customer, kind: str, how: str
    ) -> None:
        async def script(visit: Visit) -> None:
            torn = words(kind, "日本")[0]
            torn = torn[: torn.index("本".encode()) + 1]
            await visit.say(OK_STREAM + chunked(*opening(kind, sent=10), *words(kind, "one"), torn))
            await asyncio.sleep(0.1)
            if how == "rst":
                visit.reset()

        async with raw_provider(script) as provider:
            await customer.serve(kind, base_url=provider.base_url(kind))
            reply = await customer.chat(kind, SAID, stream=True)
            row = await customer.one_row()
        assert reply.body.decode()  # whole characters only
        assert reply.text() == "one"
        assert row["outcome"] == "provider_error_after_output"


ODD_SHAPES = [
    b'{"choices": null}',
    b'{"choices": [null, 7, "x", []]}',
    b'{"choices": [{}]}',
    b'{"choices": [{"index": "a", "delta": null, "finish_reason": {}}]}',
    b'{"choices": [{"index": 0, "delta": {"content": 7, "tool_calls": "x"}}]}',
    b'{"choices": [{"index": 0, "delta": {"tool_calls": [null, {"function": 3}, {"function": {"name": 1}}]}}]}',  # noqa: E501 - one event
    b'{"choices": [], "usage": []}',
    b'{"choices": [], "usage": {"prompt_tokens": "x", "completion_tokens": -1}}',
    b'{"choices": [], "usage": {"prompt_tokens": 1e400, "completion_tokens": null}}',
    b'{"id": {}, "choices": [], "usage": {"prompt_tokens": true, "prompt_tokens_details": 3}}',
    b'{"choices": [{"index": 0, "delta": {"content": "\\ud800"}}]}',
    b'{"type": 7}',
    b'{"type": "message_start"}',
    b'{"type": "message_start", "message": {"usage": {"input_tokens": "x", "cache_creation": 3}}}',
    b'{"type": "content_block_start", "index": "x", "content_block": []}',
    b'{"type": "content_block_delta", "index": 99, "delta": {"type": "input_json_delta"}}',
    b'{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 3}}',
    b'{"type": "message_delta", "delta": {"stop_reason": 3}, "usage": {"output_tokens": "many"}}',
    b'{"type": "error"}',
    b'{"error": 3}',
    b'{"error": [], "type": "error"}',
]


@every_kind
class TestOddShapes:
    """Whatever JSON a provider sends, the answer ends in order and is booked."""

    async def test_in_a_stream_do_no_harm(self, customer: Customer, kind: str) -> None:
        def answer(odd: bytes) -> bytes:
            first = [*opening(kind, sent=10), *words(kind, "one")]
            last = [b"data: " + odd + b"\n\n", *words(kind, " two"), *ending(kind, sent=10, came=7)]
            return OK_STREAM + chunked(*first, *last) + LAST_CHUNK

        async with odd_provider(answer) as provider:
            await customer.serve(kind, base_url=provider.base_url(kind))
            replies = [await customer.chat(kind, SAID, stream=True) for _ in ODD_SHAPES]
            rows = await customer.usage()
        for odd, reply, row in zip(ODD_SHAPES, replies, rows, strict=True):
            assert reply.is_complete, odd
            assert reply.body.endswith(b"data: [DONE]\n\n"), odd
            assert reply.text().startswith("one"), odd
            assert row["outcome"] in {"completed", "usage_missing", "provider_error_after_output"}, odd
            assert row["sale"] > 0, odd

    async def test_at_the_start_of_a_stream_do_no_harm(self, customer: Customer, kind: str) -> None:
        def answer(odd: bytes) -> bytes:
            rest = [*opening(kind, sent=10), *words(kind, "one"), *ending(kind, sent=10, came=7)]
            return OK_STREAM + chunked(b"data: " + odd + b"\n\n", *rest) + LAST_CHUNK

        async with odd_provider(answer) as provider:
            await customer.serve(kind, base_url=provider.base_url(kind))
            replies = [await customer.chat(kind, SAID, stream=True) for _ in ODD_SHAPES]
            rows = await customer.usage()
        for odd, reply, row in zip(ODD_SHAPES, replies, rows, strict=True):
            assert reply.status in {200, 400, 502}, odd
            assert row["outcome"] in {"completed", "usage_missing", "provider_error_before_output"}, odd

    async def test_as_a_whole_answer_do_no_harm(self, customer: Customer, kind: str) -> None:
        async with odd_provider(whole_answer) as provider:
            await customer.serve(kind, base_url=provider.base_url(kind))
            replies = [await customer.chat(kind, SAID) for _ in ODD_SHAPES]
            rows = await customer.usage()
        assert len(rows) == len(ODD_SHAPES)
        for odd, reply in zip(ODD_SHAPES, replies, strict=True):
            assert reply.status in {200, 400, 502}, odd
            assert reply.is_complete, odd


def odd_provider(answer: Callable[[bytes], bytes]) -> AbstractAsyncContextManager[RawProvider]:
    """Answers one request with each odd shape."""
    shapes = iter(ODD_SHAPES)

    async def script(visit: Visit) -> None:
        await visit.say(answer(next(shapes)))

    return raw_provider(script)


@every_kind
class TestKeepAlives:
    """Comments before the first output wait for it, so that a failure can go elsewhere; but not for ever."""

    async def test_of_a_patient_provider_reach_the_caller(
        self, customer: Customer, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bursar.gateway.forward.HELD_BACK_MS", 100)
        alive = b"event: ping\ndata: {}\n\n" if kind == "anthropic" else b": still here\n\n"
        await self.reach_the_caller(customer, kind, alive)

    async def test_of_a_talkative_provider_reach_the_caller(self, customer: Customer, kind: str) -> None:
        alive = b"event: ping\ndata: {}" if kind == "anthropic" else b": still here"
        await self.reach_the_caller(customer, kind, alive + b" " * 2_000 + b"\n\n")

    async def reach_the_caller(self, customer: Customer, kind: str, comment: bytes) -> None:
        go_on = asyncio.Event()

        async def script(visit: Visit) -> None:
            await visit.say(OK_STREAM)
            while not go_on.is_set():
                await visit.say(chunked(comment))
                await asyncio.sleep(0.01)
            events = [*opening(kind, sent=10), *words(kind, "one"), *ending(kind, sent=10, came=7)]
            await visit.say(chunked(*events) + LAST_CHUNK)

        async with raw_provider(script) as provider, customer.calling() as caller:
            await customer.serve(kind, base_url=provider.base_url(kind))
            await customer.start(caller, kind, SAID, stream=True)
            await caller.until(b": ")
            go_on.set()
            reply = await caller.reply()
            row = await customer.one_row()
        assert reply.text() == "one"
        assert (row["outcome"], row["sale"]) == ("completed", sale_of(in_fresh=10, out_text=7))
