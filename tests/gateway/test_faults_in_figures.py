"""What callers and providers write must never keep a row out of the books, nor make one that lies."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from caller import WAIT_S
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
    says,
    whole_answer,
    words,
)

from bursar.adapters.providers import Provider
from bursar.adapters.providers.openai import OpenAI
from bursar.core.usage import Usage

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAID = "hello there"
ASKED = input_estimate(SAID)

every_kind = pytest.mark.parametrize("kind", KINDS)
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def answered(kind: str, *, stream: bool, sent: int = 10, came: int = 7, headers: str = "") -> bytes:
    if not stream:
        return whole_answer(completion(kind, "one", sent=sent, came=came), headers=headers)
    events = [*opening(kind, sent=sent), *words(kind, "one"), *ending(kind, sent=sent, came=came)]
    head = OK_STREAM.replace(b"content-type", headers.encode("latin-1") + b"content-type", 1)
    return head + chunked(*events) + LAST_CHUNK


@every_kind
class TestWhatTheCallerWrites:
    @pytest.mark.parametrize("user", ["a\x00b", "\x00", "x" * 1_000_000, "😀" * 5_000, "\u202e\n\r\t"])
    async def test_as_user_keeps_nothing_out_of_the_books(
        self, customer: Customer, kind: str, user: str
    ) -> None:
        async with raw_provider(says(answered(kind, stream=False))) as provider:
            await customer.serve(kind, base_url=provider.base_url(kind))
            reply = await customer.chat(kind, user=user)
            row = await customer.one_row()
        assert reply.status == 200
        assert row["sale"] == sale_of(in_fresh=10, out_text=7)
        assert len(row["end_user"]) <= 256

    async def test_as_text_keeps_nothing_out_of_the_books(self, customer: Customer, kind: str) -> None:
        async with raw_provider(says(answered(kind, stream=False))) as provider:
            await customer.serve(kind, base_url=provider.base_url(kind))
            reply = await customer.chat(kind, "nul \x00 and \ufffe", metadata={"a": "\x00"})
            row = await customer.one_row()
        assert reply.status == 200
        assert row["sale"] == sale_of(in_fresh=10, out_text=7)


@every_kind
@streamed_or_not
class TestWhatTheProviderWrites:
    @pytest.mark.parametrize(
        "header", ["x-request-id: \x01\x7f\xff", "x-request-id: " + "r" * 20_000, "request-id: \t"]
    )
    async def test_as_request_id_keeps_nothing_out_of_the_books(
        self, customer: Customer, kind: str, header: str, *, stream: bool
    ) -> None:
        raw = answered(kind, stream=stream, headers=f"{header}\r\n")
        async with raw_provider(says(raw)) as provider:
            await customer.serve(kind, base_url=provider.base_url(kind))
            reply = await customer.chat(kind, stream=stream)
            rows = await customer.usage()
        if reply.status == 200:
            assert [row["sale"] for row in rows] == [sale_of(in_fresh=10, out_text=7)]
            assert len(rows[0]["provider_request_id"] or "") <= 256
        else:
            assert reply.status == 502  # not HTTP at all

    @pytest.mark.parametrize(
        "written",
        [
            b'"service_tier": "a\\u0000b"',
            b'"service_tier": "' + b"t" * 100_000 + b'"',
            b'"\\u0000": "\\u0000"',
        ],
        ids=["nul", "long", "nul_key"],
    )
    async def test_inside_usage_keeps_nothing_out_of_the_books(
        self, customer: Customer, kind: str, written: bytes, *, stream: bool
    ) -> None:
        raw = answered(kind, stream=stream)
        marks = {"anthropic": b'"output_tokens":7', "else": b'"completion_tokens":7'}
        mark = marks.get(kind, marks["else"])
        more = raw.replace(b'"id":"', written + b',"id":"').replace(mark, mark + b"," + written)
        raw = reframed(more, stream=stream)
        async with raw_provider(says(raw)) as provider:
            await customer.serve(kind, base_url=provider.base_url(kind))
            reply = await customer.chat(kind, stream=stream)
            row = await customer.one_row()
        assert reply.status == 200
        assert row["sale"] == sale_of(in_fresh=10, out_text=7)
        assert len(row["service_tier"] or "") <= 256

    async def test_as_id_keeps_nothing_out_of_the_books(
        self, customer: Customer, kind: str, *, stream: bool
    ) -> None:
        raw = answered(kind, stream=stream)
        for given in (b"chatcmpl-1", b"msg_1"):
            raw = raw.replace(b'"id":"' + given, b'"id":"\\u0000' + b"i" * 5_000)
        async with raw_provider(says(reframed(raw, stream=stream))) as provider:
            await customer.serve(kind, base_url=provider.base_url(kind))
            reply = await customer.chat(kind, stream=stream)
            row = await customer.one_row()
        assert reply.status == 200
        assert row["sale"] == sale_of(in_fresh=10, out_text=7)

    @pytest.mark.parametrize(
        "count", [10**10, 2**53, 2**63, 10**30, -7, "1e3", "1e30", "true", '"many"', "[7]", "null"]
    )
    async def test_as_absurd_count_is_not_sold(
        self, customer: Customer, kind: str, count: object, *, stream: bool
    ) -> None:
        """A figure that cannot be is none: what is sold then is our own estimate."""
        raw = answered(kind, stream=stream, sent=1234, came=4321).replace(b"5555", b"7")
        for figure in (b"1234", b"4321"):
            raw = raw.replace(figure, str(count).encode())
        async with raw_provider(says(reframed(raw, stream=stream))) as provider:
            await customer.serve(kind, base_url=provider.base_url(kind))
            reply = await customer.chat(kind, SAID, stream=stream, max_tokens=100)
            row = await customer.one_row()
        assert reply.is_complete
        if count == "1e3":
            assert row["sale"] == sale_of(in_fresh=1000, out_text=1000)
        else:
            assert row["outcome"] == "usage_missing"
            assert row["sale"] == sale_of(in_fresh=ASKED, out_text=1)


def reframed(raw: bytes, *, stream: bool) -> bytes:
    """Bytes that were edited, with their lengths put right again."""
    head, _, body = raw.partition(b"\r\n\r\n")
    if not stream:
        return whole_answer(body)
    events = [line for line in body.split(b"\r\n") if b"data: " in line]
    return head + b"\r\n\r\n" + chunked(*events) + LAST_CHUNK


class Exploding(OpenAI):
    """A provider adapter with a bug: it cannot read usage."""

    def usage(self, raw: Mapping[str, Any], *, service_tier: str | None) -> Usage | None:
        raise ZeroDivisionError(f"{len(raw)} {service_tier}")


class TestABugOfOurOwn:
    """Whatever we do wrong in the middle of a request, money is not lost over it."""

    @streamed_or_not
    async def test_sells_what_was_delivered(self, customer: Customer, *, stream: bool) -> None:
        customer.may_be_logged = ("request.failed",)
        raw = answered("openai", stream=stream)
        first, found, rest = raw.partition(b'"one"},"finish_reason":null}]}\n\n\r\n')

        async def script(visit: Visit) -> None:
            await visit.say(first + found)
            await asyncio.sleep(0.1)
            await visit.say(rest)

        async with raw_provider(script) as provider:
            name = await customer.serve("openai", base_url=provider.base_url("openai"))
            use(customer, name, Exploding())
            reply = await customer.chat("openai", SAID, stream=stream)
            row = await customer.one_row()
        assert (row["status"], row["error_code"]) == (500, "internal_error")
        if stream:
            assert not reply.is_complete  # nobody takes it for an answer
            assert (row["outcome"], row["sale"]) == ("crashed", sale_of(in_fresh=ASKED, out_text=1))
        else:
            assert (reply.status, reply.error["code"]) == (500, "internal_error")
            assert (row["outcome"], row["sale"]) == ("crashed_unanswered", 0)
            assert row["cost"] == cost_of(in_fresh=ASKED)

    async def test_sells_what_was_delivered_when_nobody_reads_on(self, customer: Customer) -> None:
        customer.may_be_logged = ("drain.failed",)
        go_on = asyncio.Event()

        async def script(visit: Visit) -> None:
            await visit.say(OK_STREAM + chunked(*opening("openai", sent=10), *words("openai", "one")))
            await go_on.wait()
            await visit.say(chunked(*ending("openai", sent=10, came=7)) + LAST_CHUNK)

        async with raw_provider(script) as provider, customer.calling() as caller:
            base_url = provider.base_url("openai")
            name = await customer.serve("openai", base_url=base_url, aborts_stop_billing=False)
            use(customer, name, Exploding())
            await customer.start(caller, "openai", SAID, stream=True)
            await caller.until(b"one")
            caller.hang_up()
            await asyncio.sleep(0.05)
            go_on.set()
            row = await customer.one_row()
        assert (row["outcome"], row["sale"]) == ("hangup_midstream", sale_of(in_fresh=ASKED, out_text=1))
        assert any("drain.failed" in line for line in customer.logged)


def use(customer: Customer, name: str, provider: Provider) -> None:
    """Let a model be served by another adapter than its provider's kind says."""
    snapshot = customer.gw.snapshot
    model = snapshot.models[name]
    served = replace(model, routes=(replace(model.routes[0], provider=provider),))
    customer.gw.snapshot = replace(snapshot, models={**snapshot.models, name: served})


@every_kind
class TestBeingStopped:
    """The server cancels what still runs when its grace period is over."""

    @streamed_or_not
    async def test_sells_what_was_delivered(self, customer: Customer, kind: str, *, stream: bool) -> None:
        async def script(visit: Visit) -> None:
            if stream:
                await visit.say(OK_STREAM + chunked(*opening(kind, sent=10), *words(kind, "one")))
            await visit.gone.wait()

        async with raw_provider(script) as provider, customer.calling() as caller:
            customer.may_be_logged = ("Exception in ASGI",)  # the server's word for a cancelled request
            await customer.serve(kind, base_url=provider.base_url(kind))
            await customer.start(caller, kind, SAID, stream=stream)
            await eventually(lambda: provider.visits)
            if stream:
                await caller.until(b"one")
            (serving,) = [task for task in asyncio.all_tasks() if "run_asgi" in repr(task.get_coro())]
            serving.cancel()
            await asyncio.wait_for(provider.visits[0].gone.wait(), WAIT_S)
            row = await customer.one_row()
        sent = 10 if kind == "anthropic" else ASKED
        if stream:
            assert (row["outcome"], row["sale"]) == ("crashed", sale_of(in_fresh=sent, out_text=1))
        else:
            assert (row["outcome"], row["sale"]) == ("crashed_unanswered", 0)
