"""The HTTP side: keep-alive, pipelining, limits, slow readers, shutting down."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from raw_http import CHAT, MESSAGES, TIMEOUT_S, Call, chat, exchange, message, request_bytes

from bursar.simulator import Simulator, SimulatorSettings, running
from bursar.simulator.wire import PIPELINE_MAX

CLOSE = {"connection": "close"}


async def connect(simulator: Simulator) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = simulator.base_url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


class TestRequests:
    async def test_share_a_connection_in_order(self, nearby: Simulator) -> None:
        content = b"".join(
            request_bytes(CHAT, chat(f'[[sim: text="{number}"]]', stream=number % 2 == 0))
            for number in range(4)
        )
        raw = await exchange(nearby, content + request_bytes(CHAT, chat(), headers=CLOSE), quiet_s=TIMEOUT_S)
        places = [raw.data.index(f'"content":"{number}"'.encode()) for number in range(4)]
        assert places == sorted(places)
        assert raw.data.count(b"HTTP/1.1 200 OK") == 5
        assert nearby.log.connections_total == 1

    async def test_beyond_the_pipeline_limit_end_the_connection(self, nearby: Simulator) -> None:
        slow = request_bytes(CHAT, chat("[[sim: delay_ms=5000]]"))
        raw = await exchange(
            nearby, slow + request_bytes(CHAT, chat()) * (PIPELINE_MAX + 1), quiet_s=TIMEOUT_S
        )
        assert raw.data.startswith(b"HTTP/1.1 400")

    async def test_may_arrive_byte_by_byte(self, nearby: Simulator) -> None:
        reader, writer = await connect(nearby)
        for byte in request_bytes(CHAT, chat(), headers=CLOSE):
            writer.write(bytes([byte]))
            await writer.drain()
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()

    async def test_may_be_chunked(self, nearby: Simulator) -> None:
        body = orjson.dumps(chat())
        head = request_bytes(CHAT, b"", headers={**CLOSE, "transfer-encoding": "chunked"})
        head = head.replace(b"content-length: 0\r\n", b"")
        framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        assert (await exchange(nearby, head + framed, quiet_s=TIMEOUT_S)).status == 200

    async def test_may_wait_for_100_continue(self, nearby: Simulator) -> None:
        reader, writer = await connect(nearby)
        content = request_bytes(CHAT, chat(), headers={**CLOSE, "expect": "100-continue"})
        head, _, body = content.partition(b"\r\n\r\n")
        writer.write(head + b"\r\n\r\n")
        assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
        writer.write(body)
        assert b"HTTP/1.1 200" in await reader.read()
        writer.close()

    @pytest.mark.parametrize("content", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nbad header\r\n\r\n"])
    async def test_that_are_not_http_get_400(self, nearby: Simulator, content: bytes) -> None:
        assert (await exchange(nearby, content, quiet_s=TIMEOUT_S)).status == 400

    async def test_with_endless_headers_get_400(self, nearby: Simulator) -> None:
        content = request_bytes(CHAT, chat(), headers={f"x-{number}": "y" for number in range(300)})
        assert (await exchange(nearby, content, quiet_s=TIMEOUT_S)).status == 400

    async def test_with_too_large_a_body_get_413(self) -> None:
        async with running(SimulatorSettings(body_bytes_max=1000)) as simulator:
            raw = await exchange(simulator, request_bytes(CHAT, chat("x" * 2000)), quiet_s=TIMEOUT_S)
        assert raw.status == 413

    async def test_of_many_megabytes_are_answered(self, call: Call) -> None:
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 20_000_000}}
        raw = await call(CHAT, chat(messages=[{"role": "user", "content": [image]}]))
        assert orjson.loads(raw.body)["usage"]["prompt_tokens"] < 1000


class TestConnections:
    async def test_beyond_the_limit_are_refused(self) -> None:
        async with running(SimulatorSettings(connections_max=1)) as simulator:
            _, first = await connect(simulator)
            first.write(request_bytes(CHAT, chat()))
            raw = await exchange(simulator, request_bytes(CHAT, chat()), quiet_s=TIMEOUT_S)
            assert raw.data == b""
            assert simulator.log.connections_refused == 1
            first.close()

    async def test_do_not_outlive_the_server(self) -> None:
        async with running() as simulator:
            idle_reader, idle = await connect(simulator)
            busy_reader, busy = await connect(simulator)
            busy.write(request_bytes(CHAT, chat("[[sim: silence_before_headers]]")))
            while not simulator.log.requests_open:
                await asyncio.sleep(0.001)
        for reader in (idle_reader, busy_reader):
            assert await asyncio.wait_for(reader.read(), TIMEOUT_S) == b""
        assert simulator.log.connections_open == 0
        assert simulator.log.exchanges[-1].ended == "stopped"
        idle.close()
        busy.close()

    async def test_are_closed_when_idle_too_long(self) -> None:
        async with running(SimulatorSettings(idle_ms_max=50)) as simulator:
            reader, writer = await connect(simulator)
            assert await asyncio.wait_for(reader.read(), TIMEOUT_S) == b""
            assert simulator.log.links[-1].closed_by == "us"
            writer.close()


class TestSlowReader:
    async def test_holds_back_the_writer(self, nearby: Simulator) -> None:
        _, writer = await connect(nearby)
        writer.write(request_bytes(CHAT, chat("[[sim: big_event=33554432]]", stream=True)))
        while not nearby.log.exchanges or not nearby.log.exchanges[-1].paused:
            await asyncio.sleep(0.001)
        asked = nearby.log.exchanges[-1]
        sent = asked.events_sent
        await asyncio.sleep(0.1)
        assert (asked.ended, asked.events_sent) == ("answering", sent)
        writer.close()
        while nearby.log.requests_open:
            await asyncio.sleep(0.001)
        assert asked.ended == "peer_closed"


class TestPacing:
    @pytest.mark.parametrize(("path", "body"), [(CHAT, chat), (MESSAGES, message)])
    async def test_follows_tokens_per_second_and_first_token(
        self, path: str, body: Callable[..., dict[str, Any]]
    ) -> None:
        settings = SimulatorSettings(tokens_per_s=100, first_token_ms=100, answer_tokens=10)
        async with running(settings) as simulator:
            for stream in (True, False):
                started = time.monotonic()
                content = request_bytes(path, body(stream=stream), headers=CLOSE)
                await exchange(simulator, content, quiet_s=TIMEOUT_S)
                assert time.monotonic() - started >= 0.1 + 0.1

    async def test_may_hand_over_bursts(self) -> None:
        for burst in (0, 1, 8):
            async with running(SimulatorSettings(events_per_write=burst)) as simulator:
                content = request_bytes(CHAT, chat("[[sim: output_tokens=50]]", stream=True), headers=CLOSE)
                first, again = [await exchange(simulator, content, quiet_s=TIMEOUT_S) for _ in range(2)]
                assert len(first.events) == len(again.events) == 53
                assert simulator.log.exchanges[-1].events_sent == 53
