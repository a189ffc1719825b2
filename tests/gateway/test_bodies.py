"""Large, slow and crowded: bodies up to the limit, slow readers, many requests on one connection."""

import asyncio
from dataclasses import replace

import orjson
import pytest
from caller import WAIT_S, request
from proving import CHAT, KINDS, Customer, eventually, new_customer, sale_of
from proving import SharedStack as Stack
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
from test_hangups import flood, until_stuck

from bursar.gateway.inbound import ByteBudget
from gateway_stack import MODELS

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEBIBYTE = 2**20
every_kind = pytest.mark.parametrize("kind", KINDS)


def with_picture(model: str, size: int) -> bytes:
    """A request of exactly `size` bytes, nearly all of them one picture."""
    parts = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}]
    body = orjson.dumps({"model": model, "messages": [{"role": "user", "content": parts}]})
    return body.replace(b"base64,", b"base64," + b"A" * (size - len(body)))


def in_chunks(body: bytes, piece: int = MEBIBYTE) -> list[bytes]:
    """The body as HTTP chunks, whose sum nobody declares."""
    pieces = [body[at : at + piece] for at in range(0, len(body), piece)]
    return [b"%x\r\n%b\r\n" % (len(one), one) for one in pieces] + [b"0\r\n\r\n"]


def chunked_head(customer: Customer) -> bytes:
    return (
        f"POST {CHAT} HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {customer.key}\r\n"
        "transfer-encoding: chunked\r\n\r\n"
    ).encode()


class TestLargeBodies:
    @pytest.mark.parametrize(("kind", "declared"), [("openai", True), ("anthropic", False)])
    async def test_of_a_hundred_megabytes_pass(
        self, customer: Customer, kind: str, *, declared: bool
    ) -> None:
        answer = whole_answer(completion(kind, "a picture", sent=900, came=7))
        async with raw_provider(says(answer)) as provider, customer.calling() as caller:
            name = await customer.serve(kind, base_url=provider.base_url(kind))
            body = with_picture(name, 100 * MEBIBYTE)
            if declared:
                await caller.post(CHAT, body, customer.authorization)
            else:
                for piece in (chunked_head(customer), *in_chunks(body)):
                    caller.write(piece)
                    await caller.writer.drain()
            reply = await caller.reply()
            row = await customer.one_row()
            assert len(provider.visits[0].body) > 99 * MEBIBYTE
        assert reply.text() == "a picture"
        assert row["sale"] == sale_of(in_fresh=900, out_text=7)

    @pytest.mark.parametrize("more", [0, 1])
    @pytest.mark.parametrize("declared", [True, False])
    async def test_above_the_limit_are_refused(
        self, customer: Customer, *, declared: bool, more: int
    ) -> None:
        customer.gw.limits = replace(customer.gw.limits, body_bytes_max=MEBIBYTE)
        answer = whole_answer(completion("openai", "ok", sent=900, came=7))
        async with raw_provider(says(answer)) as provider, customer.calling() as caller:
            name = await customer.serve("openai", base_url=provider.base_url("openai"))
            body = with_picture(name, MEBIBYTE + more)
            if declared:
                await caller.post(CHAT, body, customer.authorization)
            else:
                for piece in (chunked_head(customer), *in_chunks(body, 100_000)):
                    caller.write(piece)
            reply = await caller.reply()
        assert reply.status == (413 if more else 200)
        if more:
            assert reply.error["code"] == "request_too_large"
            assert await customer.usage() == []

    async def test_above_the_limit_are_refused_before_they_are_sent(self, customer: Customer) -> None:
        async with customer.calling() as caller:
            length = customer.gw.limits.body_bytes_max + 1
            head = f"POST {CHAT} HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {customer.key}\r\n"
            caller.write(f"{head}content-length: {length}\r\n\r\n".encode())
            reply = await caller.reply()
        assert (reply.status, reply.error["code"]) == (413, "request_too_large")

    @pytest.mark.parametrize("length", ["", "-1", "x", "1, 1", "9" * 30])
    async def test_of_no_honest_length_are_refused(self, customer: Customer, length: str) -> None:
        async with customer.calling() as caller:
            head = f"POST {CHAT} HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {customer.key}\r\n"
            caller.write(f"{head}content-length: {length}\r\n\r\n".encode() + b"{}")
            reply = await caller.reply()
        assert reply.status in {400, 413, 422}
        assert await customer.usage() == []

    async def test_that_do_not_come_are_given_up(self, customer: Customer) -> None:
        customer.gw.limits = replace(customer.gw.limits, body_silence_ms=100)
        async with customer.calling() as caller:
            head = f"POST {CHAT} HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {customer.key}\r\n"
            caller.write(f"{head}content-length: 100\r\n\r\n{{".encode())
            reply = await caller.reply()
            assert await caller.closed_by_gateway()
        assert (reply.status, reply.error["code"]) == (408, "request_timeout")
        assert await customer.usage() == []

    async def test_are_let_in_when_the_caller_waits_for_leave(self, customer: Customer) -> None:
        body = customer.payload("openai")
        async with customer.calling() as caller:
            headers = {**customer.authorization, "expect": "100-continue"}
            whole = request("POST", CHAT, body, headers)
            caller.write(whole[: -len(body)])
            assert (await caller.reader.readline()).startswith(b"HTTP/1.1 100")
            await caller.reader.readline()
            caller.write(body)
            assert (await caller.reply()).status == 200

    async def test_together_are_bounded(self, customer: Customer) -> None:
        customer.gw.bodies = ByteBudget(3 * MEBIBYTE)
        customer.gw.limits = replace(customer.gw.limits, bodies_bytes_max=3 * MEBIBYTE)
        go_on = asyncio.Event()

        async def script(visit: Visit) -> None:
            await go_on.wait()
            await visit.say(whole_answer(completion("openai", "ok", sent=900, came=7)))

        async with raw_provider(script) as provider, customer.calling() as first:
            name = await customer.serve("openai", base_url=provider.base_url("openai"))
            body = with_picture(name, 2 * MEBIBYTE)
            await first.post(CHAT, body, customer.authorization)
            await eventually(lambda: provider.visits)
            refused = await customer.send(body)
            async with customer.calling() as third:
                for piece in (chunked_head(customer), *in_chunks(body, 100_000)):
                    third.write(piece)
                refused_too = await third.reply()
            go_on.set()
            answered = await first.reply()
            after = await customer.send(body)
        assert (refused.status, refused.error["code"], refused.headers["retry-after"]) == (
            503,
            "overloaded",
            "1",
        )
        assert refused_too.status == 503
        assert (answered.status, after.status) == (200, 200)
        assert len(await customer.usage()) == 2


@every_kind
class TestSlowReaders:
    async def test_hold_the_provider_back(self, customer: Customer, kind: str) -> None:
        """64 MB are said to a caller who does not listen: what is under way stays bounded, and arrives."""
        word = "word " * 200
        count = 64_000

        async def script(visit: Visit) -> None:
            await visit.say(OK_STREAM + chunked(*opening(kind, sent=10)))
            piece = chunked(*words(kind, word) * 64)
            for _ in range(count // 64):
                await visit.say(piece)
            await visit.say(chunked(*ending(kind, sent=10, came=7)) + LAST_CHUNK)

        async with raw_provider(script) as provider, customer.calling(receive_buffer=8192) as caller:
            await customer.serve(kind, base_url=provider.base_url(kind))
            await customer.start(caller, kind, stream=True, max_tokens=4000)
            await until_stuck(provider)
            stuck_at = provider.visits[0].sent_bytes
            caller.hang_up()
            row = await customer.one_row()
        assert stuck_at < 16 * MEBIBYTE  # the kernel's buffers of two connections, and ours
        assert row["outcome"] == "hangup_midstream"

    async def test_who_read_nothing_at_all_have_hung_up(
        self, customer: Customer, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bursar.gateway.inbound.SEND_TIMEOUT_S", 0.5)
        async with raw_provider(flood(kind)) as provider, customer.calling(receive_buffer=8192) as caller:
            await customer.serve(kind, base_url=provider.base_url(kind))
            await customer.start(caller, kind, stream=True)
            await eventually(lambda: provider.visits)
            await asyncio.wait_for(provider.visits[0].gone.wait(), WAIT_S)
            row = await customer.one_row()
        assert row["outcome"] == "hangup_midstream"

    async def test_get_everything_in_the_end(self, customer: Customer, kind: str) -> None:
        word = "word " * 200
        count = 3_200
        customer.gw.limits = replace(customer.gw.limits, mark_interval_ms=200)

        async def script(visit: Visit) -> None:
            await visit.say(OK_STREAM + chunked(*opening(kind, sent=10)))
            piece = chunked(*words(kind, word) * 64)
            for _ in range(count // 64):
                await visit.say(piece)
            await visit.say(chunked(*ending(kind, sent=10, came=7)) + LAST_CHUNK)

        async with raw_provider(script) as provider, customer.calling(receive_buffer=65_536) as caller:
            await customer.serve(kind, base_url=provider.base_url(kind))
            await customer.start(caller, kind, stream=True)
            await asyncio.sleep(0.3)
            reply = await caller.reply()
            row = await customer.one_row()
        assert reply.text() == word * count
        assert (row["outcome"], row["sale"]) == ("completed", sale_of(in_fresh=10, out_text=7))


class TestOneConnection:
    async def test_serves_one_request_after_the_other(self, customer: Customer) -> None:
        bad = customer.payload("openai")[:-3]
        async with customer.calling() as caller:
            for kind in KINDS:
                for stream in (False, True):
                    await customer.start(caller, kind, stream=stream)
                    assert (await caller.reply()).status == 200
            await caller.post(CHAT, bad, customer.authorization)
            assert (await caller.reply()).status == 422
            await caller.post(CHAT, customer.payload("openai"), {})
            assert (await caller.reply()).status == 401
            await caller.post("/v1/nothing", b"x" * 100_000, customer.authorization)
            assert (await caller.reply()).status == 404
            await customer.start(caller, "openai")
            assert (await caller.reply()).status == 200
        assert len(await customer.usage()) == 2 * len(KINDS) + 1

    async def test_answers_pipelined_requests_in_order(self, customer: Customer) -> None:
        sizes = [3, 11, 7]
        for size in sizes:
            customer.fault("openai", f"output_tokens={size} input_tokens=10 delay_ms={200 // size}")
        one = request("POST", CHAT, customer.payload("openai"), customer.authorization)
        async with customer.calling() as caller:
            caller.write(one * len(sizes))
            replies = [await caller.reply() for _ in sizes]
        assert [reply.json()["usage"]["completion_tokens"] for reply in replies] == sizes
        assert [row["output_tokens"] for row in await customer.usage()] == sizes

    async def test_lost_with_requests_still_waiting_books_only_what_began(self, customer: Customer) -> None:
        customer.fault("openai", "silence_before_headers")
        one = request("POST", CHAT, customer.payload("openai"), customer.authorization)
        async with customer.calling() as caller:
            caller.write(one)
            await eventually(lambda: customer.stack.simulator.log.requests_open == 1)
            caller.reset()
            row = await customer.one_row()
        assert row["outcome"] == "hangup_before_output"

    @pytest.mark.parametrize(
        "raw",
        [
            b"NONSENSE\r\n\r\n",
            b"GET / HTTP/1.1\r\nhost: g\r\nx: " + b"y" * 200_000 + b"\r\n\r\n",
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        ],
        ids=["nonsense", "long_header", "bad_chunk", "tls"],
    )
    async def test_that_does_not_speak_http_is_closed(self, customer: Customer, raw: bytes) -> None:
        async with customer.calling() as caller:
            caller.write(raw)
            reply = await asyncio.wait_for(caller.reader.read(100), WAIT_S)
        assert reply == b"" or reply.startswith((b"HTTP/1.1 400", b"HTTP/1.1 401", b"HTTP/1.1 431"))
        assert await customer.usage() == []


class TestManyAtOnce:
    async def test_are_all_answered_and_booked_once(self, shared_stack: Stack) -> None:
        async with new_customer(shared_stack, balance="10") as customer:
            customer.fault("openai", "input_tokens=10 output_tokens=7", count=None)
            replies = await asyncio.gather(
                *(customer.chat("openai", stream=bool(number % 2)) for number in range(100))
            )
            rows = await customer.usage()
        assert [reply.status for reply in replies] == [200] * 100
        assert len({row["request_id"] for row in rows}) == 100
        assert sum(row["sale"] for row in rows) == 100 * sale_of(in_fresh=10, out_text=7)
        assert MODELS["openai"] == rows[0]["model"]
