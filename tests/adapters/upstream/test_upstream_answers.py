import asyncio
import gzip

import pytest
from raw_server import CHUNKED, Peer, Script, chunked, head, serving, until, whole
from upstream_client import Client

from bursar.adapters.upstream import Answer, UpstreamError, UpstreamTooLarge

MEBIBYTE = 2**20
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n"


def replying(*parts: bytes, pause_s: float = 0, reset: bool = False) -> Script:
    """Answers the first request with `parts` and closes."""

    async def script(peer: Peer) -> None:
        await peer.request()
        for part in parts:
            await peer.send(part)
            await asyncio.sleep(pause_s)
        if reset:
            peer.reset()

    return script


async def chunks_of(answer: Answer) -> bytes:
    parts = []
    while part := await answer.chunk():
        parts.append(part)
    return b"".join(parts)


async def failure(client: Client, script: Script) -> UpstreamError:
    """What a caller who reads the whole answer is told."""
    async with serving(script) as server:
        with pytest.raises(UpstreamError) as caught:
            await client.ask(server)
    return caught.value


class TestRequest:
    async def test_arrives_with_headers_length_and_body(self, client: Client) -> None:
        async with serving(Peer.answer_one) as server:
            await client.ask(server, b'{"a":1}', headers={"authorization": "Bearer s", "x-a": "b"})
            (request,) = server.requests
        lines, _, body = request.partition(b"\r\n\r\n")
        first, *rest = lines.lower().split(b"\r\n")
        assert first == b"post /v1/chat http/1.1"
        assert body == b'{"a":1}'
        host = f"host: 127.0.0.1:{server.port}".encode()
        assert {host, b"authorization: bearer s", b"x-a: b", b"content-length: 7"} <= set(rest)

    async def test_asks_for_no_compression_and_names_no_software(self, client: Client) -> None:
        async with serving(Peer.answer_one) as server:
            await client.ask(server)
            lines = server.requests[0].lower().split(b"\r\n")
        assert b"accept-encoding: identity" in lines
        assert not [line for line in lines if line.startswith((b"user-agent", b"cookie"))]

    async def test_keeps_the_query_of_the_url(self, client: Client) -> None:
        async with serving(Peer.answer_one) as server:
            await client.ask(server.url + "?api-version=2026-01-01&x=a%20b")
            assert server.requests[0].startswith(b"POST /v1/chat?api-version=2026-01-01&x=a%20b HTTP/1.1\r\n")

    async def test_of_eight_megabytes_arrives_whole(self, client: Client) -> None:
        body = b"x" * (8 * MEBIBYTE)
        async with serving(Peer.answer_one) as server:
            await client.ask(server, body)
            assert server.requests[0].partition(b"\r\n\r\n")[2] == body

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("x-a", "b\r\nx-injected: 1"),
            ("x-a", "b\nx-injected: 1"),
            ("x-a", "b\rx-injected: 1"),
            ("x-a\r\nx-injected", "1"),
        ],
        ids=["crlf", "lf", "cr", "name"],
    )
    async def test_refuses_a_header_with_a_line_break(self, client: Client, name: str, value: str) -> None:
        async with serving(Peer.answer_one) as server:
            with pytest.raises(UpstreamError) as caught:
                await client.open(server, headers={name: value})
            assert caught.value.sent is False
            assert server.requests == []

    @pytest.mark.parametrize(
        "url",
        [
            "ftp://127.0.0.1/x",
            "http:///x",
            "127.0.0.1/x",
            "http://127.0.0.1:99999/x",
            "http://127.0.0.1:port/x",
            "http://[::1/x",
            "http://127.0.0.1/x\r\nx-injected: 1",
            "http://127.0.0.1/a b",
        ],
    )
    async def test_goes_nowhere_when_the_address_is_no_url(self, client: Client, url: str) -> None:
        with pytest.raises(UpstreamError) as caught:
            await client.open(url)
        assert caught.value.sent is False

    async def test_follows_no_redirect(self, client: Client) -> None:
        async with serving(
            replying(whole(b"", status="307 Moved", headers="location: /other\r\n"))
        ) as server:
            answer = await client.open(server)
            await answer.read(1)
            assert answer.status == 307
            assert answer.headers["location"] == "/other"
            assert len(server.requests) == 1


class TestBody:
    @pytest.mark.parametrize(
        "answer",
        [
            whole(b"hello world"),
            head(CHUNKED) + chunked(b"hello", b" ", b"world"),
            head("Transfer-Encoding: Chunked\r\n") + chunked(b"hello world"),
            head(CHUNKED) + b'b;ext="a"\r\nhello world\r\n0\r\nx-trailer: t\r\n\r\n',
            head("connection: close\r\n") + b"hello world",
            head(version="1.0") + b"hello world",
            EARLY_HINTS + b"HTTP/1.1 100 Continue\r\n\r\n" + whole(b"hello world"),
        ],
        ids=["length", "chunked", "Chunked", "extension", "close", "http1.0", "interim"],
    )
    @pytest.mark.parametrize("piece_bytes", [1, 1_000])
    async def test_arrives_however_it_is_framed_and_split(
        self, client: Client, answer: bytes, piece_bytes: int
    ) -> None:
        parts = [answer[start : start + piece_bytes] for start in range(0, len(answer), piece_bytes)]
        async with serving(replying(*parts)) as server:
            assert await client.ask(server) == b"hello world"
        async with serving(replying(*parts)) as server:
            assert await chunks_of(await client.open(server)) == b"hello world"

    @pytest.mark.parametrize(
        "content",
        [
            whole(b""),
            head(status="204 No Content"),
            head("etag: x\r\n", status="304 Not Modified"),
            head(CHUNKED) + chunked(),
        ],
        ids=["length 0", "204", "304", "chunked"],
    )
    async def test_may_be_empty(self, client: Client, content: bytes) -> None:
        async with serving(replying(content, pause_s=0.05)) as server:
            answer = await client.open(server)
            assert await answer.read(100) == b""
            assert await answer.chunk() == b""

    async def test_comes_chunk_by_chunk_as_it_is_sent(self, client: Client) -> None:
        go_on = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(head(CHUNKED) + chunked(b"first", end=False))
            await go_on.wait()
            await peer.send(chunked(b"second"))

        async with serving(script) as server:
            answer = await client.open(server)
            assert await answer.chunk() == b"first"
            go_on.set()
            assert await answer.chunk() == b"second"
            assert await answer.chunk() == b""
            assert await answer.chunk() == b""

    async def test_is_counted_by_its_own_headers_not_by_interim_ones(self, client: Client) -> None:
        async with serving(replying(EARLY_HINTS + whole(b"x", headers="x-b: 2\r\n"))) as server:
            answer = await client.open(server)
            await answer.read(1)
        assert answer.status == 200
        assert "link" not in answer.headers
        assert answer.headers["X-B".lower()] == "2"

    async def test_is_whole_though_the_provider_answered_before_reading_the_request(
        self, client: Client
    ) -> None:
        async def script(peer: Peer) -> None:
            await peer.first_byte()
            await peer.answer(b"too large", status="413 Too Large", headers="connection: close\r\n")
            await peer.until_gone()

        async with serving(script) as server:
            answer = await client.open(server, b"x" * (4 * MEBIBYTE))
            assert answer.status == 413
            assert await answer.read(100) == b"too large"


class TestBrokenAnswer:
    @pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
    @pytest.mark.parametrize(
        "sent",
        [
            b"",
            b"HTT",
            b"HTTP/1.1 200 OK\r\ncontent-le",
            b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n",
            EARLY_HINTS,
            head("content-length: 100\r\n"),
            head("content-length: 100\r\n") + b"only this",
            head(CHUNKED) + chunked(b"first", end=False) + b"5\r\nsec",
            head("Transfer-Encoding: Chunked\r\n") + chunked(b"first", end=False),
            head(CHUNKED) + chunked(b"first", end=False) + b"0\r\n",
        ],
        ids=[
            "nothing",
            "status line",
            "header",
            "headers",
            "after 103",
            "no body",
            "mid-body",
            "mid-chunk",
            "between chunks",
            "before the end",
        ],
    )
    async def test_is_an_error_never_a_short_answer(
        self, client: Client, sent: bytes, *, reset: bool
    ) -> None:
        error = await failure(client, replying(sent, pause_s=0.01, reset=reset))
        assert error.sent is True
        assert error.timed_out is False

    @pytest.mark.parametrize(
        "sent",
        [
            b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
            b"HTTP/1.1 abc OK\r\n\r\n",
            head("content-length: 5\r\ncontent-length: 7\r\n") + b"hello w",
            head("content-length: minus\r\n") + b"hello",
            head(CHUNKED) + b"zz\r\nhello\r\n",
            head(CHUNKED) + b"fffffffffffffffffffff\r\nhello\r\n",
            head("connection: upgrade\r\nupgrade: x\r\n", status="101 Switching Protocols") + b"hello",
        ],
        ids=["ssh", "status", "two lengths", "bad length", "bad size", "huge size", "101"],
    )
    async def test_that_is_not_http_is_an_error(self, client: Client, sent: bytes) -> None:
        assert (await failure(client, replying(sent))).sent is True

    async def test_gives_what_came_before_it_broke_chunk_by_chunk(self, client: Client) -> None:
        script = replying(head(CHUNKED) + chunked(b"first", end=False), pause_s=0.01)
        async with serving(script) as server:
            answer = await client.open(server)
            assert await answer.chunk() == b"first"
            with pytest.raises(UpstreamError):
                await answer.chunk()

    async def test_compressed_without_being_asked_is_refused(self, client: Client) -> None:
        packed = whole(gzip.compress(b"hello"), headers="content-encoding: gzip\r\n")

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(packed)
            await peer.until_gone()

        error = await failure(client, script)
        assert "gzip" in str(error)

    async def test_named_identity_is_not_compressed(self, client: Client) -> None:
        async with serving(replying(whole(b"ok", headers="content-encoding: identity\r\n"))) as server:
            assert await client.ask(server) == b"ok"


class TestLimits:
    async def test_a_header_of_sixteen_kilobytes_is_read(self, client: Client) -> None:
        long = "v" * 16_000
        async with serving(replying(whole(headers=f"x-long: {long}\r\n"))) as server:
            assert (await client.open(server)).headers["x-long"] == long

    @pytest.mark.parametrize(
        "headers",
        [
            "x-long: " + "v" * 200_000 + "\r\n",
            "".join(f"x-{number}: {'v' * 100}\r\n" for number in range(2_000)),
        ],
        ids=["one", "many"],
    )
    async def test_headers_of_two_hundred_kilobytes_are_refused(self, client: Client, headers: str) -> None:
        error = await failure(client, replying(whole(headers=headers)))
        assert error.sent is True

    async def test_a_header_without_end_is_given_up(self, client: Client) -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\nx-long: ")
            while peer.gone_at is None:
                await peer.send(b"v" * 65536)
                await peer.look_for_the_end()

        assert (await failure(client, script)).sent is True

    @pytest.mark.parametrize("framing", ["content-length: 70\r\n", CHUNKED, "connection: close\r\n"])
    @pytest.mark.parametrize("pieces", [1, 7])
    async def test_an_answer_one_byte_past_the_limit_is_refused(
        self, client: Client, framing: str, pieces: int
    ) -> None:
        content = chunked(b"x" * 70) if framing == CHUNKED else b"x" * 70
        size = -(-len(content) // pieces)
        parts = [content[start : start + size] for start in range(0, len(content), size)]
        async with serving(replying(head(framing), *parts, pause_s=0.002)) as server:
            with pytest.raises(UpstreamTooLarge):
                await (await client.open(server)).read(69)
            assert await (await client.open(server)).read(70) == b"x" * 70

    @pytest.mark.parametrize("framing", ["content-length: 9999999999\r\n", CHUNKED, "connection: close\r\n"])
    async def test_an_answer_without_end_is_cut_at_the_limit(self, client: Client, framing: str) -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(head(framing))
            while peer.gone_at is None:
                await peer.send(chunked(b"x" * 65536, end=False))
                await peer.look_for_the_end()

        async with serving(script) as server:
            with pytest.raises(UpstreamTooLarge):
                await (await client.open(server)).read(MEBIBYTE)
            await server.gone()

    async def test_a_body_nobody_reads_makes_the_provider_wait(self, client: Client) -> None:
        sent = 0

        async def script(peer: Peer) -> None:
            nonlocal sent
            await peer.request()
            await peer.send(head(CHUNKED))
            for _ in range(64):
                await peer.send(chunked(b"x" * MEBIBYTE, end=False))
                sent += 1
            await peer.send(chunked())

        async with serving(script) as server:
            answer = await client.open(server)
            before = -1
            while before != sent:
                before = sent
                await asyncio.sleep(0.2)
            assert sent < 32
            first = await answer.chunk()
            assert len(first) <= MEBIBYTE
            size = len(first) + len(await chunks_of(answer))
            assert size == 64 * MEBIBYTE
            await until(lambda: sent == 64)
