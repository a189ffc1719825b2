import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest
from raw_server import CHUNKED, Peer, chunked, head, serving, until, whole
from upstream_client import PATIENT, Client, Making

from bursar.adapters.upstream import Timeouts, UpstreamError

IPV6 = "::1"


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind((IPV6, 0))
    except OSError:
        return False
    return True


async def answering_all(peer: Peer) -> None:
    while request := await peer.request():
        await peer.answer(request.partition(b"\r\n\r\n")[2])


async def reading_one(peer: Peer) -> None:
    await peer.request()


class TestReuse:
    @pytest.mark.parametrize(
        "content",
        [
            whole(b"ok"),
            head(CHUNKED) + chunked(b"o", b"k"),
            head(status="204 No Content"),
            b"HTTP/1.1 103 Early Hints\r\n\r\n" + whole(b"ok"),
        ],
        ids=["length", "chunked", "204", "interim"],
    )
    async def test_one_connection_serves_request_after_request(self, client: Client, content: bytes) -> None:
        async def script(peer: Peer) -> None:
            while await peer.request():
                await peer.send(content)

        async with serving(script) as server:
            for _ in range(5):
                await client.ask(server)
            assert [len(peer.requests) for peer in server.peers] == [5]

    async def test_each_answer_goes_to_its_own_request(self, client: Client) -> None:
        async def ask(number: int) -> None:
            body = b"%d" % number * (number % 1_000)
            assert await client.ask(server, body) == body

        async with serving(answering_all) as server:
            for start in range(0, 200, 20):
                await asyncio.gather(*(ask(number) for number in range(start, start + 20)))
            assert len(server.peers) <= 20
            assert len(server.requests) == 200

    @pytest.mark.parametrize(
        "content",
        [
            whole(b"ok", headers="connection: close\r\n"),
            head("connection: close\r\n") + b"ok",
            head("content-length: 2\r\n", version="1.0") + b"ok",
        ],
        ids=["close", "until close", "http/1.0"],
    )
    async def test_a_connection_that_the_provider_ends_is_not_used_again(
        self, client: Client, content: bytes
    ) -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(content)

        async with serving(script) as server:
            for _ in range(3):
                assert await client.ask(server) == b"ok"
            assert [len(peer.requests) for peer in server.peers] == [1, 1, 1]

    async def test_a_connection_with_a_request_still_to_send_is_not_used_again(self, client: Client) -> None:
        async def script(peer: Peer) -> None:
            if peer.number == 0:
                await peer.first_byte()
                await peer.answer(b"refused", status="413 Too Large")
                await peer.until_gone_without_reading()
            else:
                await answering_all(peer)

        async with serving(script) as server:
            assert await client.ask(server, b"x" * (32 * 2**20)) == b"refused"
            assert await client.ask(server, b"second") == b"second"
            assert len(server.peers) == 2

    async def test_a_connection_whose_answer_was_not_read_is_closed(self, client: Client) -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(head("content-length: 1000\r\n") + b"begun")
            await peer.until_gone()

        async with serving(script) as server:
            answer = await client.open(server)
            assert await answer.chunk() == b"begun"
            answer.close()
            await server.gone()

    async def test_closing_an_answer_that_was_read_leaves_its_connection_alone(self, client: Client) -> None:
        async with serving(answering_all) as server:
            answer = await client.open(server, b"first")
            assert await answer.read(100) == b"first"
            second = await client.open(server, b"second")
            answer.close()
            assert await answer.chunk() == b""
            assert await second.read(100) == b"second"
            assert len(server.peers) == 1


class TestLeftovers:
    """Bytes that nobody asked for must never be taken for the answer to the next request."""

    @pytest.mark.parametrize(
        "junk",
        [whole(b"poison"), b"garbage", head(CHUNKED) + chunked(b"poison", end=False)],
        ids=["an answer", "garbage", "unfinished"],
    )
    async def test_behind_an_answer_end_the_connection(self, client: Client, junk: bytes) -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(whole(b"right", headers="x-of: 1\r\n") + junk)
            await peer.request()

        async with serving(script) as server:
            for _ in range(3):
                with contextlib.suppress(UpstreamError):  # a client may mistrust the first answer too
                    answer = await client.open(server)
                    assert answer.headers["x-of"] == "1"
                    assert await answer.read(100) == b"right"
            assert [len(peer.requests) for peer in server.peers] == [1, 1, 1]

    async def test_of_half_a_header_are_no_part_of_the_next_answer(self, client: Client) -> None:
        async def script(peer: Peer) -> None:
            while await peer.request():
                await peer.send(whole(b"right") + b"HTTP/1.1 200 OK\r\ncontent-le")

        async with serving(script) as server:
            for _ in range(3):
                assert await client.ask(server) == b"right"

    @pytest.mark.parametrize(
        "junk",
        [whole(b"poison"), head("content-length: 6\r\n"), b"garbage"],
        ids=["whole", "half", "garbage"],
    )
    async def test_that_come_while_idle_end_the_connection(self, client: Client, junk: bytes) -> None:
        async def script(peer: Peer) -> None:
            await peer.answer_one()
            if peer.number == 0:
                await asyncio.sleep(0.05)
                await peer.send(junk)
            await peer.request()

        async with serving(script) as server:
            assert await client.ask(server) == b"ok"
            await server.gone()
            assert await client.ask(server) == b"ok"
            assert [len(peer.requests) for peer in server.peers] == [1, 1]


class TestStaleConnection:
    async def test_closed_while_idle_is_replaced_without_a_word(self, client: Client) -> None:
        async with serving(Peer.answer_one) as server:
            assert await client.ask(server) == b"ok"
            await asyncio.sleep(0.05)
            assert await client.ask(server) == b"ok"
            assert [len(peer.requests) for peer in server.peers] == [1, 1]

    @pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
    async def test_closed_as_the_request_left_is_resent_once(self, client: Client, *, reset: bool) -> None:
        async def script(peer: Peer) -> None:
            if peer.number == 0:
                await peer.answer_one()
                await peer.first_byte()
                if reset:
                    peer.reset()
            else:
                await answering_all(peer)

        async with serving(script) as server:
            assert await client.ask(server, b"first") == b"ok"
            assert await client.ask(server, b"second") == b"second"
            assert len(server.peers) == 2

    async def test_is_resent_never_twice(self, client: Client) -> None:
        async def script(peer: Peer) -> None:
            if peer.number == 0:
                await peer.answer_one()
            await peer.request()

        async with serving(script) as server:
            await client.ask(server, b"first")
            with pytest.raises(UpstreamError) as caught:
                await client.ask(server, b"second")
            assert caught.value.sent is True
            bodies = [request.partition(b"\r\n\r\n")[2] for request in server.requests]
            assert bodies == [b"first", b"second", b"second"]

    async def test_a_new_connection_that_closes_without_an_answer_is_not_asked_again(
        self, client: Client
    ) -> None:
        async with serving(reading_one) as server:
            with pytest.raises(UpstreamError) as caught:
                await client.ask(server)
            assert caught.value.sent is True
            await asyncio.sleep(0.05)
            assert len(server.requests) == 1

    async def test_that_began_to_answer_is_not_resent(self, client: Client) -> None:
        async def script(peer: Peer) -> None:
            await peer.answer_one()
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\n")

        async with serving(script) as server:
            await client.ask(server)
            with pytest.raises(UpstreamError):
                await client.ask(server)
            await asyncio.sleep(0.05)
            assert len(server.requests) == 2

    async def test_that_closes_after_working_on_the_request_is_not_resent(self, client: Client) -> None:
        async def script(peer: Peer) -> None:
            await peer.answer_one()
            await peer.request()
            await asyncio.sleep(1.5)

        async with serving(script) as server:
            await client.ask(server)
            with pytest.raises(UpstreamError):
                await client.ask(server)
            await asyncio.sleep(0.05)
            assert len(server.requests) == 2

    async def test_that_says_nothing_in_time_is_not_resent(self, client: Client) -> None:
        async def script(peer: Peer) -> None:
            await peer.answer_one()
            await peer.request()
            await peer.until_gone()

        async with serving(script) as server:
            await client.ask(server)
            with pytest.raises(UpstreamError) as caught:
                await client.ask(server, timeouts=Timeouts(first_byte_ms=100))
            assert caught.value.timed_out is True
            await server.gone()
            assert len(server.requests) == 2


class TestConnectionsMax:
    async def test_is_never_passed_and_everybody_is_served(self, client_of: Making) -> None:
        client = client_of(connections_max=3)
        open_now = most = 0

        async def script(peer: Peer) -> None:
            nonlocal open_now, most
            open_now += 1
            most = max(most, open_now)
            while await peer.request():
                await asyncio.sleep(0.005)
                await peer.answer()
            open_now -= 1

        async with serving(script) as server:
            assert await asyncio.gather(*(client.ask(server) for _ in range(40))) == [b"ok"] * 40
            assert most == 3
            assert len(server.peers) == 3

    async def test_an_idle_connection_makes_room_for_another_host(self, client_of: Making) -> None:
        client = client_of(connections_max=1)
        async with serving(answering_all) as first, serving(answering_all) as second:
            for number in range(6):
                body = b"%d" % number
                assert await client.ask((first, second)[number % 2], body) == body

    async def test_hosts_take_turns_when_all_places_are_taken(self, client_of: Making) -> None:
        client = client_of(connections_max=2)
        async with contextlib.AsyncExitStack() as stack:
            servers = [await stack.enter_async_context(serving(answering_all)) for _ in range(4)]
            asked = [client.ask(servers[number % 4], b"%d" % number) for number in range(80)]
            assert await asyncio.gather(*asked) == [b"%d" % number for number in range(80)]

    async def test_waiting_for_a_place_takes_no_longer_than_connecting_may(self, client_of: Making) -> None:
        client = client_of(connections_max=1)

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(head(CHUNKED))
            await peer.until_gone()

        async with serving(script) as server:
            held = await client.open(server)
            with pytest.raises(UpstreamError) as caught:
                await client.open(server, timeouts=Timeouts(connect_ms=50))
            assert (caught.value.sent, caught.value.timed_out) == (False, True)
            held.close()
            (await client.open(server)).close()

    async def test_a_waiter_who_left_takes_no_place_with_him(self, client_of: Making) -> None:
        client = client_of(connections_max=1)

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(head(CHUNKED))
            await peer.until_gone()

        async with serving(script) as server:
            held = await client.open(server)
            waiting = [asyncio.create_task(client.ask(server)) for _ in range(3)]
            await asyncio.sleep(0.02)
            held.close()
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            (await client.open(server)).close()

    async def test_places_are_free_again_after_two_hundred_mixed_failures(self, client_of: Making) -> None:
        client = client_of(connections_max=4)
        closed_port = free_port()
        async with serving(unreliable) as server:
            for number in range(200):
                await suffer(client, server.url, closed_port, number)
            open_answers = [await client.open(server, b"hold") for _ in range(4)]
            assert [answer.status for answer in open_answers] == [200] * 4
            for answer in open_answers:
                answer.close()
            await until(lambda: all(peer.gone_at is not None for peer in server.peers[-4:]))

    async def test_closing_the_client_closes_answers_under_way_too(self, client: Client) -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(head(CHUNKED) + chunked(b"begun", end=False))
            await peer.until_gone()

        async with serving(script) as server:
            answer = await client.open(server)
            assert await answer.chunk() == b"begun"
            await client.upstream.close()
            await server.gone()


class TestAddresses:
    async def test_refused_is_known_not_to_be_sent(self, client: Client) -> None:
        with pytest.raises(UpstreamError) as caught:
            await client.open(f"http://127.0.0.1:{free_port()}/")
        assert (caught.value.sent, caught.value.timed_out) == (False, False)

    async def test_a_name_nobody_has_is_known_not_to_be_sent(self, client: Client) -> None:
        for name in ("no-such-host.invalid", "a..b"):
            with pytest.raises(UpstreamError) as caught:
                await client.open(f"http://{name}/", timeouts=PATIENT)
            assert caught.value.sent is False

    async def test_a_listener_that_accepts_nobody_is_given_up(self, client: Client) -> None:
        with full_backlog() as port, pytest.raises(UpstreamError) as caught:
            await client.open(f"http://127.0.0.1:{port}/", timeouts=Timeouts(connect_ms=100))
        assert (caught.value.sent, caught.value.timed_out) == (False, True)

    @pytest.mark.skipif(not has_ipv6(), reason="this kernel has no IPv6")
    async def test_ipv6_is_reached(self, client: Client) -> None:
        async with serving(Peer.answer_one, host=IPV6) as server:
            assert await client.ask(server) == b"ok"
            assert f"host: [::1]:{server.port}".encode() in server.requests[0].lower()


async def unreliable(peer: Peer) -> None:
    """Fails in the way the request's body says."""
    while request := await peer.request():
        match request.partition(b"\r\n\r\n")[2]:
            case b"close":
                return
            case b"garbage":
                await peer.send(b"garbage\r\n\r\n")
            case b"cut":
                await peer.send(head("content-length: 100\r\n") + b"cut")
                return
            case b"ok":
                await peer.answer()
            case b"silent":
                await peer.until_gone()
            case _:
                await peer.send(head(CHUNKED) + chunked(b"begun", end=False))
                await peer.until_gone()


async def suffer(client: Client, url: str, closed_port: int, number: int) -> None:
    """One of eight ways to end a request, most of them bad."""
    match number % 8:
        case 0 | 1 | 2 | 3 as way:
            body = (b"close", b"garbage", b"cut", b"ok")[way]
            with contextlib.suppress(UpstreamError):
                await client.ask(url, body)
        case 4:
            with pytest.raises(UpstreamError):
                await client.open(f"http://127.0.0.1:{closed_port}/")
        case 5:
            answer = await client.open(url, b"hold")
            answer.close()
        case 6:
            task = asyncio.create_task(client.ask(url, b"silent"))
            await asyncio.sleep(0.001 * (number % 5))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        case _:
            answer = await client.open(url, b"hold")
            reading = asyncio.create_task(answer.read(100))
            await asyncio.sleep(0)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def full_backlog() -> Iterator[int]:
    """A port where connecting hangs: it listens, its queue is full and nobody accepts."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0)
            filler.connect_ex(address)
        yield address[1]
