"""A provider that costs next to nothing: canned OpenAI answers, so that a bench measures the gateway.

Plain requests get one JSON body; requests with `"stream":true` get CHUNKS events, each in a write of its own,
and a usage event. Token figures are constant: 12 in, 50 out.
"""

import asyncio
import sys

import uvloop

CHUNKS = 50
USAGE = b'"usage":{"prompt_tokens":12,"completion_tokens":50,"total_tokens":62}'
PLAIN = (
    b'{"id":"chatcmpl-bench","object":"chat.completion","created":1790000000,"model":"gpt-4o-mini",'
    b'"choices":[{"index":0,"message":{"role":"assistant","content":"Hello there! How can I help you today?",'
    b'"refusal":null},"logprobs":null,"finish_reason":"stop"}],' + USAGE + b"}"
)
PLAIN_ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(PLAIN) + PLAIN
)
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunked(data: bytes) -> bytes:
    return b"%x\r\n" % len(data) + data + b"\r\n"


def event(delta: bytes, finish: bytes = b"null") -> bytes:
    return (
        b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1790000000,'
        b'"model":"gpt-4o-mini","choices":[{"index":0,"delta":' + delta + b',"logprobs":null,"finish_reason":'
        + finish + b'}],"usage":null}\n\n'
    )  # fmt: skip


EVENTS = [
    event(b'{"role":"assistant","content":""}'),
    *[event(b'{"content":" word%d"}' % number) for number in range(CHUNKS - 2)],
    event(b"{}", b'"stop"'),
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1790000000,'
    b'"model":"gpt-4o-mini","choices":[],' + USAGE + b"}\n\ndata: [DONE]\n\n",
]
WRITES = [
    STREAM_HEAD + chunked(EVENTS[0]),
    *[chunked(one) for one in EVENTS[1:-1]],
    chunked(EVENTS[-1]) + b"0\r\n\r\n",
]


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
            if b'"stream":true' in body:
                self.write_next(0)
            else:
                self.transport.write(PLAIN_ANSWER)

    def write_next(self, number: int) -> None:
        """One write per turn of the loop, so that events travel apart."""
        if self.transport.is_closing():
            return
        self.transport.write(WRITES[number])
        if number + 1 < len(WRITES):
            self.loop.call_soon(self.write_next, number + 1)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
