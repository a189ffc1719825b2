"""The caller hangs up: whenever he does, the provider's socket closes at once, or is read to its end."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from caller import WAIT_S, Caller
from proving import CHAT, KINDS, Customer, cost_of, eventually, input_estimate, sale_of, tokens_of_letters
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
    whole_answer,
    words,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLOSED_WITHIN_NS = 100_000_000
MEBIBYTE = 2**20
SAID = "hello there"
ASKED = input_estimate(SAID)

every_kind = pytest.mark.parametrize("kind", KINDS)
either_end = pytest.mark.parametrize("leave", [Caller.hang_up, Caller.reset], ids=["fin", "rst"])
Leave = Callable[[Caller], None]


@asynccontextmanager
async def locked(customer: Customer, query: str, parameters: list[Any]) -> AsyncIterator[None]:
    """Hold a row lock, so that the gateway waits for the books in this block."""
    async with await psycopg.AsyncConnection.connect(customer.stack.database.url) as connection:
        await connection.execute(query, parameters)  # type: ignore[arg-type]  # a test says what it needs
        yield
        await connection.rollback()


class Stalls:
    """For how long this process did not get to run: no fault of the gateway's."""

    def __init__(self) -> None:
        self.lost_ns = 0

    async def watch(self) -> None:
        while True:
            before_ns = time.monotonic_ns()
            await asyncio.sleep(0.002)
            self.lost_ns += max(0, time.monotonic_ns() - before_ns - 4_000_000)


async def assert_closes_at_once(provider: RawProvider, leave: Callable[[], None]) -> None:
    """The gateway closes the provider's connection within 100 ms of `leave`."""
    visit, stalls = provider.visits[-1], Stalls()
    watching = asyncio.create_task(stalls.watch())
    await asyncio.sleep(0)
    left_ns = time.monotonic_ns()
    leave()
    await asyncio.wait_for(visit.gone.wait(), WAIT_S)
    watching.cancel()
    assert visit.gone_ns - left_ns - stalls.lost_ns < CLOSED_WITHIN_NS


async def hear_nothing(visit: Visit) -> None:
    """A provider that takes the request and says nothing more."""
    await visit.gone.wait()


class TestBeforeAnythingIsSent:
    @either_end
    async def test_costs_nothing(self, customer: Customer, leave: Leave) -> None:
        async with raw_provider(hear_nothing) as provider:
            await customer.serve("openai", base_url=provider.base_url("openai"))
            wallet = "SELECT FROM wallet WHERE id = %s FOR UPDATE"
            async with customer.calling() as caller, locked(customer, wallet, [customer.wallet_id]):
                await customer.start(caller, "openai", SAID)
                await eventually(lambda: customer.gw.in_flight == 1)
                await asyncio.sleep(0.05)
                leave(caller)
                await asyncio.sleep(0.05)
            row = await customer.one_row()
            assert provider.visits == []
        assert (row["outcome"], row["status"]) == ("hangup_before_send", 499)
        assert (row["sale"], row["cost"]) == (0, 0)

    @pytest.mark.parametrize("aborts_stop_billing", [True, False])
    async def test_costs_nothing_while_connecting(
        self, customer: Customer, *, aborts_stop_billing: bool
    ) -> None:
        with unanswered_port() as port:
            await customer.serve(
                "openai",
                base_url=f"http://127.0.0.1:{port}/v1",
                timeouts={"connect_ms": 20_000},
                aborts_stop_billing=aborts_stop_billing,
            )
            async with customer.calling() as caller:
                await customer.start(caller, "openai", SAID)
                await eventually(lambda: customer.gw.in_flight == 1)
                await asyncio.sleep(0.1)
                caller.hang_up()
                row = await customer.one_row()
        assert (row["outcome"], row["sale"], row["cost"]) == ("hangup_before_send", 0, 0)

    async def test_in_the_middle_of_the_body_leaves_no_trace(self, customer: Customer) -> None:
        body = customer.payload("openai", SAID)
        async with customer.calling() as caller:
            head = f"POST {CHAT} HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {customer.key}\r\n"
            caller.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body[:20])
            await eventually(lambda: customer.gw.in_flight == 1)
            caller.hang_up()
            await eventually(lambda: customer.gw.in_flight == 0)
        assert await customer.usage() == []


def unanswered_port() -> Any:
    """A port whose connections are never accepted: its backlog is full."""
    return _Unanswered()


class _Unanswered:
    def __enter__(self) -> int:
        self._listening = socket.socket()
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen(0)
        address = self._listening.getsockname()
        self._waiting = []
        for _ in range(4):
            waiting = socket.socket()
            waiting.setblocking(False)  # noqa: FBT003 - the socket module's signature
            waiting.connect_ex(address)
            self._waiting.append(waiting)
        return int(address[1])

    def __exit__(self, *_: object) -> None:
        for one in (*self._waiting, self._listening):
            one.close()


@every_kind
class TestTheProvidersSocket:
    """Closed within 100 ms of the hang-up, whatever the gateway was waiting for."""

    @either_end
    @pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
    async def test_closes_before_the_first_byte(
        self, customer: Customer, kind: str, leave: Leave, *, stream: bool
    ) -> None:
        async with raw_provider(hear_nothing) as provider, customer.calling() as caller:
            await customer.serve(kind, base_url=provider.base_url(kind))
            await customer.start(caller, kind, SAID, stream=stream)
            await eventually(lambda: provider.visits)
            await assert_closes_at_once(provider, lambda: leave(caller))
            row = await customer.one_row()
        assert row["outcome"] == "hangup_before_output"

    async def test_closes_in_the_middle_of_a_whole_answer(self, customer: Customer, kind: str) -> None:
        async def script(visit: Visit) -> None:
            await visit.say(whole_answer(completion(kind, "one", sent=10, came=7))[:-20])
            await visit.gone.wait()

        async with raw_provider(script) as provider, customer.calling() as caller:
            await customer.serve(kind, base_url=provider.base_url(kind))
            await customer.start(caller, kind, SAID, max_tokens=3)
            await eventually(lambda: provider.visits and provider.visits[0].sent_bytes)
            await asyncio.sleep(0.08)
            await assert_closes_at_once(provider, caller.hang_up)
            row = await customer.one_row()
        assert row["outcome"] == "hangup_before_output"
        assert row["sale"] == sale_of(in_fresh=ASKED, out_text=3)

    @either_end
    async def test_closes_in_midstream(self, customer: Customer, kind: str, leave: Leave) -> None:
        async def script(visit: Visit) -> None:
            await visit.say(OK_STREAM + chunked(*opening(kind, sent=10), *words(kind, "one")))
            await visit.gone.wait()

        async with raw_provider(script) as provider, customer.calling() as caller:
            await customer.serve(kind, base_url=provider.base_url(kind))
            await customer.start(caller, kind, SAID, stream=True)
            await caller.until(b"one")
            await assert_closes_at_once(provider, lambda: leave(caller))
            row = await customer.one_row()
        assert row["outcome"] == "hangup_midstream"

    async def test_closes_while_the_caller_reads_nothing(self, customer: Customer, kind: str) -> None:
        async with raw_provider(flood(kind)) as provider:
            await customer.serve(kind, base_url=provider.base_url(kind))
            async with customer.calling(receive_buffer=4096) as caller:
                await customer.start(caller, kind, SAID, stream=True)
                await until_stuck(provider)
                await assert_closes_at_once(provider, caller.reset)
            row = await customer.one_row()
        assert row["outcome"] == "hangup_midstream"
        assert row["sale"] > 0

    async def test_closes_while_an_error_is_read(self, customer: Customer, kind: str) -> None:
        async def script(visit: Visit) -> None:
            await visit.say(b"HTTP/1.1 500 Oh\r\ncontent-length: 100\r\n\r\n{")
            await visit.gone.wait()

        async with raw_provider(script) as provider, customer.calling() as caller:
            await customer.serve(kind, base_url=provider.base_url(kind), credentials=2)
            await customer.start(caller, kind, SAID)
            await eventually(lambda: provider.visits and provider.visits[0].sent_bytes)
            await asyncio.sleep(0.05)
            await assert_closes_at_once(provider, caller.hang_up)
            rows = await customer.usage()
            assert len(provider.visits) == 1
        assert [row["outcome"] for row in rows] == ["provider_error_before_output", "hangup_before_send"]
        assert [row["sale"] + row["cost"] for row in rows] == [0, 0]


def flood(kind: str) -> Any:
    """A provider that never stops talking."""

    async def script(visit: Visit) -> None:
        await visit.say(OK_STREAM + chunked(*opening(kind, sent=10)))
        piece = chunked(*words(kind, *["word " * 200] * 16))
        while True:
            await visit.say(piece)

    return script


async def until_stuck(provider: RawProvider) -> None:
    """Wait until the provider cannot send any more, because nobody reads."""
    await eventually(lambda: provider.visits and provider.visits[0].sent_bytes > MEBIBYTE)
    seen: list[int] = []
    while len(seen) < 4 or len(set(seen[-4:])) > 1:
        seen.append(provider.visits[0].sent_bytes)
        await asyncio.sleep(0.1)


class TestInTheTail:
    """Everything was produced and delivered; only the books were not written yet."""

    @pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
    @every_kind
    async def test_sells_all_of_it(self, customer: Customer, kind: str, *, stream: bool) -> None:
        customer.fault(kind, 'input_tokens=10 output_tokens=7 text="one two three"')
        process = "SELECT FROM process WHERE id = %s FOR UPDATE"
        async with customer.calling() as caller:
            # Money first: the lease must be there before the books are locked.
            await customer.chat(kind, SAID, max_tokens=50)
            first = await customer.one_row()
            customer.fault(kind, 'input_tokens=10 output_tokens=3 text="one two three"')
            async with locked(customer, process, [customer.gw.process.process_id]):
                await customer.start(caller, kind, SAID, stream=stream, max_tokens=10)
                if stream:
                    await caller.until(b"three")
                await asyncio.sleep(0.1)
                caller.hang_up()
                await asyncio.sleep(0.05)
            rows = await customer.usage()
        assert first["outcome"] == "completed"
        assert [row["outcome"] for row in rows] == ["completed", "completed"]
        assert rows[1]["sale"] == sale_of(in_fresh=10, out_text=3)


@every_kind
class TestReadingOn:
    """Where the provider bills on regardless, its answer is read to the end, within bounds."""

    async def test_stops_after_a_while(self, customer: Customer, kind: str) -> None:
        customer.gw.limits = replace(customer.gw.limits, drain_ms=200)

        async def script(visit: Visit) -> None:
            await visit.say(OK_STREAM + chunked(*opening(kind, sent=10), *words(kind, "one two")))
            await visit.gone.wait()

        async with raw_provider(script) as provider, customer.calling() as caller:
            await customer.serve(kind, base_url=provider.base_url(kind), aborts_stop_billing=False)
            await customer.start(caller, kind, SAID, stream=True)
            await caller.until(b"two")
            left_ns = time.monotonic_ns()
            caller.hang_up()
            row = await customer.one_row()
            await asyncio.wait_for(provider.visits[0].gone.wait(), WAIT_S)
            assert provider.visits[0].gone_ns - left_ns > 150_000_000
        sent = 10 if kind == "anthropic" else ASKED
        came = tokens_of_letters("one two")
        assert (row["outcome"], row["estimated"]) == ("hangup_midstream", True)
        assert (row["sale"], row["cost"]) == (
            sale_of(in_fresh=sent, out_text=came),
            cost_of(in_fresh=sent, out_text=came),
        )

    async def test_counts_the_body_until_it_ends(self, customer: Customer, kind: str) -> None:
        free = customer.gw.bodies._left
        async with raw_provider(hear_nothing) as provider, customer.calling() as caller:
            await customer.serve(kind, base_url=provider.base_url(kind), aborts_stop_billing=False)
            await customer.start(caller, kind, SAID, max_tokens=1)
            await eventually(lambda: provider.visits)
            caller.hang_up()
            await eventually(lambda: customer.gw.background and not customer.gw.in_flight)
            assert customer.gw.bodies._left < free
            provider.visits[0].reset()
            await customer.one_row()
        assert customer.gw.bodies._left == free

    async def test_stops_after_so_many_bytes(self, customer: Customer, kind: str) -> None:
        customer.gw.limits = replace(customer.gw.limits, drain_bytes=200_000)
        async with raw_provider(flood(kind)) as provider, customer.calling(receive_buffer=4096) as caller:
            await customer.serve(kind, base_url=provider.base_url(kind), aborts_stop_billing=False)
            await customer.start(caller, kind, SAID, stream=True)
            await until_stuck(provider)
            before = provider.visits[0].sent_bytes
            caller.reset()
            row = await customer.one_row()
            await asyncio.wait_for(provider.visits[0].gone.wait(), WAIT_S)
            assert provider.visits[0].sent_bytes - before < 16 * 2**20
        assert row["outcome"] == "hangup_midstream"

    @pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
    async def test_does_not_begin_when_too_many_do_already(
        self, customer: Customer, kind: str, *, stream: bool
    ) -> None:
        customer.gw.limits = replace(customer.gw.limits, drains_max=0)
        async with raw_provider(hear_nothing) as provider, customer.calling() as caller:
            await customer.serve(kind, base_url=provider.base_url(kind), aborts_stop_billing=False)
            await customer.start(caller, kind, SAID, stream=stream, max_tokens=1)
            await eventually(lambda: provider.visits)
            await assert_closes_at_once(provider, caller.hang_up)
            row = await customer.one_row()
        assert row["outcome"] == "hangup_before_output"
        assert row["sale"] >= sale_of(in_fresh=ASKED)

    async def test_goes_on_when_the_caller_left_while_being_sent_to(
        self, customer: Customer, kind: str
    ) -> None:
        """The hang-up is noticed in a send, not in a read: no read is under way to be carried on."""
        reported = 20_000

        async def script(visit: Visit) -> None:
            await visit.say(OK_STREAM + chunked(*opening(kind, sent=10)))
            piece = chunked(*words(kind, *["word " * 200] * 16))
            for _ in range(500):
                await visit.say(piece)
            await visit.say(chunked(*ending(kind, sent=10, came=reported)) + LAST_CHUNK)

        async with raw_provider(script) as provider, customer.calling(receive_buffer=4096) as caller:
            await customer.serve(kind, base_url=provider.base_url(kind), aborts_stop_billing=False)
            await customer.start(caller, kind, SAID, stream=True)
            await until_stuck(provider)
            caller.reset()
            row = await customer.one_row()
        assert row["outcome"] == "hangup_midstream"
        assert row["cost"] == cost_of(in_fresh=10, out_text=reported)
        assert row["sale"] <= sale_of(in_fresh=10, out_text=reported)

    @pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
    async def test_finds_a_refusal_and_sells_nothing(
        self, customer: Customer, kind: str, *, stream: bool
    ) -> None:
        go_on = asyncio.Event()

        async def script(visit: Visit) -> None:
            await go_on.wait()
            await visit.say(whole_answer(b'{"error":{"message":"no"}}', status="500 No"))

        async with raw_provider(script) as provider, customer.calling() as caller:
            await customer.serve(kind, base_url=provider.base_url(kind), aborts_stop_billing=False)
            await customer.start(caller, kind, SAID, stream=stream)
            await eventually(lambda: provider.visits)
            caller.hang_up()
            await asyncio.sleep(0.05)
            go_on.set()
            row = await customer.one_row()
        assert (row["outcome"], row["status"]) == ("provider_error_before_output", 499)
        assert (row["sale"], row["cost"]) == (0, 0)

    @pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
    async def test_settles_by_estimate_when_the_provider_breaks_off(
        self, customer: Customer, kind: str, *, stream: bool
    ) -> None:
        go_on = asyncio.Event()

        async def script(visit: Visit) -> None:
            await go_on.wait()
            visit.reset()

        async with raw_provider(script) as provider, customer.calling() as caller:
            await customer.serve(kind, base_url=provider.base_url(kind), aborts_stop_billing=False)
            await customer.start(caller, kind, SAID, stream=stream, max_tokens=2)
            await eventually(lambda: provider.visits)
            await asyncio.sleep(0.08)
            caller.hang_up()
            await asyncio.sleep(0.05)
            go_on.set()
            row = await customer.one_row()
        unseen = 0 if stream else 2
        assert (row["outcome"], row["estimated"]) == ("hangup_before_output", True)
        assert row["sale"] == sale_of(in_fresh=ASKED, out_text=unseen)

    async def test_takes_an_explicit_zero_for_what_it_is(self, customer: Customer, kind: str) -> None:
        go_on = asyncio.Event()

        async def script(visit: Visit) -> None:
            await visit.say(OK_STREAM + chunked(*opening(kind, sent=0), *words(kind, "one")))
            await go_on.wait()
            await visit.say(chunked(*ending(kind, sent=0, came=0)) + LAST_CHUNK)

        async with raw_provider(script) as provider, customer.calling() as caller:
            await customer.serve(kind, base_url=provider.base_url(kind), aborts_stop_billing=False)
            await customer.start(caller, kind, SAID, stream=True)
            await caller.until(b"one")
            caller.hang_up()
            await asyncio.sleep(0.05)
            go_on.set()
            row = await customer.one_row()
        assert (row["sale"], row["cost"]) == (0, 0)
