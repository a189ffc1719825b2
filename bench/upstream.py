"""A provider that costs next to nothing, so that a bench measures the gateway.

Plain requests get one JSON body; requests with `"stream":true` get some fifty events, each in a write of its
own. Paths that end in `/messages` are answered in Anthropic's dialect, all others in OpenAI's.
"""

import asyncio
import sys

import uvloop

from canned import ANTHROPIC, OPENAI, Canned


class Upstream(asyncio.Protocol):
    """Just enough HTTP: requests have a content-length."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.loop = asyncio.get_running_loop()
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head = self.received[:end].lower()
            at = head.find(b"content-length:")
            size = end + 4 + (int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0)
            if len(self.received) < size:
                return
            body, self.received = self.received[end + 4 : size], self.received[size:]
            canned = ANTHROPIC if b"/messages http/" in head[:200] else OPENAI
            if b'"stream":true' in body:
                self.write_next(canned, 0)
            else:
                self.transport.write(canned.plain)

    def write_next(self, canned: Canned, number: int) -> None:
        """One write per turn of the loop, so that events travel apart."""
        if self.transport.is_closing():
            return
        self.transport.write(canned.writes[number])
        if number + 1 < len(canned.writes):
            self.loop.call_soon(self.write_next, canned, number + 1)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
