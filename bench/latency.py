"""What the gateway adds to a request at a fixed rate, against calling the upstream directly.

An open-loop client sends at even intervals whether or not answers have come, so a slow answer delays no other
request and is counted in full. The same client measures both ways; the difference of percentiles is reported.
"""

import asyncio
import json
import time
from urllib.parse import urlsplit

from stack import HEADERS, Stack, request_body

CONNECTIONS = 64


class Client(asyncio.Protocol):
    """One connection, one request at a time; reads answers that have a content-length."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.received = bytearray()
        self.done: asyncio.Future[None] | None = None

    def data_received(self, data: bytes) -> None:
        self.received += data
        end = self.received.find(b"\r\n\r\n")
        if end < 0 or self.done is None:
            return
        head = bytes(self.received[:end]).lower()
        size = int(head.split(b"content-length:")[1].split(b"\r\n", 1)[0])
        if len(self.received) >= end + 4 + size:
            if b" 200 " not in head[:20]:
                raise SystemExit(bytes(self.received).decode())
            self.received.clear()
            self.done.set_result(None)


async def timed(url: str, rate: int, seconds: int) -> list[float]:
    """Milliseconds of every request, sorted."""
    loop = asyncio.get_running_loop()
    at = urlsplit(url)
    body = json.dumps(request_body(stream=False)).encode()
    head = f"POST {at.path} HTTP/1.1\r\nhost: {at.netloc}\r\ncontent-length: {len(body)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    request = head.encode() + b"\r\n" + body
    idle: asyncio.Queue[Client] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        _, client = await loop.create_connection(Client, at.hostname, at.port)
        idle.put_nowait(client)
    took: list[float] = []

    async def one(due: float) -> None:
        client = await idle.get()
        client.done = loop.create_future()
        client.transport.write(request)
        await client.done
        took.append((time.perf_counter() - due) * 1000)
        idle.put_nowait(client)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(rate * seconds):
            due = started + number / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            group.create_task(one(time.perf_counter()))
    while not idle.empty():
        idle.get_nowait().transport.close()
    return sorted(took)


def added_latency(stack: Stack, *, rate: int, seconds: int) -> dict[str, float]:
    async def both() -> dict[str, float]:
        direct = await timed(stack.upstream_url, rate, seconds)
        through = await timed(stack.url, rate, seconds)
        return {
            f"p{at}": round(through[len(through) * at // 100] - direct[len(direct) * at // 100], 2)
            for at in (50, 99)
        }

    return asyncio.run(both())
