"""Providers that fail, stall, break off or talk nonsense: a clear answer, exact books, nothing given away."""

import asyncio
import gzip
from dataclasses import replace
from typing import Any

import orjson
import pytest
from proving import (
    INPUT_TOLD_EARLY,
    KINDS,
    Customer,
    events_to,
    input_estimate,
    sale_of,
    tokens_of_letters,
)
from raw_provider import (
    LAST_CHUNK,
    OK_STREAM,
    RawProvider,
    Script,
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
from test_hangups import unanswered_port

from gateway_stack import SECRETS

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAID = "hello there"
ASKED = input_estimate(SAID)

every_kind = pytest.mark.parametrize("kind", KINDS)
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


async def refused(customer: Customer, kind: str, script: Script, *, stream: bool, **serving: Any) -> Any:
    """Ask a raw provider that gives no answer; the reply and the row, which must be free."""
    async with raw_provider(script) as provider:
        await customer.serve(kind, base_url=provider.base_url(kind), **serving)
        reply = await customer.chat(kind, SAID, stream=stream)
        row = await customer.one_row()
    assert (row["outcome"], row["sale"], row["cost"]) == ("provider_error_before_output", 0, 0)
    assert row["status"] == reply.status
    assert row["error_code"] == reply.error["code"]
    return reply


@every_kind
@streamed_or_not
class TestErrorStatus:
    @pytest.mark.parametrize(
        ("status", "told"),
        [
            (400, 400),
            (401, 502),
            (402, 502),
            (403, 502),
            (404, 502),
            (408, 502),
            (413, 413),
            (429, 503),
            (500, 502),
            (503, 503),
            (529, 503),
        ],
    )
    async def test_is_told_in_our_words(
        self, customer: Customer, kind: str, status: int, told: int, *, stream: bool
    ) -> None:
        codes = {429: "provider_rate_limited", 503: "provider_overloaded", 529: "provider_overloaded"}
        await customer.serve(kind)
        customer.fault(kind, f"status={status}")
        reply = await customer.chat(kind, SAID, stream=stream)
        row = await customer.one_row()
        assert reply.status == told
        if told >= 500:
            assert reply.error["code"] == codes.get(status, "provider_error")
        assert "x-request-id" in reply.headers
        assert (row["outcome"], row["sale"], row["cost"]) == ("provider_error_before_output", 0, 0)

    async def test_passes_on_how_long_to_wait(self, customer: Customer, kind: str, *, stream: bool) -> None:
        await customer.serve(kind)
        customer.fault(kind, "status=429 retry_after=7")
        reply = await customer.chat(kind, SAID, stream=stream)
        assert (reply.status, reply.headers["retry-after"]) == (503, "7")

    @pytest.mark.parametrize("script", ["status=502 html", "billing", "status=500 cut_body"])
    async def test_of_other_kinds_is_ours_to_mend(
        self, customer: Customer, kind: str, script: str, *, stream: bool
    ) -> None:
        await customer.serve(kind)
        customer.fault(kind, script)
        reply = await customer.chat(kind, SAID, stream=stream)
        assert (reply.status, reply.error["code"]) == (502, "provider_error")

    @pytest.mark.parametrize("status", ["204 No", "302 Moved", "304 Same", "599 What"])
    async def test_that_is_no_answer_is_an_error(
        self, customer: Customer, kind: str, status: str, *, stream: bool
    ) -> None:
        where = "location: http://127.0.0.1:1/internal\r\n"
        script = says(whole_answer(b"" if status[0] in "23" else b"{}", status=status, headers=where))
        reply = await refused(customer, kind, script, stream=stream)
        assert (reply.status, reply.error["code"]) == (502, "provider_error")
        assert "location" not in reply.headers


@every_kind
class TestWhatAnErrorSays:
    """`prove` scans all answers and logs for the credential and the address."""

    @pytest.mark.parametrize("status", ["400 Bad", "401 Who", "404 Where", "500 Oh", "200 OK"])
    @streamed_or_not
    async def test_never_names_credential_or_address(
        self, customer: Customer, kind: str, status: str, *, stream: bool
    ) -> None:
        providers: list[RawProvider] = []

        async def script(visit: Visit) -> None:
            address = providers[0].base_url(kind)
            message = f"key {SECRETS[kind]}-0 refused by {address} ({address.split('/')[2]})"
            error = {"type": "invalid_request_error", "message": message, "param": address, "code": address}
            body = orjson.dumps({"type": "error", "error": error, "at": address})
            leak = f"x-served-by: {address}\r\nset-cookie: k={SECRETS[kind]}-0\r\n"
            await visit.say(whole_answer(body, status=status, headers=leak))

        async with raw_provider(script) as provider:
            providers.append(provider)
            await customer.serve(kind, base_url=provider.base_url(kind))
            reply = await customer.chat(kind, SAID, stream=stream)
        assert reply.status in {400, 502}
        assert "set-cookie" not in reply.headers

    async def test_is_kept_to_itself_inside_a_stream_too(self, customer: Customer, kind: str) -> None:
        providers: list[RawProvider] = []

        async def script(visit: Visit) -> None:
            address = providers[0].base_url(kind)
            message = f"key {SECRETS[kind]}-0 refused by {address}"
            error = {"type": "invalid_request_error", "message": message, "code": None, "param": None}
            event = b"event: error\ndata: " + orjson.dumps({"type": "error", "error": error}) + b"\n\n"
            await visit.say(OK_STREAM + chunked(*opening(kind, sent=10), *words(kind, "one"), event))
            await visit.gone.wait()

        async with raw_provider(script) as provider:
            providers.append(provider)
            await customer.serve(kind, base_url=provider.base_url(kind))
            reply = await customer.chat(kind, SAID, stream=True)
        assert reply.text() == "one"
        assert reply.events()[-2]["error"]["message"]

    async def test_is_kept_to_itself_when_nobody_listens_there(self, customer: Customer, kind: str) -> None:
        async with raw_provider(says()) as provider:
            address = provider.base_url(kind)
        await customer.serve(kind, base_url=address, credentials=2)
        reply = await customer.chat(kind, SAID)
        rows = await customer.usage()
        assert (reply.status, reply.error["code"]) == (502, "provider_error")
        assert [row["outcome"] for row in rows] == ["provider_error_before_output"] * 2


SPOKEN_BADLY = {
    "garbage": b"\xff\xfe{\x00]]>>} data ::: not an event\n\n\xc3\x28",
    "nothing": b"",
    "a_list": b"[1, 2]",
    "a_string": b'"hello"',
    "null": b"null",
    "an_empty_object": b"{}",
    "half_of_json": b'{"choices": [',
    "deeply_nested": b"[" * 100_000,
    "choices_of_nonsense": b'{"choices": "many", "content": 7}',
    "an_error_in_a_200": b'{"error": {"message": "no"}, "type": "error"}',
    "gzip": gzip.compress(b'{"choices": []}'),
}


@every_kind
class TestGarbage:
    @streamed_or_not
    @pytest.mark.parametrize("body", SPOKEN_BADLY.values(), ids=SPOKEN_BADLY.keys())
    async def test_is_refused(self, customer: Customer, kind: str, body: bytes, *, stream: bool) -> None:
        reply = await refused(customer, kind, says(whole_answer(body)), stream=stream)
        assert (reply.status, reply.error["code"]) == (502, "provider_error")

    @streamed_or_not
    @pytest.mark.parametrize(
        "raw",
        [
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 200_000,
            b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}",
            b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
            whole_answer(gzip.compress(b"{}"), headers="content-encoding: gzip\r\n"),
        ],
        ids=["not_http", "endless_header", "negative_length", "bad_chunk", "upgrade", "content_encoding"],
    )
    async def test_of_the_transport_is_refused(
        self, customer: Customer, kind: str, raw: bytes, *, stream: bool
    ) -> None:
        reply = await refused(customer, kind, says(raw), stream=stream)
        assert (reply.status, reply.error["code"]) == (502, "provider_error")

    async def test_answers_a_stream_when_none_was_asked(self, customer: Customer, kind: str) -> None:
        events = [*opening(kind, sent=10), *words(kind, "one"), *ending(kind, sent=10, came=7)]
        reply = await refused(customer, kind, says(OK_STREAM, chunked(*events), LAST_CHUNK), stream=False)
        assert reply.status == 502

    async def test_answers_a_whole_when_a_stream_was_asked(self, customer: Customer, kind: str) -> None:
        body = completion(kind, "a secret nobody paid for", sent=10, came=7)
        reply = await refused(customer, kind, says(whole_answer(body)), stream=True)
        assert reply.status == 502
        assert b"nobody paid" not in reply.body


@every_kind
class TestSilence:
    @streamed_or_not
    async def test_of_the_network_is_a_504_and_tried_elsewhere(
        self, customer: Customer, kind: str, *, stream: bool
    ) -> None:
        with unanswered_port() as port:
            await customer.serve(
                kind, base_url=f"http://127.0.0.1:{port}", timeouts={"connect_ms": 100}, credentials=2
            )
            reply = await customer.chat(kind, SAID, stream=stream)
            rows = await customer.usage()
        assert (reply.status, reply.error["code"]) == (504, "provider_timeout")
        assert [(row["status"], row["sale"], row["cost"]) for row in rows] == [(504, 0, 0), (504, 0, 0)]

    @streamed_or_not
    async def test_after_the_request_is_a_504_and_not_asked_twice(
        self, customer: Customer, kind: str, *, stream: bool
    ) -> None:
        async def script(visit: Visit) -> None:
            await visit.gone.wait()

        reply = await refused(
            customer, kind, script, stream=stream, timeouts={"first_byte_ms": 100}, credentials=2
        )
        assert (reply.status, reply.error["code"]) == (504, "provider_timeout")

    @streamed_or_not
    async def test_after_the_headers_is_a_504(self, customer: Customer, kind: str, *, stream: bool) -> None:
        async def script(visit: Visit) -> None:
            await visit.say(OK_STREAM)
            await visit.gone.wait()

        reply = await refused(customer, kind, script, stream=stream, timeouts={"idle_ms": 100})
        assert (reply.status, reply.error["code"]) == (504, "provider_timeout")

    async def test_in_midstream_ends_the_stream(self, customer: Customer, kind: str) -> None:
        await customer.serve(kind, timeouts={"idle_ms": 100})
        customer.fault(
            kind, f'silence_after_events={events_to(kind, 2)} input_tokens=10 text="one two three"'
        )
        reply = await customer.chat(kind, SAID, stream=True)
        row = await customer.one_row()
        sent = 10 if kind in INPUT_TOLD_EARLY else ASKED
        assert reply.text() == "one two"
        assert reply.events()[-2]["error"]["code"] == "provider_timeout"
        assert (row["outcome"], row["status"]) == ("provider_error_after_output", 504)
        assert row["sale"] == sale_of(in_fresh=sent, out_text=tokens_of_letters("one two"))

    async def test_broken_by_keep_alives_is_no_silence(self, customer: Customer, kind: str) -> None:
        async def script(visit: Visit) -> None:
            await visit.say(OK_STREAM)
            for _ in range(6):
                await visit.say(chunked(b": still here\n\n"))
                await asyncio.sleep(0.1)
            events = [*opening(kind, sent=10), *words(kind, "one"), *ending(kind, sent=10, came=7)]
            await visit.say(chunked(*events) + LAST_CHUNK)

        async with raw_provider(script) as provider:
            await customer.serve(kind, base_url=provider.base_url(kind), timeouts={"idle_ms": 400})
            reply = await customer.chat(kind, SAID, stream=True)
            row = await customer.one_row()
        assert reply.text() == "one"
        assert row["outcome"] == "completed"


@every_kind
class TestAnotherProvider:
    """A model with several providers: the next one, of another kind, answers as well."""

    @streamed_or_not
    async def test_answers_when_the_first_is_down(
        self, customer: Customer, kind: str, *, stream: bool
    ) -> None:
        other = "anthropic" if kind != "anthropic" else "openai"
        await customer.serve(kind, other)
        customer.fault(kind, "status=500", count=4)
        customer.fault(other, "input_tokens=10 output_tokens=7")
        reply = await customer.chat(kind, SAID, stream=stream)
        failed, answered = await customer.usage()
        assert reply.status == 200
        assert failed["provider_id"] != answered["provider_id"]
        assert (failed["sale"], answered["sale"]) == (0, sale_of(in_fresh=10, out_text=7))

    async def test_is_not_asked_more_often_than_allowed(self, customer: Customer, kind: str) -> None:
        customer.gw.limits = replace(customer.gw.limits, attempts_max=2)
        await customer.serve(kind, credentials=5)
        customer.fault(kind, "status=500", count=5)
        reply = await customer.chat(kind, SAID)
        assert reply.status == 502
        assert [row["attempt"] for row in await customer.usage()] == [0, 1]

    async def test_is_passed_over_while_it_cools_down(self, customer: Customer, kind: str) -> None:
        await customer.serve(kind, credentials=2)
        customer.fault(kind, "status=429 retry_after=30")
        await customer.chat(kind, SAID)
        await customer.chat(kind, SAID)
        first, second, third = await customer.usage()
        assert first["outcome"] == "provider_error_before_output"
        assert second["credential_id"] == third["credential_id"] != first["credential_id"]
