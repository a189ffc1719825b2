"""What callers and providers write must never keep a row out of the books, nor make one that lies."""

import pytest
from proving import KINDS, Customer, input_estimate, sale_of
from raw_provider import (
    LAST_CHUNK,
    OK_STREAM,
    chunked,
    completion,
    ending,
    opening,
    raw_provider,
    says,
    whole_answer,
    words,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAID = "hello there"

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
            assert row["sale"] == sale_of(in_fresh=input_estimate(SAID), out_text=1)


def reframed(raw: bytes, *, stream: bool) -> bytes:
    """Bytes that were edited, with their lengths put right again."""
    head, _, body = raw.partition(b"\r\n\r\n")
    if not stream:
        return whole_answer(body)
    events = [line for line in body.split(b"\r\n") if b"data: " in line]
    return head + b"\r\n\r\n" + chunked(*events) + LAST_CHUNK
