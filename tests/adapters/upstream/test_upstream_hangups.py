"""Whoever hangs up must stop the provider: what it generates from then on is billed to us."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from raw_server import CHUNKED, Peer, RawServer, Script, chunked, head, serving, until
from upstream_client import Client, Making

from bursar.adapters.upstream import Answer, Timeouts, UpstreamError
from tls_world import TlsWorld

HANG_UP_S = 0.1
MEBIBYTE = 2**20


async def unread(peer: Peer) -> None:
    """Never reads the request; sees the end of the connection all the same."""
    await peer.until_gone_without_reading()


async def silent(peer: Peer) -> None:
    await peer.request()
    await peer.until_gone()


async def half_headers(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\ncontent-le")
    await peer.until_gone()


async def streaming(peer: Peer) -> None:
    await peer.request()
    await peer.send(head(CHUNKED))
    while peer.gone_at is None:
        await peer.send(chunked(b"data: {}\n\n", end=False))
        await asyncio.sleep(0.005)
        await peer.look_for_the_end()


async def stalled(peer: Peer) -> None:
    await peer.request()
    await peer.send(head(CHUNKED) + chunked(b"begun", end=False))
    await peer.until_gone()


async def flooding(peer: Peer) -> None:
    """Sends more than anybody buffers; the client's end shows as a reset."""
    await peer.request()
    await peer.send(head(CHUNKED))
    while peer.gone_at is None:
        await peer.send(chunked(b"x" * MEBIBYTE, end=False))
        await peer.look_for_the_end()


async def hung_up(server: RawServer, hang_up: Callable[[], object]) -> float:
    """Seconds until the provider noticed."""
    began = asyncio.get_running_loop().time()
    hang_up()
    return await server.gone() - began


async def settled(server: RawServer) -> None:
    """Let the bytes under way arrive."""
    peer = await server.peer()
    await until(lambda: bool(peer.requests))
    await asyncio.sleep(0.05)


class TestCancelling:
    @pytest.mark.parametrize("script", [silent, half_headers])
    async def test_before_the_headers_closes_the_socket(self, client: Client, script: Script) -> None:
        async with serving(script) as server:
            opening = asyncio.create_task(client.open(server))
            await settled(server)
            assert await hung_up(server, opening.cancel) < HANG_UP_S
            with pytest.raises(asyncio.CancelledError):
                await opening

    async def test_while_a_large_request_is_being_sent_closes_the_socket(self, client: Client) -> None:
        async with serving(unread) as server:
            opening = asyncio.create_task(client.open(server, b"x" * (32 * MEBIBYTE)))
            await server.peer()
            await asyncio.sleep(0.1)
            assert await hung_up(server, opening.cancel) < HANG_UP_S
            with pytest.raises(asyncio.CancelledError):
                await opening

    @pytest.mark.parametrize("script", [stalled, streaming])
    @pytest.mark.parametrize("way", ["chunk", "read"])
    async def test_while_reading_closes_the_socket(self, client: Client, script: Script, way: str) -> None:
        async def read_on(answer: Answer) -> None:
            while way == "chunk":
                await answer.chunk()
            await answer.read(2**30)

        async with serving(script) as server:
            reading = asyncio.create_task(read_on(await client.open(server)))
            await settled(server)
            assert await hung_up(server, reading.cancel) < HANG_UP_S
            with pytest.raises(asyncio.CancelledError):
                await reading

    async def test_while_connecting_leaves_no_socket_behind(self, client: Client) -> None:
        async with serving(silent) as server:
            for steps in range(12):
                opening = asyncio.create_task(client.open(server))
                for _ in range(steps):
                    await asyncio.sleep(0)
                opening.cancel()
                await asyncio.gather(opening, return_exceptions=True)
            await asyncio.sleep(0.1)
            assert [peer.number for peer in server.peers if peer.gone_at is None] == []

    async def test_a_reader_closes_nobody_elses_connection(self, client: Client) -> None:
        async with serving(streaming) as server:
            mine = await client.open(server)
            theirs = await client.open(server)
            reading = asyncio.create_task(mine.read(2**30))
            await asyncio.sleep(0.05)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            for _ in range(20):
                assert await theirs.chunk() != b""


class TestClosing:
    @pytest.mark.parametrize("script", [stalled, streaming, flooding])
    async def test_an_answer_closes_the_socket(self, client: Client, script: Script) -> None:
        async with serving(script) as server:
            answer = await client.open(server)
            await settled(server)
            assert await hung_up(server, answer.close) < HANG_UP_S

    async def test_an_answer_after_some_chunks_closes_the_socket(self, client: Client) -> None:
        async with serving(streaming) as server:
            answer = await client.open(server)
            for _ in range(5):
                await answer.chunk()
            assert await hung_up(server, answer.close) < HANG_UP_S

    async def test_twice_is_harmless(self, client: Client) -> None:
        async with serving(stalled) as server:
            answer = await client.open(server)
            answer.close()
            answer.close()
            await server.gone()

    async def test_an_answer_whose_request_is_still_being_sent_closes_the_socket(
        self, client: Client
    ) -> None:
        async def script(peer: Peer) -> None:
            await peer.first_byte()
            await peer.send(head(CHUNKED) + chunked(b"begun", end=False))
            await peer.until_gone_without_reading()

        async with serving(script) as server:
            answer = await client.open(server, b"x" * (32 * MEBIBYTE))
            await asyncio.sleep(0.05)
            assert await hung_up(server, answer.close) < HANG_UP_S


class TestOverTls:
    @pytest.mark.parametrize("how", ["close", "cancel reading", "cancel opening"])
    async def test_hanging_up_closes_the_socket(self, client_of: Making, tls: TlsWorld, how: str) -> None:
        client = client_of(tls=tls.client())
        script = silent if how == "cancel opening" else stalled
        async with serving(script, tls=tls.server("localhost")) as server:
            url = server.url.replace("127.0.0.1", "localhost")
            hang_up = await self._begin(client, url, how)
            await settled(server)
            assert await hung_up(server, hang_up) < HANG_UP_S

    async def _begin(self, client: Client, url: str, how: str) -> Callable[[], object]:
        work: Awaitable[object]
        if how == "cancel opening":
            work = client.open(url)
        else:
            answer = await client.open(url)
            if how == "close":
                return answer.close
            work = answer.read(2**20)
        self._task = asyncio.ensure_future(work)
        return self._task.cancel


class TestTimeouts:
    async def test_silence_before_the_headers_is_given_up_and_the_socket_closed(self, client: Client) -> None:
        async with serving(silent) as server:
            with pytest.raises(UpstreamError) as caught:
                await client.open(server, timeouts=Timeouts(first_byte_ms=100))
            assert (caught.value.sent, caught.value.timed_out) == (True, True)
            await server.gone()

    async def test_headers_that_never_end_are_given_up(self, client: Client) -> None:
        async with serving(half_headers) as server:
            with pytest.raises(UpstreamError) as caught:
                await client.open(server, timeouts=Timeouts(first_byte_ms=100))
            assert (caught.value.sent, caught.value.timed_out) == (True, True)
            await server.gone()

    @pytest.mark.parametrize("framing", ["content-length: 100\r\n", CHUNKED, "connection: close\r\n"])
    @pytest.mark.parametrize("way", ["chunk", "read"])
    async def test_a_body_that_falls_silent_is_an_error_never_an_end(
        self, client: Client, framing: str, way: str
    ) -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(head(framing) + chunked(b"begun", end=False))
            await peer.until_gone()

        async with serving(script) as server:
            answer = await client.open(server, timeouts=Timeouts(idle_ms=100))
            if way == "chunk":
                await answer.chunk()
            with pytest.raises(UpstreamError) as caught:
                await (answer.chunk() if way == "chunk" else answer.read(1_000))
            assert (caught.value.sent, caught.value.timed_out) == (True, True)
            await server.gone()

    async def test_a_slow_body_that_never_falls_silent_is_read_to_its_end(self, client: Client) -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(head(CHUNKED))
            for _ in range(8):
                await asyncio.sleep(0.1)
                await peer.send(chunked(b"x", end=False))
            await peer.send(chunked())

        async with serving(script) as server:
            answer = await client.open(server, timeouts=Timeouts(first_byte_ms=600, idle_ms=600))
            assert await answer.read(100) == b"x" * 8

    async def test_time_in_which_nobody_reads_is_not_the_providers_silence(self, client: Client) -> None:
        async with serving(Peer.answer_one) as server:
            answer = await client.open(server, timeouts=Timeouts(first_byte_ms=5_000, idle_ms=100))
            await asyncio.sleep(0.7)
            assert await answer.read(100) == b"ok"

    async def test_a_tls_handshake_that_hangs_is_given_up(self, client_of: Making, tls: TlsWorld) -> None:
        client = client_of(tls=tls.client())
        async with serving(lambda peer: peer.until_gone()) as server:
            url = server.url.replace("http://127.0.0.1", "https://localhost")
            with pytest.raises(UpstreamError) as caught:
                await client.open(url, timeouts=Timeouts(connect_ms=150))
            assert (caught.value.sent, caught.value.timed_out) == (False, True)
            await server.gone()


class TestTls:
    async def test_a_provider_whose_certificate_is_trusted_is_asked(
        self, client_of: Making, tls: TlsWorld
    ) -> None:
        client = client_of(tls=tls.client())
        async with serving(Peer.answer_one, tls=tls.server("localhost")) as server:
            assert await client.ask(server.url.replace("127.0.0.1", "localhost")) == b"ok"

    @pytest.mark.parametrize("flaw", ["another host", "expired", "unknown authority", "no authority"])
    async def test_a_provider_who_cannot_prove_his_name_gets_nothing(
        self, client_of: Making, tls: TlsWorld, flaw: str
    ) -> None:
        others = {"unknown authority": TlsWorld().client(), "no authority": None}
        trusted = others.get(flaw, tls.client())
        name = "elsewhere.test" if flaw == "another host" else "localhost"
        client = client_of(tls=trusted)
        async with serving(Peer.answer_one, tls=tls.server(name, is_expired=flaw == "expired")) as server:
            with pytest.raises(UpstreamError) as caught:
                await client.open(server.url.replace("127.0.0.1", "localhost"))
            assert caught.value.sent is False
            assert server.requests == []

    async def test_plain_http_on_a_tls_port_is_refused(self, client_of: Making, tls: TlsWorld) -> None:
        client = client_of(tls=tls.client())
        async with serving(Peer.answer_one, tls=tls.server("localhost")) as server:
            with pytest.raises(UpstreamError):
                await client.open(server.url.replace("https", "http"))
            assert server.requests == []

    async def test_answers_in_chunks_arrive_and_the_connection_is_kept(
        self, client_of: Making, tls: TlsWorld
    ) -> None:
        client = client_of(tls=tls.client())

        async def script(peer: Peer) -> None:
            while await peer.request():
                await peer.send(head(CHUNKED) + chunked(b"x" * 300_000, b"y" * 300_000))

        async with serving(script, tls=tls.server("localhost")) as server:
            url = server.url.replace("127.0.0.1", "localhost")
            for _ in range(3):
                assert await client.ask(url) == b"x" * 300_000 + b"y" * 300_000
            assert len(server.peers) == 1
