"""Requests as bytes, answers as the bytes that came."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from bursar.simulator import Simulator

OPENAI_KEY = "sk-test-openai"
GEMINI_KEY = "AIzaSy-test-key"
ANTHROPIC_KEY = "sk-ant-test"
CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
TIMEOUT_S = 20


@dataclass(frozen=True, kw_only=True)
class Raw:
    """What came over one connection: `reads` are the pieces as they arrived, `error` how it broke."""

    reads: list[bytes]
    error: Exception | None

    @property
    def data(self) -> bytes:
        return b"".join(self.reads)

    @property
    def status(self) -> int:
        return int(self.data.split(b" ", 2)[1])

    @property
    def head(self) -> dict[str, str]:
        lines = self.data.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        return dict(line.split(": ", 1) for line in lines)

    @property
    def body(self) -> bytes:
        """The body as sent: chunked framing undone as far as it goes."""
        rest = self.data.partition(b"\r\n\r\n")[2]
        if "transfer-encoding" not in self.head:
            return rest
        return b"".join(self.chunks)

    @property
    def chunks(self) -> list[bytes]:
        rest, chunks = self.data.partition(b"\r\n\r\n")[2], []
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            chunks.append(rest[: int(size, 16)])
            rest = rest[int(size, 16) + 2 :]
        return chunks

    @property
    def is_finished(self) -> bool:
        return self.data.endswith(b"0\r\n\r\n")

    @property
    def events(self) -> list[bytes]:
        return [event for event in self.body.split(b"\n\n") if event]


Call = Callable[..., Awaitable[Raw]]
"""Post a body to a path and get the raw bytes back."""


def request_bytes(
    path: str, body: Any, *, method: str = "POST", headers: dict[str, str] | None = None
) -> bytes:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    named = {
        "host": "simulator",
        "authorization": f"Bearer {OPENAI_KEY}",
        "content-length": str(len(content)),
        **(headers or {}),
    }
    if path.startswith(MESSAGES):
        named = {"x-api-key": ANTHROPIC_KEY, "anthropic-version": "2023-06-01", **named}
        del named["authorization"]
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + content


async def exchange(simulator: Simulator, content: bytes, *, quiet_s: float) -> Raw:
    """Send bytes, collect what comes until the end of the connection or `quiet_s` without a byte."""
    host, port = simulator.base_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    reads: list[bytes] = []
    error: Exception | None = None
    try:
        writer.write(content)
        while read := await asyncio.wait_for(reader.read(65536), quiet_s):
            reads.append(read)
    except (TimeoutError, ConnectionError) as broken:
        error = broken
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    return Raw(reads=reads, error=error)


def chat(text: str = "Hello", **fields: Any) -> dict[str, Any]:
    """A chat completion request."""
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], **fields}


def message(text: str = "Hello", **fields: Any) -> dict[str, Any]:
    """A messages request."""
    return {
        "model": "claude-sonnet-4-6",
        "max_tokens": 1000,
        "messages": [{"role": "user", "content": text}],
        **fields,
    }


def data_of(event: bytes) -> Any:
    """The JSON of one SSE event."""
    return orjson.loads(next(line[6:] for line in event.split(b"\n") if line.startswith(b"data: ")))
