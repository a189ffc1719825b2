"""A provider made of sockets: it says exactly the bytes a test wants, when it wants them.

The bytes of each dialect are written out here by hand, so that an error in the code under test or in the
simulator is not repeated.
"""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson

from gateway_stack import PATHS

OK_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
LINGER_RESET = struct.pack("ii", 1, 0)


def whole_answer(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    """A plain HTTP answer; `headers` are whole lines."""
    return f"HTTP/1.1 {status}\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body


def chunked(*events: bytes) -> bytes:
    """Each event as one HTTP chunk."""
    return b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events)


def completion(kind: str, text: str, *, sent: int, came: int) -> bytes:
    """The body of a whole answer."""
    if kind == "anthropic":
        return orjson.dumps({
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": sent, "output_tokens": came},
        })  # fmt: skip
    if kind == "gemini":
        return orjson.dumps({**_candidate(text, finish="STOP"), "usageMetadata": _counted(sent, came)})
    return orjson.dumps({
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": sent, "completion_tokens": came, "total_tokens": sent + came},
    })  # fmt: skip


def opening(kind: str, *, sent: int) -> list[bytes]:
    """The events before the first word, if there are any; Anthropic tells the input tokens here."""
    if kind == "gemini":
        return []
    if kind == "anthropic":
        usage = {"input_tokens": sent, "output_tokens": 1}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "usage": usage}
        block = {"type": "text", "text": ""}
        return [
            _named({"type": "message_start", "message": {**message, "content": []}}),
            _named({"type": "content_block_start", "index": 0, "content_block": block}),
        ]
    return [_chunk({"role": "assistant", "content": ""})]


def words(kind: str, *texts: str) -> list[bytes]:
    """One event for each piece of text."""
    if kind == "anthropic":
        deltas = [{"type": "text_delta", "text": text} for text in texts]
        return [_named({"type": "content_block_delta", "index": 0, "delta": delta}) for delta in deltas]
    if kind == "gemini":
        return [_data(_candidate(text)) for text in texts]
    return [_chunk({"content": text}) for text in texts]


def ending(kind: str, *, sent: int, came: int) -> list[bytes]:
    """The end of a stream with its final usage."""
    if kind == "anthropic":
        return [
            _named({"type": "content_block_stop", "index": 0}),
            _named({
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn"},
                "usage": {"output_tokens": came},
            }),
            _named({"type": "message_stop"}),
        ]  # fmt: skip
    if kind == "gemini":
        return [_data({**_candidate("", finish="STOP"), "usageMetadata": _counted(sent, came)})]
    usage = {"prompt_tokens": sent, "completion_tokens": came, "total_tokens": sent + came}
    return [_chunk({}, finish="stop"), _data({**_FRAME, "choices": [], "usage": usage}), b"data: [DONE]\n\n"]


_FRAME = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def _candidate(text: str, *, finish: str | None = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "modelVersion": "m", "responseId": "r1"}


def _counted(sent: int, came: int) -> dict[str, int]:
    return {"promptTokenCount": sent, "candidatesTokenCount": came, "totalTokenCount": sent + came}


def _chunk(delta: dict[str, Any], *, finish: str | None = None) -> bytes:
    return _data({**_FRAME, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def _data(value: Any) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def _named(value: dict[str, Any]) -> bytes:
    return b"event: " + value["type"].encode() + b"\n" + _data(value)


class Visit:
    """One request of the gateway.

    `gone` is set, and `gone_ns` says when, once the gateway closed the connection; `sent_bytes` counts what
    the socket took.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.head = b""
        self.body = b""
        self.sent_bytes = 0
        self.gone = asyncio.Event()
        self.gone_ns = 0

    async def read_request(self) -> None:
        self.head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2])
            for line in self.head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        )
        self.body = await self.reader.readexactly(length)

    async def say(self, content: bytes) -> None:
        self.writer.write(content)
        await self.writer.drain()
        self.sent_bytes += len(content)

    def reset(self) -> None:
        """RST instead of FIN."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
        self.writer.transport.abort()

    async def watch(self) -> None:
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(2**16):
                pass
        self.gone_ns = time.monotonic_ns()
        self.gone.set()


Script = Callable[[Visit], Awaitable[None]]


class RawProvider:
    """A listening socket; every request is played by `script`, after which the connection is closed."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._tasks: set[asyncio.Task[None]] = set()
        self.visits: list[Visit] = []
        self.port = 0

    def base_url(self, kind: str) -> str:
        return f"http://127.0.0.1:{self.port}{PATHS[kind]}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = Visit(reader, writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await visit.read_request()
            self.visits.append(visit)
            watching = asyncio.create_task(visit.watch())
            self._tasks.add(watching)
            with contextlib.suppress(ConnectionError):
                await self._script(visit)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the gateway left, or the test is over
        finally:
            writer.close()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def raw_provider(script: Script) -> AsyncIterator[RawProvider]:
    provider = RawProvider(script)
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
    provider.port = server.sockets[0].getsockname()[1]
    try:
        yield provider
    finally:
        server.close()
        await provider.stop()


def says(*parts: bytes) -> Script:
    """A script that sends these bytes and closes."""

    async def script(visit: Visit) -> None:
        for part in parts:
            await visit.say(part)

    return script
